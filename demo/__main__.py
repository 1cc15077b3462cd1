"""Runs the demo: `python -m demo`, or `make demo`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from demo.pipeline import ROOT, build, count_lines, load, read_bookmarks
from demo.report.page import language, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

FOLDER = ROOT / ".demo"
SOURCES = 8

REAL = """
To load your own leads with the same pipeline, with your loader in place of target-jsonl:
    export TAP_CALLTOUCH_API_TOKEN=<your token> TAP_CALLTOUCH_SITE_IDS='[<your site id>]'
    export TAP_CALLTOUCH_START_DATE=2024-01-01 TARGET_JSONL_DESTINATION_PATH=.
    .venv/bin/meltano run --state-id-suffix=real tap-calltouch target-jsonl
"""

BY_SOURCE = f"""
    WITH sources AS (
        SELECT source, medium, sum(calls) AS calls, sum(requests) AS requests,
               sum(target_leads) AS target, sum(orders) AS orders, sum(revenue) AS revenue,
               row_number() OVER (ORDER BY sum(leads) DESC) AS place
        FROM calltouch__leads_by_day GROUP BY source, medium
    )
    SELECT if(place <= {SOURCES}, coalesce(source, 'unknown'), 'others') AS source,
           if(place <= {SOURCES}, coalesce(medium, ''), '') AS medium,
           sum(calls)::INT AS calls, sum(requests)::INT AS requests, sum(target)::INT AS target,
           sum(orders)::INT AS orders, sum(revenue)::BIGINT AS revenue
    FROM sources GROUP BY ALL ORDER BY min(place)
"""
BY_MONTH = """
    SELECT strftime(day, '%Y-%m') AS month, sum(calls)::INT AS calls,
           sum(requests)::INT AS requests, sum(orders)::INT AS orders,
           repeat('█', (sum(leads) * 24 // max(sum(leads)) OVER ())::INT) AS leads
    FROM calltouch__leads_by_day GROUP BY month ORDER BY month
"""


def main() -> int:
    """Run the pipeline and show what it loaded."""
    FOLDER.mkdir(exist_ok=True)
    bookmarks, lines = read_bookmarks(), count_lines(FOLDER)
    known = [instant for sites in bookmarks.values() for instant in sites.values()]
    if known:
        print(f"\nLoading incrementally, from the look-back before {min(known)}.\n")
    else:
        print("\nLoading a year of calls and requests of two sites from a local API.\n")
    if status := load(FOLDER):
        return status
    print("\nMaking tables with dbt and the report with Altair")
    page = FOLDER / "leads.html"
    with duckdb.connect(build(FOLDER), read_only=True) as database:
        report = render(database, language(), loaded_until=_loaded_until())
        page.write_text(report, encoding="utf-8")
        for query in (BY_SOURCE, BY_MONTH):
            print("\n" + show(database, query))
        counts = database.execute("SELECT lead_type, count(*) FROM calltouch__leads GROUP BY ALL")
        total = dict(counts.fetchall())
    kind = "incremental" if known else "first"
    print(
        f"\nThis run ({kind}) loaded {count_lines(FOLDER) - lines:,} rows; there are "
        f"{total['call']:,} calls and {total['request']:,} requests in all."
    )
    for stream, sites in read_bookmarks().items():
        places = ", ".join(f"{instant} (site {site})" for site, instant in sites.items())
        print(f"Bookmarks of {stream}: {places}")
    print(f"{REAL}\nOpen the report in a browser: {page}")
    return 0


def _loaded_until() -> datetime | None:
    """Return the instant before which all leads of all sites are loaded."""
    bookmarks = [instant for sites in read_bookmarks().values() for instant in sites.values()]
    return min(map(datetime.fromisoformat, bookmarks), default=None)


def show(database: DuckDBPyConnection, query: str) -> str:
    """Return the result of a query as lines of text."""
    found = database.execute(query)
    rows: list[Sequence[Any]] = [[column[0] for column in found.description or ()]]
    rows += found.fetchall()
    texts = [
        [f"{value:,}" if isinstance(value, int) else str(value) for value in row] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numeric = [isinstance(value, int) for value in rows[-1]]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in texts
    )


if __name__ == "__main__":
    sys.exit(main())
