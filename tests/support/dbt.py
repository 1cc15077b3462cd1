"""Runs dbt on the models of `transform/`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

from tests.support.meltano_project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

#: Nobody reads them.
WITHOUT_LOGS = ("--log-level-file", "none")


def dbt(path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run dbt to its end.

    Args:
        path: A folder for what dbt writes beside the tables.
        arguments: Such as `build` and its own.
        environment: Environment variables to add.
    """
    folders = ("--project-dir", "transform", "--profiles-dir", "transform")
    places = {"DBT_TARGET_PATH": f"{path}", "DBT_LOG_PATH": f"{path}"}
    path.mkdir(exist_ok=True)
    output = path / "dbt.txt"
    run = {
        "arguments": [*WITHOUT_LOGS, *arguments, *folders],
        "environment": {**os.environ, **places, **environment},
        "output": str(output),
    }
    server = _server()
    assert server.stdin
    assert server.stdout
    print(json.dumps(run), file=server.stdin, flush=True)
    code = int(server.stdout.readline())
    return subprocess.CompletedProcess(arguments, code, output.read_text(encoding="utf-8"))


@cache
def _server() -> subprocess.Popen[str]:
    """Start the server of this process; it ends with its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.dbt_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def build(path: Path, *arguments: str, **environment: str) -> None:
    """Build the models and run their tests, all of which must pass."""
    result = dbt(path, "build", *arguments, **environment)
    assert result.returncode == 0, result.stdout


def run(path: Path, *arguments: str, **environment: str) -> None:
    """Build the models without running their tests."""
    result = dbt(path, "run", *arguments, **environment)
    assert result.returncode == 0, result.stdout
