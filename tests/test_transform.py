"""The dbt models, on PostgreSQL and on DuckDB, against the journal that was loaded."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sandbox import Journal, Sandbox
from tests.support.meltano_project import BIN, JSONL, POSTGRES, ROOT, pipe, postgres, tap_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.meltano_project import Config, Loader

Rows = list[tuple[Any, ...]]
PLACEHOLDERS = {"", "<не указано>", "<не заполнено>", "(not set)", "(not provided)", "(none)"}
SITES = [101, 202]
DBT = ("build", "--project-dir", "transform", "--profiles-dir", "transform")


def make_journal() -> Journal:
    """A journal with orders of several requests, and with texts that are no sums and no dates."""
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 10), per_day=6, sample=False)
    first, second = [row for row in journal.records(101) if row["orders"]][:2]
    second["orders"].append(first["orders"][0])
    second["orders"].append({"orderId": 1, "sum": "договорная", "sent": "скоро"})
    second["session"]["sessionDate"] = "вчера"
    # The same number in the other site is another order.
    other = next(row for row in journal.records(202) if row["orders"])
    other["orders"][0]["orderId"] = first["orders"][0]["orderId"]
    return journal


def load_twice(
    path: Path, journal: Journal, loader: Loader, config: Config, **environment: str
) -> None:
    """Load the journal, load it again after a change, and build the models."""
    changed = next(row for row in journal.records(202) if row["orders"])
    with Sandbox(journal) as sandbox:
        settings = tap_config(sandbox, site_ids=SITES, end_date="2024-02-10")
        amount, changed["orders"][0]["sum"] = changed["orders"][0]["sum"], "1.0000"
        pipe(path, loader, config, settings)
        changed["orders"][0]["sum"] = amount
        pipe(path, loader, config, settings)
    result = subprocess.run(
        [str(BIN / "dbt"), *DBT, "--target", environment.pop("target")],
        cwd=ROOT,
        env={**os.environ, "DBT_TARGET_PATH": f"{path}", "DBT_LOG_PATH": f"{path}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def on_postgres(path: Path, journal: Journal) -> Iterator[Callable[[str], Rows]]:
    with postgres() as server:
        uri = server.get_uri()
        config = {
            "sqlalchemy_url": server.get_uri(driver="psycopg2"),
            "default_target_schema": "tap_calltouch",
        }
        place = conninfo_to_dict(uri)
        load_twice(
            path,
            journal,
            POSTGRES,
            config,
            target="postgres",
            PGHOST=str(place["host"]),
            PGUSER=str(place["user"]),
            PGDATABASE=str(place["dbname"]),
        )
        with psycopg.connect(uri, options="-c search_path=calltouch") as connection:
            yield lambda query: connection.execute(query).fetchall()


def on_duckdb(path: Path, journal: Journal) -> Iterator[Callable[[str], Rows]]:
    folder, database = path / "files", path / "calltouch.duckdb"
    folder.mkdir()
    load_twice(
        path,
        journal,
        JSONL,
        {"destination_path": str(folder), "do_timestamp_file": False},
        target="duckdb",
        CALLTOUCH_JSONL=str(folder / "requests*.jsonl"),
        CALLTOUCH_DUCKDB=str(database),
    )
    with duckdb.connect(database, read_only=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


@pytest.mark.parametrize("database", [on_postgres, on_duckdb])
def test_dbt_makes_tables_of_what_was_loaded(
    database: Callable[[Path, Journal], Iterator[Callable[[str], Rows]]], tmp_path: Path
) -> None:
    journal = make_journal()
    for query in database(tmp_path, journal):

        def check(
            model: str, columns: str, rows: Rows, query: Callable[[str], Rows] = query
        ) -> None:
            assert rows
            assert Counter(query(f"select {columns} from {model}")) == Counter(rows)

        check_models(journal, check)


def check_models(journal: Journal, check: Callable[[str, str, Rows], None]) -> None:
    requests = [
        (
            row["siteId"],
            row["requestId"],
            moment(row["date"]),
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
    ]
    check(
        "stg_calltouch__requests",
        "site_id, request_id, created_at, created_at_local, subject, visitor_id, session_id, "
        "session_date_text, session_at_local, source, medium, utm_campaign, keywords, city, "
        "yandex_direct_ad_id, google_ads_creative_id",
        requests,
    )
    check(
        "stg_calltouch__request_tags",
        "site_id, request_id, tag, tag_type",
        [
            (row["siteId"], row["requestId"], tag.strip(), group["type"])
            for row in journal.records()
            for group in row["RequestTags"] or []
            for name in group["names"]
            for tag in name.split(",")
        ],
    )
    check(
        "stg_calltouch__request_comments",
        "site_id, request_id, comment_id, comment_text, author",
        parts(journal, "comments", lambda it: (it["commentId"], it["comment"], it["partyName"])),
    )
    check(
        "stg_calltouch__request_orders",
        "site_id, request_id, order_id, created_at, status, amount, sent_on",
        parts(
            journal,
            "orders",
            lambda it: (
                it["orderId"],
                moment(it.get("dateCreated")),
                it.get("status"),
                money(it["sum"]),
                day(it["sent"]),
            ),
        ),
    )
    check(
        "stg_calltouch__request_visits",
        "site_id, request_id, session_id, session_at_local, source, medium, keywords, visitor_id",
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
    check(
        "calltouch__requests_by_day",
        "site_id, day, source, medium, campaign, requests, target_requests, unique_requests, "
        "orders, revenue",
        mart(journal),
    )


def mart(journal: Journal) -> Rows:
    """Count in Python what the mart counts in SQL; an order belongs to its first request."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    seen = set()
    for row in sorted(journal.records(), key=lambda row: (row["siteId"], row["requestId"])):
        session = row["session"] or {}
        traffic = [known(session.get(name)) for name in ("source", "medium", "utmCampaign")]
        created = local(row["dateStr"])
        assert created
        key = (row["siteId"], created.date(), *traffic)
        group = groups.setdefault(key, [0, 0, 0, 0, Decimal(0)])
        group[0] += 1
        group[1] += row["targetRequest"]
        group[2] += row["uniqueRequest"]
        for order in row["orders"]:
            if (row["siteId"], order["orderId"]) not in seen:
                seen.add((row["siteId"], order["orderId"]))
                group[3] += 1
                group[4] += money(order["sum"]) or 0
    return [(*key, *group) for key, group in groups.items()]


def parts(journal: Journal, name: str, values: Callable[[Any], tuple[Any, ...]]) -> Rows:
    """The items of an array, each behind the key of its request."""
    return [
        (row["siteId"], row["requestId"], *values(item))
        for row in journal.records()
        for item in row[name]
    ]


def known(text: str | None) -> str | None:
    return None if text in PLACEHOLDERS else text


def moment(epoch_ms: int | None) -> datetime | None:
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


def money(text: str) -> Decimal | None:
    return Decimal(text) if text[:1].isdigit() else None
