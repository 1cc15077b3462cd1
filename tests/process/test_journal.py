"""What a sync tells while it runs, and what it leaves behind if it ends early."""

from __future__ import annotations

import json
import signal
from itertools import count
from time import sleep
from typing import IO, TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tap_calltouch.api import client as client_module
from tap_calltouch.api.bodies import spool
from tap_calltouch.api.client import Pace
from tap_calltouch.tap import TapCalltouch
from tests.support.streams import STREAMS, lines_with
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@each_stream
@pytest.mark.usefixtures("_in_process")
@pytest.mark.parametrize("number", [1, 40])
def test_answers_that_nobody_reads_any_more_are_closed(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """After so many records: in the first window or a later one, with others fetched ahead."""
    bodies: list[IO[bytes]] = []

    def tracked() -> IO[bytes]:
        bodies.append(spool())
        return bodies[-1]

    monkeypatch.setattr(client_module, "spool", tracked)
    with stream.sandbox() as sandbox:
        records = stream_of(stream, **config_for(sandbox, site_ids=[101])).get_records(None)
        for _ in range(number):
            next(records)
        records.close()
        for _ in range(500):  # those under way are closed when they come
            if all(body.closed for body in bodies) and len(bodies) == len(sandbox.calls):
                break
            sleep(0.01)
    assert len(bodies) > 1
    assert [body.closed for body in bodies] == [True] * len(bodies)


@each_stream
@pytest.mark.usefixtures("_in_process")
def test_progress_is_told_every_ten_seconds(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a clock that moves 6 s with each look; three looks a window."""
    seconds = count(0, 6)
    monkeypatch.setattr("tap_calltouch.journal.monotonic", lambda: next(seconds))
    caplog.set_level("INFO")
    with stream.sandbox() as sandbox:
        tap = TapCalltouch(config=config_for(sandbox, site_ids=[101]))
        records = [*tap.streams[stream.name].get_records(None)]
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
