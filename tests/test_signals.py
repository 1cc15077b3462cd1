"""However the tap ends, its output is whole lines, and a run from its last state loses nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Journal, Sandbox
from tests.support.tap import FLAGS, TOKEN, config_for, keys, run_tap, start_tap

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

SITES = (101, 202)
LIMIT_SECONDS = 5  # two is the promise; a machine that runs all tests at once is slower


@pytest.fixture(scope="module")
def large_sandbox() -> Iterator[Sandbox]:
    """A month of two sites, large enough that a pipe is full most of the time."""
    journal = Journal(SITES, date(2024, 1, 1), date(2024, 1, 31), per_day=40, sample=False)
    with Sandbox(journal, token=TOKEN, per_second=1000) as sandbox:
        yield sandbox


def read_output(process: subprocess.Popen[bytes], pauses: float, chunks: list[bytes]) -> None:
    """Read as a slow target does."""
    assert process.stdout
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        chunks.append(chunk)
        time.sleep(pauses)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("part", range(5))
def test_signal_ends_with_whole_lines_and_the_last_state(
    large_sandbox: Sandbox,
    tmp_path: Path,
    signum: signal.Signals,
    exit_code: int,
    unbuffered: str,
    part: int,
) -> None:
    seed = f"{signum}{unbuffered}{part}"
    moments = random.Random(seed)
    for _ in range(5):
        config = config_for(large_sandbox, window_days=3, **dict.fromkeys(FLAGS, True))
        environment = {"PYTHONUNBUFFERED": unbuffered}
        process = start_tap(config, tmp_path, environment=environment)
        chunks: list[bytes] = []
        pauses = moments.choice([0, 0.002, 0.02])
        reader = threading.Thread(target=read_output, args=(process, pauses, chunks))
        reader.start()
        assert process.stderr
        lines = iter(process.stderr.readline, b"")
        next(line for line in lines if b"Beginning sync" in line)
        drain = threading.Thread(target=list, args=(lines,))
        drain.start()
        time.sleep(moments.uniform(0, 1))
        sent = time.monotonic()
        process.send_signal(signum)
        returncode = process.wait(timeout=30)
        took = time.monotonic() - sent
        reader.join()
        drain.join()
        process.stdout.close()  # type: ignore[union-attr]
        process.stderr.close()
        output = b"".join(chunks)
        if returncode == 0:  # it was done before
            continue
        assert returncode == exit_code
        assert took < LIMIT_SECONDS
        assert not output or output.endswith(b"\n")
        messages = [json.loads(line) for line in output.splitlines()]
        states = [item["value"] for item in messages if item["type"] == "STATE"]
        if states:
            assert messages[-1] == {"type": "STATE", "value": states[-1]}
            complete_before = [item for item in states if item == states[-1]]
            assert len(complete_before) >= 2  # written when the window was, and once more


@pytest.mark.parametrize("fault", ["stall", "stall_body"])
def test_signal_ends_a_tap_that_waits_for_the_api(
    journal: Journal, tmp_path: Path, fault: str
) -> None:
    with Sandbox(journal, token=TOKEN) as sandbox:
        sandbox.faults.append(Fault(fault, when=lambda call: call.params["dateFrom"] > "01/20"))
        process = start_tap(config_for(sandbox, site_ids=[101]), tmp_path)
        assert process.stdout
        lines: list[bytes] = []
        while sum(b'"STATE"' in line for line in lines) < 3:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        stdout, _ = process.communicate(timeout=30)
        assert process.returncode == 143
        assert time.monotonic() - sent < LIMIT_SECONDS
    assert json.loads(stdout.splitlines()[-1]) == json.loads(lines[-1])


def test_target_that_stops_reading_does_not_hold_up_the_end(
    large_sandbox: Sandbox, tmp_path: Path
) -> None:
    with start_tap(config_for(large_sandbox), tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(2)  # the pipe is full now
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stderr
        process.stderr.read()
        assert process.wait(timeout=30) == 143
        assert time.monotonic() - sent < LIMIT_SECONDS


def test_closed_output_ends_quietly(large_sandbox: Sandbox, tmp_path: Path) -> None:
    with start_tap(config_for(large_sandbox), tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        stderr = process.stderr.read().decode()
        assert process.wait(timeout=30) == 1
    assert "Traceback" not in stderr


def whole_messages(path: Path) -> list[dict[str, Any]]:
    """Read what a target would have got before the tap died."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("bind_to", "kills"), [("request", 50), ("session", 15)])
def test_killed_sync_resumes_without_loss(
    journal: Journal, tmp_path: Path, bind_to: str, kills: int
) -> None:
    """SIGKILL at random moments, each run from the last state."""
    moments = random.Random(bind_to)
    with Sandbox(journal, token=TOKEN, per_second=1000) as sandbox:
        config = config_for(sandbox, window_days=1, lookback_days=0, bind_to=bind_to)
        whole = run_tap(config, tmp_path)
        state: dict[str, Any] | None = None
        got: set[tuple[int, int]] = set()
        bookmarks: dict[int, str] = {}
        for attempt in range(kills + 1):
            with (tmp_path / "out").open("wb") as out:
                process = start_tap(config, tmp_path, state=state, stdout=out.fileno())
                assert process.stderr
                if attempt < kills:
                    while b"window " not in (line := process.stderr.readline()):
                        assert line, "there must be windows left to be killed in"
                    time.sleep(moments.uniform(0, 0.15))
                    process.kill()
                process.stderr.read()
                process.stderr.close()
                process.wait()
            messages = whole_messages(tmp_path / "out")
            got |= set(keys([item["record"] for item in messages if item["type"] == "RECORD"]))
            for item in messages:
                if item["type"] == "STATE":
                    state = item["value"]
                    for partition in state["bookmarks"]["requests"].get("partitions", []):
                        site = partition["context"]["siteId"]
                        bookmark = partition.get("replication_key_value", "")
                        assert bookmark >= bookmarks.get(site, "")
                        bookmarks[site] = bookmark
        assert process.returncode == 0
    assert got == set(keys(whole.records))


@pytest.mark.parametrize("windows", [1, 3, 6, 9])
def test_killed_after_a_window_both_runs_make_the_whole_journal(
    journal: Journal, tmp_path: Path, windows: int
) -> None:
    with Sandbox(journal, token=TOKEN) as sandbox:
        config = config_for(sandbox, lookback_days=0)
        process = start_tap(config, tmp_path)
        assert process.stdout
        messages: list[dict[str, Any]] = []
        while sum(item["type"] == "STATE" for item in messages) < windows:
            messages.append(json.loads(process.stdout.readline()))
        process.kill()
        process.communicate()
        second = run_tap(config, tmp_path, state=messages[-1]["value"])
    first = [item["record"] for item in messages if item["type"] == "RECORD"]
    expected = [record for record in journal.records() if "/01/2024" in record["dateStr"]]
    assert keys([*first, *second.records]) == keys(expected)  # each once
