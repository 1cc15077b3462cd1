"""Each row of the table of faults, with the tap as a real process."""

from __future__ import annotations

import re
import socket
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Journal, Sandbox
from tests.support.fault_cases import ENDS, RECOVERS, Case
from tests.support.streams import MOSCOW, STREAMS, Stream, last_error
from tests.support.token_leaks import check_log, log_everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tap import Run

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)


def run_case(case: Case, stream: Stream, tmp_path: Path) -> tuple[Run, Sandbox]:
    """Run the tap for one site against the faults of a row; the token is in no byte of output."""
    with (
        Sandbox(Journal.of([])) as other,
        stream.sandbox(**case.sandbox) as sandbox,
        socket.socket() as closed,
    ):
        closed.bind(("127.0.0.1", 0))  # and does not listen
        sandbox.faults.extend(case.faults(other.url))
        settings: dict[str, Any] = {"request_timeout": 1} | case.settings
        if "api_url" in settings:
            settings["api_url"] = settings["api_url"].format(
                api_url=sandbox.url, closed_port=closed.getsockname()[1]
            )
        run = stream.run(sandbox, tmp_path, environment=log_everything(tmp_path), **settings)
        assert other.calls == []  # redirects are not followed
    check_log(run, tmp_path)
    return run, sandbox


def moscow(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, MOSCOW)


def january(
    stream: Stream, sandbox: Sandbox, first: str = "2024-01-01", last: str = "2024-01-31"
) -> list[tuple[int, int]]:
    """Return the keys of what the journal of a sandbox holds between two days of January."""
    return stream.keys(
        record
        for record in stream.records(sandbox, 101)
        if first <= str(moscow(record[stream.instant] / stream.ticks).date()) <= last
    )


@each_stream
@pytest.mark.parametrize("case", RECOVERS, ids=lambda case: case.name)
def test_fault_that_passes_loses_and_doubles_nothing(
    case: Case, stream: Stream, tmp_path: Path
) -> None:
    run, sandbox = run_case(case, stream, tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.search(case.said, run.stderr), run.stderr
    days = [case.settings[name] for name in ("start_date", "end_date") if name in case.settings]
    assert stream.keys(run.records) == january(stream, sandbox, *days)


@each_stream
@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.name)
def test_fault_that_stays_ends_with_one_plain_error(
    case: Case, stream: Stream, tmp_path: Path
) -> None:
    run, sandbox = run_case(case, stream, tmp_path)
    assert run.returncode == case.exit_code
    assert "Traceback" not in run.stderr
    last = last_error(run)
    assert re.search(case.said, last), run.stderr
    assert len(sandbox.calls) <= case.max_calls
    weeks = ["2024-01-07T21", "2024-01-14T21"][: case.written]
    assert [str(stream.bookmark(state))[:13] for state in run.states] == weeks


@each_stream
def test_used_up_points_stop_at_once_and_the_next_run_goes_on(
    stream: Stream, tmp_path: Path
) -> None:
    with stream.sandbox(points=3) as sandbox:
        settings: dict[str, Any] = {"lookback_days": 0, "max_concurrent_requests": 1}
        first = stream.run(sandbox, tmp_path, **settings)
        calls = len(sandbox.calls)
        sandbox.points = 100
        second = stream.run(sandbox, tmp_path, state=first.states[-1], **settings)
        expected = january(stream, sandbox)
    assert first.returncode == 1
    bookmark = stream.bookmark(first.states[-1])
    assert f"the next run will go on from {bookmark}, less the look-back." in last_error(first)
    assert calls == 4
    assert second.returncode == 0
    assert stream.days(sandbox.calls[calls])[0] == date(2024, 1, 22)
    assert stream.keys([*first.records, *second.records]) == expected


@pytest.mark.parametrize(
    ("stream", "max_concurrent"), [(STREAMS["requests"], 1), (STREAMS["calls"], 5)], ids=[*STREAMS]
)
def test_calls_for_many_sites_keep_to_one_pace(
    stream: Stream, tmp_path: Path, max_concurrent: int
) -> None:
    """A busy machine may delay the first call by half a second; the limit itself is in test_pace.

    Without the margin that the tap leaves they would take three seconds.
    """
    sites = list(range(1, 17))
    with stream.sandbox([], sites) as sandbox:
        run = stream.run(
            sandbox,
            tmp_path,
            environment={"PACE_MARGIN": ""},
            site_ids=sites,
            end_date="2024-01-01",
            max_concurrent_requests=max_concurrent,
        )
    assert run.returncode == 0
    assert len(sandbox.calls) == len(sites)
    times = [call.started for call in sandbox.calls]
    assert max(times) - min(times) > (len(sites) - 1) / 5.5
    assert max(call.concurrent for call in sandbox.calls) <= max_concurrent


@each_stream
def test_duplicates_in_an_answer_lose_nothing(stream: Stream, tmp_path: Path) -> None:
    def double(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*rows, *rows[::-1]]

    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("change", apply=double))
        run = stream.run(sandbox, tmp_path)
    assert sorted(set(stream.keys(run.records))) == january(stream, sandbox)
