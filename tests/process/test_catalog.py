"""The SCHEMA message: what it was when it was last looked at, and as one flat table."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support.meltano_project import SCHEMAS, tap_config
from tests.support.tap import run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator

SNAPSHOT = Path(__file__).parents[1] / "data" / "catalog.json"
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


def config(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    return tap_config(sandbox, site_ids=[101, 202], end_date="2024-02-02", **settings)


def test_the_catalog_is_the_one_that_was_agreed_on(tmp_path: Path, sandbox: Sandbox) -> None:
    """A change of a column changes users' tables: say so in CHANGELOG.md, then in the snapshot.

    The snapshot is what `tap-calltouch --config CONFIG --discover` prints.
    """
    run = run_tap(config(sandbox), tmp_path, arguments=["--discover"])
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stream", FILLED)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_flat_table_has_sensible_columns_for_every_value(
    tmp_path: Path, sandbox: Sandbox, depth: int, stream: str
) -> None:
    flat = config(sandbox, flattening_enabled=True, flattening_max_depth=depth)
    run = run_tap(flat, tmp_path)
    assert run.returncode == 0, run.stderr
    messages = [message for message in run.messages if message.get("stream") == stream]
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
