"""Runs the tap as a process that is forked from one which has imported it.

Imports are most of what a short run costs, and the tests run the tap hundreds of times. What is
forked is a process like any other: it has its own id, signals, standard streams, environment and
working directory. Only the exit handlers of its interpreter do not run.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pkgutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunsError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import tap_calltouch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedReader

    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
NAME = "tap-calltouch"
CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()

if CAN_FORK:
    _CONTEXT = multiprocessing.get_context("forkserver")
    _MODULES = pkgutil.walk_packages(tap_calltouch.__path__, "tap_calltouch.")
    # And what a run imports when it needs it.
    _CONTEXT.set_forkserver_preload(
        [*(module.name for module in _MODULES), "encodings.utf_8_sig", "netrc", "yaml"]
    )


class ForkedTap:
    """A run of the tap, to be used like a `subprocess.Popen`.

    Attributes:
        pid: The id of its process.
        stdout: The reading end of its standard output, if that is a pipe.
        stderr: The reading end of its standard error.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdout: int
    ) -> None:
        """Start the tap.

        Args:
            arguments: Those of the command line.
            environment: All its environment variables.
            stdout: Where its output goes: a file descriptor, or `subprocess.PIPE`.
        """
        self.stdout: BufferedReader | None = None
        self.stderr: BufferedReader | None
        if stdout == subprocess.PIPE:
            self.stdout, output = _pipe()
        else:
            output = Connection(os.dup(stdout), readable=False)
        self.stderr, errors = _pipe()
        with output, errors:
            self._process = _CONTEXT.Process(
                target=_become_the_tap,
                args=(arguments, dict(environment), Path.cwd(), output, errors),
                daemon=True,  # ends with the tests
            )
            self._process.start()
        self.pid = self._process.pid or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    @property
    def returncode(self) -> int | None:
        """The exit code; negative if a signal killed the process, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, so many seconds at most, and return the exit code."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(NAME, timeout or 0)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """Kill the process if it still runs."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 120) -> tuple[bytes, bytes]:
        """Read what the process still writes, and wait for its end.

        Args:
            timeout: The most seconds to wait; then the process is killed, and
                `subprocess.TimeoutExpired` raised.

        Returns:
            The rest of standard output and of standard error.
        """
        with self, ThreadPoolExecutor() as pool:
            streams = (self.stdout, self.stderr)
            reading = [pool.submit(stream.read) if stream else None for stream in streams]
            deadline = time.monotonic() + timeout
            try:
                stdout, stderr = (
                    part.result(deadline - time.monotonic()) if part else b"" for part in reading
                )
            except StillRunsError:
                self.kill()
                raise subprocess.TimeoutExpired(NAME, timeout) from None
        return stdout, stderr


def start(
    arguments: Sequence[str], environment: Mapping[str, str], stdout: int = subprocess.PIPE
) -> ForkedTap | subprocess.Popen[bytes]:
    """Start the tap as `ForkedTap` does.

    Where there is no fork, or where a variable is one that an interpreter reads when it starts,
    the process gets an interpreter of its own.
    """
    if CAN_FORK and _for_python(environment) == _for_python(os.environ):
        return ForkedTap(arguments, environment, stdout)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.tap_process", *arguments],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def _pipe() -> tuple[BufferedReader, Connection]:
    """Make a pipe whose writing end can be handed to a process."""
    reader, writer = os.pipe()
    return os.fdopen(reader, "rb"), Connection(writer, readable=False)


def _for_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are for the interpreter."""
    return {
        name: value for name, value in environment.items() if name.startswith("PYTHON") and value
    }


def _become_the_tap(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    output: Connection,
    errors: Connection,
) -> None:
    """Run the tap in this process, with arguments, environment and streams of its own."""
    for stream, descriptor in ((output, 1), (errors, 2)):
        with stream:
            os.dup2(stream.fileno(), descriptor)
    sys.argv[1:] = arguments
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _run()


def _run() -> None:
    """Run the tap with short waits between tries, and as a test asks for by a variable.

    One logger of the SDK says at DEBUG of each of 300 fields that it is selected like its parent,
    which would take longer than all else that a short run does. It is silent.

    CLOCK_OFFSET makes the clock wrong by so many seconds. PACE_MARGIN is what the tap multiplies
    the time between two calls with.
    """
    from tap_calltouch.__main__ import main  # noqa: PLC0415 - the tests need not import it
    from tap_calltouch.api import client  # noqa: PLC0415

    logging.getLogger("singer_sdk.singerlib.catalog").setLevel(logging.INFO)
    client.FIRST_WAIT_SECONDS = 0.02  # type: ignore[assignment]
    if margin := os.environ.get("PACE_MARGIN"):
        client.Pace.MARGIN = float(margin)
    if offset := os.environ.get("CLOCK_OFFSET"):
        right = time.time
        time.time = lambda: right() + float(offset)
    main()


if __name__ == "__main__":
    _run()
