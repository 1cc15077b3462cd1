"""The dbt models, on PostgreSQL, DuckDB and ClickHouse, against the journals that were loaded."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import clickhouse_connect
import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sandbox import Journal, Sandbox
from tests.support.clickhouse import clickhouse
from tests.support.dbt import build, dbt
from tests.support.meltano_project import CLICKHOUSE, JSONL, POSTGRES, pipe, tap_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.journal import CallJournal, Records
    from tests.support.meltano_project import Config, Loader
    from tests.support.postgres import Database


Row = dict[str, Any]
Rows = list[tuple[Any, ...]]
Query = Callable[[str], Rows]
Check = Callable[[str, str, Rows], None]
PLACEHOLDERS = {"", "<не указано>", "<не заполнено>", "(not set)", "(not provided)", "(none)"}
SITES = [101, 202]
CALL_FLAGS = ("with_call_tags", "with_orders", "with_comments", "with_text", "with_callback_info")


class Journals(NamedTuple):
    """What the API has: requests, and calls of the same people."""

    requests: Journal
    calls: CallJournal


def make_journals() -> Journals:
    """Journals with orders of several leads, and with texts that are no sums and no dates."""
    requests = Journal(SITES, date(2024, 2, 1), date(2024, 2, 10), per_day=6, sample=False)
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
    return Journals(requests, calls)


def orders_in(journal: Records) -> set[tuple[int, int]]:
    return {order for row in journal.records() for order in orders_of(row)}


def orders_of(row: Row) -> set[tuple[int, int]]:
    return {(row["siteId"], order["orderId"]) for order in row["orders"]}


def load_twice(path: Path, journals: Journals, loader: Loader, config: Config) -> None:
    """Load the journals, and load them again after a change."""
    changed = next(row for row in journals.requests.records(202) if row["orders"])
    called = journals.calls.records(202)[0]
    flags = dict.fromkeys(CALL_FLAGS, True)
    with Sandbox(journals.requests, journals.calls) as sandbox:
        settings = tap_config(sandbox, site_ids=SITES, end_date="2024-02-10", **flags)
        amount, changed["orders"][0]["sum"] = changed["orders"][0]["sum"], "1.0000"
        manager, called["manager"] = called["manager"], "Прежний"
        pipe(path, loader, config, settings)
        changed["orders"][0]["sum"], called["manager"] = amount, manager
        pipe(path, loader, config, settings)


def on_postgres(path: Path, journals: Journals, database: Database) -> Iterator[Query]:
    uri = database.get_uri()
    config = {
        "sqlalchemy_url": database.get_uri(driver="psycopg2"),
        "default_target_schema": "tap_calltouch",
    }
    load_twice(path, journals, POSTGRES, config)
    place = conninfo_to_dict(uri)
    names = {"PGHOST": "host", "PGUSER": "user", "PGDATABASE": "dbname"}
    environment = {name: str(place[key]) for name, key in names.items()}
    build(path, "--target", "postgres", **environment)
    with psycopg.connect(uri, options="-c search_path=calltouch") as connection:
        yield lambda query: connection.execute(query).fetchall()


def on_duckdb(path: Path, journals: Journals, _: Database) -> Iterator[Query]:
    environment = load_files(path, journals)
    build(path, "--target", "duckdb", **environment)
    with duckdb.connect(environment["CALLTOUCH_DUCKDB"], read_only=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def on_clickhouse(path: Path, journals: Journals, _: Database) -> Iterator[Query]:
    for row in journals.requests.records():
        row["date"] -= row["date"] % 1000  # the target cuts instants to seconds
    with clickhouse(path / "clickhouse") as server:
        server.make_tables("tap_calltouch")
        load_twice(path, journals, CLICKHOUSE, server.target("tap_calltouch"))
        place = {"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": str(server.port)}
        build(path, "--target", "clickhouse", **place)
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=server.port, database="calltouch", compress=False
        )
        with client:
            yield lambda query: [tuple(row) for row in client.query(query).result_rows]
        server.query(
            "insert into tap_calltouch.requests (siteid, requestid, date) values (101, 1, now())"
        )
        check_freshness(path, "--target", "clickhouse", **place)


def check_freshness(path: Path, *options: str, **environment: str) -> None:
    """Have dbt look for the newest leads, where the newest call is old."""
    result = dbt(path, "source", "freshness", *options, **environment)
    assert "PASS freshness of calltouch.requests" in result.stdout, result.stdout
    assert "ERROR STALE freshness of calltouch.calls" in result.stdout


def load_files(path: Path, journals: Journals) -> dict[str, str]:
    """Load the journals into files, and return what dbt needs to find them."""
    folder = path / "files"
    folder.mkdir()
    config = {"destination_path": str(folder), "do_timestamp_file": False}
    load_twice(path, journals, JSONL, config)
    return {"CALLTOUCH_JSONL": str(folder), "CALLTOUCH_DUCKDB": str(path / "calltouch.duckdb")}


@pytest.mark.parametrize("load", [on_postgres, on_duckdb, on_clickhouse])
def test_dbt_makes_tables_of_what_was_loaded(
    load: Callable[[Path, Journals, Database], Iterator[Query]], database: Database, tmp_path: Path
) -> None:
    journals = make_journals()
    for query in load(tmp_path, journals, database):

        def check(model: str, columns: str, rows: Rows, query: Query = query) -> None:
            assert rows
            found = [tuple(map(hashable, row)) for row in query(f"select {columns} from {model}")]
            assert Counter(found) == Counter(rows)

        check_requests(journals.requests, check)
        check_calls(journals.calls, check)
        for kind, journal in (("request", journals.requests), ("call", journals.calls)):
            check_parts(kind, journal, check)
        check_marts(journals, check)


def test_one_journal_alone_makes_tables_and_a_lost_lead_is_found(tmp_path: Path) -> None:
    journals = make_journals()
    environment = load_files(tmp_path, journals)
    for kind, journal in (("requests", journals.requests), ("calls", journals.calls)):
        folder, database = tmp_path / kind, tmp_path / f"{kind}.duckdb"
        folder.mkdir()
        shutil.copy(tmp_path / "files" / f"{kind}.jsonl", folder)
        environment |= {"CALLTOUCH_JSONL": str(folder), "CALLTOUCH_DUCKDB": str(database)}
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


def check_requests(journal: Journal, check: Check) -> None:
    check(
        "stg_calltouch__requests",
        "site_id, request_id, created_at, created_at_local, subject, visitor_id, session_id, "
        "session_date_text, session_at_local, source, medium, utm_campaign, keywords, city, "
        "yandex_direct_ad_id, google_ads_creative_id",
        [
            (
                row["siteId"],
                row["requestId"],
                instant(row["date"]),
                local(row["dateStr"]),
                known(row["subject"]),
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
        "session_id, source, medium, utm_campaign, keywords, city, yandex_client_id, "
        "google_client_id, yandex_direct_ad_id, google_ads_creative_id, callback_request_id",
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


class Lead(NamedTuple):
    """What the mart says of a lead; its orders are added to it."""

    row: Row
    kind: str
    created: datetime
    traffic: tuple[str | None, ...]
    target: bool
    unique: bool
    orders: list[Decimal | None]

    @property
    def revenue(self) -> Decimal:
        return sum((amount or Decimal(0) for amount in self.orders), Decimal(0))


def check_marts(journals: Journals, check: Check) -> None:
    leads = leads_of(journals)
    check(
        "calltouch__leads",
        "lead_type, site_id, lead_id, created_at_local, source, medium, utm_campaign, is_target, "
        "is_unique, visitor_id, session_id, tags, visits, first_source, first_medium, "
        "last_source, last_medium, orders, revenue",
        [
            (
                lead.kind,
                *key(lead.row),
                lead.created,
                *lead.traffic,
                lead.target,
                lead.unique,
                lead.row["ctClientId"],
                (lead.row.get("session") or lead.row).get("sessionId"),
                tuple(sorted({tag for tag, _ in tags(lead.row)})) or None,
                *visits_of(lead),
                len(lead.orders),
                lead.revenue,
            )
            for lead in leads
        ],
    )
    groups: dict[tuple[Any, ...], list[Lead]] = {}
    for lead in leads:
        place = (lead.row["siteId"], lead.created.date(), *lead.traffic)
        groups.setdefault(place, []).append(lead)
    measures: list[tuple[str, Callable[[list[Lead]], Any]]] = [
        ("{}s", len),
        ("target_{}s", lambda leads: sum(lead.target for lead in leads)),
        ("unique_{}s", lambda leads: sum(lead.unique for lead in leads)),
        ("{}_orders", lambda leads: sum(len(lead.orders) for lead in leads)),
        ("{}_revenue", lambda leads: sum((lead.revenue for lead in leads), Decimal(0))),
    ]
    kinds = {"call": ["call"], "request": ["request"], "lead": ["call", "request"]}
    columns = [name.format(kind).replace("lead_", "") for name, _ in measures for kind in kinds]
    check(
        "calltouch__leads_by_day",
        ", ".join(["site_id, day, source, medium, campaign", *columns]),
        [
            (
                *place,
                *(
                    count([lead for lead in group if lead.kind in some])
                    for _, count in measures
                    for some in kinds.values()
                ),
            )
            for place, group in groups.items()
        ],
    )


def leads_of(journals: Journals) -> list[Lead]:
    """Read the leads in Python as the mart does in SQL; an order belongs to its first lead."""
    leads = []
    for row in journals.requests.records():
        session = row["session"] or {}
        traffic = tuple(known(session.get(name)) for name in ("source", "medium", "utmCampaign"))
        flags = row["targetRequest"], row["uniqueRequest"]
        leads.append(Lead(row, "request", moscow(row["date"]), traffic, *flags, []))
    for row in journals.calls.records():
        traffic = tuple(known(row[name]) for name in ("source", "medium", "utmCampaign"))
        flags = row["targetCall"], row["uniqueCall"]
        leads.append(Lead(row, "call", moscow(row["timestamp"] * 1000), traffic, *flags, []))
    leads.sort(key=lambda lead: (lead.created, lead.kind, key(lead.row)))
    first: dict[tuple[int, int], tuple[Lead, list[Decimal | None]]] = {}
    for lead in leads:
        for order in lead.row["orders"]:
            place = first.setdefault((lead.row["siteId"], order["orderId"]), (lead, []))
            place[1].append(money(order["sum"] if "sum" in order else order["plannedAmount"]))
    for lead, amounts in first.values():
        known_amounts = [amount for amount in amounts if amount is not None]
        lead.orders.append(
            amounts[0] if amounts[0] is not None else max(known_amounts, default=None)
        )
    return leads


def visits_of(lead: Lead) -> tuple[Any, ...]:
    visits = [
        visit
        for visit in lead.row["mapVisits"]
        if (made := local(visit["sessionDate"])) is None or made.date() <= lead.created.date()
    ]
    if not visits:
        return (0, None, None, None, None)
    ends = (visits[0], visits[-1])
    return (len(visits), *(known(end[name]) for end in ends for name in ("source", "medium")))


def tags(row: Row) -> list[tuple[str, str]]:
    return [
        (tag.strip(), group["type"])
        for group in row.get("RequestTags", row.get("callTags")) or []
        for name in group["names"]
        for tag in name.split(",")
    ]


def key(row: Row) -> tuple[int, int]:
    return row["siteId"], row.get("requestId") or row["callId"]


def parts(journal: Records, name: str, values: Callable[[Any], tuple[Any, ...]]) -> Rows:
    """The items of an array, each behind the key of its request or call."""
    return [(*key(row), *values(item)) for row in journal.records() for item in row[name] or []]


def hashable(value: Any) -> Any:
    # In ClickHouse a list is never null.
    return tuple(value) or None if isinstance(value, list) else value


def moscow(epoch_ms: int) -> datetime:
    found = instant(epoch_ms)
    assert found
    return found + timedelta(hours=3)


def known(text: str | None) -> str | None:
    return None if text in PLACEHOLDERS else text


def instant(epoch_ms: int | None) -> datetime | None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc).replace(tzinfo=None)
    return None if epoch_ms is None else epoch + timedelta(milliseconds=epoch_ms)


def local(text: str | None) -> datetime | None:
    return read(text, "%d/%m/%Y %H:%M:%S")


def day(text: str) -> date | None:
    found = read(text, "%d.%m.%Y")
    return found and found.date()


def read(text: str | None, form: str) -> datetime | None:
    try:
        return datetime.strptime(text or "", form)  # noqa: DTZ007 - a wall time
    except ValueError:
        return None


def money(text: str | None) -> Decimal | None:
    return Decimal(text) if text and text[0].isdigit() else None
