"""Writes the report: `python -m demo.report --duckdb FILE --out FILE`."""

from __future__ import annotations

import argparse
import sys
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
    options = parser.parse_args()
    if not options.duckdb.is_file():
        sys.exit(f"There is no file {options.duckdb}.")
    try:
        with duckdb.connect(options.duckdb, read_only=True) as database:
            page = render(database, language())
    except duckdb.CatalogException:
        sys.exit(f"{options.duckdb} has no marts. Build them with dbt first: see transform/.")
    except duckdb.IOException as error:
        sys.exit(f"{options.duckdb} cannot be read: {error}")
    options.out.write_text(page, encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
