"""The examples work as they stand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Call, Fault, Journal, Sandbox
from tests.support.meltano_project import BIN, JSONL, ROOT, install
from tests.support.tap import keys

if TYPE_CHECKING:
    from pathlib import Path

SITES = (101, 202, 303)
#: Each with its last day, at 21:00 UTC of which it ends in Moscow.
MONTHS = {"2024_01": "2024-01-31", "2024_02": "2024-02-29", "2024_03": "2024-03-31"}
FAILING = "site_202_2024_02"


def run_backfill(sandbox: Sandbox, folder: Path, **environment: str) -> list[str]:
    """Run the job of the Dagster example to its end, and give the steps that were retried."""
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    log = folder / "log.txt"
    settings = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "DAGSTER_HOME": str(home),
        "BACKFILL_FOLDER": str(folder / "slices"),
        "BACKFILL_TARGET": str(install(JSONL) / "venv" / "bin" / "target-jsonl"),
        "BACKFILL_RETRY_SECONDS": "0.1",
        "TAP_CALLTOUCH_API_URL": sandbox.url,
        "TAP_CALLTOUCH_API_TOKEN": sandbox.token,
        "TAP_CALLTOUCH_SITE_IDS": json.dumps(SITES),
    }
    command = ["dagster", "job", "execute", "-f", "examples/dagster/backfill.py", "-j", "backfill"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=os.environ | settings | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            returncode = process.wait(timeout=240)
        finally:
            with contextlib.suppress(ProcessLookupError):  # its workers too, if any are left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert returncode == 0, log.read_text(encoding="utf-8")[-5000:]
    # Lines of the log may be lost, since all workers write to it.
    (database,) = (home / "history" / "runs").glob("*-*.db")
    with contextlib.closing(sqlite3.connect(database)) as events:
        query = "SELECT step_key FROM event_logs WHERE dagster_event_type = 'STEP_RESTARTED'"
        return [step for (step,) in events.execute(query)]


def slice_of(call: Call) -> str:
    month, _, year = call.params["dateFrom"].split("/")
    return f"site_{call.params['siteId']}_{year}_{month}"


@pytest.mark.skipif(os.name == "nt", reason="the example uses a fork server")
def test_dagster_loads_years_in_parallel_slices_and_retries_the_one_that_failed(
    tmp_path: Path,
) -> None:
    journal = Journal(SITES, date(2024, 1, 1), date(2024, 3, 31), per_day=2, sample=False)

    def is_second_window(call: Call) -> bool:
        return slice_of(call) == FAILING and call.params["dateFrom"] == "02/11/2024"

    with Sandbox(journal) as sandbox:
        sandbox.faults.append(Fault("html", is_second_window, times=1))
        retried = run_backfill(
            sandbox,
            tmp_path,
            TAP_CALLTOUCH_START_DATE="2024-01-01",
            TAP_CALLTOUCH_END_DATE="2024-03-31",
            TAP_CALLTOUCH_WINDOW_DAYS="10",
        )

    folders = {path.name: path for path in (tmp_path / "slices").iterdir()}
    assert folders.keys() == {f"site_{site}_{month}" for site in SITES for month in MONTHS}
    for site in SITES:
        for month, last_day in MONTHS.items():
            folder = folders[f"site_{site}_{month}"]
            year, number = month.split("_")
            expected = [
                record
                for record in journal.records(site)
                if f"/{number}/{year}" in record["dateStr"]
            ]
            assert expected
            assert keys(rows(folder)) == keys(expected)
            state = json.loads((folder / "state.json").read_bytes())
            (partition,) = state["bookmarks"]["requests"]["partitions"]
            assert partition["context"] == {"siteId": site}
            assert partition["replication_key_value"] == f"{last_day}T21:00:00.000+00:00"

    assert retried == [f"load[{FAILING}]"], (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert len(list(folders[FAILING].glob("requests-*.jsonl"))) == 2
    # The second try went on from the state of the first.
    asked = [call.params["dateFrom"] for call in sandbox.calls if slice_of(call) == FAILING]
    assert asked.count("02/01/2024") == 1
    assert asked.count("02/11/2024") == 2

    assert sandbox.rejected == 0
    times = defaultdict(list)
    for call in sandbox.calls:
        times[slice_of(call)].append(call.started)
    del times[FAILING]
    # At five calls a second for each, the three of a slice would take less than half of a second.
    assert min(max(moments) - min(moments) for moments in times.values()) > 1
    at_once = [
        sum(min(moments) <= start <= max(moments) for moments in times.values())
        for start in map(min, times.values())
    ]
    assert 1 < max(at_once) <= 4


def rows(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in folder.glob("requests-*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
