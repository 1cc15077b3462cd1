"""Loads a person's own leads and writes a page about them: `python -m demo.leads`, `make leads`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from demo.pipeline import ROOT, STREAMS, WINDOW_DAYS, Pipeline, PipelineError, find_program
from demo.texts import format_number, read_texts
from sandbox.clock import MOSCOW
from tap_calltouch.config.checks import fill_defaults, normalize, read_environment
from tap_calltouch.config.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = ROOT / "leads"
#: What the models read of the file of costs.
COST_COLUMNS = ("date", "campaign_id", "utm_source", "utm_medium", "utm_campaign", "clicks", "cost")
NEEDED = ("api_token", "site_ids", "start_date")


def main() -> int:
    """Check the token, load what is new or may have changed, and write the page."""
    texts = read_texts()
    try:
        _make_page(texts)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _make_page(texts: dict[str, str]) -> None:
    found = read_environment(SETTINGS, lambda *_: None)
    if missing := [name for name in NEEDED if not found.get(name, "").strip()]:
        names = ", ".join(f"TAP_CALLTOUCH_{name.upper()}" for name in missing)
        raise PipelineError(texts["missing"].format(names=names))
    costs = _find_costs(texts)
    config = {"window_days": WINDOW_DAYS} | normalize(found, SETTINGS)
    # One id without brackets would end Meltano in a traceback.
    os.environ["TAP_CALLTOUCH_SITE_IDS"] = json.dumps(config["site_ids"])
    if error := find_error():
        raise PipelineError(texts["wrong"].format(error=error))
    print(texts["checked"])
    os.umask(0o077)  # leads are personal data; this holds for all that the programs below write
    FOLDER.mkdir(exist_ok=True)
    FOLDER.chmod(0o700)
    # Each start has a state of its own, so that an earlier one loads what is missing.
    pipeline = Pipeline(FOLDER, suffix=re.sub(r"\W", "-", str(config["start_date"])))
    today = datetime.now(MOSCOW).date()
    count = count_api_calls(fill_defaults(config, SETTINGS), pipeline.read_bookmarks(), today)
    print(texts["api_calls"].format(count=format_number(count, texts)), flush=True)
    try:
        warnings = pipeline.load(texts["loading"])
        database = pipeline.build(texts["building"], costs)
    except PipelineError as error:
        log = texts["log"].format(path=FOLDER)
        raise PipelineError(texts["failed"].format(error=error) + "\n" + log) from None
    for warning in warnings:
        print(texts["warning"].format(warning=warning))
    pipeline.write_page(database)
    print(texts["page"].format(address=pipeline.page.as_uri()))


def _find_costs(texts: dict[str, str]) -> Path | None:
    """Return the file of costs that the person names, if it can be read."""
    name = os.environ.get("CALLTOUCH_COSTS")
    if not name:
        return None
    if not Path(name).is_file():
        raise PipelineError(texts["no_costs"].format(path=name))
    columns = set(duckdb.read_csv(name).columns)
    if missing := [column for column in COST_COLUMNS if column not in columns]:
        raise PipelineError(texts["cost_columns"].format(path=name, names=", ".join(missing)))
    return Path(name)


def find_error() -> str:
    """Return what the tap finds wrong with the settings, with an API call per site and journal."""
    command = [find_program("tap-calltouch"), "--config", "ENV", "--test"]
    result = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if result.returncode == 0:
        return ""
    lines = result.stderr.splitlines() or [f"The tap ended with {result.returncode}."]
    return ([line for line in lines if " | ERROR " in line] or lines)[-1].split(" | ", 3)[-1]


def count_api_calls(
    config: Mapping[str, Any], bookmarks: Mapping[str, Mapping[int, str]], today: date
) -> int:
    """Return how many API calls a load takes, if no window is too heavy and none has two pages.

    Args:
        config: All settings.
        bookmarks: Where the last load ended, by stream and site.
        today: The last day to load.
    """
    first = date.fromisoformat(config["start_date"][:10])
    last = min(today, date.fromisoformat(config.get("end_date", str(today))[:10]))
    count = 0
    for stream in STREAMS:
        for site in config["site_ids"]:
            start = first
            if bookmark := bookmarks[stream].get(int(site)):
                known = datetime.fromisoformat(bookmark).astimezone(MOSCOW).date()
                start = max(first, known - timedelta(days=config["lookback_days"]))
            count += max(0, ceil(((last - start).days + 1) / config["window_days"]))
    return count


if __name__ == "__main__":
    sys.exit(main())
