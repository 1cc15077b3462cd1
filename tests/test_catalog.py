"""The SCHEMA message: what it was when it was last looked at, and as one flat table."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support.meltano_project import BIN, SCHEMAS, tap_config

if TYPE_CHECKING:
    from collections.abc import Iterator

SNAPSHOT = Path(__file__).parent / "data" / "catalog.json"
Message = dict[str, Any]


# Nested fields that some record of each stream must fill.
FILLED = {
    "requests": {
        "session__sessionId",
        "client__phones",
        "mapVisits",
        "yandexDirect__adId",
        "attrs",
        "session__attrs",
    },
    "calls": {"callTags", "orders", "mapVisits", "yandexDirect__adId", "phrases", "attrs"},
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    journal = Journal((101, 202), date(2024, 2, 1), date(2024, 2, 2), per_day=10, sample=False)
    with Sandbox(journal, journal.calls(30)) as sandbox:
        yield sandbox


def run_tap(path: Path, sandbox: Sandbox, *options: str, **settings: Any) -> str:
    config = tap_config(sandbox, site_ids=[101, 202], end_date="2024-02-02", **settings)
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [str(BIN / "tap-calltouch"), "--config", str(path / "config.json"), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_catalog_is_the_one_that_was_agreed_on(tmp_path: Path, sandbox: Sandbox) -> None:
    """A change of a column changes users' tables: say so in CHANGELOG.md, then in the snapshot.

    The snapshot is what `tap-calltouch --config CONFIG --discover` prints.
    """
    catalog = json.loads(run_tap(tmp_path, sandbox, "--discover"))
    assert catalog == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stream", FILLED)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_flat_table_has_sensible_columns_for_every_value(
    tmp_path: Path, sandbox: Sandbox, depth: int, stream: str
) -> None:
    settings = {"flattening_enabled": True, "flattening_max_depth": depth}
    lines = map(json.loads, run_tap(tmp_path, sandbox, **settings).splitlines())
    messages = [message for message in lines if message.get("stream") == stream]
    schema = next(message["schema"] for message in messages if message["type"] == "SCHEMA")
    columns = schema["properties"]
    # Exactly one column for each field, objects below the depth and arrays as one.
    assert list(columns) == list(flat_names(SCHEMAS[stream], depth))
    # PostgreSQL cuts names at 63 characters; Snowflake, BigQuery and others ignore case.
    assert len({name.lower()[:63] for name in columns}) == len(columns)
    assert not [name for name in columns if not name.isidentifier()]
    kinds = {kind for column in columns.values() for kind in column["type"]}
    assert not kinds & {"object", "array"}
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert records
    assert {name for record in records for name in record} <= columns.keys()
    assert {name for record in records for name in record if record[name]} >= FILLED[stream]


def flat_names(schema: Message, depth: int, above: str = "") -> Iterator[str]:
    for name, field in schema["properties"].items():
        if field.get("properties") and depth:
            yield from flat_names(field, depth - 1, f"{above}{name}__")
        else:
            yield above + name
