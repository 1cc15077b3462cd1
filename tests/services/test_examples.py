"""The example for Dagster works as it stands; `make test-airflow` tries the other one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING

import pytest

from sandbox import Call, Fault, Journal, Sandbox
from tests.support.examples import (
    EXAMPLES,
    FIRST_LOAD,
    FIRST_LOAD_SETTINGS,
    meltano_project,
    requests_in,
)
from tests.support.meltano_project import BIN, ROOT, expected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import Database


SITES = (101, 202)
MONTHS = {"01": "20240101_20240131", "02": "20240201_20240229"}
FAILING = "202_20240201_20240229"
EVENTS = """
    SELECT step_key, dagster_event_type FROM event_logs
    WHERE dagster_event_type GLOB 'STEP_*' ORDER BY timestamp
"""


def run_backfill(folder: Path, settings: dict[str, str]) -> list[tuple[str, str]]:
    """Run the job of the Dagster example, and return its steps' events, in order."""
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    log = folder / "log.txt"
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "DAGSTER_HOME": str(home),
        "MELTANO_PROJECT_ROOT": str(meltano_project(folder / "project")),
        "BACKFILL_RETRY_SECONDS": "0.1",
        **settings,
    }
    first = subprocess.run(
        [BIN / FIRST_LOAD[0], *FIRST_LOAD[1:]],
        env=environment | FIRST_LOAD_SETTINGS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert first.returncode == 0, first.stderr
    command = ["dagster", "job", "execute", "-f", "examples/dagster/backfill.py", "-j", "backfill"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=environment,
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
        return [*events.execute(EVENTS)]


def slice_of(call: Call) -> str:
    month = call.params["dateFrom"].partition("/")[0]
    return f"{call.params['siteId']}_{MONTHS[month]}"


def test_the_page_has_one_load_the_day_that_the_tests_load() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    settings = " ".join(
        f"{name}='{value}'" if "[" in value else f"{name}={value}"
        for name, value in FIRST_LOAD_SETTINGS.items()
    )
    assert f"{settings} \\\n  {' '.join(FIRST_LOAD)}\n" in page


@pytest.mark.skipif(os.name == "nt", reason="the example uses a fork server")
def test_dagster_loads_years_in_parallel_slices_and_retries_the_one_that_failed(
    tmp_path: Path, database: Database
) -> None:
    journal = Journal(SITES, date(2024, 1, 1), date(2024, 2, 29), per_day=2, sample=False)

    def is_second_window(call: Call) -> bool:
        return slice_of(call) == FAILING and call.params["dateFrom"] == "02/11/2024"

    with Sandbox(journal) as sandbox:
        sandbox.faults.append(Fault("html", is_second_window, times=1))
        events = run_backfill(
            tmp_path,
            {
                "MELTANO_DATABASE_URI": database.get_uri(driver="psycopg"),
                "TARGET_POSTGRES_SQLALCHEMY_URL": database.get_uri(driver="psycopg2"),
                "TAP_CALLTOUCH__SELECT": '["requests.*"]',
                "TAP_CALLTOUCH_API_URL": sandbox.url,
                "TAP_CALLTOUCH_API_TOKEN": sandbox.token,
                "TAP_CALLTOUCH_SITE_IDS": json.dumps(SITES),
                "TAP_CALLTOUCH_START_DATE": "2024-01-01",
                "TAP_CALLTOUCH_END_DATE": "2024-02-29",
                "TAP_CALLTOUCH_WINDOW_DAYS": "10",
            },
        )
        assert requests_in(database.get_uri()) == expected(journal)

    retried = [step for step, kind in events if kind == "STEP_RESTARTED"]
    assert retried == [f"load[{FAILING}]"], (tmp_path / "log.txt").read_text(encoding="utf-8")
    # The second try went on from the state of the first.
    asked = [call.params["dateFrom"] for call in sandbox.calls if slice_of(call) == FAILING]
    assert asked.count("02/01/2024") == 1
    assert asked.count("02/11/2024") == 2

    assert sandbox.rejected == 0
    times = defaultdict(list)
    for call in sandbox.calls[1:]:  # the first one was not the backfill's
        times[slice_of(call)].append(call.started)
    assert times.keys() == {f"{site}_{month}" for site in SITES for month in MONTHS.values()}
    del times[FAILING]
    # At five calls a second for each, the three of a slice would take less than half of a second.
    assert min(max(starts) - min(starts) for starts in times.values()) > 1
    # By Dagster's word: on a busy machine, the calls of two slices may well not overlap.
    loads = [kind for step, kind in events if step.startswith("load")]
    first_end = loads.index("STEP_SUCCESS")
    assert loads[:first_end].count("STEP_START") > 1
