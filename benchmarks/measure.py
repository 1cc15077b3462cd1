"""Runs processes to their end and measures what they take."""

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


def run(*arguments: str, records: int | None = None, python: str = sys.executable) -> Run:
    """Run a Python module, reading its output from a pipe as fast as it comes.

    The peak memory of a process is never reported as less than that of the process that started it:
    this one must stay small.

    Args:
        arguments: Module and arguments, as after `python -m`.
        records: How many RECORD messages it has to write; None for any number.
        python: The interpreter.

    Returns:
        What it took.

    Raises:
        FailedRunError: If its exit code is not zero, or the number of records is another.
    """
    with TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [python, "-m", *arguments],
            bufsize=0,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(),
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


class Pipe(NamedTuple):
    """What processes took that feed each other.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds of processor time of all of them.
    """

    wall: float
    cpu: float


def pipe(*commands: list[str], **environment: str) -> Pipe:
    """Run processes, the output of each being the input of the next.

    Args:
        commands: Executables with their arguments.
        environment: Environment variables to add.

    Returns:
        What they took.

    Raises:
        FailedRunError: If an exit code is not zero.
    """
    began = time.perf_counter()
    cpu = 0.0
    with TemporaryFile() as log:
        processes: list[subprocess.Popen[bytes]] = []
        for command in commands:
            is_last = len(processes) == len(commands) - 1
            before = processes[-1].stdout if processes else subprocess.DEVNULL
            processes.append(
                subprocess.Popen(
                    command,
                    stdin=before,
                    stdout=subprocess.DEVNULL if is_last else subprocess.PIPE,
                    stderr=log,
                    env={**_environment(), **environment},
                )
            )
            if processes[:-1] and processes[-2].stdout:
                processes[-2].stdout.close()  # so that the first notices when the second ends
        for command, process in zip(commands, processes, strict=True):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += usage.ru_utime + usage.ru_stime
            if process.returncode:
                log.seek(max(log.tell() - 3000, 0))
                message = log.read().decode(errors="replace")
                msg = f"{' '.join(command)}: exit code {process.returncode}.\n{message}"
                raise FailedRunError(msg)
    return Pipe(time.perf_counter() - began, cpu)


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith("TAP_CALLTOUCH_")
    }


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
