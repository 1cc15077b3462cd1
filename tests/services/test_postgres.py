"""PostgreSQL: a real server, a real target and a real Meltano, from the API to SQL."""

from __future__ import annotations

import copy
import os
import signal
import threading
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
import yaml
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from sandbox import Call, Fault, Journal, Sandbox
from tests.support.meltano_project import (
    PIPELINEWISE,
    POSTGRES,
    Project,
    expected,
    key_of,
    pipe,
    stream_of,
    tap_config,
)
from tests.support.pages import blocks
from tests.support.rows import rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.meltano_project import Rows
    from tests.support.postgres import Database


SITES = (101, 202)


def project(
    path: Path, sandbox: Sandbox, database: Database, schema: str, **settings: Any
) -> Project:
    url = database.get_uri(driver="psycopg2")
    config = {
        "sqlalchemy_url": url,
        "default_target_schema": schema,
        "batch_size_rows": 20,
        "hard_delete": False,
    }
    return Project(path, sandbox, POSTGRES, config, site_ids=list(SITES), **settings)


def query(database: Database, statement: str) -> list[Any]:
    with psycopg.connect(database.get_uri()) as connection:
        return connection.execute(statement).fetchall()


def table(database: Database, schema: str, stream: str = "requests") -> Rows:
    """Return the rows as the journal would have them, by key, without the target's own columns."""
    with psycopg.connect(database.get_uri(), row_factory=dict_row) as connection:
        return rows_of(connection.execute(f"select * from {schema}.{stream}").fetchall(), stream)


def test_loads_all_then_what_is_new_or_changed_then_all_again(
    tmp_path: Path, database: Database
) -> None:
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 25), per_day=6, sample=False)
    calls = journal.calls(per_day=2)
    end = "2024-02-20T21"
    first_run = {key: row for key, row in expected(journal).items() if row["date"] < end}
    first_calls = {key: row for key, row in expected(calls).items() if row["timestamp"] < end}
    with Sandbox(journal, calls) as sandbox:
        # The end is the environment's: with it the second run sees five more days.
        pipeline = project(tmp_path, sandbox, database, "loads", start_date="2024-02-01")
        url = database.get_uri(driver="psycopg2")
        pipeline.use_printed_loader("PostgreSQL", sqlalchemy_url=url, default_target_schema="loads")

        pipeline.run(TAP_CALLTOUCH_END_DATE="2024-02-20")
        assert table(database, "loads") == first_run
        assert table(database, "loads", "calls") == first_calls

        old = copy.deepcopy(journal.records(101))
        inside, outside = change_late(journal)
        sandbox.calls.clear()
        pipeline.run(TAP_CALLTOUCH_END_DATE="2024-02-25")
        second_run = expected(journal)
        second_run[key_of(outside, "requests")] = next(
            row
            for key, row in expected(Journal.of(old)).items()
            if key == key_of(outside, "requests")
        )
        assert table(database, "loads") == second_run
        assert table(database, "loads", "calls") == expected(calls)
        assert second_run[key_of(inside, "requests")] != first_run[key_of(inside, "requests")]
        assert first_day(sandbox) == "02/11/2024"

        pipeline.run("--full-refresh", TAP_CALLTOUCH_END_DATE="2024-02-25")
        assert table(database, "loads") == expected(journal)
        assert first_day(sandbox) == "02/01/2024"

    check_sql(database, journal)


def first_day(sandbox: Sandbox) -> str:
    """Return the first day of February that the requests journal was asked for."""
    return min(call.params["dateFrom"] for call in sandbox.calls if call.journal == "requests")


def change_late(journal: Journal) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change a request within the look-back and one before it, as time changes them."""
    records = journal.records(101)
    before = next(row for row in records if row["dateStr"].startswith("19/02/2024"))
    early = records[0]
    order = next(row["orders"][0] for row in records if row["orders"])
    for record in (before, early):
        record |= {
            "status": "SUCCESSFUL",
            "RequestTags": [{"names": ["Ипотека,VIP"], "category": "", "type": "MANUAL"}],
            "orders": [{**order, "orderId": 9_007_199_254_740_993, "sum": "123456789.0001"}],
            "yandexDirect": dict.fromkeys(
                ("campaignId", "adGroupId", "adId", "criteriaId"), 2**63 - 1
            ),
        }
    return before, early


def check_sql(database: Database, journal: Journal) -> None:
    """What a user can ask of the table in SQL."""
    requests = "loads.requests"
    # Two sites share request ids.
    shared = f'select count(*) from {requests} group by "requestId" having count(*) = 2'
    assert query(database, shared)
    (constraint,) = query(
        database,
        "select pg_get_constraintdef(oid) from pg_constraint "
        f"where conrelid = '{requests}'::regclass and contype = 'p'",
    )
    assert constraint == ('PRIMARY KEY ("siteId", "requestId")',)
    types = dict(
        query(
            database,
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'loads'",
        )
    )
    assert types["date"] == "timestamp without time zone"
    assert {types["siteId"], types["requestId"], types["ctClientId"]} == {"bigint"}
    assert {types[name] for name in ("session", "client", "yandexDirect", "attrs")} == {"jsonb"}
    # The instant is in UTC, the vendor's text is Moscow's.
    wrong = (
        f"select 1 from {requests} where date_trunc('second', date) + interval '3 hours' "
        "<> to_timestamp(\"dateStr\", 'DD/MM/YYYY HH24:MI:SS')::timestamp"
    )
    assert query(database, wrong) == []
    big = (
        f"""select count(*) from {requests} where ("yandexDirect" ->> 'adId')::bigint = 2^63 - 1"""
    )
    big = big.replace("2^63 - 1", str(2**63 - 1))
    assert query(database, big) == [(2,)]
    visitors = {row["ctClientId"] for row in journal.records() if row["ctClientId"]}
    assert min(visitors) > 2**53
    found = query(database, f'select distinct "ctClientId" from {requests}')
    assert {visitor for (visitor,) in found if visitor} == visitors
    cities = query(database, f"select count(*) from {requests} where session ->> 'city' = 'Москва'")
    in_moscow = [row for row in journal.records() if (row["session"] or {}).get("city") == "Москва"]
    assert cities == [(len(in_moscow),)]


def test_pipelinewise_target_loads_twice_without_doubling(
    tmp_path: Path, database: Database
) -> None:
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 4), per_day=4, sample=False)
    calls = journal.calls(per_day=4)
    place = conninfo_to_dict(database.get_uri())
    config = {
        "host": place["host"],
        "port": 5432,
        "user": place["user"],
        "password": "any",
        "dbname": place["dbname"],
        "default_target_schema": "pipelinewise",
    }
    with Sandbox(journal, calls) as sandbox:
        settings = tap_config(sandbox, site_ids=list(SITES), end_date="2024-02-04")
        changed = journal.records()[1]
        manager, changed["manager"] = changed["manager"], "Прежний"
        pipe(tmp_path, PIPELINEWISE, config, settings)
        changed["manager"] = manager
        pipe(tmp_path, PIPELINEWISE, config, settings)
    for loaded in (journal, calls):
        # It makes nulls of empty texts.
        wanted = {
            key: {name: value for name, value in row.items() if value != ""}
            for key, row in expected(loaded).items()
        }
        assert table(database, "pipelinewise", stream_of(loaded)) == wanted


def test_goes_on_from_meltanos_state_after_the_tap_is_killed(
    tmp_path: Path, database: Database
) -> None:
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 15), per_day=8, sample=False)

    stalled = threading.Event()

    def is_last(call: Call) -> bool:
        if call.params == call.params | {"siteId": "202", "dateFrom": "02/13/2024"}:
            stalled.set()
        return stalled.is_set()

    with Sandbox(journal) as sandbox:
        pipeline = project(
            tmp_path,
            sandbox,
            database,
            "kill",
            end_date="2024-02-15",
            window_days=3,
            lookback_days=0,
        )
        script = tmp_path / "tap"
        script.write_text(f'#!/bin/sh\necho $$ > pid\nexec {pipeline.tap["executable"]} "$@"\n')
        script.chmod(0o755)
        pipeline.tap["executable"] = str(script)
        pipeline.write()
        # The answer that never comes holds the tap until it is killed.
        sandbox.faults.append(Fault("stall", when=is_last, times=1, seconds=600))
        variables = {"TAP_CALLTOUCH_LOGLEVEL": "DEBUG", "MELTANO_CLI_LOG_LEVEL": "debug"}
        with pipeline.start("run", "tap-calltouch", "target-postgres", **variables) as process:
            assert process.stdout
            complete = "requests, site 202, window 2024-02-10 to 2024-02-12:"
            next(line for line in process.stdout if complete in line)
            assert stalled.wait(60)
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            process.communicate()
        assert process.returncode == 1
        loaded = {key: row for key, row in expected(journal).items() if is_complete(row)}
        assert table(database, "kill") == loaded
        sandbox.calls.clear()
        pipeline.run()
        assert first_day(sandbox) == "02/13/2024"
    assert table(database, "kill") == expected(journal)


def test_deletes_what_the_api_has_no_more(tmp_path: Path, database: Database) -> None:
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 3), per_day=3, sample=False)
    calls = journal.calls(per_day=3)
    with Sandbox(journal, calls) as sandbox:
        pipeline = project(tmp_path, sandbox, database, "deletes", end_date="2024-02-03")
        (block,) = blocks("docs/targets.md", "What Calltouch deleted")
        printed = yaml.safe_load(block.text)
        pipeline.tap["config"] |= printed["config"]
        pipeline.tap["metadata"] = printed["metadata"]
        pipeline.write()
        pipeline.run()
        assert table(database, "deletes") == expected(journal)
        assert table(database, "deletes", "calls") == expected(calls)
        journal.remove(gone := journal.records()[0])
        pipeline.run()
        marked = query(database, "select count(_sdc_deleted_at), count(*) from deletes.requests")
        assert marked == [(1, len(expected(journal)) + 1)]
        key = key_of(gone, "requests")
        assert table(database, "deletes").keys() == expected(journal).keys() | {key}
        pipeline.run(TARGET_POSTGRES_HARD_DELETE="true")
        assert table(database, "deletes") == expected(journal)
        assert table(database, "deletes", "calls") == expected(calls)


def is_complete(row: dict[str, Any]) -> bool:
    """Whether the first run got to the end of the window that holds a request."""
    return bool(row["siteId"] == 101 or row["date"] < "2024-02-12T21")
