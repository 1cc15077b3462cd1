"""Starts the tap in a forked process, which is used like one of `subprocess`."""

from __future__ import annotations

import atexit
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedReader

    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
NAME = "tap-calltouch"
_PIPE_SIZE = 1 << 16


class ForkedTap:
    """A run of the tap by the fork server, to be used like a `subprocess.Popen`.

    Attributes:
        pid: The id of its process.
        returncode: None until the process was waited for.
        stdout: The reading end of its standard output, if that is a pipe.
        stderr: The reading end of its standard error.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdout: int
    ) -> None:
        """Have the tap forked.

        Args:
            arguments: Those of the command line.
            environment: All its environment variables.
            stdout: Where its output goes: a file descriptor, or `subprocess.PIPE`.
        """
        command, command_writer = os.pipe()
        stderr_reader, stderr = os.pipe()
        self._status, status = os.pipe()
        theirs = [command, stderr, status]
        self.stdout: BufferedReader | None = None
        if stdout == subprocess.PIPE:
            stdout_reader, stdout = os.pipe()
            theirs.append(stdout)
            self.stdout = os.fdopen(stdout_reader, "rb")
        self.stderr: BufferedReader | None = os.fdopen(stderr_reader, "rb")
        python = {name: text for name, text in environment.items() if name.startswith("PYTHON")}
        server = _fork_server(tuple(sorted(python.items())))
        socket.send_fds(server, [b"."], [command, stdout, stderr, status])
        for descriptor in theirs:
            os.close(descriptor)
        request = {
            "arguments": arguments,
            "environment": dict(environment),
            "directory": str(Path.cwd()),
        }
        with os.fdopen(command_writer, "w", encoding="utf-8") as file:
            json.dump(request, file)
        self.pid = self._read_status()
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process.

        Args:
            timeout: The most seconds to wait.

        Returns:
            The exit code; negative if a signal killed the process.

        Raises:
            subprocess.TimeoutExpired: If the process still runs then.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(NAME, timeout or 0)
            self.returncode = self._read_status()
            os.close(self._status)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """Kill the process if it still runs."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 120) -> tuple[bytes, bytes]:
        """Read what the process still writes, and wait for its end.

        Args:
            timeout: The most seconds to wait for that.

        Returns:
            The rest of standard output and of standard error.

        Raises:
            subprocess.TimeoutExpired: If the process still runs then; it is killed.
        """
        deadline = time.monotonic() + timeout
        output: dict[Any, bytearray] = {}
        with self, selectors.DefaultSelector() as selector:
            for stream in (self.stdout, self.stderr):
                if stream:
                    selector.register(stream, selectors.EVENT_READ)
                    output[stream] = bytearray()
            while selector.get_map():
                ready = selector.select(deadline - time.monotonic())
                if time.monotonic() >= deadline:
                    self.kill()
                    raise subprocess.TimeoutExpired(NAME, timeout)
                for key, _ in ready:
                    chunk = key.fileobj.read1(_PIPE_SIZE)  # type: ignore[union-attr]
                    output[key.fileobj] += chunk
                    if not chunk:
                        selector.unregister(key.fileobj)
        return bytes(output.get(self.stdout, b"")), bytes(output.get(self.stderr, b""))

    def _read_status(self) -> int:
        status = os.read(self._status, 4)
        assert status, "the fork server is dead"
        return int.from_bytes(status, sys.byteorder, signed=True)


@cache
def _fork_server(variables: tuple[tuple[str, str], ...]) -> socket.socket:
    """Start a fork server.

    Args:
        variables: Those that an interpreter reads when it starts, so that no fork can change them.

    Returns:
        The socket for its requests. It ends with this process.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
            cwd=ROOT,
            env={**os.environ, **dict(variables)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # is called first
    return ours
