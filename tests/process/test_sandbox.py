"""The sandbox against the vendor's page: what it promises, over real HTTP."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
import trustme

from sandbox import Fault, Journal, Sandbox
from sandbox.request_generator import requests_of_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Record = dict[str, Any]

FLAGS = {
    "withMapVisits": "mapVisits",
    "withRequestTags": "RequestTags",
    "withYandexDirect": "yandexDirect",
    "withGoogleAdwords": "googleAdWords",
    "withAttrs": "attrs",
    "withWidgetInfo": "widgetInfo",
    "withCustomFields": "customFields",
    "withDcm": "dcm",
}
ALL_FLAGS = dict.fromkeys(FLAGS, "true")
FORTNIGHT = {"dateFrom": "02/05/2024", "dateTo": "02/18/2024"}
MARCH_8 = {"dateFrom": "03/08/2024", "dateTo": "03/08/2024"}
ERROR_500 = {
    "errorCode": "500",
    "message": "При обработке вашего запроса произошла ошибка. "
    "Обратитесь в службу технической поддержки.",
}
MOSCOW = timezone(timedelta(hours=3))


def ask(
    sandbox: Sandbox,
    params: dict[str, str] | None = None,
    path: str = "/requests",
    timeout: float = 60,
    **options: Any,
) -> requests.Response:
    query = {"clientApiId": sandbox.token, **(MARCH_8 if params is None else params)}
    options = {"allow_redirects": False, **options}
    return requests.get(sandbox.url + path, params=query, timeout=timeout, **options)


def rows(sandbox: Sandbox, params: dict[str, str], path: str = "/requests") -> list[Record]:
    answer = ask(sandbox, params, path)
    assert answer.status_code == 200, answer.text
    found: list[Record] = answer.json()
    return found


def keys(records: list[Record]) -> list[tuple[Any, Any]]:
    return sorted((record["siteId"], record["requestId"]) for record in records)


def moscow(record: Record) -> datetime:
    return datetime.fromtimestamp(record["date"] / 1000, MOSCOW).replace(tzinfo=None)


def session_date(record: Record) -> datetime:
    return datetime.strptime(  # noqa: DTZ007  (both sides are Moscow)
        record["session"]["sessionDate"], "%d/%m/%Y %H:%M:%S"
    )


def fortnight(journal: Journal) -> list[Record]:
    days = [date(2024, 2, day) for day in range(5, 19)]
    return [record for record in journal.records() if moscow(record).date() in days]


@pytest.fixture(scope="module")
def journal() -> Journal:
    return Journal()


@pytest.fixture(scope="module")
def sandbox(journal: Journal) -> Iterator[Sandbox]:
    with Sandbox(journal, per_second=math.inf) as running:
        yield running


@pytest.fixture
def small() -> Iterator[Sandbox]:
    """One site, one week, and a limit of calls that no test meets by chance."""
    week = Journal((101,), date(2024, 3, 4), date(2024, 3, 10))
    with Sandbox(week, per_second=math.inf) as running:
        yield running


# The period


@pytest.mark.parametrize(
    ("params", "first", "last"),
    [
        ({"dateFrom": "02/10/2024", "dateTo": "02/10/2024"}, "2024-02-10", "2024-02-11"),
        ({"dateFrom": "02/10/2024", "dateTo": "02/12/2024"}, "2024-02-10", "2024-02-13"),
        ({**MARCH_8, "timeFrom": "10:00:00"}, "2024-03-08T10:00", "2024-03-09"),
        ({**MARCH_8, "timeTo": "11:59:59"}, "2024-03-08", "2024-03-08T12:00"),
        (
            {
                "dateFrom": "03/08/2024",
                "dateTo": "03/10/2024",
                "timeFrom": "12:00:00",
                "timeTo": "09:30:00",
            },
            "2024-03-08T12:00",
            "2024-03-10T09:30:01",
        ),
        ({"dateFrom": "05/01/2030", "dateTo": "12/31/9999"}, "2030-05-01", "9999-12-31"),
    ],
)
def test_the_period_includes_both_its_edges(
    sandbox: Sandbox, journal: Journal, params: dict[str, str], first: str, last: str
) -> None:
    low, high = datetime.fromisoformat(first), datetime.fromisoformat(last)
    expected = [record for record in journal.records() if low <= moscow(record) < high]
    assert keys(rows(sandbox, params)) == keys(expected)


def test_a_last_second_is_whole() -> None:
    instant = datetime(2024, 3, 8, 10, 30, 15, tzinfo=MOSCOW).timestamp() * 1000
    times = {n: int(instant) + n for n in (-1, 0, 999, 1000)}
    exact = [{"siteId": 1, "requestId": n, "date": at} for n, at in times.items()]
    with Sandbox(Journal.of(exact)) as sandbox:
        second = {**MARCH_8, "timeFrom": "10:30:15", "timeTo": "10:30:15"}
        assert keys(rows(sandbox, second)) == [(1, 0), (1, 999)]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dateFrom": "03/08/2024"},
        {"dateTo": "03/08/2024"},
        {"dateFrom": "28/03/2024", "dateTo": "29/03/2024"},
        {"dateFrom": "2024-03-08", "dateTo": "2024-03-08"},
        {"dateFrom": "3/8/2024", "dateTo": "3/8/2024"},
        {"dateFrom": "03/09/2024", "dateTo": "03/08/2024"},
        {**MARCH_8, "timeFrom": "9:00:00"},
        {**MARCH_8, "timeTo": "24:00:00"},
        {**MARCH_8, "bindTo": "visit"},
        {**MARCH_8, "ani.value": "7", "ani.filterMode": "startswith"},
        {**MARCH_8, "email.value": "a", "email.filterMode": "CONTAINS"},
    ],
)
def test_nonsense_is_the_real_error(sandbox: Sandbox, params: dict[str, str]) -> None:
    answer = ask(sandbox, params)
    assert (answer.status_code, answer.json()) == (500, ERROR_500)


def test_bind_to_session_goes_by_the_date_of_the_session(
    sandbox: Sandbox, journal: Journal
) -> None:
    week = {"dateFrom": "02/12/2024", "dateTo": "02/18/2024", "timeTo": "17:59:59"}
    expected = [
        record
        for record in journal.records()
        if record["session"]
        and "sessionDate" in record["session"]
        and datetime(2024, 2, 12) <= session_date(record) < datetime(2024, 2, 18, 18)  # noqa: DTZ001
    ]
    found = rows(sandbox, {**week, "bindTo": "session"})
    assert keys(found) == keys(expected)
    assert any(moscow(record) - session_date(record) > timedelta(days=10) for record in found)
    by_request = rows(sandbox, {**week, "bindTo": "request"})
    assert keys(by_request) == keys(rows(sandbox, week)) != keys(found)


# The filters


@pytest.mark.parametrize(
    ("params", "test"),
    [
        ({"subject": "Заявка на"}, lambda r: r["subject"].startswith("Заявка на")),
        ({"subject": "на звонок"}, None),
        ({"keywords": "квартиру"}, lambda r: "квартиру" in r["session"]["keywords"]),
        ({"city": "Санкт-Петербург"}, lambda r: r["session"]["city"] == "Санкт-Петербург"),
        ({"city": "Санкт"}, None),
        ({"source": "google"}, lambda r: r["session"]["source"] == "google"),
        ({"source": "goo"}, None),
        ({"medium": "(none)"}, lambda r: r["session"]["medium"] == "(none)"),
        ({"medium": "none"}, None),
        ({"manager": "Вася"}, lambda r: r["manager"] == "Вася"),
        ({"manager": "Вас"}, None),
        (
            {"source": "yandex", "medium": "cpc"},
            lambda r: (r["session"]["source"], r["session"]["medium"]) == ("yandex", "cpc"),
        ),
    ],
)
def test_filters(
    sandbox: Sandbox,
    journal: Journal,
    params: dict[str, str],
    test: Callable[[Record], bool] | None,
) -> None:
    """A filter without a test is one that must find nothing."""
    session = {"keywords": "", "city": "", "source": "", "medium": ""}
    expected = [
        record
        for record in fortnight(journal)
        if test and test({**record, "session": record["session"] or session})
    ]
    assert bool(expected) is bool(test)
    assert keys(rows(sandbox, {**FORTNIGHT, **params})) == keys(expected)


@pytest.mark.parametrize("mode", ["startwith", "contains", "exact", None])
@pytest.mark.parametrize("name", ["ani", "email"])
def test_filter_modes(sandbox: Sandbox, journal: Journal, name: str, mode: str | None) -> None:
    def value(record: Record) -> str:
        client = record["client"]
        if name == "ani":
            return str(client["phones"][0]["phoneNumber"]) if client["phones"] else ""
        return str(client["contacts"][0]["contactValue"]) if client["contacts"] else ""

    recent = fortnight(journal)
    whole = next(value(record) for record in recent if value(record))
    wanted = {"startwith": whole[:5], "contains": whole[2:6]}.get(str(mode), whole)
    tests: dict[str, Callable[[str], bool]] = {
        "startwith": lambda text: text.startswith(wanted),
        "contains": lambda text: wanted in text,
        "exact": lambda text: text == wanted,
    }
    test = tests[mode or "exact"]
    expected = [record for record in recent if test(value(record))]
    params = {**FORTNIGHT, f"{name}.value": wanted} | ({f"{name}.filterMode": mode} if mode else {})
    assert expected
    assert keys(rows(sandbox, params)) == keys(expected)


def test_a_part_of_a_value_is_not_exact(sandbox: Sandbox) -> None:
    assert rows(sandbox, {**FORTNIGHT, "ani.value": "79"}) == []


# The sites and the token


def test_a_site_has_its_own_requests(sandbox: Sandbox, journal: Journal) -> None:
    both = rows(sandbox, MARCH_8)
    first, second = (rows(sandbox, {**MARCH_8, "siteId": site}) for site in ("101", "202"))
    assert keys(both) == keys(first + second)
    assert {record["siteId"] for record in first} == {101}
    ids = [{record["requestId"] for record in journal.records(site)} for site in (101, 202)]
    assert ids[0] & ids[1]
    assert ids[0] ^ ids[1]


@pytest.mark.parametrize("change", [{"clientApiId": "wrong"}, {"clientApiId": ""}, {"siteId": "7"}])
def test_a_wrong_token_or_site_is_refused(sandbox: Sandbox, change: dict[str, str]) -> None:
    answer = ask(sandbox, {**MARCH_8, **change})
    assert answer.status_code == 403
    assert set(answer.json()) == {"message"}


def test_a_newer_api_demands_the_site(small: Sandbox) -> None:
    small.site_required = True
    assert ask(small).status_code == 400
    assert rows(small, {**MARCH_8, "siteId": "101"})


def test_an_api_may_ignore_the_site(journal: Journal) -> None:
    with Sandbox(journal, ignore_site=True) as sandbox:
        found = rows(sandbox, {**MARCH_8, "siteId": "101"})
    assert {record["siteId"] for record in found} == {101, 202}


# What an answer holds


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_asks_for_its_object_alone(sandbox: Sandbox, journal: Journal, flag: str) -> None:
    full = {(r["siteId"], r["requestId"]): r for r in journal.records()}
    found = rows(sandbox, {**FORTNIGHT, flag: "true"})
    own = FLAGS[flag]
    for record in found:
        assert record[own] == full[record["siteId"], record["requestId"]][own]
        assert all(record[key] is None for key in FLAGS.values() if key != own)
    assert any(record[own] for record in found)


@pytest.mark.parametrize("value", ["True", "1"])
def test_other_ways_to_set_a_flag_count_too(sandbox: Sandbox, value: str) -> None:
    expected = rows(sandbox, {**FORTNIGHT, **ALL_FLAGS})
    assert rows(sandbox, {**FORTNIGHT, **dict.fromkeys(FLAGS, value)}) == expected


@pytest.mark.parametrize("value", ["false", "False", "0", "TRUE", "", None])
def test_without_its_flag_an_object_is_null(sandbox: Sandbox, value: str | None) -> None:
    flags = {} if value is None else dict.fromkeys(FLAGS, value)
    for record in rows(sandbox, {**FORTNIGHT, **flags}):
        assert all(record[key] is None for key in FLAGS.values())
        sessions = [record, *record["orders"], record["order"] or {}]
        assert all((part.get("session") or {}).get("attrs") is None for part in sessions)


def test_with_every_flag_the_requests_are_those_of_the_journal(
    sandbox: Sandbox, journal: Journal
) -> None:
    expected = [record for record in journal.records(202) if moscow(record).month == 3]
    found = rows(sandbox, {"dateFrom": "03/01/2024", **ALL_FLAGS, "dateTo": "03/31/2024"})
    mine = [record for record in found if record["siteId"] == 202]
    assert sorted(mine, key=lambda r: (r["date"], r["requestId"])) == expected


def test_the_vendors_sample(sandbox: Sandbox) -> None:
    period = {"dateFrom": "03/28/2019", "dateTo": "04/04/2019"}
    (record,) = rows(sandbox, {**period, **ALL_FLAGS}, "/requests/")
    assert (record["requestId"], record["requestNumber"], record["siteId"]) == (
        145507,
        "145507",
        101,
    )
    assert record["dateStr"] == f"{moscow(record):%d/%m/%Y %H:%M:%S}" == "04/04/2019 15:50:59"
    assert record["comments"][0]["comment"] == "Колин комментарий"
    assert [visit["sessionId"] for visit in record["mapVisits"]] == [15952760, 16441053]
    assert record["widgetInfo"]["fields"][0] == {"name": "Имя", "value": "Андрей"}
    assert record["orders"] == [record["order"]]
    assert all(record[key] for key in FLAGS.values())


def test_the_answer_is_a_bare_array_of_plain_utf_8(small: Sandbox) -> None:
    answer = ask(small)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.text[0] + answer.text[-1] == "[]"
    assert "Заявка" in answer.content.decode("utf-8")
    plain = ask(small, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == answer.content
    small.gzip = False
    assert "Content-Encoding" not in ask(small).headers


def test_a_lone_surrogate_can_be_served() -> None:
    at = int(datetime(2024, 3, 8, 12, tzinfo=MOSCOW).timestamp() * 1000)
    with Sandbox(Journal.of([{"date": at, "subject": "\ud83d"}])) as sandbox:
        assert (
            ask(sandbox).content
            == b'[{"date":%d,"subject":"\\ud83d",' % at
            + b",".join(b'"%s":null' % key.encode() for key in FLAGS.values())
            + b"}]"
        )


# One request


def test_one_request_takes_the_token_alone(sandbox: Sandbox) -> None:
    answer = ask(sandbox, ALL_FLAGS, "/requests/145507")
    record = answer.json()
    assert record["requestId"] == 145507
    assert all(record[key] is None for key in FLAGS.values())
    assert ask(sandbox, {"clientApiId": "wrong"}, "/requests/145507").status_code == 403


def test_one_request_by_an_external_number(sandbox: Sandbox, journal: Journal) -> None:
    numbers = [r["requestNumber"] for r in journal.records() if not r["requestNumber"].isdecimal()]
    assert any("/" in number for number in numbers)
    assert any(" " in number for number in numbers)
    for number in numbers[:20]:
        assert ask(sandbox, {}, "/requests/" + quote(number, "")).json()["requestNumber"] == number


def test_an_unknown_request(sandbox: Sandbox) -> None:
    answer = ask(sandbox, {}, "/requests/nowhere")
    assert answer.status_code == 404
    assert set(answer.json()) == {"message"}


def test_one_request_may_come_as_an_array(small: Sandbox) -> None:
    small.single_as_array = True
    assert [r["requestId"] for r in ask(small, {}, "/requests/145507").json()] == [145507]


# Other paths and methods


def test_an_unknown_path_leads_to_an_html_page(sandbox: Sandbox) -> None:
    answer = ask(sandbox, {}, "/requestz")
    assert answer.status_code == 302
    page = ask(sandbox, {}, "/requestz", allow_redirects=True)
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_only_get(sandbox: Sandbox, method: str) -> None:
    with requests.Session() as session:
        for _ in range(2):
            answer = session.request(method, f"{sandbox.url}/requests", data="x", timeout=60)
            assert answer.status_code == 405


# Limits


def test_the_sixth_call_in_a_second_is_rejected(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("sandbox.server.time", clock)
    with Sandbox(journal) as sandbox, ThreadPoolExecutor(11) as pool:
        statuses = list(pool.map(lambda _: ask(sandbox).status_code, range(11)))
        assert sorted(statuses) == [200] * 5 + [429] * 6
        assert sandbox.rejected == 6
        clock.now = 1.01
        assert ask(sandbox).status_code == 200


def test_points_are_charged_for_successful_calls_only(small: Sandbox) -> None:
    small.points = 2
    assert ask(small, {}).status_code == 500
    assert ask(small, {}, "/requests/nowhere").status_code == 404
    assert ask(small, {}, "/requests/145507").status_code == 200
    assert ask(small).status_code == 200
    assert small.points == 0
    answer = ask(small)
    assert answer.status_code == 403
    assert answer.json() == {"message": "Исчерпан суточный лимит баллов API"}
    small.points = None
    assert ask(small).status_code == 200


def test_an_answer_of_too_many_rows_fails(small: Sandbox) -> None:
    count = len(rows(small, MARCH_8))
    small.row_limit = count
    assert ask(small).status_code == 200
    small.row_limit = count - 1
    assert (ask(small).status_code, ask(small).json()) == (500, ERROR_500)


def test_an_answer_may_be_capped_without_a_word(small: Sandbox) -> None:
    everything = rows(small, MARCH_8)
    small.row_cap = 5
    capped = rows(small, MARCH_8)
    assert len(capped) == 5
    assert {*keys(capped)} < {*keys(everything)}
    small.row_cap = len(everything)
    assert rows(small, MARCH_8) == everything


def test_an_api_may_ignore_the_dates(journal: Journal) -> None:
    with Sandbox(journal, ignore_dates=True) as sandbox:
        for params in (MARCH_8, {**MARCH_8, "bindTo": "session"}):
            assert keys(rows(sandbox, params)) == keys(journal.records())


def test_dates_may_come_in_seconds(small: Sandbox) -> None:
    honest = rows(small, MARCH_8)

    def in_seconds(found: list[Record]) -> list[Record]:
        return [{**record, "date": record["date"] // 1000} for record in found]

    small.faults.append(Fault("change", apply=in_seconds))
    assert rows(small, MARCH_8) == in_seconds(honest)


def test_later_requests_do_not_exist_yet(small: Sandbox) -> None:
    noon = datetime(2024, 3, 8, 12, tzinfo=MOSCOW)
    everything = rows(small, MARCH_8)
    small.now = noon
    assert 0 < len(rows(small, MARCH_8)) < len(everything)
    small.now = lambda: noon - timedelta(days=1)
    assert rows(small, MARCH_8) == []


def test_the_ids_of_ads_come_the_next_day(small: Sandbox) -> None:
    wanted = {**MARCH_8, "withYandexDirect": "true", "withGoogleAdwords": "true"}
    evening = datetime(2024, 3, 8, 23, 59, 59, tzinfo=MOSCOW)
    small.ads_come_later = True
    assert any(row["yandexDirect"] or row["googleAdWords"] for row in rows(small, wanted))
    small.now = evening
    assert not any(row["yandexDirect"] or row["googleAdWords"] for row in rows(small, wanted))
    small.now = evening + timedelta(seconds=1)
    assert any(row["yandexDirect"] or row["googleAdWords"] for row in rows(small, wanted))


@pytest.mark.parametrize(
    ("date_header", "expected"),
    [
        (None, None),
        ("yesterday", "yesterday"),
        (datetime(2024, 3, 8, 15, tzinfo=MOSCOW), "Fri, 08 Mar 2024 12:00:00 GMT"),
    ],
)
def test_answers_have_the_date_that_they_are_told(
    small: Sandbox, date_header: datetime | str | None, expected: str | None
) -> None:
    small.date_header = date_header
    small.faults.append(Fault("status", times=1))
    assert [ask(small).headers.get("Date") for _ in range(2)] == [expected, expected]


def test_the_date_may_be_shifted(small: Sandbox) -> None:
    small.date_header = timedelta(days=-30)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    stated = parsedate_to_datetime(ask(small).headers["Date"])
    assert before <= stated + timedelta(days=30) <= datetime.now(timezone.utc)


def test_the_server_may_speak_tls(journal: Journal, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    before = set(threading.enumerate())
    with Sandbox(journal, tls=tls, per_second=math.inf) as sandbox, requests.Session() as session:
        address = ("127.0.0.1", int(sandbox.url.split(":")[2].split("/")[0]))
        with socket.create_connection(address):  # that says nothing must not hold up the others
            with pytest.raises(requests.exceptions.SSLError):
                ask(sandbox)
            query = {"clientApiId": sandbox.token, **MARCH_8}
            trusting: dict[str, Any] = {"timeout": 10, "verify": str(bundle)}
            for _ in range(2):
                answer = session.get(f"{sandbox.url}/requests", params=query, **trusting)
                assert answer.json()
            sandbox.faults.append(Fault("reset_body", times=1))
            with pytest.raises(BROKEN):
                session.get(f"{sandbox.url}/requests", params=query, **trusting)
    assert set(threading.enumerate()) <= before


def test_calls_are_recorded(small: Sandbox) -> None:
    small.latency = 0.1
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ask(small, headers={"User-Agent": "me"}), range(3)))
    assert sorted(call.concurrent for call in small.calls) == [1, 2, 3]
    call = small.calls[0]
    assert call.path == "/calls-service/RestAPI/requests"
    assert call.params == {"clientApiId": small.token, **MARCH_8}
    assert call.headers["user-agent"] == "me"
    assert (call.status, call.rows) == (200, len(ask(small).json()))
    assert small.calls[-1].concurrent == 1


def test_a_connection_is_kept_alive(small: Sandbox) -> None:
    query = {"clientApiId": small.token, **MARCH_8}
    with requests.Session() as session:
        ports = set()
        for _ in range(5):
            with session.get(f"{small.url}/requests", params=query, timeout=60, stream=True) as got:
                assert got.raw.connection
                ports.add(got.raw.connection.sock.getsockname()[1])
                assert got.json()
    assert len(ports) == 1


# The journal


def dump(records: list[Record]) -> bytes:
    return json.dumps(records).encode()


def test_a_seed_makes_the_same_bytes() -> None:
    first, second, other = (
        Journal(last_day=date(2024, 1, 14), seed=seed).records() for seed in (1, 1, 2)
    )
    assert dump(first) == dump(second) != dump(other)


def test_a_longer_period_leaves_other_days_unchanged(journal: Journal) -> None:
    longer = Journal(first_day=date(2023, 12, 20), last_day=date(2024, 1, 31)).records(202)
    since = [r for r in longer if moscow(r) >= datetime(2024, 1, 1)]  # noqa: DTZ001
    until = [r for r in journal.records(202) if moscow(r) < datetime(2024, 2, 1)]  # noqa: DTZ001
    assert dump(since) == dump(until)


def test_only_the_days_that_are_asked_for_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(seed: int, site: int, shift: int, day: date, per_day: int) -> list[Record]:
        made.append((day.isoformat(), site))
        return requests_of_day(seed, site, shift, day, per_day)

    monkeypatch.setattr("sandbox.journal.requests_of_day", make)
    with Sandbox(Journal(last_day=date(2033, 12, 31))) as sandbox:
        for _ in range(2):
            assert rows(sandbox, {"dateFrom": "03/08/2024", "dateTo": "03/09/2024"})
    days = ("2024-03-08", "2024-03-09")
    assert made == [(day, site) for day in days for site in (101, 202)]


def test_requests_have_the_number_and_the_size_of_real_ones(journal: Journal) -> None:
    records = journal.records()
    assert 3_000 < len(records) < 4_000
    sizes = [len(json.dumps(record, ensure_ascii=False).encode()) for record in records[::20]]
    assert 3_000 < sum(sizes) / len(sizes) < 5_000


def test_requests_are_lifelike(journal: Journal) -> None:
    records = journal.records()
    assert [r["date"] for r in records] == sorted(r["date"] for r in records)
    for record in records:
        assert record["dateStr"] == f"{moscow(record):%d/%m/%Y %H:%M:%S}"
    assert len(set(keys(records))) == len(records)
    assert any(r["ctClientId"] > 2**53 for r in records if r["ctClientId"])
    for name in ("session", "manager", "order", "requestType", "ctClientId"):
        assert 0 < sum(r[name] is None for r in records) < len(records)
    weekdays = [moscow(r).weekday() for r in records]
    assert weekdays.count(1) > 1.5 * weekdays.count(6)
    text = json.dumps(records, ensure_ascii=False)
    for sign in ("<не указано>", "<не заполнено>", "(not set)", "(none)", '""', "\\n", "Ипотека"):
        assert sign in text
    assert {len(r["orders"]) for r in records} == {0, 1, 2}
    assert {len(r["mapVisits"]) for r in records} >= {0, 1, 6}
    devices = Counter(r["session"].get("device") for r in records if r["session"])
    assert devices["mobile"] > devices["desktop"] > devices["tablet"] > 0
    cities = Counter(r["session"]["city"] for r in records if r["session"])
    assert cities["Москва"] > cities["moscow"] > cities["Уфа"]
    forms = Counter(r["subject"] for r in records)
    assert forms["Заявка на звонок"] > 2 * forms["Умная заявка"] > 0


def test_no_flag_of_a_request_follows_from_the_others(journal: Journal) -> None:
    names = ("uniqueRequest", "targetRequest", "uniqTargetRequest")
    seen = {tuple(record[name] for name in names) for record in journal.records()}
    for place in range(3):
        others = Counter(flags[:place] + flags[place + 1 :] for flags in seen)
        assert max(others.values()) == 2


def test_a_changed_record_is_served_as_it_is() -> None:
    journal = Journal((101,), last_day=date(2024, 1, 10))
    record = journal.records()[100]
    record["manager"] = "Новый менеджер"
    journal.add({**record, "requestId": 1, "requestNumber": "late"})
    day = f"{moscow(record):%m/%d/%Y}"
    with Sandbox(journal) as sandbox:
        found = rows(
            sandbox, {"dateFrom": day, "dateTo": day, "manager": "Новый менеджер", "siteId": "101"}
        )
    assert keys(found) == [(101, 1), (101, record["requestId"])]


def test_a_journal_of_given_records() -> None:
    given = [{"requestId": 2, "date": 2}, {"requestId": 1, "date": 2}]
    assert Journal.of(given).records() == given[::-1]
    assert Journal.of([]).records() == []
    with Sandbox(Journal.of([])) as sandbox:
        assert rows(sandbox, {**MARCH_8, "siteId": "5"}) == []


# Faults

BROKEN = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize(
    "fault",
    [
        ("truncate", {}),
        ("truncate", {"keep": 0.99}),
        ("truncate", {"framing": "chunked"}),
        ("reset", {}),
        ("reset_body", {}),
    ],
    ids=str,
)
def test_broken_connections(
    small: Sandbox, fault: tuple[str, dict[str, Any]], encoding: str
) -> None:
    kind, options = fault
    small.faults.append(Fault(kind, times=1, **options))
    with pytest.raises(BROKEN):
        ask(small, headers={"Accept-Encoding": encoding})
    assert small.calls[0].status == (None if kind == "reset" else 200)
    assert ask(small).status_code == 200


def test_an_end_that_nothing_announces(small: Sandbox) -> None:
    """Without a length, only the body itself shows that it is cut."""
    small.faults.append(Fault("truncate", framing="close"))
    answer = ask(small, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_faults_in_place_of_the_answer(small: Sandbox) -> None:
    small.faults += [
        Fault("status", times=1),
        Fault("status", times=1, status=429, body="{}", headers={"Retry-After": "2"}),
        Fault("body", times=1, body=b"", content_type="text/plain"),
        Fault("html", times=1),
        Fault("redirect", times=1, location="http://127.0.0.1:1/"),
    ]
    answers = [ask(small) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [500, 429, 200, 200, 302, 200]
    assert answers[0].json() == ERROR_500
    assert (answers[1].text, answers[1].headers["Retry-After"]) == ("{}", "2")
    assert (answers[2].content, answers[2].headers["Content-Type"]) == (b"", "text/plain")
    assert answers[3].text.startswith("<!DOCTYPE html>")
    assert answers[4].headers["Location"] == "http://127.0.0.1:1/"
    assert [call.status for call in small.calls] == [500, 429, 200, 200, 302, 200]


def test_faults_in_the_answer(small: Sandbox) -> None:
    honest = rows(small, MARCH_8)
    small.faults += [
        Fault("change", times=1, apply=lambda found: found * 2),
        Fault("change", times=1, apply=[{"requestId": "wrong"}]),
        Fault("raw", times=1, apply=lambda body: body.replace(b"null", b"NaN")),
        Fault("cut_json", times=1, keep=0.9),
    ]
    assert rows(small, MARCH_8) == honest * 2
    assert small.calls[-1].rows == 2 * len(honest)
    assert rows(small, MARCH_8) == [{"requestId": "wrong"}]
    assert b"NaN" in ask(small).content
    with pytest.raises(requests.JSONDecodeError):
        ask(small).json()
    assert rows(small, MARCH_8) == honest


def test_slow_answers(small: Sandbox) -> None:
    honest = rows(small, MARCH_8)
    for kind in ("stall", "slow", "stall_body"):
        small.faults.append(Fault(kind, times=1, seconds=0.15))
        began = time.monotonic()
        assert rows(small, MARCH_8) == honest
        assert time.monotonic() - began >= 0.15
    small.faults += [Fault("stall", times=1), Fault("stall_body", times=1)]
    for _ in range(2):
        with pytest.raises((requests.Timeout, requests.ConnectionError)):
            ask(small, timeout=0.1)


def test_a_fault_befalls_the_calls_it_names(small: Sandbox) -> None:
    small.faults.append(Fault("html", lambda call: call.params["dateFrom"] == "03/05/2024"))
    assert ask(small).json()
    for _ in range(2):
        other = ask(small, {"dateFrom": "03/05/2024", "dateTo": "03/05/2024"})
        assert other.text.startswith("<!DOCTYPE")


def test_a_fault_has_known_options_only() -> None:
    with pytest.raises(TypeError, match="stall has no option second"):
        Fault("stall", second=1)


@pytest.mark.parametrize("kind", ["stall", "stall_body", "slow"])
def test_nothing_is_left_behind(journal: Journal, kind: str) -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(2) as pool:
        with Sandbox(journal) as sandbox, requests.Session() as idle:
            idle.get(f"{sandbox.url}/requests", timeout=60)
            sandbox.faults.append(Fault(kind, seconds=600))
            pending = pool.submit(ask, sandbox)
            while len(sandbox.calls) < 2 or sandbox.calls[1].status is None:
                time.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 300  # of the fault's 600
        pending.exception()
    assert set(threading.enumerate()) <= before
    port = int(sandbox.url.split(":")[2].split("/")[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


# The command line

ROOT = Path(__file__).parents[2]
CLIENT = """
import json, os, sys, urllib.parse, urllib.request
env = {key: os.environ["TAP_CALLTOUCH_" + key]
       for key in ("API_URL", "API_TOKEN", "SITE_IDS", "START_DATE")}
query = {"clientApiId": env["API_TOKEN"], "siteId": json.loads(env["SITE_IDS"])[-1],
         "dateFrom": "03/01/2024", "dateTo": "03/07/2024"}
url = env["API_URL"] + "/requests?" + urllib.parse.urlencode(query)
with urllib.request.urlopen(url) as answer:
    print(len(json.load(answer)), env["SITE_IDS"], env["START_DATE"])
sys.exit(7)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_the_command_runs_against_the_sandbox() -> None:
    options = ("--sites", "3", "--days", "7", "--until", "2024-03-07", "--token", "a+b/c=")
    with start(*options, "--", sys.executable, "-c", CLIENT) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 7
    count, rest = output.split(maxsplit=1)
    assert 50 < int(count) < 250
    assert rest.strip() == "[101, 102, 103] 2024-03-01"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    script = f"""
import signal, sys, time
signal.signal({int(number)}, lambda *_: sys.exit(9))
print("ready", flush=True)
time.sleep(600)
"""
    with start("--", sys.executable, "-c", script) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(timeout=120) == 9


def test_an_unknown_command() -> None:
    with start("--", "no-such-command-anywhere") as process:
        assert process.wait(timeout=120) == 127
