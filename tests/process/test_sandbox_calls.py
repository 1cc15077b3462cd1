"""The sandbox's calls journal against what is known of the real one, over real HTTP."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from jsonschema import Draft202012Validator

from sandbox import CallJournal, Fault, Journal, Sandbox, is_later_page
from tests.support.repetitions import times
from tests.unit.test_schema import CALL_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Record = dict[str, Any]

ROOT = Path(__file__).parents[2]
MOSCOW = timezone(timedelta(hours=3))
MARCH_8 = {"dateFrom": "08/03/2024", "dateTo": "08/03/2024"}
# Days beyond the twelfth, so that the other order of day and month could not be meant.
FORTNIGHT = {"dateFrom": "13/02/2024", "dateTo": "26/02/2024", "page": "1"}
FLAGS: dict[str, dict[str, Any]] = {
    "withCallTags": {"callTags": None},
    "withMapVisits": {"mapVisits": None},
    "withOrders": {"orders": []},
    "withComments": {"comments": None},
    "withYandexDirect": {"yandexDirect": None},
    "withGoogleAdwords": {"googleAdWords": None},
    "withText": {"phrases": None, "phonesInText": None},
    "withDcm": {"dcm": None},
    "withCallbackInfo": {"callbackInfo": None},
    "withCustomFields": {"customFields": None},
    "withAttrs": {"attrs": None},
}
EMPTY = {key: empty for keys in FLAGS.values() for key, empty in keys.items()}
KEYS = CALL_KEYS.split()


def ask(
    sandbox: Sandbox, params: dict[str, str], site: object = 101, **options: Any
) -> requests.Response:
    query = {"clientApiId": sandbox.token, **params}
    url = f"{sandbox.url}/{site}/calls-diary/calls"
    return requests.get(url, params=query, timeout=60, allow_redirects=False, **options)


def answer(sandbox: Sandbox, params: dict[str, str], site: object = 101) -> Any:
    got = ask(sandbox, params, site)
    assert got.status_code == 200, got.text
    return got.json()


def ids(records: list[Record]) -> list[int]:
    return [record["callId"] for record in records]


def newest_first(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda call: (call["timestamp"], call["callId"]), reverse=True)


def moscow(record: Record) -> datetime:
    return datetime.fromtimestamp(record["timestamp"], MOSCOW).replace(tzinfo=None)


def session_date(record: Record) -> datetime:
    return datetime.strptime(record["sessionDate"], "%d/%m/%Y %H:%M:%S")  # noqa: DTZ007  (Moscow)


@pytest.fixture(scope="module")
def journal() -> Journal:
    return Journal()


@pytest.fixture(scope="module")
def calls(journal: Journal) -> CallJournal:
    return journal.calls()


@pytest.fixture(scope="module")
def sandbox(journal: Journal, calls: CallJournal) -> Iterator[Sandbox]:
    with Sandbox(journal, calls, per_second=math.inf) as running:
        yield running


@pytest.fixture
def small() -> Iterator[Sandbox]:
    """One site, one week, pages of ten, and a limit of calls that no test meets by chance."""
    week = Journal((101,), date(2024, 3, 4), date(2024, 3, 10))
    with Sandbox(week, week.calls(), per_second=math.inf, page_limit=10) as running:
        yield running


def pages(sandbox: Sandbox, params: dict[str, str]) -> list[Record]:
    """Ask for all pages in turn."""
    found = [answer(sandbox, params | {"page": "1"})]
    while found[-1]["page"] < found[-1]["pageTotal"]:
        found.append(answer(sandbox, params | {"page": str(found[-1]["page"] + 1)}))
    return found


# The period


@pytest.mark.parametrize(
    ("params", "first", "last"),
    [
        (MARCH_8, "2024-03-08", "2024-03-09"),
        ({"dateFrom": "13/02/2024", "dateTo": "15/02/2024"}, "2024-02-13", "2024-02-16"),
        ({**MARCH_8, "timeFrom": "10:00:00"}, "2024-03-08T10:00", "2024-03-09"),
        ({**MARCH_8, "timeTo": "11:59:59"}, "2024-03-08", "2024-03-08T12:00"),
        ({"dateFrom": "01/05/2030", "dateTo": "31/12/9999"}, "2030-05-01", "9999-12-31"),
    ],
)
def test_the_period_includes_both_its_edges(
    sandbox: Sandbox, calls: CallJournal, params: dict[str, str], first: str, last: str
) -> None:
    low, high = datetime.fromisoformat(first), datetime.fromisoformat(last)
    expected = [call for call in calls.records(101) if low <= moscow(call) < high]
    found = answer(sandbox, {**params, "page": "1"})["records"]
    assert ids(found) == ids(newest_first(expected))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dateFrom": "08/03/2024"},
        {"dateFrom": "03/28/2024", "dateTo": "03/28/2024"},
        {"dateFrom": "2024-03-08", "dateTo": "2024-03-08"},
        {"dateFrom": "09/03/2024", "dateTo": "08/03/2024", "page": "1"},
        {**MARCH_8, "timeFrom": "9:00:00"},
        {**MARCH_8, "bindTo": "request"},
        {**MARCH_8, "attribution": "2"},
        {**MARCH_8, "page": "0"},
        {**MARCH_8, "page": "first"},
        {**MARCH_8, "page": "1", "limit": "0"},
    ],
)
def test_nonsense_is_an_error(sandbox: Sandbox, params: dict[str, str]) -> None:
    got = ask(sandbox, params)
    assert got.status_code == 500
    assert set(got.json()) == {"message"}


def test_bind_to_session_goes_by_the_date_of_the_session(
    sandbox: Sandbox, calls: CallJournal
) -> None:
    week = {"dateFrom": "12/02/2024", "dateTo": "18/02/2024", "timeTo": "17:59:59", "page": "1"}
    expected = [
        call
        for call in calls.records(101)
        if call["sessionDate"]
        and datetime(2024, 2, 12) <= session_date(call) < datetime(2024, 2, 18, 18)  # noqa: DTZ001
    ]
    found = answer(sandbox, {**week, "bindTo": "session"})["records"]
    assert ids(found) == ids(newest_first(expected))
    assert any(moscow(call) > datetime(2024, 2, 20) for call in found)  # noqa: DTZ001
    by_call = answer(sandbox, {**week, "bindTo": "call"})["records"]
    assert ids(by_call) == ids(answer(sandbox, week)["records"]) != ids(found)


# Pages


def test_without_a_page_a_day_is_a_bare_array(sandbox: Sandbox, calls: CallJournal) -> None:
    day = [call for call in calls.records(101) if moscow(call).date() == date(2024, 3, 8)]
    assert ids(answer(sandbox, MARCH_8)) == ids(newest_first(day))
    assert len(day) > 5


def test_without_a_page_several_days_are_an_error(sandbox: Sandbox) -> None:
    got = ask(sandbox, {"dateFrom": "08/03/2024", "dateTo": "09/03/2024"})
    assert got.status_code == 400
    assert list(got.json()["data"]["apiErrorData"]) == ["errorMessage"]


def test_pages_hold_each_call_once_newest_first(sandbox: Sandbox, calls: CallJournal) -> None:
    found = pages(sandbox, {**FORTNIGHT, "limit": "50"})
    first, last = date(2024, 2, 13), date(2024, 2, 26)
    expected = [call for call in calls.records(101) if first <= moscow(call).date() <= last]
    assert ids([call for page in found for call in page["records"]]) == ids(newest_first(expected))
    assert len(found) == math.ceil(len(expected) / 50) > 2
    for number, page in enumerate(found, 1):
        assert list(page) == ["page", "pageTotal", "pageSize", "recordsTotal", "records"]
        assert (page["page"], page["pageTotal"], page["pageSize"], page["recordsTotal"]) == (
            number,
            len(found),
            50,
            len(expected),
        )


def test_a_page_without_a_limit_holds_a_thousand() -> None:
    busy = CallJournal((101,), date(2024, 3, 4), date(2024, 3, 4), 1100)
    period = {"dateFrom": "04/03/2024", "dateTo": "04/03/2024"}
    with Sandbox(Journal.of([]), busy) as sandbox:
        first, second = pages(sandbox, period)
        assert len(answer(sandbox, period)) == len(busy.records())
    assert (len(first["records"]), first["pageSize"], first["pageTotal"]) == (1000, 1000, 2)
    assert len(second["records"]) == len(busy.records()) - 1000


def test_a_page_may_be_smaller_than_the_limit(small: Sandbox) -> None:
    page = answer(small, {**MARCH_8, "page": "1", "limit": "1000"})
    assert (len(page["records"]), page["pageSize"]) == (10, 10)


def test_a_page_past_the_end_is_empty(small: Sandbox) -> None:
    page = answer(small, {**MARCH_8, "page": "99"})
    assert page["records"] == []
    assert page["recordsTotal"] == len(answer(small, MARCH_8))


@pytest.mark.parametrize("total", [0, 1, None])
def test_an_empty_period_has_three_variants(small: Sandbox, total: int | None) -> None:
    small.empty_page_total = total
    page = answer(small, {"dateFrom": "01/01/2020", "dateTo": "09/01/2020", "page": "1"})
    expected: Record = {
        "page": 1,
        "pageTotal": total,
        "pageSize": 10,
        "recordsTotal": 0,
        "records": [],
    }
    if total is None:
        del expected["pageTotal"]
    assert page == expected


# A journal that moves while it is read


def test_a_call_that_arrives_between_two_pages_shows_another_twice(small: Sandbox) -> None:
    small.faults.append(Fault("arrive", when=is_later_page, times=1))
    first, second = pages(small, MARCH_8)[:2]
    assert second["recordsTotal"] == first["recordsTotal"] + 1
    assert ids(second["records"])[0] == ids(first["records"])[-1]
    again = pages(small, MARCH_8)
    found = [call["callId"] for page in again for call in page["records"]]
    assert len(found) == len(set(found)) == second["recordsTotal"]
    (new,) = set(found) - {*ids(first["records"]), *found[2:]}
    assert new == found[0]
    assert new in ids(small.call_journal.records())


def test_a_call_that_vanishes_between_two_pages_hides_another(small: Sandbox) -> None:
    before = ids(answer(small, MARCH_8))
    small.faults.append(Fault("vanish", when=is_later_page, times=1))
    found = pages(small, MARCH_8)
    seen = [call["callId"] for page in found for call in page["records"]]
    assert seen == before[:10] + before[11:]
    assert found[1]["recordsTotal"] == len(before) - 1
    again = [call["callId"] for page in pages(small, MARCH_8) for call in page["records"]]
    assert again == before[1:]


@pytest.mark.parametrize(("kind", "step"), [("arrive", 1), ("vanish", -1)])
def test_a_journal_may_move_before_every_page(small: Sandbox, kind: str, step: int) -> None:
    small.faults.append(Fault(kind, when=is_later_page))
    total = len(answer(small, MARCH_8))
    for attempt in range(3):
        assert answer(small, {**MARCH_8, "page": "1"})["recordsTotal"] == total + attempt * step
        second = answer(small, {**MARCH_8, "page": "2"})
        assert second["recordsTotal"] == total + (attempt + 1) * step


def test_a_long_call_appears_late_with_an_older_date(small: Sandbox, calls: CallJournal) -> None:
    assert max(call["duration"] for call in calls.records()) > 3600
    start = datetime(2024, 3, 8, 12, tzinfo=MOSCOW)
    epoch = int(start.timestamp())
    lengths = {1: 3600, 2: 60, 3: -14}
    small.call_journal = CallJournal.of(
        [
            {"siteId": 101, "callId": number, "timestamp": epoch + number, "duration": length}
            for number, length in lengths.items()
        ]
    )
    seen = {}
    for seconds in (119, 122, 123, 3600, 3601):
        small.now = start + timedelta(seconds=seconds)
        seen[seconds] = ids(answer(small, MARCH_8))
    assert seen == {119: [], 122: [2], 123: [3, 2], 3600: [3, 2], 3601: [3, 2, 1]}


# What is asked for


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_asks_for_its_keys_alone(sandbox: Sandbox, calls: CallJournal, flag: str) -> None:
    full = {call["callId"]: call for call in calls.records(101)}
    found = answer(sandbox, {**FORTNIGHT, flag: "true"})["records"]
    own = FLAGS[flag]
    for call in found:
        assert {key: call[key] for key in own} == {key: full[call["callId"]][key] for key in own}
        others = EMPTY.keys() - own
        assert {key: call[key] for key in others} == {key: EMPTY[key] for key in others}
    for key in own:
        assert any(call[key] for call in found)


@pytest.mark.parametrize("value", ["True", "1"])
def test_other_ways_to_set_a_flag_count_too(sandbox: Sandbox, value: str) -> None:
    expected = answer(sandbox, {**FORTNIGHT, **dict.fromkeys(FLAGS, "true")})
    assert answer(sandbox, {**FORTNIGHT, **dict.fromkeys(FLAGS, value)}) == expected


@pytest.mark.parametrize("value", ["false", "False", "0", "TRUE", "", None])
def test_what_was_not_asked_for_is_null_or_empty(sandbox: Sandbox, value: str | None) -> None:
    flags = {} if value is None else dict.fromkeys(FLAGS, value)
    for call in answer(sandbox, {**FORTNIGHT, **flags})["records"]:
        assert list(call) == KEYS
        assert {key: call[key] for key in EMPTY} == EMPTY
        assert isinstance(call["additionalTags"], list)


@pytest.mark.parametrize(
    ("parameter", "test"),
    [
        ("uniqueOnly", lambda call: call["uniqueCall"]),
        ("targetOnly", lambda call: call["targetCall"]),
        ("uniqTargetOnly", lambda call: call["uniqTargetCall"]),
        ("callbackOnly", lambda call: call["callbackCall"]),
    ],
)
def test_only_calls_of_a_kind(
    sandbox: Sandbox, parameter: str, test: Callable[[Record], bool]
) -> None:
    everything = answer(sandbox, FORTNIGHT)["records"]
    expected = [call for call in everything if test(call)]
    assert 0 < len(expected) < len(everything)
    for value in ("true", "True", "1"):
        assert answer(sandbox, {**FORTNIGHT, parameter: value})["records"] == expected
    assert answer(sandbox, {**FORTNIGHT, parameter: "false"})["records"] == everything


@pytest.mark.parametrize(("asked", "given"), [(None, 1), ("1", 1), ("0", 0)])
def test_attribution_is_what_was_asked_for(sandbox: Sandbox, asked: str | None, given: int) -> None:
    params = MARCH_8 | ({"attribution": asked} if asked else {})
    assert {call["attribution"] for call in answer(sandbox, params)} == {given}


def test_the_session_has_a_clock_of_twelve_hours(sandbox: Sandbox, calls: CallJournal) -> None:
    full = {call["callId"]: call for call in calls.records(101)}
    found = [call for call in answer(sandbox, FORTNIGHT)["records"] if call["sessionDate"]]
    for call in found:
        hour = session_date(full[call["callId"]]).hour
        assert call["sessionDate"][11:13] == f"{hour % 12 or 12:02}"
    assert {call["sessionDate"][11:13] for call in found} >= {"12", "01", "11"}
    assert {call["date"][11:13] for call in found} >= {"13", "20"}


# Other shapes


def test_some_records_may_come_in_other_shapes(sandbox: Sandbox) -> None:
    flags = dict.fromkeys([*FLAGS, "withRequestTags"], "true")
    week = {"dateFrom": "02/13/2024", "dateTo": "02/26/2024", "clientApiId": sandbox.token}

    def asked() -> tuple[list[Record], list[Record]]:
        calls = answer(sandbox, {**FORTNIGHT, **flags})["records"]
        got = requests.get(f"{sandbox.url}/requests", params={**week, **flags}, timeout=10)
        return calls, got.json()

    def shapes(records: list[Record]) -> set[str]:
        text = json.dumps(records)
        found = {
            "amounts": '"plannedAmount": [0-9]',
            "tags": r'"additionalTags": \[{"name"',
            "comments": '"commentId": [0-9]+, "requestId"',
            "global id": '"ctGlobalId": [0-9]',
            "attrs": '"attrs": "{',
        }
        return {name for name, pattern in found.items() if re.search(pattern, text)}

    usual = asked()
    assert [shapes(records) for records in usual] == [set(), {"comments"}]
    sandbox.variants = True
    try:
        varied = asked()
    finally:
        sandbox.variants = False
    assert shapes(varied[0]) == {"amounts", "tags", "comments", "global id", "attrs"}
    assert shapes(varied[1]) == {"comments", "global id", "attrs"}
    for before, after in zip(usual, varied, strict=True):
        changed = [one != other for one, other in zip(before, after, strict=True)]
        assert 0 < sum(changed) < len(changed) / 5


# Recordings


def download(sandbox: Sandbox, call: object, site: object = 101) -> requests.Response:
    url = f"{sandbox.url}/{site}/calls-diary/calls/{call}/download"
    return requests.get(
        url, params={"clientApiId": sandbox.token}, timeout=10, allow_redirects=False
    )


def test_an_answered_call_has_a_recording(sandbox: Sandbox, calls: CallJournal) -> None:
    answered = [call for call in calls.records(101) if call["successful"]][:2]
    sounds = []
    for call in answered:
        got = download(sandbox, call["callId"])
        assert (got.status_code, got.headers["Content-Type"]) == (200, "audio/mpeg")
        assert int(got.headers["Content-Length"]) == len(got.content)
        # Frames of 104 bytes, each with the sync word of MPEG.
        assert {got.content[at : at + 4] for at in range(0, len(got.content), 104)} == {
            b"\xff\xfb\x10\xc0"
        }
        sounds.append(got.content)
    assert sounds[0] != sounds[1]


def test_without_a_recording_there_is_no_sound(small: Sandbox) -> None:
    missed = next(call for call in small.call_journal.records() if not call["successful"])
    for call in (missed["callId"], 1, "x"):
        got = download(small, call)
        assert (got.status_code, set(got.json())) == (404, {"message"})
    assert download(small, missed["callId"], 999).text.startswith("<!DOCTYPE html>")


def test_a_recording_is_asked_for_like_a_journal(small: Sandbox) -> None:
    call = next(call for call in small.call_journal.records() if call["successful"])
    small.points = 1
    assert [download(small, call["callId"]).status_code for _ in range(2)] == [200, 403]
    small.points, small.token = None, "another"
    small.now = datetime.fromtimestamp(call["timestamp"], MOSCOW)
    assert download(small, call["callId"]).status_code == 404
    small.faults.append(Fault("truncate", times=1))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        download(small, call["callId"])


# Sites, token, and what both journals share


def test_a_wrong_site_is_a_page_of_html(small: Sandbox) -> None:
    small.points = 1
    for site in (999, "nowhere"):
        got = ask(small, MARCH_8, site)
        assert got.status_code == 200
        assert got.headers["Content-Type"].startswith("text/html")
        assert got.text.startswith("<!DOCTYPE html>")
    assert small.points == 1


def test_a_wrong_token_is_refused(small: Sandbox) -> None:
    got = ask(small, {**MARCH_8, "clientApiId": "wrong"})
    assert (got.status_code, set(got.json())) == (403, {"message"})


def test_a_site_has_its_own_calls(sandbox: Sandbox, calls: CallJournal) -> None:
    for site in (101, 202):
        assert {call["siteId"] for call in answer(sandbox, MARCH_8, site)} == {site}
    first, second = ({*ids(calls.records(site))} for site in (101, 202))
    assert first & second
    assert first ^ second


def test_without_a_calls_journal_there_are_none() -> None:
    with Sandbox(Journal((101,))) as sandbox:
        assert answer(sandbox, MARCH_8) == []
        assert answer(sandbox, {**FORTNIGHT})["recordsTotal"] == 0


def ask_requests(sandbox: Sandbox) -> requests.Response:
    day = {"clientApiId": sandbox.token, "dateFrom": "03/08/2024", "dateTo": "03/08/2024"}
    return requests.get(f"{sandbox.url}/requests", params=day, timeout=60)


def test_both_journals_share_the_points(small: Sandbox) -> None:
    small.points = 3
    asked = [ask_requests(small), ask(small, MARCH_8)]
    asked += [ask_requests(small), ask(small, MARCH_8), ask_requests(small)]
    assert [got.status_code for got in asked] == [200, 200, 200, 403, 403]
    assert [call.journal for call in small.calls[:2]] == ["requests", "calls"]


def test_both_journals_share_the_pace(small: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.server.time", SimpleNamespace(monotonic=lambda: 0.0))
    with Sandbox(small.journal, small.call_journal, per_second=2) as sandbox:
        asked = [ask_requests(sandbox), ask(sandbox, MARCH_8)]
        asked += [ask_requests(sandbox), ask(sandbox, MARCH_8)]
        assert [got.status_code for got in asked] == [200, 200, 429, 429]
        assert sandbox.rejected == 2


# Misbehaviour


def test_rows_and_pages_can_be_changed(small: Sandbox) -> None:
    params = {**MARCH_8, "page": "1"}
    honest = answer(small, params)
    small.faults += [
        Fault("change", times=1, apply=lambda rows: rows * 2),
        Fault("change_page", times=1, apply=lambda page: page["records"]),
        Fault("change_page", times=1, apply=lambda page: {**page, "pageTotal": "two"}),
    ]
    assert answer(small, params)["records"] == honest["records"] * 2
    assert answer(small, params) == honest["records"]
    assert answer(small, params)["pageTotal"] == "two"
    assert [call.rows for call in small.calls] == [10, 20, 10, 10]


def test_a_page_of_too_many_rows_fails(small: Sandbox) -> None:
    small.row_limit = 10
    assert ask(small, {**MARCH_8, "page": "1"}).status_code == 200
    assert ask(small, MARCH_8).status_code == 500
    small.row_limit = 9
    assert ask(small, {**MARCH_8, "page": "1"}).status_code == 500


def test_answers_can_be_capped(small: Sandbox) -> None:
    everything = answer(small, MARCH_8)
    small.row_cap = 12
    found = pages(small, MARCH_8)
    assert [len(page["records"]) for page in found] == [10, 2]
    assert [page["recordsTotal"] for page in found] == [12, 12]
    assert [call for page in found for call in page["records"]] == everything[:12]


def test_the_dates_can_be_ignored(small: Sandbox) -> None:
    small.ignore_dates = True
    assert len(answer(small, MARCH_8)) == len(small.call_journal.records())


def test_the_site_can_be_ignored(journal: Journal, calls: CallJournal) -> None:
    with Sandbox(journal, calls, ignore_site=True) as sandbox:
        assert {call["siteId"] for call in answer(sandbox, MARCH_8, 999)} == {101, 202}


# The journal


def test_a_seed_makes_the_same_bytes() -> None:
    first, second, other = (
        json.dumps(Journal(last_day=date(2024, 1, 14), seed=seed).calls().records())
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_a_longer_period_leaves_other_days_unchanged(calls: CallJournal) -> None:
    longer = Journal(first_day=date(2023, 12, 20), last_day=date(2024, 1, 31)).calls()
    since = [call for call in longer.records(202) if moscow(call) >= datetime(2024, 1, 1)]  # noqa: DTZ001
    until = [call for call in calls.records(202) if moscow(call) < datetime(2024, 2, 1)]  # noqa: DTZ001
    assert json.dumps(since) == json.dumps(until)


def test_a_changed_request_leaves_the_calls_unchanged() -> None:
    day = Journal((101,), date(2024, 3, 4), date(2024, 3, 4))
    for request in day.records():
        request["session"] = None
        request["client"] = "unknown"
    untouched = Journal((101,), date(2024, 3, 4), date(2024, 3, 4))
    assert json.dumps(day.calls().records()) == json.dumps(untouched.calls().records())


def test_a_changed_call_is_served_as_it_is(small: Sandbox) -> None:
    call = next(c for c in small.call_journal.records() if moscow(c).date() == date(2024, 3, 8))
    call["manager"] = "Новый менеджер"
    small.call_journal.add({**call, "callId": 1})
    found = [c for c in answer(small, MARCH_8) if c["manager"] == "Новый менеджер"]
    assert ids(found) == [call["callId"], 1]
    small.call_journal.remove(call)
    assert call["callId"] not in ids(answer(small, MARCH_8))


def test_every_call_fits_the_schema(calls: CallJournal) -> None:
    schema = json.loads((ROOT / "schemas" / "calls.json").read_text(encoding="utf-8"))
    # The API's epoch seconds become an instant in the tap.
    schema["properties"]["timestamp"] = {"type": "integer"}

    def close(node: Any) -> None:
        if isinstance(node, dict):
            if "properties" in node:
                node["additionalProperties"] = False
            for inner in node.values():
                close(inner)

    close(schema)
    validator = Draft202012Validator(schema)
    for call in calls.records()[:: times(5, 1)]:
        assert list(call) == KEYS
        validator.validate(call)


def test_calls_are_lifelike(calls: CallJournal) -> None:
    records = calls.records()
    for call in records:
        assert call["date"] == f"{moscow(call):%d/%m/%Y %H:%M:%S}"
        with_session = ("url", "hostname", "userAgent", "ip", "device", "os", "browser")
        for key in (*with_session, "sessionDate", "ctClientId"):
            assert (call[key] is None) == (call["sessionId"] is None)
        if call["sessionId"] is not None:
            assert "/" not in call["ip"]
            assert session_date(call) < moscow(call)
    assert len({(call["siteId"], call["callId"]) for call in records}) == len(records)
    durations = [call["duration"] for call in records]
    assert min(durations) < 0
    assert 0 in durations
    assert {"anonymous"} < {call["callerNumber"] for call in records}
    assert any(call["redirectNumber"].startswith("sip:") for call in records)
    assert any(call["redirectNumber"] == "undefined" for call in records)
    long = [call["yaClientId"] for call in records if len(call["yaClientId"] or "") == 20]
    assert max(map(int, long)) > 2**63
    assert max(call["ctClientId"] or 0 for call in records) > 2**53
    assert all(isinstance(tag, str) for call in records for tag in call["additionalTags"])
    text = json.dumps(records, ensure_ascii=False)
    for sign in ("<не указано>", "<не заполнено>", "(not set)", "(none)", '"offline"'):
        assert sign in text
    for key in ("callClientUniqueId", "ctGlobalId", "order", "poolType"):
        assert all(call[key] is None for call in records)
    devices = Counter(call["device"] for call in records)
    assert devices["smartphone"] > devices["desktop"] > devices["tablet"] > 0


def share(part: list[Record], whole: list[Record]) -> float:
    return len(part) / len(whole)


def test_no_flag_of_a_call_follows_from_the_others(calls: CallJournal) -> None:
    """As in real rows, one unique-target call in twenty is not unique."""
    records = calls.records()
    names = ("uniqueCall", "targetCall", "uniqTargetCall")
    seen = {tuple(call[name] for name in names) for call in records}
    for place in range(3):
        others = Counter(flags[:place] + flags[place + 1 :] for flags in seen)
        assert max(others.values()) == 2
    unique_target = [call for call in records if call["uniqTargetCall"]]
    repeated = [call for call in unique_target if not call["uniqueCall"]]
    assert 0.03 < share(repeated, unique_target) < 0.08


def test_calls_without_a_session_are_named_as_the_account_does(calls: CallJournal) -> None:
    records = calls.records()
    untracked = [call for call in records if call["sessionId"] is None]
    assert 0.15 < share(untracked, records) < 0.25
    here, there = ([call for call in untracked if call["siteId"] == site] for site in (101, 202))
    assert {call["medium"] for call in here} == {"<не заполнено>", "<не указано>"}
    assert {call["medium"] for call in there} == {"offline"}
    assert any(call["source"] == "<не заполнено>" for call in here)
    for some in (here, there):
        assert any(call["source"] == call["phoneNumber"] for call in some)
        assert {"Визитка", "Радио"} < {call["source"] for call in some}
        assert any(call["orders"] for call in some)
    assert {call["utmSource"] for call in here} == {"<не указано>", "Пул Москва", "Казань"}
    assert {call["utmSource"] for call in there} == {"<не указано>"}


def test_one_call_in_eight_is_missed(calls: CallJournal) -> None:
    records = calls.records()
    answered = [call for call in records if call["successful"]]
    missed = [call for call in records if not call["successful"]]
    assert 0.115 < share(missed, records) < 0.135
    assert not any(call["orders"] or call["sipCallId"] for call in missed)
    for some, empty in ((answered, False), (missed, True)):
        usual = [call for call in some if (call["waitingConnect"] is None) == empty]
        assert 0.98 < share(usual, some) < 1


def test_some_callers_call_again_at_once(calls: CallJournal) -> None:
    """Some of both rows are unique, so that their number is not one of people."""
    last: dict[tuple[int, str], Record] = {}
    pairs = []
    for call in calls.records():
        caller = (call["siteId"], call["ctCallerId"])
        if before := last.get(caller):
            pairs.append((before, call))
        last[caller] = call
    waits = [(later["timestamp"] - first["timestamp"], first, later) for first, later in pairs]
    redials = [(first, later) for wait, first, later in waits if wait <= 60]
    assert len(redials) > 50
    same = ("phoneNumber", "sessionId", "source", "utmSource", "mapVisits")
    alike = [all(first[key] == later[key] for key in same) for first, later in redials]
    assert sum(alike) > 0.9 * len(redials)
    assert any(not first["successful"] and later["successful"] for first, later in redials)
    assert any(
        first["uniqueCall"] and later["uniqueCall"] for wait, first, later in waits if wait < 240
    )


def test_new_people_keep_calling(calls: CallJournal) -> None:
    records = calls.records(101)
    firsts: dict[str, datetime] = {}
    for call in records:
        firsts.setdefault(call["ctCallerId"], moscow(call))
    assert 1.5 < len(records) / len(firsts) < 3
    months = Counter(first.month for first in firsts.values())
    assert months[3] > 0.7 * months[1]


def test_a_call_gets_its_id_when_it_ends(calls: CallJournal) -> None:
    def end(call: Record) -> int:
        return int(call["timestamp"] + max(call["duration"], 0))

    began_on_8 = [call for call in calls.records(101) if moscow(call).date() == date(2024, 3, 8)]
    by_id = sorted(began_on_8, key=lambda call: int(call["callId"]))
    assert [end(call) for call in by_id] == sorted(map(end, began_on_8))
    every = calls.records(101)
    assert ids(every) != sorted(ids(every))


def test_the_same_people_call_and_write(journal: Journal, calls: CallJournal) -> None:
    written = {r["session"]["sessionId"]: r for r in journal.records(101) if r["session"]}
    both = [call for call in calls.records(101) if call["sessionId"] in written]
    assert len(both) > 100
    for call in both:
        request = written[call["sessionId"]]
        session = request["session"]
        assert call["timestamp"] * 1000 > request["date"]
        assert call["ctClientId"] == request["ctClientId"]
        assert call["sessionDate"] == session["sessionDate"]
        assert call["yaClientId"] == session["yaClientId"]
        assert call["clientId"] == session["guaClientId"]
        assert f"{call['ip']}/32" == session["ip"]
        assert (call["source"], call["utmCampaign"]) == (session["source"], session["utmCampaign"])
        assert call["yandexDirect"] == request["yandexDirect"]
        assert call["mapVisits"] == request["mapVisits"]
    numbers = [request["client"]["phones"] for request in journal.records(101)]
    phones = {phone["phoneNumber"] for known in numbers for phone in known}
    by_writers = [call for call in calls.records(101) if call["callerNumber"] in phones]
    assert len(by_writers) > len(both)
    assert len(by_writers) < len(calls.records(101))


def test_some_orders_are_in_both_journals(journal: Journal, calls: CallJournal) -> None:
    by_request = {
        (r["siteId"], order["orderId"]): order for r in journal.records() for order in r["orders"]
    }
    by_call = [(call["siteId"], order) for call in calls.records() for order in call["orders"]]
    counts = Counter((site, order["orderId"]) for site, order in by_call)
    assert set(counts.values()) == {1}
    assert counts.keys() & by_request.keys()
    assert counts.keys() - by_request.keys()
    for site, order in by_call:
        if twin := by_request.get((site, order["orderId"])):
            assert order["orderNumber"] == twin["orderNumber"]
            assert order["plannedAmount"] == twin["sum"]
            assert (order["completedAmount"] is None) == (twin["status"] != "SUCCESS")


# The command line

CLIENT = """
import json, os, urllib.parse, urllib.request
query = {"clientApiId": os.environ["TAP_CALLTOUCH_API_TOKEN"], "page": 1,
         "dateFrom": "01/03/2024", "dateTo": "07/03/2024"}
url = os.environ["TAP_CALLTOUCH_API_URL"] + "/101/calls-diary/calls?"
with urllib.request.urlopen(url + urllib.parse.urlencode(query)) as answer:
    print(json.load(answer)["recordsTotal"])
"""


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ((), 100, 200),
        (("--calls-per-day", "5", "--variants"), 20, 60),
        (("--calls-per-day", "0"), 0, 0),
    ],
)
def test_the_command_serves_calls(options: tuple[str, ...], low: int, high: int) -> None:
    period = ("--sites", "1", "--days", "7", "--until", "2024-03-07")
    command = [sys.executable, "-m", "sandbox", *period, *options, "--", sys.executable, "-c"]
    run = subprocess.run(
        [*command, CLIENT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert low <= int(run.stdout) <= high
