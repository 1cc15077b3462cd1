"""The settings of docs/speed.md load everything, twice, and update what changed."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date, timezone
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from sandbox import Journal, Sandbox
from tests.support.meltano_project import (
    BIN,
    POSTGRES,
    SCHEMA,
    Project,
    expected,
    tap_config,
    without_nulls,
)
from tests.support.pages import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Database


Row = dict[str, Any]

PAGE = "docs/speed.md"
SITES = (101, 202)
END = "2024-02-20"


@pytest.fixture
def journal() -> Journal:
    return Journal(SITES, date(2024, 2, 1), date(2024, 2, 20), per_day=3, sample=False)


@pytest.fixture
def sandbox(journal: Journal) -> Iterator[Sandbox]:
    with Sandbox(journal) as sandbox:
        yield sandbox


def change(journal: Journal) -> Row:
    """Change a request within the look-back, as time changes them."""
    record = next(row for row in journal.records(202) if row["dateStr"].startswith("18/02/2024"))
    record |= {
        "status": "SUCCESSFUL",
        "RequestTags": [{"names": ["Ипотека,VIP"], "category": "", "type": "MANUAL"}],
    }
    return record


def block(heading: str, language: str) -> str:
    (text,) = [found.text for found in blocks(PAGE, heading) if found.language == language]
    return text


# PostgreSQL.


def flat(row: Row, schema: Row = SCHEMA, depth: int = 2, prefix: str = "") -> Row:
    """Return a row without nulls, with objects of known fields as columns, down to a depth."""
    columns: Row = {}
    for name, value in row.items():
        inner = schema["properties"][name]
        if inner.get("properties") and depth:
            columns |= flat(value, inner, depth - 1, f"{prefix}{name}__")
        else:
            columns[prefix + name] = value
    return columns


def test_fastest_settings_for_postgresql_load_all_and_update(
    tmp_path: Path, journal: Journal, sandbox: Sandbox, database: Database
) -> None:
    for_tap, for_target = (yaml.safe_load(found.text) for found in blocks(PAGE, "PostgreSQL"))
    options = {
        "sqlalchemy_url": database.get_uri(driver="psycopg"),
        "default_target_schema": "fast",
        **for_target["config"],
    }
    project = Project(tmp_path, sandbox, POSTGRES, options, end_date=END, site_ids=list(SITES))
    project.tap["config"] |= for_tap["config"]
    project.write()
    for _ in range(2):
        project.run()
        with psycopg.connect(database.get_uri(), row_factory=dict_row) as connection:
            rows = connection.execute("select * from fast.requests").fetchall()
        assert {key_of(row): comparable(row) for row in rows} == {
            key: flat(row) for key, row in expected(journal).items()
        }
        assert len(rows) == len(expected(journal))
        assert {type(row["RequestTags"]) for row in rows} <= {str, type(None)}
        changed = change(journal)
    with psycopg.connect(database.get_uri()) as connection:
        found = connection.execute(
            """select "RequestTags"::jsonb -> 0 -> 'names' ->> 0 from fast.requests"""
            """ where "siteId" = %s and "requestId" = %s""",
            (changed["siteId"], changed["requestId"]),
        ).fetchone()
    assert found == ("Ипотека,VIP",)


def key_of(row: Row) -> tuple[int, int]:
    return row["siteId"], row["requestId"]


def comparable(row: Row) -> Row:
    """Return a row of the database as `flat` would have it."""
    columns: Row = {}
    for name, value in row.items():
        if name.startswith("_sdc") or value is None:
            continue
        if name == "date" or name.endswith("__dateCreated"):
            instant = value.replace(tzinfo=timezone.utc)
            columns[name] = instant.isoformat(timespec="milliseconds")
        elif isinstance(value, str) and value[:1] in {"[", "{"}:
            columns[name] = without_nulls(json.loads(value))
        else:
            columns[name] = value
    return columns


# DuckDB and Parquet.


def write_files(folder: Path, sandbox: Sandbox) -> None:
    """Run the commands that write BATCH files."""
    config = tap_config(sandbox, end_date=END, site_ids=list(SITES))
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    subprocess.run(
        ["bash", "-e", "-c", block("DuckDB", "sh")],
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )


@pytest.mark.parametrize(
    ("heading", "source"), [("DuckDB", "requests"), ("Parquet", "'requests.parquet'")]
)
def test_duckdb_makes_one_row_of_each_request(
    heading: str,
    source: str,
    tmp_path: Path,
    journal: Journal,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        sandbox.calls.clear()
        write_files(tmp_path, sandbox)
        with duckdb.connect() as database:
            database.execute(block(heading, "sql"))
            columns = 'to_json("RequestTags")::varchar, session.city'
            found = database.execute(
                f'select "siteId", "requestId", status, {columns} from {source}'
            ).fetchall()
        rows = expected(journal)
        assert len(found) == len(rows)
        for site, request, status, tags, city in found:
            row = rows[site, request]
            assert status == row["status"]
            assert without_nulls(json.loads(tags)) == row["RequestTags"]
            assert city == row.get("session", {}).get("city")
        assert len([*(tmp_path / "batches").iterdir()]) == number
        change(journal)
    # The second run went on from the first one's state.
    assert min(call.params["dateFrom"] for call in sandbox.calls) == "02/11/2024"
