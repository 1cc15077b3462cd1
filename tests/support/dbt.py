"""Runs dbt on the models of `transform/`."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.support.meltano_project import BIN, ROOT

if TYPE_CHECKING:
    from pathlib import Path


def dbt(path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run dbt to its end.

    Args:
        path: A folder for what dbt writes beside the tables.
        arguments: Such as `build` and its own.
        environment: Environment variables to add.
    """
    return subprocess.run(
        [str(BIN / "dbt"), *arguments, "--project-dir", "transform", "--profiles-dir", "transform"],
        cwd=ROOT,
        env={**os.environ, "DBT_TARGET_PATH": f"{path}", "DBT_LOG_PATH": f"{path}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def build(path: Path, *arguments: str, **environment: str) -> None:
    """Build the models and run their tests, all of which must pass."""
    result = dbt(path, "build", *arguments, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
