"""Runs the demo: `python -m demo`, or `make demo`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb

FOLDER = Path(".demo").resolve()
DATA = FOLDER / "requests.jsonl"
DATABASE = FOLDER / "calltouch.duckdb"
JOB = "demo:tap-calltouch-to-target-jsonl"

REAL = """
To load your own requests with the same pipeline (put another loader in place of target-jsonl):

    export TAP_CALLTOUCH_API_TOKEN=<Integrations > API in your Calltouch account>
    export TAP_CALLTOUCH_SITE_IDS='[<your site id>]' TAP_CALLTOUCH_START_DATE=2024-01-01
    TARGET_JSONL_DESTINATION_PATH=. \\
      .venv/bin/meltano run --state-id-suffix=real tap-calltouch target-jsonl
"""

BY_SOURCE = """
    SELECT source, medium, sum(requests)::INT AS requests, sum(target_requests)::INT AS "target",
           sum(orders)::INT AS orders, sum(revenue)::DECIMAL(18, 2) AS revenue
    FROM calltouch__requests_by_day GROUP BY ALL ORDER BY requests DESC LIMIT 12
"""
BY_MONTH = """
    WITH months AS (
        SELECT strftime(day, '%Y-%m') AS month, sum(requests)::INT AS requests
        FROM calltouch__requests_by_day GROUP BY ALL
    )
    SELECT month, requests, bar(requests, 0, max(requests) OVER (), 30) AS ' '
    FROM months ORDER BY month
"""
BY_DAY = """
    SELECT day, site_id AS site, source, medium, campaign, requests, target_requests AS "target",
           orders, revenue::DECIMAL(18, 2) AS revenue
    FROM calltouch__requests_by_day ORDER BY day DESC, requests DESC, site LIMIT 8
"""
TABLES = {
    "Requests by source and medium": BY_SOURCE,
    "Requests by month": BY_MONTH,
    "The mart calltouch__requests_by_day": BY_DAY,
}


def main() -> int:
    """Run the pipeline and show what it loaded."""
    before = _bookmarks()
    lines_before = _count_lines()
    if before:
        print(f"\nLoading incrementally, from the look-back before {min(before.values())}.\n")
    else:
        print("\nLoading a year of requests of two sites from a local API. First run: all of it.\n")
    sandbox = ["-m", "sandbox", "--sites", "2", "--days", "365", "--requests-per-day", "12"]
    pipeline = [program("meltano"), "run", "tap-calltouch", "target-jsonl"]
    status = subprocess.run([sys.executable, *sandbox, "--", *pipeline], check=False).returncode
    if status:
        return status
    print("\nMaking tables with dbt")
    paths = {"CALLTOUCH_JSONL": DATA, "CALLTOUCH_DUCKDB": DATABASE}
    paths |= {"DBT_TARGET_PATH": FOLDER / "dbt", "DBT_LOG_PATH": FOLDER / "dbt"}
    environment = os.environ | {name: str(path) for name, path in paths.items()}
    models = ["--project-dir", "transform", "--profiles-dir", "transform", "--target", "duckdb"]
    subprocess.run([program("dbt"), "--quiet", "build", *models], env=environment, check=True)
    with duckdb.connect(str(DATABASE)) as database:
        for title, query in TABLES.items():
            print(f"\n{title}")
            database.sql(query).show()
        counted = database.sql("SELECT count(*) FROM stg_calltouch__requests").fetchall()
    total = counted[0][0]
    run = "incremental" if before else "first"
    print(f"This run ({run}) loaded {_count_lines() - lines_before} rows; {total} requests in all.")
    for site, bookmark in _bookmarks().items():
        print(f"Bookmark of site {site}: all requests before {bookmark} are loaded.")
    print(REAL)
    return 0


def program(name: str) -> str:
    """Give the path of a program of this environment."""
    return str(Path(sys.executable).with_name(name))


def _count_lines() -> int:
    if not DATA.exists():
        return 0
    with DATA.open("rb") as file:
        return sum(1 for _ in file)


def _bookmarks() -> dict[int, str]:
    """Read the bookmarks from Meltano's state."""
    command = [program("meltano"), "state", "get", JOB]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    state = json.loads(output or "{}").get("singer_state", {})
    partitions = state.get("bookmarks", {}).get("requests", {}).get("partitions", [])
    return {item["context"]["siteId"]: item["replication_key_value"] for item in partitions}


if __name__ == "__main__":
    sys.exit(main())
