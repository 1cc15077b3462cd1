"""Writes the report: `python -m demo.report --duckdb FILE --out FILE`."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import datetime
from pathlib import Path

import duckdb

from demo.report.page import language, render


def main() -> None:
    """Write the page of the marts in a DuckDB file."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.report",
        description="Write a page about the leads in a DuckDB file in which dbt built the marts.",
    )
    parser.add_argument("--duckdb", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--loaded-until",
        type=_instant,
        metavar="INSTANT",
        help="ISO 8601 with its zone, such as a bookmark: all leads before it are loaded "
        "(without it, the day of the newest lead counts as unfinished)",
    )
    parser.add_argument(
        "--currency",
        type=_currency,
        default="RUB",
        metavar="CODE",
        help="ISO 4217 code of the amounts (default: %(default)s)",
    )
    parser.add_argument(
        "--managers",
        action="store_true",
        help="show the leads of each manager: names of people, in a page that is made to be shared",
    )
    options = parser.parse_args()
    if not options.duckdb.is_file():
        sys.exit(f"There is no file {options.duckdb}.")
    try:
        with duckdb.connect(options.duckdb, read_only=True) as database:
            page = render(
                database,
                language(),
                loaded_until=options.loaded_until,
                currency=options.currency,
                managers=options.managers,
            )
    except (duckdb.BinderException, duckdb.CatalogException):
        sys.exit(
            f"{options.duckdb} does not have the marts. Build them with dbt first: see transform/."
        )
    except duckdb.IOException as error:
        sys.exit(f"{options.duckdb} cannot be read: {error}")
    options.out.write_text(page, encoding="utf-8")
    print(options.out)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if instant.tzinfo is None:
        message = f"{text} has no zone, such as +03:00"
        raise argparse.ArgumentTypeError(message)
    return instant


def _currency(text: str) -> str:
    if not re.fullmatch("[A-Z]{3}", text):
        message = f"{text} is not three capital letters, such as RUB"
        raise argparse.ArgumentTypeError(message)
    return text


if __name__ == "__main__":
    main()
