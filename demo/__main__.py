"""Runs the demo: `python -m demo`, or `make demo`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb

MELTANO = str(Path(sys.executable).with_name("meltano"))
DATA = Path(".demo/requests.jsonl")
JOB = "demo:tap-calltouch-to-target-jsonl"

REAL = """
To load your own requests into the same files (or put another loader in place of target-jsonl):

    export TAP_CALLTOUCH_API_TOKEN=<Integrations > API in your Calltouch account>
    export TAP_CALLTOUCH_SITE_IDS='[<your site id>]' TAP_CALLTOUCH_START_DATE=2024-01-01
    .venv/bin/meltano --environment=demo run tap-calltouch target-jsonl --state-id-suffix=real
"""

ROWS = f"""
    CREATE VIEW rows AS
    SELECT * FROM read_json('{DATA}', format = 'newline_delimited', sample_size = -1,
                            maximum_object_size = 67108864)
"""
# target-jsonl appends, so a request that was loaded again has more lines than one.
REQUESTS = """
    CREATE VIEW requests AS
    SELECT DISTINCT ON ("siteId", "requestId") *, date::TIMESTAMPTZ AS created FROM rows
"""
BY_SOURCE = """
    SELECT session.source AS source, session.medium AS medium, count(*) AS requests,
           count(*) FILTER ("targetRequest") AS "of them target",
           sum(len(orders)) AS orders
    FROM requests GROUP BY ALL ORDER BY requests DESC LIMIT 12
"""
BY_MONTH = """
    WITH months AS (
        SELECT strftime(created, '%Y-%m') AS month, count(*) AS requests
        FROM requests GROUP BY ALL
    )
    SELECT month, requests, bar(requests, 0, max(requests) OVER (), 30) AS ' '
    FROM months ORDER BY month
"""


def main() -> int:
    """Run the pipeline and show what it loaded."""
    before = _bookmarks()
    lines_before = _count_lines()
    if before:
        print(f"\nLoading incrementally, from the look-back before {min(before.values())}.\n")
    else:
        print("\nLoading a year of requests of two sites from a local API. First run: all of it.\n")
    sandbox = ["-m", "tests.sandbox", "--sites", "2", "--days", "365", "--requests-per-day", "12"]
    pipeline = [MELTANO, "run", "tap-calltouch", "target-jsonl"]
    status = subprocess.run([sys.executable, *sandbox, "--", *pipeline], check=False).returncode
    if status:
        return status
    database = duckdb.connect()
    database.execute(ROWS)
    database.execute(REQUESTS)
    print("\nRequests by source and medium")
    database.sql(BY_SOURCE).show()
    print("Requests by month")
    database.sql(BY_MONTH).show()
    total = database.sql("SELECT count(*) FROM requests").fetchall()[0][0]
    run = "incremental" if before else "first"
    print(f"This run ({run}) loaded {_count_lines() - lines_before} rows; {total} requests in all.")
    for site, bookmark in _bookmarks().items():
        print(f"Bookmark of site {site}: all requests before {bookmark} are loaded.")
    print(REAL)
    return 0


def _count_lines() -> int:
    if not DATA.exists():
        return 0
    with DATA.open("rb") as file:
        return sum(1 for _ in file)


def _bookmarks() -> dict[int, str]:
    """Read the bookmarks from Meltano's state."""
    command = [MELTANO, "state", "get", JOB]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    state = json.loads(output or "{}").get("singer_state", {})
    partitions = state.get("bookmarks", {}).get("requests", {}).get("partitions", [])
    return {item["context"]["siteId"]: item["replication_key_value"] for item in partitions}


if __name__ == "__main__":
    sys.exit(main())
