"""What a sync tells while it runs, and what it leaves behind if it ends early."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import suppress
from itertools import count
from time import sleep
from typing import IO, TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import FatalAPIError

from sandbox import Fault
from tap_calltouch.api import client as client_module
from tap_calltouch.api.bodies import spool
from tap_calltouch.api.client import Pace
from tap_calltouch.tap import TapCalltouch
from tests.support.streams import REQUESTS, STREAMS, lines_with
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox import Sandbox
    from tests.support.streams import Stream
    from tests.support.tap import Run

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tap call as fast as it can, and leave signals as they were."""
    monkeypatch.setattr(Pace, "MARGIN", 0.0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def stream_of(stream: Stream, **config: Any) -> Any:
    """Return a stream of a tap in this process."""
    return TapCalltouch(config=config).streams[stream.name]


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """Everything that answers are kept in from now on."""
    bodies: list[IO[bytes]] = []

    def tracked() -> IO[bytes]:
        bodies.append(spool())
        return bodies[-1]

    monkeypatch.setattr(client_module, "spool", tracked)
    return bodies


def all_closed(bodies: list[IO[bytes]], sandbox: Sandbox) -> bool:
    """Return whether the answers to all calls are closed; those under way are when they come.

    What is to be called yet is waited for too, so that no thread meets a sandbox that is gone.
    """
    for _ in range(500):
        is_fetching = any("(fetch)" in thread.name for thread in threading.enumerate())
        is_closed = all(body.closed for body in bodies) and len(bodies) == len(sandbox.calls)
        if is_closed and not is_fetching:
            return True
        sleep(0.01)
    return False


@each_stream
@pytest.mark.usefixtures("_in_process")
@pytest.mark.parametrize("number", [1, 40])
def test_answers_that_nobody_reads_any_more_are_closed(
    stream: Stream, bodies: list[IO[bytes]], number: int
) -> None:
    """After so many records: in the first window or a later one, with others fetched ahead."""
    with stream.sandbox() as sandbox:
        records = stream_of(stream, **config_for(sandbox, site_ids=[101])).get_records(None)
        for _ in range(number):
            next(records)
        records.close()
        assert all_closed(bodies, sandbox)
    assert len(bodies) > 1


@each_stream
@pytest.mark.usefixtures("_in_process")
def test_answers_behind_a_gap_are_closed(stream: Stream, bodies: list[IO[bytes]]) -> None:
    """They were fetched while the window before them failed."""
    with stream.sandbox(latency=0.1) as sandbox:
        is_second_week = lambda call: stream.days(call)[0].day == 8  # noqa: E731
        sandbox.faults.append(Fault("status", status=403, when=is_second_week))
        records = stream_of(stream, **config_for(sandbox, site_ids=[101])).get_records(None)
        with suppress(FatalAPIError):  # after the last stream
            list(records)
        assert all_closed(bodies, sandbox)
    assert len(bodies) > 2


@pytest.mark.usefixtures("_in_process")
def test_answers_by_number_are_closed_if_they_are_empty_or_not_read(
    bodies: list[IO[bytes]],
) -> None:
    with REQUESTS.sandbox() as sandbox:
        sandbox.faults.append(Fault("body", body=b"[]", times=1))
        numbers = [record["requestNumber"] for record in REQUESTS.records(sandbox)][:9]
        config = config_for(sandbox, request_numbers=numbers)
        records = stream_of(REQUESTS, **config).get_records(None)
        next(records)
        records.close()
        assert all_closed(bodies, sandbox)
    assert len(bodies) > 2


@each_stream
@pytest.mark.usefixtures("_in_process")
def test_progress_is_told_every_ten_seconds(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a clock that moves 6 s with each look; three looks a window."""
    seconds = count(0, 6)
    monkeypatch.setattr("tap_calltouch.journal.monotonic", lambda: next(seconds))
    caplog.set_level("DEBUG", "tap-calltouch")
    with stream.sandbox() as sandbox:
        tap = TapCalltouch(config=config_for(sandbox, site_ids=[101]))
        records = [*tap.streams[stream.name].get_records(None)]
    took = [text.rpartition(", ")[2] for text in caplog.messages if ", window 2024-" in text]
    assert took == ["6.0 s"] * 5
    lines = [text for text in caplog.messages if ": window " in text]
    assert [text.split(",")[:2] for text in lines] == [
        [f"Stream {stream.name}", f" site 101: window {number} of 5"] for number in range(1, 6)
    ]
    assert (
        f", {len(records)} rows received, {len(records)} written, about 0:00:00 left" in lines[-1]
    )


def points(run: Run, level: str, metric: str) -> list[dict[str, Any]]:
    """Return the points of a metric that were logged at a level."""
    lines = lines_with(run, f"| {level}", "METRIC: ")
    found = [json.loads(line.partition("METRIC: ")[2]) for line in lines]
    return [point for point in found if point["metric"] == metric]


@each_stream
def test_metrics_count_and_time_every_api_call(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("status", status=500, times=1))
        run = stream.run(sandbox, tmp_path)
        statuses = [call.status or 0 for call in sandbox.calls]
        path = sandbox.calls[0].path
    counted = points(run, "INFO", "http_request_count")
    assert sum(point["value"] for point in counted) == len(statuses)
    assert {point["tags"]["stream"] for point in counted} == {stream.name}
    assert {path.endswith(point["tags"]["endpoint"].format(site=101)) for point in counted} == {
        True
    }
    timed = points(run, "DEBUG", "http_request_duration")
    assert points(run, "INFO", "http_request_duration") == []
    assert sorted(point["tags"]["http_status_code"] for point in timed) == sorted(statuses)
    assert {point["type"] for point in timed} == {"timer"}
    for point in timed:
        is_ok = point["tags"]["http_status_code"] == 200
        assert point["tags"]["status"] == ("succeeded" if is_ok else "failed")
        assert path.endswith(point["tags"]["endpoint"])
        assert point["value"] >= 0
