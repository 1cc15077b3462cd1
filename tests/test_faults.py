"""Each row of the table of faults, with the tap as a real process."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Journal, Sandbox
from tests.support.fault_cases import ENDS, RECOVERS, Case
from tests.support.tap import TOKEN, Run, config_for, keys, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Call


def run_case(case: Case, journal: Journal, tmp_path: Path, **options: Any) -> tuple[Run, Sandbox]:
    """Run the tap for one site against the faults of a row."""
    with (
        Sandbox(Journal.of([]), token=TOKEN) as other,
        Sandbox(journal, token=TOKEN, **case.sandbox) as sandbox,
    ):
        sandbox.faults.extend(case.faults(other.url))
        settings: dict[str, Any] = {"site_ids": [101], "request_timeout": 1} | case.settings
        if "api_url" in settings:
            settings["api_url"] = settings["api_url"].replace("{api_url}", sandbox.url)
        run = run_tap(config_for(sandbox, **settings), tmp_path, **options)
        assert other.calls == []  # redirects are not followed
    return run, sandbox


def expected_keys(case: Case, journal: Journal) -> list[tuple[int, int]]:
    days = [
        case.settings.get("start_date", "2024-01-01"),
        case.settings.get("end_date", "2024-01-31"),
    ]
    first, last = (int(day[-2:]) for day in days)
    return keys(
        [
            record
            for record in journal.records(101)
            if "/01/2024" in record["dateStr"] and first <= int(record["dateStr"][:2]) <= last
        ]
    )


@pytest.mark.parametrize("case", RECOVERS, ids=lambda case: case.name)
def test_fault_that_passes_loses_and_doubles_nothing(
    case: Case, journal: Journal, tmp_path: Path
) -> None:
    run, _ = run_case(case, journal, tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.search(case.said, run.stderr), run.stderr
    assert keys(run.records) == expected_keys(case, journal)


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.name)
def test_fault_that_stays_ends_with_one_plain_error(
    case: Case, journal: Journal, tmp_path: Path
) -> None:
    run, sandbox = run_case(case, journal, tmp_path)
    assert run.returncode == case.exit_code
    assert "Traceback" not in run.stderr
    last = run.stderr.splitlines()[-1]
    assert "ERROR" in last
    assert re.search(case.said, last), run.stderr
    # On a busy machine the pace may be a little too fast for the sandbox: such calls cost nothing.
    assert len(sandbox.calls) - sandbox.rejected <= case.max_calls
    weeks = ["2024-01-07T21", "2024-01-14T21"][: case.written]
    assert [_bookmark(state)[:13] for state in run.states] == weeks


def _bookmark(state: dict[str, Any]) -> str:
    (partition,) = state["bookmarks"]["requests"]["partitions"]
    return str(partition["replication_key_value"])


def test_used_up_points_stop_at_once_and_the_next_run_goes_on(
    journal: Journal, tmp_path: Path
) -> None:
    with Sandbox(journal, token=TOKEN, points=3) as sandbox:
        config = config_for(sandbox, site_ids=[101], lookback_days=0, max_concurrent_requests=1)
        first = run_tap(config, tmp_path)
        calls = len(sandbox.calls)
        sandbox.points = 100
        second = run_tap(config, tmp_path, state=first.states[-1])
    assert first.returncode == 1
    assert "go on from" in first.stderr
    assert calls == 4
    assert second.returncode == 0
    assert sandbox.calls[calls].params["dateFrom"] == "01/22/2024"
    assert keys([*first.records, *second.records]) == keys(
        [record for record in journal.records(101) if "/01/2024" in record["dateStr"]]
    )


def test_windows_go_back_to_full_length_step_by_step(journal: Journal, tmp_path: Path) -> None:
    """Only the first week is heavy."""

    def is_heavy(call: Call) -> bool:
        return (
            call.params["dateFrom"] < "01/08" and call.params["dateFrom"] != call.params["dateTo"]
        )

    with Sandbox(journal, token=TOKEN) as sandbox:
        sandbox.faults.append(Fault("status", when=is_heavy, status=500))
        run = run_tap(config_for(sandbox, site_ids=[101], max_concurrent_requests=1), tmp_path)
    assert run.returncode == 0
    lengths = [
        1 + int(call.params["dateTo"][3:5]) - int(call.params["dateFrom"][3:5])
        for call in sandbox.calls
        if call.status == 200
    ]
    assert lengths[-2:] == [7, 7] or lengths[-1] <= 7
    assert lengths == sorted(lengths[:-1]) + lengths[-1:] or lengths[0] == 1
    assert max(lengths) == 7


def test_longest_told_wait_is_bounded() -> None:
    import requests  # noqa: PLC0415
    from singer_sdk.exceptions import RetriableAPIError  # noqa: PLC0415

    from tap_calltouch import client  # noqa: PLC0415
    from tap_calltouch.tap import TapCalltouch  # noqa: PLC0415

    tap = TapCalltouch(config={"api_token": "x", "start_date": "2024-01-01"})
    response = requests.Response()
    response.headers["Retry-After"] = "86400"
    waits = tap.streams["requests"].backoff_wait_generator()  # type: ignore[attr-defined]
    next(waits)
    assert waits.send(RetriableAPIError("", response)) == client.MAX_WAIT_SECONDS


@pytest.mark.parametrize("max_concurrent", [1, 5])
def test_no_more_than_five_calls_a_second_with_many_sites(
    tmp_path: Path, max_concurrent: int
) -> None:
    sites = list(range(1, 16))
    with Sandbox(Journal.of([], sites=sites), token=TOKEN) as sandbox:
        config = config_for(sandbox, end_date="2024-01-01", max_concurrent_requests=max_concurrent)
        run = run_tap(config, tmp_path)
    assert run.returncode == 0
    assert sandbox.rejected == 0
    assert len(sandbox.calls) == len(sites)
    assert max(call.concurrent for call in sandbox.calls) <= max_concurrent


def test_duplicates_in_an_answer_and_over_windows_lose_nothing(
    journal: Journal, tmp_path: Path
) -> None:
    def double(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*rows, *rows[::-1]]

    with Sandbox(journal, token=TOKEN) as sandbox:
        sandbox.faults.append(Fault("change", apply=double))
        run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path)
    expected = keys([item for item in journal.records(101) if "/01/2024" in item["dateStr"]])
    assert sorted(set(keys(run.records))) == expected


def test_halves_of_a_day_meet_without_gap_or_double(tmp_path: Path) -> None:
    """A request in the very second at which two halves meet."""
    noon = 1704700800000 + 3600 * 1000  # 2024-01-08 12:00:00 in Moscow
    moments = [noon - 1, noon, noon + 1, noon + 999, noon + 1000, noon + 43199999, noon - 43200000]
    records = [
        {"siteId": 101, "requestId": number, "date": moment, "dateStr": ""}
        for number, moment in enumerate(moments)
    ]

    def is_whole_day(call: Call) -> bool:
        return "timeFrom" not in call.params and "timeTo" not in call.params

    with Sandbox(Journal.of(records), token=TOKEN) as sandbox:
        sandbox.faults.append(Fault("status", when=is_whole_day, status=500))
        day = {"start_date": "2024-01-08", "end_date": "2024-01-08"}
        run = run_tap(config_for(sandbox, site_ids=[101], **day), tmp_path)
    assert run.returncode == 0, run.stderr
    assert keys(run.records) == keys(records)
    assert json.loads(run.stdout.splitlines()[-1])["type"] == "STATE"
