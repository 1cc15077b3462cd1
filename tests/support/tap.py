"""Runs the tap as a real process and reads what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import tap_process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox import Sandbox
    from tests.support.tap_process import ForkedTap

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
#: In the environment of the tap: it calls as fast as it can. A test of the pace overrules it.
UNPACED = {"PACE_MARGIN": "0"}


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


def start_tap(
    config: Mapping[str, Any],
    tmp_path: Path,
    *,
    arguments: Sequence[str] = (),
    state: Any = None,
    catalog: Any = None,
    environment: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> ForkedTap | subprocess.Popen[bytes]:
    """Start the tap, with short waits between tries and none between calls.

    Args:
        config: Its settings.
        tmp_path: Where its input files are written.
        arguments: More arguments.
        state: Its state: a value, or bytes to be taken as they are.
        catalog: Its catalog.
        environment: More environment variables, those that `tap_process` knows among them.
        stdout: Where its output goes.

    Returns:
        The process, with standard error in a pipe.
    """
    files = {"config": config, "state": state, "catalog": catalog}
    options = _write_files(tmp_path, files)
    return tap_process.start(
        [*options, *arguments], {**os.environ, **UNPACED, **(environment or {})}, stdout
    )


def start_script(
    config: Mapping[str, Any], tmp_path: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the installed console script, as users do. What is not said is as in `start_tap`."""
    return subprocess.Popen(
        [
            Path(sys.executable).with_name("tap-calltouch"),
            *_write_files(tmp_path, {"config": config}),
        ],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _write_files(folder: Path, values: Mapping[str, Any]) -> list[str]:
    """Write input files of the tap, and return the options that name them."""
    options = []
    for name, value in values.items():
        if value is not None:
            path = folder / f"{name}.json"
            path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
            options += [f"--{name}", str(path)]
    return options


def run_tap(config: Mapping[str, Any], tmp_path: Path, **options: Any) -> Run:
    """Run the tap to its end; the options are those of `start_tap`."""
    process = start_tap(config, tmp_path, **options)
    stdout, stderr = process.communicate(timeout=120)
    return Run(process.wait(), stdout, stderr.decode())


def keys(records: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return the sorted keys of records."""
    return sorted((record["siteId"], record["requestId"]) for record in records)
