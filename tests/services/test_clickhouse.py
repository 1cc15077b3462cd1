"""ClickHouse: its engine behind HTTP, a real target and a real Meltano, from the API to SQL."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import clickhouse_connect
import pytest
import yaml
from clickhouse_connect.driver.exceptions import DatabaseError

from sandbox import Journal, Sandbox
from tests.support.clickhouse import clickhouse
from tests.support.meltano_project import (
    CLICKHOUSE,
    SCHEMAS,
    Project,
    expected,
    pipe,
    stream_of,
    tap_config,
)
from tests.support.pages import blocks
from tests.support.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox import CallJournal
    from tests.support.clickhouse import ClickHouse
    from tests.support.meltano_project import Config, Rows


SITES = [101, 202]
LAST_DAY = date(2024, 2, 4)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture
def journals() -> tuple[Journal, CallJournal]:
    """Requests and calls, some without a visitor, a form or a flag."""
    requests = Journal(SITES, date(2024, 2, 1), LAST_DAY, per_day=4, sample=False)
    calls = requests.calls(per_day=4)
    requests.records()[0].update(ctClientId=None, subject=None, uniqueRequest=None)
    calls.records()[0].update(ctClientId=None, subPoolName=None, uniqueCall=None)
    return requests, calls


def kind(field: Config) -> str:
    """Return in one word what a field of the schema is."""
    types = [field["type"]] if isinstance(field["type"], str) else field["type"]
    return str(field.get("format") or next(name for name in types if name != "null"))


def check_columns(server: ClickHouse, database: str, stream: str, types: dict[str, str]) -> None:
    """Compare the columns of a table with what each kind of field should become."""
    described = server.query(f"describe table {database}.{stream}")
    columns = {column["name"]: column["type"] for column in described}
    columns.pop("date_text", None)
    fields = SCHEMAS[stream]["properties"].items()
    assert columns == {
        name.lower(): types[kind(field)] if "null" in field["type"] else types[f"{kind(field)} key"]
        for name, field in fields
    }


def test_the_server_answers_clickhouses_own_client(server: ClickHouse) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, compress=False)
    client.command("create database front")
    client.database = "front"
    client.command("create table texts (id Int64, text Nullable(String)) engine = Memory")
    rows = [(2**63 - 1, "Ж\n\t'\\ format Native\0"), (2, None)]
    client.insert("texts", rows, column_names=["id", "text"])
    assert client.query("select * from texts").result_rows == rows
    found = client.query("select text from texts where id = {id:Int64}", {"id": 2})
    assert found.result_rows == [(None,)]
    instant = datetime(2024, 2, 1, 12, 30, 0, 123000, tzinfo=timezone.utc)
    types = client.query(
        "select now64(3, 'Europe/Moscow') > toDateTime64('2024-02-01 15:30:00.123', 3) as after,"
        " toDateTime64('2024-02-01 15:30:00.123', 3) as instant, toDecimal64('1.5', 4) as amount",
        tz_mode="aware",
    )
    assert types.column_names == ("after", "instant", "amount")
    assert types.result_rows[0][1] == instant
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("select * from absent")
    nulls = "select absent.id from texts left join texts as absent on absent.id = texts.id + 5"
    assert client.query(nulls, settings={"join_use_nulls": 1}).result_rows == [(None,), (None,)]
    assert client.query(nulls).result_rows == [(0,), (0,)]


def test_loads_twice_without_doubling(
    tmp_path: Path, server: ClickHouse, journals: tuple[Journal, CallJournal]
) -> None:
    server.query("create database loads")
    with Sandbox(*journals) as sandbox:
        settings = {"site_ids": SITES, "end_date": str(LAST_DAY)}
        project = Project(tmp_path, sandbox, CLICKHOUSE, {}, **settings)
        project.use_printed_loader("ClickHouse", **server.target("loads"))
        changed = journals[0].records()[1]
        manager, changed["manager"] = changed["manager"], "Прежний"
        project.run()
        changed["manager"] = manager
        project.run()
    for journal in journals:
        stream = stream_of(journal)
        rows = expected(journal)
        (count,) = server.query(f"select count() as rows from loads.{stream}")
        assert count["rows"] == 2 * len(rows)
        found = rows_of(server.query(f"select * from loads.{stream} final"), stream)
        assert found == lossy(rows, stream)
        types = {
            "integer key": "Int64",
            "date-time key": "Nullable(DateTime)",
            "integer": "Int64",
            "string": "String",
            "boolean": "Bool",
            "object": "String",
            "array": "String",
        }
        check_columns(server, "loads", stream, types)
        # The target writes UTC, and the column takes it for the time of the server's zone.
        instant = "date" if stream == "requests" else "timestamp"
        (first,) = server.query(
            f"select toUnixTimestamp(min({instant})) as instant from loads.{stream}"
        )
        right = min(datetime.fromisoformat(row[instant]) for row in lossy(rows, stream).values())
        assert first["instant"] == right.timestamp() - 3 * 3600


def lossy(rows: Rows, stream: str) -> Rows:
    """Return rows as a table has them that the target made itself: no fractions, no nulls."""
    empty: Config = {"integer": 0, "boolean": False, "string": ""}
    changed: Rows = {}
    for key, row in rows.items():
        changed[key] = {}
        for name, field in SCHEMAS[stream]["properties"].items():
            value = row.get(name, empty.get(kind(field)))
            if kind(field) == "date-time":
                value = f"{row[name][:19]}.000+00:00"
            if value is not None:
                changed[key][name] = value
    return changed


def test_a_table_made_beforehand_loses_nothing(
    tmp_path: Path, server: ClickHouse, journals: tuple[Journal, CallJournal]
) -> None:
    server.make_tables("made")
    with Sandbox(*journals) as sandbox:
        settings = tap_config(sandbox, site_ids=SITES, end_date=str(LAST_DAY))
        settings |= yaml.safe_load(blocks("docs/targets.md", "ClickHouse")[1].text)["config"]
        pipe(tmp_path, CLICKHOUSE, server.target("made"), settings)
    types = {
        "integer key": "Int64",
        "date-time key": "DateTime64(3, 'UTC')",
        "integer": "Nullable(Int64)",
        "string": "Nullable(String)",
        "boolean": "Nullable(Bool)",
        "object": "Nullable(String)",
        "array": "Nullable(String)",
    }
    for journal in journals:
        stream = stream_of(journal)
        check_columns(server, "made", stream, types)
        found = server.query(f"select * from made.{stream} final")
        for row in found:
            # Only the fraction is lost, which the text has.
            if text := row.pop("date_text", None):
                assert text[:19].replace("T", " ") == row["date"][:19]
                row["date"] = text
        assert rows_of(found, stream) == expected(journal)
