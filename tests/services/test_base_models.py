"""What the base models make of tables and files that hold less, or more, than they usually do."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import duckdb
import psycopg

from tests.support.dbt import dbt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import Database

ONE_JOURNAL = ("--vars", "calltouch_journals: [requests]")


def run(path: Path, *options: str, **environment: str) -> None:
    """Have dbt make the tables of requests."""
    result = dbt(path, "run", *options, *ONE_JOURNAL, **environment)
    assert result.returncode == 0, result.stdout + result.stderr


def test_columns_that_were_not_loaded_are_null(database: Database, tmp_path: Path) -> None:
    client = {"phones": [{"phoneNumber": "79000000142"}]}
    with psycopg.connect(database.get_uri(), options="-c search_path=calltouch") as connection:
        connection.execute("create schema tap_calltouch")
        connection.execute(
            'create table tap_calltouch.requests ("siteId" bigint, "requestId" bigint, '
            '"date" timestamp, "client" text, "session" text)'
        )
        connection.execute(
            "insert into tap_calltouch.requests values (101, 1, '2024-02-01', %s, 'null')",
            [json.dumps(client)],
        )
        connection.commit()
        run(tmp_path, "--target", "postgres", "--select", "staging", **database.variables())
        found = connection.execute(
            "select request_id, subject, is_unique, source from stg_calltouch__requests"
        ).fetchall()
        assert found == [(1, None, None, None)]
        found = connection.execute(
            "select request_id, contact from stg_calltouch__request_contacts"
        ).fetchall()
        assert found == [(1, "79000000142")]
        found = connection.execute("select * from stg_calltouch__request_orders").fetchall()
        assert found == []


def test_the_newest_of_batch_files_counts_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    for name, written, status in [
        ("2024-02-02/tap-calltouch--requests-a-1", 3, "newest folder"),
        ("2024-02-01/tap-calltouch--requests-b-1", 5, "older folder"),
        ("tap-calltouch--requests-c-1", 2, "newest file"),
        ("tap-calltouch--requests-d-1", 1, "older file"),
    ]:
        path = folder / f"{name}.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        number = 1 if status.endswith("folder") else 2
        row = {"siteId": 101, "requestId": number, "date": "2024-02-01", "status": status}
        with gzip.open(path, "wt", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        os.utime(path, (written, written))
    tables = str(tmp_path / "tables.duckdb")
    options = ("--target", "duckdb", "--select", "base_calltouch__requests")
    run(tmp_path, *options, CALLTOUCH_JSONL=str(folder), CALLTOUCH_DUCKDB=tables)
    with duckdb.connect(tables) as connection:
        found = connection.execute(
            'select "requestId", status from base_calltouch__requests order by 1'
        ).fetchall()
    assert found == [(1, "newest folder"), (2, "newest file")]
