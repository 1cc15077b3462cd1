"""Loads a year of leads from a local API and shows them: `python -m demo`, or `make demo`."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from demo.pipeline import ROOT, Pipeline, PipelineError
from demo.tables import BY_MONTH, BY_SOURCE, show
from demo.texts import format_number, read_texts
from sandbox.clock import MOSCOW
from sandbox.costs import costs_of_days, write_costs

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".demo"
#: A tolerant API: on a busy machine, calls that were made in time may arrive in bunches.
SANDBOX = ("--sites", "2", "--days", "365", "--requests-per-day", "12", "--calls-per-day", "18")
API = (sys.executable, "-m", "sandbox", *SANDBOX, "--per-second", "100", "--")


def main() -> int:
    """Run the pipeline and show what it loaded."""
    texts = read_texts()
    FOLDER.mkdir(exist_ok=True)
    pipeline = Pipeline(FOLDER, prefix=API)
    known = [start for sites in pipeline.read_bookmarks().values() for start in sites.values()]
    if known:
        bookmark = date.fromisoformat(min(known)[:10])
        print(texts["again"].format(start=bookmark - timedelta(days=10)), flush=True)
    else:
        print(texts["first"], flush=True)
    before = pipeline.count_rows()
    try:
        for warning in pipeline.load(texts["loading"]):
            print(texts["warning"].format(warning=warning))
        database = pipeline.build(texts["building"], write_demo_costs(FOLDER / "costs.csv"))
    except PipelineError as error:
        print(texts["failed"].format(error=error), file=sys.stderr)
        print(texts["log"].format(path=FOLDER), file=sys.stderr)
        return 1
    pipeline.write_page(database)
    with duckdb.connect(database, read_only=True) as connection:
        for query in (BY_SOURCE, BY_MONTH):
            print("\n" + show(connection, query, texts))
        counts = connection.execute("SELECT lead_type, count(*) FROM calltouch__leads GROUP BY ALL")
        total = {kind: format_number(count, texts) for kind, count in counts.fetchall()}
    rows = format_number(pipeline.count_rows() - before, texts)
    print("\n" + texts["total"].format(rows=rows, calls=total["call"], requests=total["request"]))
    print(texts["own"])
    print(texts["page"].format(address=pipeline.page.as_uri()))
    return 0


def write_demo_costs(path: Path, last: date | None = None) -> Path:
    """Write what the advertising of the local API's sites costs, up to today or another day."""
    last = last or datetime.now(MOSCOW).date()
    with path.open("w", encoding="utf-8", newline="") as file:
        write_costs(file, costs_of_days(1, last - timedelta(days=364), last, leads_per_day=60))
    return path


if __name__ == "__main__":
    sys.exit(main())
