"""What the base models make of tables and files that hold less, or more, than they usually do."""

from __future__ import annotations

import gzip
import json
import os
import re
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from tests.support.clickhouse import clickhouse
from tests.support.dbt import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgres import Database

VARIABLES = {"calltouch_journals": ["requests"], "calltouch_personal_data": False}
ONE_JOURNAL = ("--vars", json.dumps(VARIABLES), "--select", "+calltouch__leads")
CLIENT = json.dumps({"phones": [{"phoneNumber": "79000000142"}]})
PAGE = "https://shop.example/order?phone=79000000142#name"
Rows = list[tuple[Any, ...]]


def on_postgres(path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Rows]]:
    database: Database = request.getfixturevalue("database")
    with psycopg.connect(database.get_uri(), options="-c search_path=calltouch") as connection:
        connection.execute("create schema tap_calltouch")
        connection.execute(
            'create table tap_calltouch.requests ("siteId" bigint, "requestId" bigint, '
            '"date" timestamp, "client" text, "session" text, "requestUrl" text)'
        )
        connection.execute(
            "insert into tap_calltouch.requests values (101, 1, '2024-02-01', %s, 'null', %s)",
            [CLIENT, PAGE],
        )
        connection.commit()
        run(path, "--target", "postgres", *ONE_JOURNAL, **database.variables())
        yield lambda query: connection.execute(query).fetchall()


def on_clickhouse(path: Path, _: pytest.FixtureRequest) -> Iterator[Callable[[str], Rows]]:
    with clickhouse(path / "clickhouse") as server:
        server.query("create database tap_calltouch")
        server.query(
            "create table tap_calltouch.requests (siteid Int64, requestid Int64, "
            "date DateTime64(3, 'UTC'), client Nullable(String), session Nullable(String), "
            "requesturl Nullable(String)) engine = ReplacingMergeTree order by (siteid, requestid)"
        )
        server.query(
            "insert into tap_calltouch.requests values "
            f"(101, 1, '2024-02-01 00:00:00', '{CLIENT}', 'null', '{PAGE}')"
        )
        place = {"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": str(server.port)}
        run(path, "--target", "clickhouse", *ONE_JOURNAL, **place)

        def ask(query: str) -> Rows:
            tables = re.sub(r"from (\w+)", r"from calltouch.\1", query)
            return [tuple(row.values()) for row in server.query(tables)]

        yield ask


@pytest.mark.parametrize("tables", [on_postgres, on_clickhouse])
def test_columns_that_were_not_loaded_are_null(
    tables: Callable[[Path, pytest.FixtureRequest], Iterator[Callable[[str], Rows]]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    for ask in tables(tmp_path, request):
        found = ask("select request_id, subject, is_unique, source from stg_calltouch__requests")
        assert found == [(1, None, None, None)]
        found = ask("select request_id, contact from stg_calltouch__request_contacts")
        assert found == [(1, "79000000142")]
        assert ask("select * from stg_calltouch__request_orders") == []
        found = ask("select lead_id, page_url, phone, is_target, visits from calltouch__leads")
        # The numbers and addresses of people are left out, and so are the columns.
        assert found == [(1, "https://shop.example/order", None, None, None)]


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
    options = (*ONE_JOURNAL[:2], "--target", "duckdb", "--select", "base_calltouch__requests")
    run(tmp_path, *options, CALLTOUCH_JSONL=str(folder), CALLTOUCH_DUCKDB=tables)
    with duckdb.connect(tables) as connection:
        found = connection.execute(
            'select "requestId", status from base_calltouch__requests order by 1'
        ).fetchall()
    assert found == [(1, "newest folder"), (2, "newest file")]
