"""Warehouses that cannot run here: their targets' own tables, and the table of targets."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import tests.meltano_project
from tests.meltano_project import (
    BIGQUERY,
    CLICKHOUSE,
    DUCKDB,
    ROOT,
    SCHEMA,
    SNOWFLAKE,
    Loader,
    install,
    pipe,
    tap_config,
)
from tests.sandbox import Journal, Sandbox
from tests.targets import TARGETS, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Types = dict[str, str]


def ask(loader: Loader, script: str, folder: Path) -> Any:
    """Run a script in a target's own environment: schema on its way in, JSON on its way out."""
    result = subprocess.run(
        [install(loader) / "venv" / "bin" / "python", "-c", script],
        cwd=folder,
        input=json.dumps(SCHEMA),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def kind(field: dict[str, Any]) -> str:
    """Say in one word what a field of the schema is."""
    if field.get("format") == "date-time":
        return "date-time"
    return next(kind for kind in (*[field["type"]][:1],) if kind)  # type: ignore[no-any-return]
