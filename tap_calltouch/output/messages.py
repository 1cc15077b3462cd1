"""Singer messages to stdout: whole lines in large blocks, even when a signal arrives."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.singerlib.encoding.base import SingerMessageType
from typing_extensions import override

with suppress(ImportError):  # on Windows
    import fcntl

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from singer_sdk.singerlib.messages import Message

FLUSH_SIZE = 128 * 1024  # bytes of records that wait at most before they are written
# What Linux lets a pipe hold at most, sixteen times as much as usual. The fewer turns tap and
# target have to take, the less time goes there.
PIPE_SIZE = 1 << 20
# A pipe that can be written to takes at least this much without blocking (POSIX: PIPE_BUF is 512
# or more, 4096 on Linux), so that a signal is noticed even while the target does not read.
WRITE_SIZE = getattr(select, "PIPE_BUF", 512)
FINAL_WRITE_SECONDS = 1


class OutputError(Exception):
    """Standard output cannot be written to."""


def append_line(block: bytearray, value: Any, stream: str) -> None:
    """Append a value to a block of lines, as JSON.

    Args:
        block: The block.
        value: A record, or a message with one.
        stream: The stream's name, for an error.

    Raises:
        FatalAPIError: If JSON cannot hold what a stream map has made. The block stays as it was.
    """
    start = len(block)
    try:
        encoder.encode_into(value, block, -1)
    except Exception as error:  # noqa: BLE001 - what a map has made can fail in any way
        del block[start:]
        # Not its message, which may quote the record.
        msg = (
            f"A record of stream {stream} cannot be written as JSON ({type(error).__name__}). "
            "Check `stream_maps`."
        )
        raise FatalAPIError(msg) from None
    block += b"\n"


class BlockWriter(MsgSpecWriter):
    """Encodes messages with msgspec and writes them in blocks of whole lines.

    Records wait in a block; any other message is written at once, after them. A termination signal
    ends the output with a whole line, the last STATE once more, if the target reads it in time.
    """

    def __init__(self) -> None:
        self._block = bytearray()
        self._last_state = b""
        self._writing = False
        self._exit_code: int | None = None
        self._deadline: float  # when there is an exit code
        self._output: tuple[int, int] | None = None

    @property
    def is_ending(self) -> bool:
        """Whether a signal has arrived, so that what waits is dropped."""
        return self._exit_code is not None

    @override
    def write_message(self, message: Message) -> None:
        line = bytes(self.format_message(message))  # the SDK uses its buffer again
        self._block += line
        self.flush(line if message.type is SingerMessageType.STATE else b"")

    def write_record(self, message: dict[str, Any]) -> None:
        """Write a RECORD message, given as it is to be encoded."""
        append_line(self._block, message, message["stream"])
        if len(self._block) >= FLUSH_SIZE:
            self.flush()

    def flush(self, state: bytes = b"") -> None:
        """Write what waits.

        Raises:
            BrokenPipeError: If nobody reads any more.
            OutputError: If there is no output, or no room for it.
            SystemExit: If a signal arrived meanwhile.
        """
        block, self._block = self._block, bytearray()
        self._writing = True
        try:
            if self._write(block) and state:
                self._last_state = state
        except BrokenPipeError:
            raise
        except OSError as error:
            msg = f"Standard output cannot be written to: {error.strerror or error}."
            raise OutputError(msg) from None
        finally:
            self._writing = False
        if self._exit_code is not None:
            self._end()

    def terminate(self, number: int, _frame: object = None) -> None:
        """Handle a signal: end the process, at once or after the line that is being written.

        Records that wait are dropped: they belong to a window that is not complete.

        Args:
            number: The signal. The process exits with 128 more.

        Raises:
            SystemExit: If no line is being written.
        """
        if self._exit_code is None:
            self._exit_code = 128 + number
            self._deadline = time.monotonic() + FINAL_WRITE_SECONDS
        if not self._writing:
            self._end()

    def _end(self) -> NoReturn:
        state, self._last_state = self._last_state, b""
        self._writing = True  # so that a second signal does not interrupt
        self._write(state, to_the_end=True)
        raise SystemExit(self._exit_code)

    def _write(self, block: bytes | bytearray, *, to_the_end: bool = False) -> bool:
        """Write lines, and return whether all of them were written.

        If a signal arrives, write to the end of the line that is begun, or all if `to_the_end`.
        """
        if sys.stdout is None:
            msg = "it is closed"
            raise OSError(msg)
        try:
            descriptor = sys.stdout.fileno()
        except (AttributeError, io.UnsupportedOperation):
            sys.stdout.write(block.decode())  # a test that captures the output
            return True
        sys.stdout.flush()
        if self._output is None:
            self._output = _open_output(descriptor)
        descriptor, size = self._output
        end = len(block)
        written = 0
        with memoryview(block) as view:
            while written < end:
                if self._exit_code is not None:
                    if time.monotonic() > self._deadline:
                        return False  # the target is stuck
                    if not to_the_end:  # only to the end of the line that is begun
                        end = block.find(b"\n", written - 1) + 1 if written else 0
                        to_the_end = True
                        continue
                if _is_writable(descriptor):
                    with suppress(BlockingIOError):
                        written += os.write(descriptor, view[written : min(end, written + size)])
        return written == len(block)


def _open_output(descriptor: int) -> tuple[int, int]:
    """Return where to write, and how much at a time, so that no write blocks for long."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor, 2 * FLUSH_SIZE
    if sys.platform == "linux" and stat.S_ISFIFO(mode):
        # A pipe can be opened once more, with a mode of its own: a write then takes what fits. To
        # set the mode of the one that is open would set it for all who share it.
        with suppress(OSError):
            pipe = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
            with suppress(OSError):  # a user may have so many pages of pipes
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
            return pipe, 2 * FLUSH_SIZE
    return descriptor, WRITE_SIZE


def _is_writable(descriptor: int) -> bool:
    """Wait a little until a write does not block."""
    if sys.platform == "win32":  # where select takes sockets only
        return True
    return bool(select.select([], [descriptor], [], 0.1)[1])
