"""Runs the tap as a real process and reads what it wrote."""

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
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedReader

    from typing_extensions import Self

    from sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]

TOKEN = "tok/+=.%Ж"
FLAGS = (
    "with_map_visits",
    "with_request_tags",
    "with_yandex_direct",
    "with_google_adwords",
    "with_attrs",
    "with_widget_info",
    "with_custom_fields",
    "with_dcm",
)


@dataclass
class Run:
    """What a run of the tap left behind."""

    returncode: int
    stdout: bytes
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """All messages; fails if a line is not whole."""
        assert not self.stdout or self.stdout.endswith(b"\n"), self.stdout[-200:]
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records, in order."""
        return [item["record"] for item in self.messages if item["type"] == "RECORD"]

    @property
    def states(self) -> list[dict[str, Any]]:
        """The states, in order."""
        return [item["value"] for item in self.messages if item["type"] == "STATE"]

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the first SCHEMA message."""
        return next(item["schema"] for item in self.messages if item["type"] == "SCHEMA")


def config_for(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """Make settings for a sandbox; a setting of None is left out."""
    config = {
        "api_token": sandbox.token,
        "api_url": sandbox.url,
        "site_ids": list(sandbox.journal.sites),
        "start_date": "2024-01-01",
        "end_date": "2024-01-31",
    } | settings
    return {name: value for name, value in config.items() if value is not None}


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
                raise subprocess.TimeoutExpired("tap-calltouch", timeout or 0)
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

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Read what the process still writes, and wait for its end.

        Args:
            timeout: The most seconds to wait for it to write something.

        Returns:
            The rest of standard output and of standard error.

        Raises:
            subprocess.TimeoutExpired: If it wrote nothing for that time; it is killed.
        """
        output: dict[Any, bytearray] = {}
        with self, selectors.DefaultSelector() as selector:
            for stream in (self.stdout, self.stderr):
                if stream:
                    selector.register(stream, selectors.EVENT_READ)
                    output[stream] = bytearray()
            while selector.get_map():
                ready = selector.select(timeout)
                if not ready:
                    self.kill()
                    raise subprocess.TimeoutExpired("tap-calltouch", timeout or 0)
                for key, _ in ready:
                    chunk = key.fileobj.read1()  # type: ignore[union-attr]
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


def start_tap(
    config: Mapping[str, Any],
    tmp_path: Path,
    *,
    arguments: Sequence[str] = (),
    state: Any = None,
    catalog: Any = None,
    environment: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> ForkedTap:
    """Start the tap, with short waits between tries.

    Args:
        config: Its settings.
        tmp_path: Where its input files are written.
        arguments: More arguments.
        state: Its state: a value, or bytes to be taken as they are.
        catalog: Its catalog.
        environment: More environment variables. CLOCK_OFFSET makes its clock wrong by so many
            seconds.
        stdout: Where its output goes.

    Returns:
        The process, with standard error in a pipe.
    """
    options: list[str] = []
    for name, value in (("config", config), ("state", state), ("catalog", catalog)):
        if value is not None:
            path = tmp_path / f"{name}.json"
            path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
            options += [f"--{name}", str(path)]
    return ForkedTap([*options, *arguments], {**os.environ, **(environment or {})}, stdout)


def run_tap(config: Mapping[str, Any], tmp_path: Path, **options: Any) -> Run:
    """Run the tap to its end; the options are those of `start_tap`."""
    process = start_tap(config, tmp_path, **options)
    stdout, stderr = process.communicate(timeout=120)
    return Run(process.wait(), stdout, stderr.decode())


def keys(records: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Give the sorted keys of records."""
    return sorted((record["siteId"], record["requestId"]) for record in records)
