"""What stdout holds: whole lines in order, the last one a STATE, whatever signal arrives."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.singerlib.messages import SchemaMessage, StateMessage

from tap_calltouch.output import messages
from tap_calltouch.output.messages import (
    FINAL_WRITE_SECONDS,
    PIPE_SIZE,
    BlockWriter,
    OutputError,
)

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")


_END = b"the end"


class Pipe:
    """A pipe in the place of stdout."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.signalled = threading.Event()
        self._read = bytearray()

    def fileno(self) -> int:
        return self.writer

    def flush(self) -> None:
        """Hold nothing back."""

    def waiting(self) -> bytes:
        """What was written and not yet read."""
        os.set_blocking(self.reader, False)
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""

    def read_to_the_end(self, *, after_signal: bool = False) -> threading.Thread:
        """Read in a thread until `lines` is called; perhaps not before a signal has come."""

        def read() -> None:
            if after_signal:
                self.signalled.wait(5)
                time.sleep(0.2)  # until the writer knows
            while not self._read.endswith(_END):
                self._read += os.read(self.reader, 1 << 16)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def lines(self, reading: threading.Thread) -> list[bytes]:
        """All lines, once the writer is done; it keeps the pipe open."""
        os.write(self.writer, _END)
        reading.join()
        return bytes(self._read).removesuffix(_END).splitlines(keepends=True)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    pipe = Pipe()
    # Not `sys.stdout` itself, which pytest sets again between a fixture and its test.
    patched = SimpleNamespace(stdout=pipe, platform=sys.platform)
    monkeypatch.setattr(messages, "sys", patched)
    # A busy machine needs longer than a reader may.
    monkeypatch.setattr(messages, "FINAL_WRITE_SECONDS", 60)
    yield pipe
    pipe.close_writer()
    os.close(pipe.reader)


def record(number: int = 0, text: object = "") -> dict[str, Any]:
    content = {"requestId": number, "text": text}
    return {"type": "RECORD", "stream": "requests", "record": content}


def state(number: int, text: str = "") -> StateMessage:
    return StateMessage(value={"number": number, "text": text})


def names(lines: list[bytes]) -> list[Any]:
    """The numbers of records and states: `3`, `"state 1"`. Each line must be whole."""
    found: list[Any] = []
    for line in lines:
        assert line.endswith(b"\n")
        content = json.loads(line)
        is_state = content["type"] == "STATE"
        found.append(
            f"state {content['value']['number']}" if is_state else content["record"]["requestId"]
        )
    return found


@contextmanager
def signalled(writer: BlockWriter, pipe: Pipe) -> Iterator[None]:
    """Let a signal end the writer soon."""

    def handle(*_: object) -> None:
        pipe.signalled.set()
        writer.terminate(signal.SIGTERM)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Usual days.


def test_records_wait_in_a_block(pipe: Pipe) -> None:
    BlockWriter().write_record(record())
    assert pipe.waiting() == b""


def test_a_full_block_is_written_as_whole_lines(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "FLUSH_SIZE", 1000)
    writer = BlockWriter()
    for number in range(12):  # of some 110 bytes
        writer.write_record(record(number, "x" * 50))
    written = pipe.waiting().splitlines(keepends=True)
    assert names(written) == list(range(len(written)))
    assert 1000 <= sum(map(len, written)) < 1200


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        pytest.param(state(1), "STATE", id="state"),
        pytest.param(SchemaMessage("requests", {"properties": {}}, ["id"]), "SCHEMA", id="schema"),
    ],
)
def test_any_other_message_is_written_at_once_after_the_records(
    pipe: Pipe, message: StateMessage | SchemaMessage, kind: str
) -> None:
    writer = BlockWriter()
    writer.write_record(record())
    writer.write_message(message)
    lines = pipe.waiting().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["RECORD", kind]


def test_a_flush_writes_the_records_that_wait_once(pipe: Pipe) -> None:
    writer = BlockWriter()
    writer.write_record(record(1))
    writer.flush()
    writer.flush()
    assert names(pipe.waiting().splitlines(keepends=True)) == [1]


def test_a_pipe_that_another_process_has_filled_meanwhile_is_waited_for(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, errors = os.write, [BlockingIOError()]

    def write_later(descriptor: int, view: memoryview) -> int:
        if errors:
            raise errors.pop()
        return write(descriptor, view)

    monkeypatch.setattr(os, "write", write_later)
    BlockWriter().write_message(state(1))
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1"]


@pytest.mark.parametrize("can_reopen", [True, False], ids=["of Linux", "of others"])
def test_no_write_to_a_pipe_waits_for_its_reader(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, *, can_reopen: bool
) -> None:
    """So that a signal is noticed: a write takes what fits, or what is sure to fit."""

    def fail(*_: object) -> int:
        raise FileNotFoundError

    write = os.write
    sizes: list[int] = []  # of writes that could wait

    def note(descriptor: int, view: memoryview) -> int:
        sizes.append(len(view) if os.get_blocking(descriptor) else 0)
        return write(descriptor, view)

    if not can_reopen:
        monkeypatch.setattr(os, "open", fail)
    monkeypatch.setattr(os, "write", note)
    BlockWriter().write_message(state(1, "x" * 10_000))
    assert max(sizes) == (0 if can_reopen and sys.platform == "linux" else select.PIPE_BUF)
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do that")
@pytest.mark.parametrize("is_allowed", [True, False], ids=["allowed", "too many pipes"])
def test_a_pipe_is_enlarged_if_that_is_allowed(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, *, is_allowed: bool
) -> None:
    def fail(*_: object) -> int:
        raise PermissionError

    usual = fcntl.fcntl(pipe.writer, fcntl.F_GETPIPE_SZ)
    with monkeypatch.context() as patch:
        if not is_allowed:
            patch.setattr(fcntl, "fcntl", fail)
        BlockWriter().write_message(state(1))
    size = fcntl.fcntl(pipe.writer, fcntl.F_GETPIPE_SZ)
    assert size == (1 << 20 if is_allowed else usual)
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1"]


def test_on_windows_nobody_asks_whether_a_pipe_can_be_written_to(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `select` takes sockets only."""
    monkeypatch.setattr(messages, "sys", SimpleNamespace(stdout=pipe, platform="win32"))
    monkeypatch.setattr(select, "select", None)
    BlockWriter().write_message(state(1))
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1"]


def test_everything_arrives_in_order_through_a_slow_reader(pipe: Pipe) -> None:
    writer = BlockWriter()
    reading = pipe.read_to_the_end()
    expected: list[Any] = []
    for number in range(3000):
        writer.write_record(record(number, "Ж" * 100))
        expected.append(number)
        if number % 1000 == 999:
            writer.write_message(state(number))
            expected.append(f"state {number}")
    assert names(pipe.lines(reading)) == expected


@pytest.mark.parametrize("is_io", [True, False], ids=["of io", "of another kind"])
def test_a_stdout_without_a_descriptor_works(
    monkeypatch: pytest.MonkeyPatch, *, is_io: bool
) -> None:
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout if is_io else SimpleNamespace(write=stdout.write))
    writer = BlockWriter()
    writer.write_record(record(1, "Ж"))
    writer.write_message(state(1))
    end(writer)
    lines = stdout.getvalue().encode().splitlines(keepends=True)
    assert names(lines) == [1, "state 1", "state 1"]


def test_what_was_printed_before_comes_first(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w+", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        stdout.write("first\n")
        BlockWriter().write_message(state(1))
        assert (tmp_path / "out").read_bytes().startswith(b'first\n{"type":"STATE"')


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(Decimal("1.50"), b'"text":1.50', id="decimal"),
        pytest.param(
            datetime(2024, 1, 31, 10, tzinfo=timezone.utc), b"2024-01-31T10:00:00", id="date-time"
        ),
        pytest.param("Ж\n\u2028", '"text":"Ж\\n\u2028"'.encode(), id="text"),
        pytest.param(2**63 - 1, b'"text":9223372036854775807', id="64 bits"),
    ],
)
def test_values_that_stream_maps_make_can_be_written(
    pipe: Pipe, value: object, written: bytes
) -> None:
    writer = BlockWriter()
    writer.write_record(record(text=value))
    writer.flush()
    assert written in pipe.waiting()


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param(ENDLESS, "RecursionError", id="a list in itself"),
        pytest.param("\ud800", "UnicodeEncodeError", id="half a character"),
    ],
)
def test_a_record_that_json_cannot_hold_is_one_sentence_and_leaves_those_before_it_whole(
    pipe: Pipe, value: object, error: str
) -> None:
    writer = BlockWriter()
    writer.write_record(record(1))
    with pytest.raises(FatalAPIError) as raised:
        writer.write_record(record(2, value))
    assert str(raised.value) == (
        f"A record of stream requests cannot be written as JSON ({error}). Check `stream_maps`."
    )
    writer.flush()
    assert names(pipe.waiting().splitlines(keepends=True)) == [1]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_reader_that_is_gone_is_a_broken_pipe(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    os.close(pipe.reader)
    writer = BlockWriter()
    try:
        with pytest.raises(BrokenPipeError):
            writer.write_message(state(1, "x" * size))
    finally:
        pipe.close_writer()


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [
        pytest.param(None, "it is closed", id="closed"),
        pytest.param("/dev/full", "No space left on device", id="full"),
    ],
)
def test_output_that_cannot_be_written_to_is_one_plain_error(
    monkeypatch: pytest.MonkeyPatch, stdout: str | None, reason: str
) -> None:
    with Path(stdout).open("wb") if stdout else nullcontext() as output:
        monkeypatch.setattr(messages, "sys", SimpleNamespace(stdout=output, platform=sys.platform))
        with pytest.raises(OutputError, match=f"^Standard output cannot be written to: {reason}.$"):
            BlockWriter().write_message(state(1))


# Termination.


def end(writer: BlockWriter, number: int = signal.SIGTERM) -> Any:
    with pytest.raises(SystemExit) as ended:
        writer.terminate(number)
    return ended.value.code


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_termination_exits_with_the_code_of_its_signal(
    pipe: Pipe, number: int, exit_code: int
) -> None:
    assert end(BlockWriter(), number) == exit_code
    assert pipe.waiting() == b""


def test_termination_repeats_the_last_state_and_drops_the_records_after_it(pipe: Pipe) -> None:
    writer = BlockWriter()
    for number in (1, 2):
        writer.write_record(record(number))
        writer.write_message(state(number))
    writer.write_record(record(3))
    end(writer)
    found = names(pipe.waiting().splitlines(keepends=True))
    assert found == [1, "state 1", 2, "state 2", "state 2"]


def test_termination_repeats_the_last_state_after_blocks_of_records(pipe: Pipe) -> None:
    """As within a window of more than one block."""
    writer = BlockWriter()
    writer.write_message(state(1))
    writer.write_record(record(2))
    writer.flush()
    writer.write_record(record(3))
    end(writer)
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1", 2, "state 1"]


def test_termination_repeats_the_last_state_after_another_message(pipe: Pipe) -> None:
    """As at the beginning of the next stream."""
    writer = BlockWriter()
    writer.write_message(state(1))
    writer.write_message(SchemaMessage("calls", {"properties": {}}, ["id"]))
    end(writer)
    kinds = [json.loads(line)["type"] for line in pipe.waiting().splitlines()]
    assert kinds == ["STATE", "SCHEMA", "STATE"]


@pytest.mark.parametrize(("more", "written"), [(-1, [0]), (0, [0]), (1, [0, 1])])
def test_termination_within_a_block_writes_the_line_that_is_begun_and_no_more(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, more: int, written: list[int]
) -> None:
    """The signal comes when a line has been written, or a byte less, or a byte more."""
    writer = BlockWriter()
    for number in range(3):
        writer.write_record(record(number))
    write = os.write

    def write_a_part(descriptor: int, view: memoryview) -> int:
        size = view.tobytes().index(b"\n") + 1 + more if not writer.is_ending else len(view)
        writer.terminate(signal.SIGTERM)
        return write(descriptor, view[:size])

    monkeypatch.setattr(os, "write", write_a_part)
    with pytest.raises(SystemExit):
        writer.flush()
    assert names(pipe.waiting().splitlines(keepends=True)) == written


def test_a_flush_after_termination_writes_nothing(pipe: Pipe) -> None:
    writer = BlockWriter()
    writer.write_message(state(1))
    writer.write_record(record(1))
    end(writer)
    with pytest.raises(SystemExit):
        writer.flush()
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1", "state 1"]


def test_termination_without_a_state_writes_nothing(pipe: Pipe) -> None:
    writer = BlockWriter()
    writer.write_record(record(1))
    end(writer)
    assert pipe.waiting() == b""


BIG = "x" * 30_000


def write_until_ended(writer: BlockWriter, pipe: Pipe) -> Any:
    """Write more than a pipe holds until a signal ends it, and return the exit code."""

    def write() -> None:
        for number in range(2, 1000):
            writer.write_record(record(number, BIG))

    with signalled(writer, pipe), pytest.raises(SystemExit) as ended:
        write()
    return ended.value.code


def test_termination_while_the_reader_is_stuck_ends_with_a_whole_line_and_the_last_state(
    pipe: Pipe,
) -> None:
    writer = BlockWriter()
    writer.write_message(state(1))
    reading = pipe.read_to_the_end(after_signal=True)
    exit_code = write_until_ended(writer, pipe)
    found = names(pipe.lines(reading))
    assert exit_code == 143
    assert found[-1] == "state 1"
    assert found[1:-1] == list(range(2, len(found)))


def test_termination_before_any_byte_of_a_block_ends_with_the_last_state(pipe: Pipe) -> None:
    writer = BlockWriter()
    writer.write_message(state(1))
    os.set_blocking(pipe.writer, False)
    with suppress(BlockingIOError):
        while True:  # until the pipe is full
            os.write(pipe.writer, b"\n" * 512)
    os.set_blocking(pipe.writer, True)
    reading = pipe.read_to_the_end(after_signal=True)
    write_until_ended(writer, pipe)
    lines = [line for line in pipe.lines(reading) if line != b"\n"]
    assert names(lines) == ["state 1", "state 1"]


def test_termination_does_not_wait_for_a_reader_that_never_reads(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "FINAL_WRITE_SECONDS", 0.1)
    writer = BlockWriter()
    writer.write_message(state(1))
    assert write_until_ended(writer, pipe) == 143
    assert pipe.waiting()


def test_the_process_ends_within_two_seconds_of_a_signal(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on whenever the writer waits for a target that is stuck."""
    waits: list[float] = []

    def wait(*arguments: Any) -> tuple[list[int], ...]:
        waits.append(arguments[-1])
        assert len(waits) < 100
        return [], [], []

    writer = BlockWriter()
    writer.write_message(state(1))
    assert names(pipe.waiting().splitlines(keepends=True)) == ["state 1"]
    monkeypatch.setattr(messages, "FINAL_WRITE_SECONDS", FINAL_WRITE_SECONDS)  # of the package
    monkeypatch.setattr(messages, "time", SimpleNamespace(monotonic=lambda: sum(waits)))
    monkeypatch.setattr(select, "select", wait)
    with pytest.raises(SystemExit, match="143"):
        writer.terminate(signal.SIGTERM)
    assert 0.5 < sum(waits) < 1.7  # the rest is for the process itself
    assert max(waits) < 0.5  # it looks for a signal between them
    assert pipe.waiting() == b""


def test_termination_while_a_state_is_written_does_not_take_it_back(pipe: Pipe) -> None:
    writer = BlockWriter()
    writer.write_message(state(1))
    reading = pipe.read_to_the_end(after_signal=True)
    with signalled(writer, pipe), pytest.raises(SystemExit):
        writer.write_message(state(2, "x" * 2 * PIPE_SIZE))
    assert names(pipe.lines(reading))[-1] == "state 2"


def test_a_second_signal_does_not_cut_the_last_words(pipe: Pipe) -> None:
    writer = BlockWriter()
    writer.write_message(state(1, "x" * (PIPE_SIZE * 2 // 3)))
    reading = pipe.read_to_the_end(after_signal=True)

    def handle(*_: object) -> None:
        pipe.signalled.set()
        writer.terminate(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with pytest.raises(SystemExit) as ended:
            writer.terminate(signal.SIGTERM)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended.value.code == 143
    assert names(pipe.lines(reading)) == ["state 1", "state 1"]
