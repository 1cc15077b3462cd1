"""The example for Airflow, on a scheduler and two workers that share nothing but the network."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest

from sandbox import Call, Fault, Journal, Sandbox
from tests.services.airflow.deployment import Airflow
from tests.support.examples import requests_in
from tests.support.meltano_project import expected

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[int, int]
SITES = (101, 202)
#: The months, each with the days on which its windows begin.
QUARTER = {
    "2024-01-01-2024-01-31": ("01/01/2024", "01/11/2024", "01/21/2024", "01/31/2024"),
    "2024-02-01-2024-02-29": ("02/01/2024", "02/11/2024", "02/21/2024"),
    "2024-03-01-2024-03-31": ("03/01/2024", "03/11/2024", "03/21/2024", "03/31/2024"),
}
APRIL = {"2024-04-01-2024-04-30": ("04/01/2024", "04/11/2024", "04/21/2024")}
MONTH_OF = {day: month for month, days in (QUARTER | APRIL).items() for day in days}
#: The slice in which the API fails once, and the one whose worker is killed.
FAILING = "101-2024-02-01-2024-02-29"
KILLED = "202-2024-01-01-2024-01-31"


@pytest.fixture(scope="module")
def journal() -> Journal:
    return Journal(SITES, date(2024, 1, 1), date(2024, 4, 30), per_day=3, sample=False)


@pytest.fixture(scope="module")
def sandbox(journal: Journal) -> Iterator[Sandbox]:
    with Sandbox(journal, journal.calls(per_day=3)) as running:
        yield running


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    variables = {
        "TAP_CALLTOUCH_API_URL": sandbox.url,
        "TAP_CALLTOUCH_API_TOKEN": sandbox.token,
        "TAP_CALLTOUCH_WINDOW_DAYS": "10",
    }
    with Airflow(tmp_path_factory.mktemp("airflow"), variables).running() as running:
        yield running


@pytest.fixture(autouse=True)
def _forget_calls(airflow: Airflow, sandbox: Sandbox) -> None:
    assert airflow.workers
    sandbox.calls.clear()


def test_a_killed_worker_loses_nothing(
    airflow: Airflow, sandbox: Sandbox, journal: Journal
) -> None:
    stalled = threading.Event()

    def is_second_window(call: Call) -> bool:
        return is_window(call, FAILING, "02/11/2024")

    def is_third_window(call: Call) -> bool:
        found = is_window(call, KILLED, "01/21/2024")
        if found:
            stalled.set()
        return found

    sandbox.faults += [
        Fault("html", is_second_window, times=1),
        # The answer that never comes holds the slice until its worker is killed.
        Fault("stall", is_third_window, times=1, seconds=600),
    ]
    airflow.trigger(run := "quarter", SITES, "2024-01-01", "2024-03-31")
    airflow.wait_until(stalled.is_set)
    # The second try goes on from the state that the first one left, whichever worker has it.
    airflow.wait_until(lambda: airflow.tries(run).get(FAILING) == ("success", 2))
    assert windows(sandbox)[FAILING] == {"02/01/2024": 1, "02/11/2024": 2, "02/21/2024": 1}
    (worker,) = (
        worker
        for worker in airflow.workers
        if worker.has(TAP_CALLTOUCH_SITE_IDS="[202]", TAP_CALLTOUCH_START_DATE="2024-01-01")
    )
    worker.kill()
    lost = [row for row in journal.records(202) if row["dateStr"].startswith("25/01/2024")]
    assert lost
    assert not {(202, row["requestId"]) for row in lost} & requests_in(airflow.warehouse).keys()

    airflow.wait(run, "success")
    quarter = {key: row for key, row in expected(journal).items() if row["date"] < "2024-03-31T21"}
    assert requests_in(airflow.warehouse) == quarter
    assert calls(airflow) == {
        (row["siteId"], row["callId"])
        for row in sandbox.call_journal.records()
        if row["date"][3:5] in {"01", "02", "03"}
    }

    tries = airflow.tries(run)
    assert tries.keys() == {f"{site}-{month}" for site in SITES for month in QUARTER}
    assert tries[FAILING] == ("success", 2)
    assert tries[KILLED] == ("success", 2)
    assert windows(sandbox)[KILLED]["01/21/2024"] == 2
    assert all(list(each.folder.glob("logs/**/task_id=load/**/*.log")) for each in airflow.workers)

    assert sandbox.rejected == 0
    times = defaultdict(list)
    for call in sandbox.calls:
        if call.journal == "requests":
            times[slice_of(call)].append(call.started)
    at_once = [
        sum(min(starts) <= start <= max(starts) for starts in times.values())
        for start in map(min, times.values())
    ]
    assert 1 < max(at_once) <= 5


def test_used_up_points_are_not_asked_for_again(
    airflow: Airflow, sandbox: Sandbox, journal: Journal
) -> None:
    april = {key: row for key, row in expected(journal).items() if row["date"] > "2024-03-31T21"}
    slices = {f"{site}-{month}" for site in SITES for month in APRIL}

    sandbox.points = 0
    airflow.trigger(run := "april", SITES, "2024-04-01", "2024-04-30")
    airflow.wait(run, "failed")
    assert airflow.tries(run) == dict.fromkeys(slices, ("failed", 1))
    assert [call.status for call in sandbox.calls] == [403, 403]

    sandbox.points = None
    airflow.clear_failed()
    airflow.wait(run, "success")
    assert april.items() <= requests_in(airflow.warehouse).items()

    sandbox.calls.clear()
    airflow.trigger(again := "again", SITES, "2024-04-01", "2024-04-30")
    airflow.wait(again, "success")
    assert airflow.tries(again) == dict.fromkeys(slices, ("success", 1))
    assert sandbox.calls == []


def is_window(call: Call, name: str, first_day: str) -> bool:
    """Whether a call asks for the requests of a window of a slice."""
    return (
        call.journal == "requests"
        and call.params["dateFrom"] == first_day
        and slice_of(call) == name
    )


def slice_of(call: Call) -> str:
    return f"{call.params['siteId']}-{MONTH_OF[call.params['dateFrom']]}"


def windows(sandbox: Sandbox) -> dict[str, Counter[str]]:
    """How often the requests of each window of each slice were asked for."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for call in sandbox.calls:
        if call.journal == "requests":
            counts[slice_of(call)][call.params["dateFrom"]] += 1
    return counts


def calls(airflow: Airflow) -> set[Key]:
    """The keys of the calls."""
    with psycopg.connect(airflow.warehouse) as connection:
        rows = connection.execute('select "siteId", "callId" from tap_calltouch.calls').fetchall()
    assert len(set(rows)) == len(rows)
    return set(rows)
