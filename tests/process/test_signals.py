"""However the tap ends, its output is whole lines, and a run from its last state loses nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Journal, Sandbox
from tap_calltouch.config.files import InputError
from tap_calltouch.tap import TapCalltouch
from tests.support.repetitions import times
from tests.support.streams import STREAMS
from tests.support.tap import FLAGS, TOKEN, config_for, run_tap, start_script, start_tap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.streams import Stream
    from tests.support.tap_process import ForkedTap

SITES = (101, 202)
#: Two is the promise, which `test_messages` keeps; a machine that runs all tests at once is slower.
#: Without the promise it would be the 300 seconds of `request_timeout`, or for ever.
LIMIT_SECONDS = 60


@pytest.fixture(scope="module")
def large_sandbox() -> Iterator[Sandbox]:
    """A month of two sites, large enough that a pipe is full most of the time."""
    journal = Journal(SITES, date(2024, 1, 1), date(2024, 1, 31), per_day=20, sample=False)
    with Sandbox(journal, journal.calls(per_day=20), token=TOKEN, per_second=10_000) as sandbox:
        yield sandbox


def read_output(
    process: ForkedTap | subprocess.Popen[bytes], pauses: float, chunks: list[bytes]
) -> None:
    """Read as a slow target does."""
    assert process.stdout
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        chunks.append(chunk)
        time.sleep(pauses)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("part", range(times(1, 10)))
def test_signal_ends_with_whole_lines_and_the_last_state(
    large_sandbox: Sandbox,
    tmp_path: Path,
    signum: signal.Signals,
    exit_code: int,
    unbuffered: str,
    part: int,
) -> None:
    """At random times, while the tap writes and while it waits for its turn to call."""
    chance = random.Random(f"{signum}{unbuffered}{part}")
    ended = 0
    for start in (start_script, start_tap, start_tap, start_tap, start_tap):
        config = config_for(large_sandbox, window_days=3, **dict.fromkeys(FLAGS, True))
        environment = {
            "PYTHONUNBUFFERED": unbuffered,
            "PACE_MARGIN": chance.choice(["", "0"]),
        }
        process = start(config, tmp_path, environment=environment)
        chunks: list[bytes] = []
        pauses = chance.choice([0, 0.002, 0.02])
        reader = threading.Thread(target=read_output, args=(process, pauses, chunks))
        reader.start()
        assert process.stderr
        lines = iter(process.stderr.readline, b"")
        next(line for line in lines if b"Beginning sync" in line)
        log: list[bytes] = []
        drain = threading.Thread(target=log.extend, args=(lines,))
        drain.start()
        time.sleep(chance.uniform(0, 0.6))
        sent = time.monotonic()
        process.send_signal(signum)
        returncode = process.wait(timeout=2 * LIMIT_SECONDS)
        took = time.monotonic() - sent
        reader.join()
        drain.join()
        process.stdout.close()  # type: ignore[union-attr]
        process.stderr.close()
        output = b"".join(chunks)
        if returncode == 0:  # it was done before
            continue
        ended += 1
        assert returncode == exit_code
        assert took < LIMIT_SECONDS
        assert b"Traceback" not in b"".join(log)
        assert not output or output.endswith(b"\n")
        messages = [json.loads(line) for line in output.splitlines()]
        states = [item["value"] for item in messages if item["type"] == "STATE"]
        if states:
            assert messages[-1] == {"type": "STATE", "value": states[-1]}
            complete_before = [item for item in states if item == states[-1]]
            assert len(complete_before) >= 2  # written when the window was, and once more
    assert ended >= 3


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("fault", ["stall", "stall_body"])
def test_signal_ends_a_tap_that_waits_for_the_api(
    tmp_path: Path, stream: Stream, fault: str
) -> None:
    with stream.sandbox() as sandbox:
        is_late = lambda call: stream.days(call)[0] > date(2024, 1, 20)  # noqa: E731
        sandbox.faults.append(Fault(fault, when=is_late))
        config = config_for(sandbox, site_ids=[101])
        process = start_tap(config, tmp_path, catalog=stream.catalog)
        assert process.stdout
        lines: list[bytes] = []
        while sum(b'"STATE"' in line for line in lines) < 3:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        stdout, _ = process.communicate(timeout=2 * LIMIT_SECONDS)
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
        assert process.wait(timeout=2 * LIMIT_SECONDS) == 143
        assert time.monotonic() - sent < LIMIT_SECONDS


def test_closed_output_ends_quietly(large_sandbox: Sandbox, tmp_path: Path) -> None:
    with start_script(config_for(large_sandbox), tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        stderr = process.stderr.read().decode()
        assert process.wait(timeout=2 * LIMIT_SECONDS) == 1
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


def keys(messages: Iterable[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return the sorted keys of all records, with their streams."""
    return sorted(
        (item["stream"], item["record"]["siteId"], item["record"][STREAMS[item["stream"]].key])
        for item in messages
        if item["type"] == "RECORD"
    )


def whole_messages(path: Path) -> list[dict[str, Any]]:
    """Read what a target would have got before the tap died."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("windows", [1, 6, 11, 16])
def test_killed_after_a_window_both_runs_make_the_whole_journals(
    tmp_path: Path, windows: int
) -> None:
    days = date(2024, 1, 1), date(2024, 1, 31)
    journal = Journal(SITES, *days, per_day=3, sample=False)
    with Sandbox(journal, journal.calls(per_day=3), token=TOKEN, per_second=10_000) as sandbox:
        config = config_for(sandbox, lookback_days=0)
        process = start_tap(config, tmp_path)
        assert process.stdout
        messages: list[dict[str, Any]] = []
        while sum(item["type"] == "STATE" for item in messages) < windows:
            messages.append(json.loads(process.stdout.readline()))
        process.kill()
        process.communicate()
        state = messages[-1]["value"]
        second = run_tap(config, tmp_path, state=state)
        expected = sorted(
            (stream.name, *key)
            for stream in STREAMS.values()
            for key in stream.keys(stream.records(sandbox))
        )
    assert keys([*messages, *second.messages]) == expected  # each once


# Before there is a tap.

# When a module is looked for the first time, the process gets a signal.
INTERRUPTED = """
import os, signal, sys
def hook(event, arguments):
    if event == "import" and arguments[0] == MODULE:
        os.kill(os.getpid(), getattr(signal, SIGNAL))
sys.addaudithook(hook)
"""


@pytest.mark.parametrize(
    "module",
    [
        pytest.param("tap_calltouch.cli", id="the first import"),
        "singer_sdk",
        "requests",
        "msgspec",
        "tap_calltouch.tap",
        "tap_calltouch.streams",
        pytest.param("dotenv.main", id="one of a library"),
    ],
)
@pytest.mark.parametrize(
    ("name", "exit_code", "option"),
    [("SIGINT", 130, "--about"), ("SIGTERM", 143, "--discover")],
)
def test_signal_while_the_program_is_imported_ends_it_quietly(
    module: str, name: str, exit_code: int, option: str, tmp_path: Path
) -> None:
    code = INTERRUPTED.replace("MODULE", repr(module)).replace("SIGNAL", repr(name))
    (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
    run = subprocess.run(
        [Path(sys.executable).with_name("tap-calltouch"), option],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stdout, run.stderr) == (exit_code, b"", b"")


# What happens while a tap is made: a line of the log stands for each.
MAKING = """
import logging, os, signal
from tap_calltouch.__main__ import main
class Handler(logging.Handler):
    def emit(self, record):
        if PART in record.getMessage():
            os.kill(os.getpid(), getattr(signal, SIGNAL))
logging.getLogger("tap-calltouch").addHandler(Handler())
main()
"""


@pytest.mark.parametrize(("name", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param("Meltano SDK", id="before the tap"),
        pytest.param("Skipping parse", id="before the SDK's handlers"),
        pytest.param("No calls are loaded", id="after the SDK's handlers"),
    ],
)
def test_signal_while_the_tap_is_made_ends_it_quietly(
    name: str, exit_code: int, part: str, tmp_path: Path
) -> None:
    config = {"api_token": "x", "start_date": "2024-01-01", "api_url": "http://127.0.0.1:1"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    code = MAKING.replace("PART", repr(part)).replace("SIGNAL", repr(name))
    run = subprocess.run(
        [sys.executable, "-c", code, "--config", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (exit_code, b"")
    assert b"Traceback" not in run.stderr
    assert b"Gracefully" not in run.stderr


# The tap has ended, its process has not.
ENDING = """
import atexit, signal
from tap_calltouch.__main__ import main
atexit.register(lambda: [signal.raise_signal(getattr(signal, SIGNAL))])
main()
"""


@pytest.mark.parametrize(("name", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_after_the_tap_ends_the_process_quietly(name: str, exit_code: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ENDING.replace("SIGNAL", repr(name)), "--discover"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == exit_code
    assert json.loads(run.stdout)["streams"]
    assert b"Exception ignored" not in run.stderr
    assert b"Traceback" not in run.stderr


def test_who_imports_the_tap_keeps_the_handlers_of_signals() -> None:
    code = (
        "import signal; before = [signal.getsignal(n) for n in (2, 15)];"
        "import tap_calltouch.__main__, tap_calltouch.cli;"
        "assert before == [signal.getsignal(n) for n in (2, 15)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_tap_that_cannot_be_made_leaves_the_handlers_of_signals() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(InputError):
        TapCalltouch(
            config={"api_token": "x", "start_date": "2024-01-01", "stream_maps": {"x": None}}
        )
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_tap_that_is_made_in_a_thread_leaves_signals_alone() -> None:
    """Python lets only the main thread handle them, and Dagster makes taps in others."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    config: dict[str, Any] = {"api_token": "x", "start_date": "2024-01-01"}
    with ThreadPoolExecutor() as pool:
        tap = pool.submit(TapCalltouch, config=config).result()
        broken = pool.submit(TapCalltouch, config=config | {"stream_maps": {"x": None}})
        with pytest.raises(InputError):
            broken.result()
    assert tap.streams.keys() == STREAMS.keys()
    assert [signal.getsignal(number) for number in numbers] == before
