"""The demo's pipeline: a local API, Meltano, files, dbt, a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
STREAMS = ("calls", "requests")
_SANDBOX = ("--sites", "2", "--days", "365", "--requests-per-day", "12", "--calls-per-day", "18")


def load(folder: Path, *, sandbox: Sequence[str] = (), meltano: Sequence[str] = ()) -> int:
    """Load both journals of a local API into files, and return the status of Meltano.

    Args:
        folder: Where the files are.
        sandbox: More options of the local API.
        meltano: Options of `meltano run`.
    """
    command = [sys.executable, "-m", "sandbox", *_SANDBOX, *sandbox, "--"]
    command += [_program("meltano"), "run", *meltano, "tap-calltouch", "target-jsonl"]
    environment = {**os.environ, "TARGET_JSONL_DESTINATION_PATH": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def build(folder: Path) -> Path:
    """Make tables of the files with dbt, and return the path of the DuckDB file."""
    database = folder / "calltouch.duckdb"
    paths = {"CALLTOUCH_JSONL": folder, "CALLTOUCH_DUCKDB": database}
    paths |= {"DBT_TARGET_PATH": folder / "dbt", "DBT_LOG_PATH": folder / "dbt"}
    models = ["--project-dir", "transform", "--profiles-dir", "transform", "--target", "duckdb"]
    subprocess.run(
        [_program("dbt"), "--quiet", "build", *models],
        cwd=ROOT,
        env={**os.environ, **{name: str(path) for name, path in paths.items()}},
        check=True,
    )
    return database


def count_lines(folder: Path) -> int:
    """Return how many rows have been written into the files, by all runs."""
    count = 0
    for stream in STREAMS:
        path = folder / f"{stream}.jsonl"
        if path.exists():
            with path.open("rb") as file:
                count += sum(1 for _ in file)
    return count


def read_bookmarks() -> dict[str, dict[int, str]]:
    """Return the bookmarks of Meltano's state, by stream and site."""
    command = [_program("meltano"), "state", "get", "demo:tap-calltouch-to-target-jsonl"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout
    streams = json.loads(output or "{}").get("singer_state", {}).get("bookmarks", {})
    return {
        stream: {
            item["context"]["siteId"]: item["replication_key_value"]
            for item in streams.get(stream, {}).get("partitions", [])
        }
        for stream in STREAMS
    }


def _program(name: str) -> str:
    """Return the path of a program of this environment."""
    return str(Path(sys.executable).with_name(name))
