"""Runs a process to its end and says what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

CHUNK = 1 << 20
RECORD = b'"type":"RECORD"'


class Run(NamedTuple):
    """What a process took.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds of processor time, in user and system mode, of all its threads.
        rss: Peak of its resident memory, in MB (of 1,000,000 bytes).
        written: Bytes on its standard output.
        records: RECORD messages on its standard output.
    """

    wall: float
    cpu: float
    rss: float
    written: int
    records: int


class FailedRunError(RuntimeError):
    """A process failed or did not write what it had to."""


def run(*arguments: str, records: int | None = None) -> Run:
    """Run a Python module, reading its output from a pipe as fast as it comes.

    The peak memory of a process is never told as less than that of the process that started it:
    this one must stay small.

    Args:
        arguments: Module and arguments, as after `python -m`.
        records: How many RECORD messages it has to write; None for any number.

    Returns:
        What it took.

    Raises:
        FailedRunError: If its exit code is not zero, or the number of records is another.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TAP_CALLTOUCH_")
    }
    with TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            bufsize=0,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
        )
        assert process.stdout
        with process.stdout as output:
            written, found = _drain(output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or (records is not None and found != records):
            log.seek(max(log.tell() - 3000, 0))
            msg = (
                f"{_show(arguments)}: exit code {process.returncode}, {found} records instead of "
                f"{records}.\n{log.read().decode(errors='replace')}"
            )
            raise FailedRunError(msg)
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Run(wall, usage.ru_utime + usage.ru_stime, kilobytes * 1.024e-3, written, found)


def _drain(output: IO[bytes]) -> tuple[int, int]:
    """Read to the end; count bytes and RECORD messages, also those cut by a chunk's border."""
    written = records = 0
    overlap = len(RECORD) - 1
    buffer = bytearray(overlap + CHUNK)  # always the same: this process must stay small
    with memoryview(buffer) as view:
        while size := output.readinto(view[overlap:]):  # type: ignore[attr-defined]
            written += size
            records += buffer.count(RECORD, 0, overlap + size)
            buffer[:overlap] = buffer[size : size + overlap]
    return written, records


def _show(arguments: Sequence[str]) -> str:
    return f"python -m {' '.join(arguments)}"
