"""The settings of docs/speed.md load everything, twice, and update what changed; the marts too."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from datetime import date, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from sandbox import Journal, Sandbox
from tests.support.dbt import run
from tests.support.meltano_project import (
    BIN,
    JSONL,
    POSTGRES,
    ROOT,
    SCHEMA,
    expected,
    pipe,
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


def flat(row: Row, depth: int, schema: Row = SCHEMA, prefix: str = "") -> Row:
    """Return a row without nulls, with objects of known fields as columns, down to a depth."""
    columns: Row = {}
    for name, value in row.items():
        inner = schema["properties"][name]
        if inner.get("properties") and depth:
            columns |= flat(value, depth - 1, inner, f"{prefix}{name}__")
        else:
            columns[prefix + name] = value
    return columns


@pytest.mark.parametrize(("heading", "depth"), [("PostgreSQL", 0), ("PostgreSQL, flat", 2)])
def test_fastest_settings_for_postgresql_load_all_and_update(
    heading: str,
    depth: int,
    tmp_path: Path,
    journal: Journal,
    sandbox: Sandbox,
    database: Database,
) -> None:
    options = {
        "sqlalchemy_url": database.get_uri(driver="psycopg"),
        "default_target_schema": "fast",
        **settings("PostgreSQL", 1),
    }
    tap = tap_config(sandbox, end_date=END, site_ids=list(SITES)) | settings(heading)
    for _ in range(2):
        pipe(tmp_path, POSTGRES, options, tap)
        with psycopg.connect(database.get_uri(), row_factory=dict_row) as connection:
            rows = connection.execute("select * from fast.requests").fetchall()
        assert {key_of(row): comparable(row) for row in rows} == {
            key: flat(row, depth) for key, row in expected(journal).items()
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


def settings(heading: str, number: int = 0) -> Row:
    """Return the settings in a block below a heading."""
    config: Row = yaml.safe_load(blocks(PAGE, heading)[number].text)["config"]
    return config


def key_of(row: Row) -> tuple[int, int]:
    return row["siteId"], row["requestId"]


def comparable(row: Row) -> Row:
    """Return a row of the database as `flat` would have it."""
    columns: Row = {}
    for name, value in row.items():
        if name.startswith("_sdc") or value in {None, "null"}:
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


# The marts.


def test_marts_are_equal_by_every_way(tmp_path: Path, database: Database) -> None:
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 20), per_day=3, sample=False)
    calls = journal.calls(per_day=3)
    batches, files = tmp_path / "batches", tmp_path / "files"
    files.mkdir()
    postgres = {"sqlalchemy_url": database.get_uri(driver="psycopg")}
    texts = settings("PostgreSQL", 1)
    with Sandbox(journal, calls) as sandbox:
        config = tap_config(sandbox, end_date=END, site_ids=list(SITES))
        as_texts = config | settings("PostgreSQL")
        fast = {**postgres, "default_target_schema": "texts", **texts}
        for is_changed in (False, True):
            if is_changed:
                change(journal)
                calls.records(101)[-1]["manager"] = "Новый"
            pipe(tmp_path, POSTGRES, fast, as_texts)
            write_files(tmp_path, sandbox)
        pipe(tmp_path, POSTGRES, {**postgres, "default_target_schema": "plain"}, config)
        pipe(tmp_path, JSONL, {"destination_path": str(files), "do_timestamp_file": False}, config)

    ways = {}
    for schema in ("plain", "texts"):
        marts = f"marts_{schema}"
        options = ("--target", "postgres", "--vars", f"calltouch_schema: {schema}")
        run(tmp_path, *options, CALLTOUCH_DBT_SCHEMA=marts, **database.variables())
        with psycopg.connect(database.get_uri(), options=f"-c search_path={marts}") as connection:
            ways[schema] = {mart: read(connection, mart) for mart in MARTS}
    for folder in (files, batches):
        path = f"{folder}.duckdb"
        environment = {"CALLTOUCH_JSONL": str(folder), "CALLTOUCH_DUCKDB": path}
        run(tmp_path, "--target", "duckdb", **environment)
        with duckdb.connect(path, read_only=True) as tables:
            ways[folder.name] = {mart: read(tables, mart) for mart in MARTS}

    first, *others = ways.values()
    assert first["calltouch__leads"].total() == len(journal.records()) + len(calls.records())
    for way in others:
        assert way == first


MARTS = [path.stem for path in (ROOT / "transform" / "models" / "marts").glob("*.sql")]


def read(connection: Any, mart: str) -> Counter[tuple[Any, ...]]:
    """Return how often each row stands in a mart."""
    rows = connection.execute(f"select * from {mart}").fetchall()
    return Counter(tuple(map(comparable_value, row)) for row in rows)


def comparable_value(value: Any) -> Any:
    """Return a value as every database has it."""
    if isinstance(value, list):
        return tuple(sorted(value))
    return round(float(value), 4) if isinstance(value, (Decimal, float)) else value
