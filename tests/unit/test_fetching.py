"""A window in, one whole answer out: halved if it is heavy, page by page, again if it broke."""

from __future__ import annotations

import io
import json
import logging
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from time import sleep
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api import client as client_module
from tap_calltouch.api import fetching
from tap_calltouch.api.answers import Answer
from tap_calltouch.api.blocks import Block, Blocks
from tap_calltouch.api.bodies import spool
from tap_calltouch.api.client import HEAVY_TRIES, MAX_TRIES, Client, Pace
from tap_calltouch.api.errors import HeavyAnswerError, QuotaExhaustedError, SiteError
from tap_calltouch.api.fetching import SPARE_PAGES, Fetcher
from tap_calltouch.api.prefetch import prefetch
from tap_calltouch.api.query import Site
from tap_calltouch.api.windows import DateWindow, cut
from tap_calltouch.instants import DAY, HOUR
from tap_calltouch.lenient import decode_leniently
from tap_calltouch.streams import Calls, Requests
from tests.support.answers import items_of
from tests.support.repetitions import times
from tests.support.settings import settings_of
from tests.support.threads import THREADS, hammer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_calltouch.api.query import Journal

Row = dict[str, Any]
Connect: TypeAlias = "Callable[[Api], Api]"
Query = dict[str, str]

SITE = Site(101, "Site")
MOSCOW = timezone(timedelta(hours=3))  # in 2024
RECEIVED = datetime(2024, 2, 1, tzinfo=timezone.utc)
KEYS = {"requests": ("siteId", "requestId"), "calls": ("siteId", "callId")}


def span(start: str, end: str) -> DateWindow:
    return DateWindow(datetime.fromisoformat(start), datetime.fromisoformat(end))


WEEK = span("2024-01-08", "2024-01-15")
A_DAY = span("2024-01-08", "2024-01-09")
AN_HOUR = span("2024-01-08T10:00", "2024-01-08T11:00")


def window_of(query: Query, date_format: str = "%m/%d/%Y") -> DateWindow:
    """Return the window that was asked for."""
    first, last = (
        datetime.strptime(query[name], date_format)  # noqa: DTZ007 - wall times
        for name in ("dateFrom", "dateTo")
    )
    start, end = (
        query.get(name) and timedelta(hours=int(query[name][:2]), minutes=int(query[name][3:5]))
        for name in ("timeFrom", "timeTo")
    )
    return DateWindow(first + (start or timedelta()), last + (end or DAY))


# Heavy windows.


@dataclass
class HeavyClient:
    """A client of an API that fails for windows that are too long.

    Attributes:
        limit: The longest window that it answers, by the window's start.
        calls: Each call's window, and whether it was answered.
        answers: What was answered: the window.
    """

    limit: Callable[[datetime], timedelta]
    longest: int = 7
    calls: list[tuple[DateWindow, bool]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refuses: Callable[[DateWindow], BaseException | None] = lambda _: None

    def __post_init__(self) -> None:
        self.settings = settings_of(window_days=self.longest)
        client: Any = self
        self.fetcher = Fetcher(
            client, Requests.journal, KEYS["requests"], warn=self.warnings.append
        )

    def get(
        self, _path: str, params: Query, label: str, *, heavy_tries: int, **_options: Any
    ) -> Answer:
        """Stand for `Client.get`."""
        window = window_of(params)
        if error := self.refuses(window):
            raise error
        if window.length > self.limit(window.start):
            self.calls += [(window, False)] * heavy_tries
            message = f"{label} is heavy."
            raise (
                FatalAPIError(message) if heavy_tries == MAX_TRIES else HeavyAnswerError(message)
            )
        self.calls.append((window, True))
        array = json.dumps([[window.start.isoformat(), window.end.isoformat()]]).encode()
        blocks = Blocks([Block(0, len(array) - 1, 1)])
        self.answers.append(Answer(io.BytesIO(array), blocks, RECEIVED))
        return self.answers[-1]

    def fetch(self, window: DateWindow = WEEK) -> list[DateWindow]:
        """Return the parts of a window."""
        with_parts = self.fetcher.fetch(SITE, window)
        assert not with_parts.body.closed
        return parts_of(with_parts)

    @property
    def failed(self) -> list[float]:
        """The hours of the windows that failed."""
        return [window.length / HOUR for window, is_answered in self.calls if not is_answered]


def parts_of(answer: Answer) -> list[DateWindow]:
    return [span(*part) for part in items_of(answer)]


def steady(limit: timedelta, longest: int = 7) -> HeavyClient:
    return HeavyClient(lambda _: limit, longest)


def hours(parts: list[DateWindow]) -> list[float]:
    return [part.length / HOUR for part in parts]


def covers(parts: list[DateWindow], start: datetime, end: datetime) -> bool:
    """Return whether parts cover a period once, in order."""
    borders = [parts[0].start, parts[-1].end]
    return borders == [start, end] and all(
        before.end == after.start for before, after in pairwise(parts)
    )


def test_window_that_is_answered_is_that_answer() -> None:
    api = steady(7 * DAY)
    found = api.fetcher.fetch(SITE, WEEK)
    assert found is api.answers[0]
    assert (parts_of(found), api.calls, found.may_repeat) == ([WEEK], [(WEEK, True)], False)


@pytest.mark.parametrize(
    ("limit", "expected", "failed"),
    [
        pytest.param(3 * DAY, [72, 72, 24], [168] * 2, id="three days"),
        pytest.param(DAY, [24] * 7, [168, 168, 72, 72], id="a day"),
        pytest.param(12 * HOUR, [12] * 14, [168, 168, 72, 72, 24, 24], id="half a day"),
    ],
)
def test_heavy_window_is_asked_for_in_parts_of_a_length_that_works(
    limit: timedelta, expected: list[float], failed: list[float]
) -> None:
    api = steady(limit)
    parts = api.fetch()
    assert [hours(parts), api.failed] == [expected, failed]
    assert covers(parts, WEEK.start, WEEK.end)


def test_part_is_tried_twice_before_it_is_halved() -> None:
    api = steady(3 * DAY)
    api.fetch()
    assert api.failed == [168] * HEAVY_TRIES


def test_an_hour_is_tried_until_the_client_gives_up() -> None:
    api = steady(timedelta())
    hour = "2024-01-08 00:00:00 to 2024-01-08 01:00:00"
    with pytest.raises(FatalAPIError, match=f"^Site, window {hour} is heavy"):
        api.fetch()
    assert api.failed == [168] * 2 + [72] * 2 + [24] * 2 + [12] * 2 + [6] * 2 + [3] * 2 + [1] * 5


def test_each_halving_is_a_warning() -> None:
    api = steady(DAY)
    api.fetch()
    assert api.warnings == [
        "Site, window 2024-01-08 to 2024-01-14 is heavy. Halving the window.",
        "Site, window 2024-01-08 to 2024-01-10 is heavy. Halving the window.",
    ]


def test_length_that_worked_is_kept_for_the_next_window() -> None:
    api = steady(DAY)
    api.fetch()
    before = len(api.calls)
    assert hours(api.fetch(DateWindow(WEEK.end, WEEK.end + 7 * DAY))) == [24] * 7
    assert len(api.calls) == before + 7


def test_failed_trial_costs_one_call() -> None:
    api = steady(DAY)
    api.fetch(DateWindow(WEEK.start, WEEK.start + 18 * DAY))
    assert api.failed == [168] * 2 + [72] * 2 + [48]


def load(api: HeavyClient, days: int, width: int) -> Iterator[tuple[DateWindow, list[DateWindow]]]:
    """Fetch a period as a sync does; yield each window with its parts."""
    length = api.fetcher.length.current
    windows = cut(WEEK.start, WEEK.start + days * DAY, lambda: max(DAY, length()))
    fetched = prefetch(lambda window: api.fetcher.fetch(SITE, window), [windows], width)
    for window, future in fetched:
        yield window, parts_of(future.result())


def load_all(api: HeavyClient, days: int, width: int) -> list[DateWindow]:
    return [part for _, parts in load(api, days, width) for part in parts]


@pytest.mark.parametrize("width", [1, 4, 5])
@pytest.mark.parametrize(
    ("limit", "days", "most"),
    [
        pytest.param(DAY, 90, 100, id="90 days at a limit of a day"),
        pytest.param(6 * HOUR, 30, 140, id="30 days at a limit of 6 hours"),
        pytest.param(7 * DAY, 90, 13, id="no limit"),
    ],
)
def test_steady_limit_costs_few_calls_more_than_there_are_parts(
    limit: timedelta, days: int, most: int, width: int
) -> None:
    api = steady(limit)
    assert covers(load_all(api, days, width), WEEK.start, WEEK.start + days * DAY)
    assert len(api.calls) <= most


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("limit", [DAY, 6 * HOUR])
def test_windows_regain_their_length_after_a_heavy_week(limit: timedelta, width: int) -> None:
    api = HeavyClient(lambda start: limit if start < WEEK.end else 7 * DAY)
    parts = load_all(api, 200, width)
    assert parts[-2].length == 7 * DAY
    assert len(api.calls) <= 120


@settings(max_examples=times(30, 100), deadline=None, derandomize=True)
@given(
    st.integers(1, 40),
    st.lists(st.integers(1, 1000), min_size=1, max_size=9),
    st.integers(1, 5),
    st.integers(1, 90),
)
def test_parts_cover_each_wall_time_once_in_order_whatever_the_limits(
    days: int, limits: list[int], width: int, longest: int
) -> None:
    """The limit changes each day."""
    api = HeavyClient(lambda start: limits[(start - WEEK.start).days % len(limits)] * HOUR, longest)
    assert covers(load_all(api, days, width), WEEK.start, WEEK.start + days * DAY)


@settings(max_examples=times(30, 100), deadline=None, derandomize=True)
@given(
    st.integers(1, 40),
    st.lists(st.integers(1, 1000), min_size=1, max_size=9),
    st.integers(1, 5),
    st.sets(st.integers(0, 40 * 24 - 1), min_size=1, max_size=3),
)
def test_whatever_fails_windows_come_without_a_gap_and_then_the_error(
    days: int, limits: list[int], width: int, bad_hours: set[int]
) -> None:
    """The API fails for windows with some hours, besides being heavy."""
    bad = sorted(WEEK.start + hour * HOUR for hour in bad_hours)
    api = HeavyClient(
        lambda start: limits[(start - WEEK.start).days % len(limits)] * HOUR,
        refuses=lambda window: (
            FatalAPIError("no") if any(window.start <= time < window.end for time in bad) else None
        ),
    )
    reached, end = WEEK.start, WEEK.start + days * DAY
    try:
        for window, parts in load(api, days, width):
            assert window.start == reached
            assert covers(parts, window.start, window.end)
            reached = window.end
    except FatalAPIError:
        assert reached <= bad[0] < end
    else:
        assert reached == end <= bad[0]


def test_parts_of_a_window_wait_in_the_body_of_the_first() -> None:
    api = steady(2 * DAY, longest=2)
    found = api.fetcher.fetch(SITE, WEEK)
    assert found is api.answers[0]
    assert [part.body.closed for part in api.answers] == [False, True, True, True]
    # More than once, since the records of a wrong unit are read again.
    for _ in range(2):
        assert hours(parts_of(found)) == [48, 48, 48, 24]
    assert (found.count, found.may_repeat) == (4, True)
    found.close()
    assert found.body.closed


@pytest.mark.parametrize("error", [FatalAPIError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_bodies_are_closed_if_a_later_part_fails(error: BaseException, failing: int) -> None:
    api = steady(DAY, longest=1)
    api.refuses = lambda _: error if len(api.answers) == failing else None
    with pytest.raises(type(error)):
        api.fetch()
    assert [part.body.closed for part in api.answers] == [True] * failing


# An API without a network, behind the client itself.

Content = bytes | int | BaseException
"""A body with status 200, another status, or an error of the connection."""


class Wire(io.BytesIO):
    """What comes over the network; notes how much of it is taken at a time."""

    def __init__(self, content: bytes, taken: list[int]) -> None:
        super().__init__(content)
        self._taken = taken

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        self._taken.append(len(chunk))
        return chunk


class Api(BaseAdapter):
    """Answers what the client asks.

    Attributes:
        content: Makes an answer of the question.
        journal: What is asked for.
        bodies: All bodies that the client made.
        taken: How many bytes of the answers were taken at a time.
        warnings: What the user was told.
        calls: How many API calls were counted.
    """

    def __init__(self, content: Callable[[Query], Content], journal: Journal = Requests.journal):
        super().__init__()
        self.content = content
        self.queries: list[Query] = []
        self.paths: list[str] = []
        self.bodies: list[IO[bytes]] = []
        self.taken: list[int] = []
        self.warnings: list[str] = []
        self.calls = 0
        self.ask_for(journal)

    def ask_for(self, journal: Journal) -> None:
        self.journal = journal
        self.fetcher = Fetcher(
            Client(settings_of(api_url="https://api.example/base"), logging.getLogger(__name__)),
            journal,
            KEYS["calls" if journal is Calls.journal else "requests"],
            warn=self.warnings.append,
            on_call=self._count,
        )

    def _count(self) -> None:
        before = self.calls
        sleep(0)  # lets another thread count meanwhile
        self.calls = before + 1

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Stand for the network."""
        url = urlsplit(request.url or "")
        query = dict(parse_qsl(str(url.query)))
        del query["clientApiId"]
        self.queries.append(query)
        self.paths.append(str(url.path).removeprefix("/base"))
        content = self.content(query)
        if isinstance(content, BaseException):
            raise content
        response = requests.Response()
        response.status_code = 200 if isinstance(content, bytes) else content
        response.raw = Wire(content if isinstance(content, bytes) else b"", self.taken)
        # Each a second later, by the server's clock.
        date = RECEIVED + timedelta(seconds=len(self.queries))
        response.headers["Date"] = format_datetime(date, usegmt=True)
        return response

    def close(self) -> None:
        """Do nothing, as there is no connection."""

    @property
    def pages(self) -> list[int]:
        return [int(query["page"]) for query in self.queries]

    def fetch(self, window: DateWindow = WEEK, site: Site = SITE) -> Answer:
        """Fetch a window, and see that its body alone is open."""
        answer = self.fetcher.fetch(site, window)
        assert [body for body in self.bodies if not body.closed] == [answer.body]
        assert self.calls == len(self.queries)
        return answer

    def fail(
        self, error: type[BaseException], match: str | None = None, window: DateWindow = WEEK
    ) -> str:
        """Fetch a window that cannot be had, and see that no body is open; return the error."""
        with pytest.raises(error, match=match) as raised:
            self.fetcher.fetch(SITE, window)
        assert [body for body in self.bodies if not body.closed] == []
        return str(raised.value)


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "wait", lambda _: 0.0)
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Api], Api]]:
    """Return what puts an API in the place of the network."""
    connected: list[Api] = []

    def connect(api: Api) -> Api:
        def tracked() -> IO[bytes]:
            api.bodies.append(spool())
            return api.bodies[-1]

        monkeypatch.setattr(client_module, "spool", tracked)
        monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: api)
        connected.append(api)
        return api

    yield connect
    for api in connected:
        for body in api.bodies:
            body.close()


def row(number: int, instant: str = "2024-01-08T10:00", site: int = 101, **more: Any) -> Row:
    at = datetime.fromisoformat(instant).replace(tzinfo=MOSCOW)
    return {"siteId": site, "requestId": number, "date": int(at.timestamp() * 1000), **more}


def rows_over(hours: int, number: int) -> list[Row]:
    """Return so many rows, spread over so many hours from the beginning of the week."""
    step = hours * HOUR / number
    return [row(at, (WEEK.start + at * step).isoformat()) for at in range(number)]


def selected(rows: list[Row], query: Query, cap: int | None = None) -> list[Row]:
    """Return the rows of the window that is asked for, as many as there may be in an answer."""
    window = window_of(query)
    return [
        item
        for item in rows
        if window.start
        <= datetime.fromtimestamp(item["date"] / 1000, MOSCOW).replace(tzinfo=None)
        <= window.end
    ][:cap]


def encoded(rows: list[Row]) -> bytes:
    return json.dumps(rows).encode()


def ids(answer: Answer, key: str = "requestId") -> list[int]:
    return [item[key] for item in items_of(answer)]


# What is asked for.


def test_window_of_requests_is_one_question(connect: Connect) -> None:
    api = connect(Api(lambda _: encoded([row(1), row(2)])))
    found = api.fetch()
    assert (ids(found), found.ids, found.may_repeat, found.received) == (
        [1, 2],
        [],
        False,
        RECEIVED + timedelta(seconds=1),
    )
    assert api.paths == ["/requests"]
    assert api.queries == [Requests.journal.query(settings_of(), 101, WEEK)]
    assert api.warnings == []


def test_pages_of_calls_are_asked_for_in_full_size_by_the_path_of_their_site(
    connect: Connect,
) -> None:
    def page(query: Query) -> bytes:
        records = [{"siteId": 101, "callId": int(query["page"])}]
        return json.dumps({"pageTotal": 2, "recordsTotal": 2, "records": records}).encode()

    api = connect(Api(page, Calls.journal))
    assert ids(api.fetch(), "callId") == [1, 2]
    assert api.paths == ["/101/calls-diary/calls"] * 2
    assert [(item["page"], item["limit"]) for item in api.queries] == [("1", "1000"), ("2", "1000")]


def test_page_is_no_answer_where_there_are_no_pages(connect: Connect) -> None:
    """There may be others, for which nobody would ask."""
    page = {"pageTotal": 2, "recordsTotal": 2, "records": [row(1)]}
    api = connect(Api(lambda _: json.dumps(page).encode()))
    api.fail(SiteError, "an object with the keys pageTotal, recordsTotal, records")


def test_errors_and_warnings_name_stream_site_and_window_once(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    api = connect(Api(lambda _: b'{"message": "x", "errorCode": "500"}'))
    error = api.fail(FatalAPIError, "^Site, window 2024-01-08 00:00:00 to 2024-01-08 01")
    told = [error, *api.warnings, *caplog.messages]
    assert len(told) == 1 + 6 + 10
    assert all(text.startswith("Site, window 2024-01-08") for text in told)
    assert [text.count("window 2024") for text in told] == [1] * len(told)


def test_used_up_points_are_no_reason_to_ask_again(connect: Connect) -> None:
    api = connect(Api(lambda _: '{"message": "Баллы закончились"}'.encode()))
    api.fail(QuotaExhaustedError, "^Site, window 2024-01-08 to 2024-01-14: ")
    assert api.calls == 1


def test_nothing_behind_a_window_that_failed_is_asked_for(connect: Connect) -> None:
    """Its calls may wait for their turn already, and each costs points."""
    first, second, third = cut(WEEK.start, WEEK.start + timedelta(days=21), lambda: WEEK.length)
    api = connect(Api(lambda _: '{"message": "Баллы закончились"}'.encode()))
    api.fail(QuotaExhaustedError, window=second)
    api.fail(CancelledError, window=third)
    assert api.calls == 1
    api.content = lambda _: b"[]"
    for site, window in ((SITE, first), (SITE, second), (Site(202, "Site"), third)):
        api.fetch(window, site).close()
    assert api.calls == 4


@pytest.mark.parametrize(
    ("number", "path"),
    [
        ("A-1", "/requests/A-1"),
        ("A/1 б?#", "/requests/A%2F1%20%D0%B1%3F%23"),
    ],
)
def test_request_is_asked_for_by_its_number(connect: Connect, number: str, path: str) -> None:
    api = connect(Api(lambda _: encoded([row(1)])))
    answer = api.fetcher.fetch_number(number)
    assert answer
    assert (ids(answer), api.paths, api.queries, api.calls) == ([1], [path], [{}], 1)


@pytest.mark.parametrize("content", [404, b"", b"null", b"{}"])
def test_unknown_number_is_nothing(connect: Connect, content: Content) -> None:
    api = connect(Api(lambda _: content))
    assert api.fetcher.fetch_number("A-1") is None
    assert [body.closed for body in api.bodies] == [True]


def test_number_that_cannot_be_asked_for_is_named(connect: Connect) -> None:
    api = connect(Api(lambda _: 500))
    with pytest.raises(FatalAPIError, match=r"^Request A-1: the API answered 500"):
        api.fetcher.fetch_number("A-1")
    assert api.calls == MAX_TRIES


@pytest.mark.parametrize(
    ("content", "error", "tries"),
    [
        pytest.param(500, SiteError, MAX_TRIES, id="a failure"),
        pytest.param(b"[", SiteError, MAX_TRIES, id="broken"),
        pytest.param(b"", SiteError, HEAVY_TRIES, id="nothing"),
        pytest.param(requests.ConnectionError("no"), FatalAPIError, MAX_TRIES, id="no answer"),
    ],
)
def test_what_is_not_even_answered_is_not_for_one_site_alone(
    connect: Connect, content: Content, error: type[Exception], tries: int
) -> None:
    api = connect(Api(lambda _: content))
    with pytest.raises(error, match=rf" Gave up after {tries} tries\.$") as raised:
        api.fetcher.fetch(SITE, AN_HOUR)
    assert (type(raised.value), api.calls) == (error, tries)


def test_empty_answers_behind_other_failures_are_not_asked_for_for_ever(connect: Connect) -> None:
    api = connect(Api(lambda _: b"" if len(api.queries) > 2 else requests.ConnectionError("no")))
    api.fail(SiteError, "answered 200: nothing. Gave up after 3 tries", AN_HOUR)


@pytest.mark.parametrize("number", [10, 1000])
def test_sample_is_one_call_however_many_rows_come(connect: Connect, number: int) -> None:
    api = connect(Api(lambda _: encoded(rows_over(24, number))))
    assert ids(api.fetcher.fetch_sample(SITE, A_DAY)) == [*range(number)]
    assert api.calls == 1


def test_sample_of_calls_is_the_first_page(connect: Connect) -> None:
    page = {"pageTotal": 9, "recordsTotal": 9000, "records": [{"siteId": 101, "callId": 5}]}
    api = connect(Api(lambda _: json.dumps(page).encode(), Calls.journal))
    assert ids(api.fetcher.fetch_sample(SITE, A_DAY), "callId") == [5]
    assert [query["page"] for query in api.queries] == ["1"]


def test_each_api_call_is_counted_whichever_thread_it_is_in(connect: Connect) -> None:
    """The SDK's counter reads its value and writes it back, without a lock."""
    api = connect(Api(lambda _: b"[]"))
    hammer(lambda _: api.fetcher.fetch(SITE, A_DAY).close(), 125)
    assert len(api.queries) == api.calls == 125 * THREADS


def test_long_answer_is_taken_piece_by_piece(connect: Connect) -> None:
    api = connect(Api(lambda _: encoded([row(number, text="x" * 1000) for number in range(1200)])))
    assert api.fetch().count == 1200
    assert max(api.taken) < 600_000


# Broken answers.

WHOLE = encoded([row(1, tags=["a"]), row(2, orders=[{"sum": "1"}]), row(3)])


def broken_once(broken: bytes) -> Api:
    api = Api(lambda _: broken if len(api.queries) == 1 else WHOLE)
    return api


def test_answer_that_is_cut_anywhere_is_asked_for_again(connect: Connect) -> None:
    for place in range(len(WHOLE)):
        api = connect(broken_once(WHOLE[:place]))
        assert (ids(api.fetch()), api.calls) == ([1, 2, 3], 2), f"cut at {place}"


BROKEN = [
    pytest.param(WHOLE.replace(b'"a"]', b'"a"'), id="a bracket is missing"),
    pytest.param(WHOLE.replace(b"}, {", b"}{"), id="a comma is missing"),
    pytest.param(WHOLE.replace(b'"tags":', b'"tags"'), id="a colon is missing"),
    pytest.param(WHOLE + b"\x00\x00\x00", id="NULs behind"),
    pytest.param(WHOLE[:-20] + b"\x00" * 20, id="NULs at the end"),
    pytest.param(WHOLE[:-20] + b"\x00" * 19 + b"]", id="NULs before the end"),
    pytest.param(WHOLE[:1] + b"," + WHOLE[1:], id="a comma at the beginning"),
    pytest.param(WHOLE[:-1] + b"," + WHOLE[-1:], id="a comma at the end"),
    pytest.param(WHOLE.replace(b"}, {", b"}}, {", 1), id="a brace too many"),
    pytest.param(WHOLE + WHOLE, id="twice"),
    pytest.param(WHOLE[:60] + b"<html>502</html>]", id="an error page within"),
    pytest.param(WHOLE[:40] + WHOLE[60:], id="a piece is missing"),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_is_not_json_is_asked_for_again(connect: Connect, broken: bytes) -> None:
    api = connect(broken_once(broken))
    assert (ids(api.fetch()), api.calls, api.warnings) == ([1, 2, 3], 2, [])


@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_breaks_twice_is_halved(connect: Connect, broken: bytes) -> None:
    rows = rows_over(7 * 24, 14)

    def content(query: Query) -> bytes:
        is_long = query["dateFrom"] != query["dateTo"]
        return broken if is_long else encoded(selected(rows, query))

    api = connect(Api(content))
    assert sorted(set(ids(api.fetch()))) == list(range(14))
    assert api.fetcher.length.current() == DAY
    assert [text.endswith(" Halving the window.") for text in api.warnings] == [True] * 2


@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_is_always_broken_ends_with_one_error(connect: Connect, broken: bytes) -> None:
    # A week, 3 days, a day, 12 hours, 6, 3: twice each; an hour five times.
    for window, calls in ((AN_HOUR, 5), (A_DAY, 13), (WEEK, 17)):
        api = connect(Api(lambda _: broken))
        error = api.fail(FatalAPIError, "cut short or is not valid JSON", window)
        assert error.endswith(" Gave up after 5 tries."), window
        assert api.calls == calls, window


def test_records_before_the_break_do_not_come_twice(connect: Connect) -> None:
    """A body of several blocks, of which only the last is broken."""
    body = encoded([row(number, text="x" * 1000) for number in range(300)])
    api = connect(Api(lambda _: body[:-100] + b"}]" if len(api.queries) == 1 else body))
    found = api.fetch()
    assert len([*found.blocks]) > 1
    assert ids(found) == list(range(300))
    assert (api.calls, found.may_repeat) == (2, False)


def test_page_that_breaks_is_asked_for_again_alone(connect: Connect) -> None:
    def page(query: Query) -> bytes:
        records = [{"siteId": 101, "callId": int(query["page"])}]
        body = json.dumps({"pageTotal": 3, "recordsTotal": 3, "records": records}).encode()
        return body[:-5] if len(api.queries) == 2 else body

    api = connect(Api(page, Calls.journal))
    found = api.fetch()
    assert (ids(found, "callId"), found.may_repeat) == ([1, 2, 3], False)
    assert [query["page"] for query in api.queries] == ["1", "2", "2", "3"]


# Answers that the API may have cut off.


@pytest.fixture
def ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten rows be as suspicious as a thousand."""
    monkeypatch.setattr(fetching, "SUSPICIOUS_ROWS", 10)


def capped(rows: list[Row], cap: int | None) -> Api:
    return Api(lambda query: encoded(selected(rows, query, cap)))


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(("cap", "number"), [(10, 25), (10, 100), (20, 35), (10, 20)])
def test_halves_of_a_capped_answer_bring_the_other_rows(
    connect: Connect, cap: int, number: int
) -> None:
    api = connect(capped(rows_over(7 * 24, number), cap))
    found = api.fetch()
    assert sorted(set(ids(found))) == list(range(number))
    assert found.may_repeat
    assert api.fetcher.length.current() < 7 * DAY
    text = f"the API caps its answers: it sent {cap} records and left out at least {number - cap}, "
    assert any(f"to 2024-01-14: {text}which came with" in warning for warning in api.warnings)


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b"%b", id="an array"),
        pytest.param(b'{"records": %b}', id="no totals"),
        pytest.param(b'{"pageTotal": "3", "recordsTotal": "25", "records": %b}', id="texts"),
    ],
)
def test_page_that_does_not_say_how_many_records_there_are_may_be_capped(
    connect: Connect, page: bytes
) -> None:
    rows = rows_over(7 * 24, 25)
    api = Api(
        lambda query: page % encoded(selected(rows, query, 10)),
        replace(Requests.journal, page_size=10),
    )
    assert sorted(set(ids(connect(api).fetch()))) == list(range(25))
    assert any("the API caps its answers" in warning for warning in api.warnings)


@pytest.mark.usefixtures("ten")
def test_page_that_says_how_many_records_there_are_is_not_suspicious(connect: Connect) -> None:
    calls = [{"siteId": 101, "callId": at} for at in range(10)]
    page = json.dumps({"pageTotal": 1, "recordsTotal": 10, "records": calls}).encode()
    api = connect(Api(lambda _: page, Calls.journal))
    assert (ids(api.fetch(), "callId"), api.calls) == (list(range(10)), 1)


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("number", [10, 20, 50])
def test_whole_answer_of_a_suspicious_number_of_rows_is_no_cap(
    connect: Connect, number: int
) -> None:
    api = connect(capped(rows_over(7 * 24, number), None))
    found = api.fetch()
    assert (ids(found), found.may_repeat) == (list(range(number)), False)
    assert api.calls >= 3
    assert api.warnings == []
    assert api.fetcher.length.current() == 7 * DAY


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("number", [0, 1, 9, 11, 15])
def test_other_numbers_of_rows_cost_one_call(connect: Connect, number: int) -> None:
    api = connect(capped(rows_over(7 * 24, number) if number else [], None))
    assert (ids(api.fetch()), api.calls) == (list(range(number)), 1)


@pytest.mark.usefixtures("ten")
def test_capped_hour_cannot_be_halved_which_is_a_warning(connect: Connect) -> None:
    api = connect(capped([row(number) for number in range(15)], 10))
    assert len(ids(api.fetch(AN_HOUR))) == 10
    (warning,) = api.warnings
    assert warning.startswith("Site, window 2024-01-08 10:00:00 to 2024-01-08 11:00:00: the API se")
    assert "sent 10 records, which may be as many as it ever sends" in warning


def test_a_thousand_rows_are_suspicious(connect: Connect) -> None:
    api = connect(capped(rows_over(7 * 24, 1500), 1000))
    assert sorted(set(ids(api.fetch()))) == list(range(1500))


@pytest.mark.usefixtures("ten")
def test_rows_that_the_halves_repeat_are_not_more(connect: Connect) -> None:
    """An API that ignores the dates."""
    rows = [*rows_over(24, 9), row(100, site=202)]
    api = connect(Api(lambda _: encoded(rows)))
    found = api.fetch()
    assert (ids(found), found.may_repeat) == ([*range(9), 100], False)
    assert api.fetcher.length.current() == 7 * DAY


@pytest.mark.usefixtures("ten")
def test_rows_of_another_site_with_the_same_ids_are_others(connect: Connect) -> None:
    def content(query: Query) -> bytes:
        whole = window_of(query) == WEEK
        return encoded([row(number, site=1 if whole else 2) for number in range(10)])

    found = connect(Api(content)).fetch(site=Site(None, "Site"))
    assert {(item["siteId"], item["requestId"]) for item in items_of(found)} == {
        (site, number) for site in (1, 2) for number in range(10)
    }


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("failing", [2, 3, 5])
def test_bodies_are_closed_if_a_half_of_a_capped_answer_fails(
    connect: Connect, failing: int
) -> None:
    rows = rows_over(7 * 24, 100)
    api = connect(
        Api(
            lambda query: 400 if len(api.queries) == failing else encoded(selected(rows, query, 10))
        )
    )
    api.fail(FatalAPIError, "the API answered 400")
    assert api.calls == failing


# Pages.


class PagedApi(Api):
    """A journal whose pages can be asked for.

    Attributes:
        rows: The journal, newest first.
        size: How many rows a page holds, whatever is asked for.
        before: Called with the number of each call before it is answered; may change the rows.
        totals: What a page says of itself in place of the truth.
        is_bare: Whether the array stands alone.
    """

    def __init__(
        self,
        rows: list[Row],
        size: int = 1000,
        before: Callable[[int, list[Row]], None] = lambda _, __: None,
        totals: Row | None = None,
        *,
        is_bare: bool = False,
    ) -> None:
        super().__init__(self._page, Calls.journal)
        self.rows = rows
        self.size = size
        self.before = before
        self.totals = totals or {}
        self.is_bare = is_bare

    def _page(self, query: Query) -> bytes:
        self.before(len(self.queries), self.rows)
        start = (int(query["page"]) - 1) * self.size
        shown = self.rows[start : start + self.size]
        totals = {
            "pageTotal": -(-len(self.rows) // self.size),
            "recordsTotal": len(self.rows),
            **self.totals,
        }
        return json.dumps(shown if self.is_bare else {**totals, "records": shown}).encode()


def calls(*ids: int) -> list[Row]:
    return [{"siteId": 1, "callId": number, "timestamp": 0} for number in ids]


def call_ids(answer: Answer) -> list[int]:
    return ids(answer, "callId")


@pytest.mark.parametrize(
    ("rows", "size", "pages"),
    [
        pytest.param(1, 1000, 1, id="one page"),
        pytest.param(1000, 1000, 1, id="one full page"),
        pytest.param(1001, 1000, 2, id="two pages"),
        pytest.param(10, 3, 4, id="four pages"),
        pytest.param(500, 100, 5, id="the API has smaller pages than asked for"),
    ],
)
def test_pages_are_read_in_turn_into_one_answer(
    connect: Connect, rows: int, size: int, pages: int
) -> None:
    api = connect(PagedApi(calls(*range(rows)), size))
    found = api.fetch()
    assert api.pages == list(range(1, pages + 1))
    assert (call_ids(found), found.may_repeat) == (list(range(rows)), False)
    assert found.received == RECEIVED + timedelta(seconds=1)  # the first: what is certain
    assert found.body is api.bodies[0]


@pytest.mark.parametrize("total", [0, 1, None])
def test_empty_period_is_one_call_and_whole(connect: Connect, total: int | None) -> None:
    api = connect(PagedApi([], totals={"pageTotal": total}))
    assert (call_ids(api.fetch()), api.pages, api.warnings) == ([], [1], [])


@pytest.mark.parametrize(("size", "pages"), [(2, [1, 2]), (1, [1, 2, 3])])
@pytest.mark.parametrize("total", [0, None, "4", 4.0, True, -1, [4]])
def test_without_a_page_total_the_records_total_counts(
    connect: Connect, total: object, size: int, pages: list[int]
) -> None:
    api = connect(PagedApi(calls(1, 2, 3), size, totals={"pageTotal": total}))
    assert (call_ids(api.fetch()), api.pages, api.warnings) == ([1, 2, 3], pages, [])


def test_first_page_without_any_total_ends_the_reading(connect: Connect) -> None:
    api = connect(PagedApi(calls(1, 2, 3), 2, totals={"pageTotal": None, "recordsTotal": None}))
    assert (call_ids(api.fetch()), api.pages) == ([1, 2], [1])


@pytest.mark.parametrize("total", [None, "3", -1, 3.0])
def test_without_a_records_total_pages_are_taken_as_they_are(
    connect: Connect, total: object
) -> None:
    api = connect(PagedApi(calls(*range(10)), 3, totals={"recordsTotal": total}))
    assert call_ids(api.fetch()) == list(range(10))


def test_bare_array_is_the_whole_window(connect: Connect) -> None:
    api = connect(PagedApi(calls(*range(1500)), 2000, is_bare=True))
    found = api.fetch()
    assert (api.pages, call_ids(found), found.may_repeat) == ([1], list(range(1500)), False)


def test_bare_array_with_a_row_twice_may_repeat(connect: Connect) -> None:
    found = connect(PagedApi(calls(1, 2, 1), is_bare=True)).fetch()
    assert (call_ids(found), found.may_repeat) == ([1, 2, 1], True)


def arrive(at: int) -> Callable[[int, list[Row]], None]:
    """Let a call arrive before the answer of one call."""
    return lambda number, rows: rows.insert(0, *calls(100)) if number == at else None


def vanish(at: int) -> Callable[[int, list[Row]], None]:
    """Let the newest call go away before the answer of one call."""
    return lambda number, rows: rows.__delitem__(0) if number == at else None


def exchange(at: int) -> Callable[[int, list[Row]], None]:
    """Let a call arrive and an old one go away, so that the count stays."""

    def change(number: int, rows: list[Row]) -> None:
        if number == at:
            rows.insert(0, *calls(100))
            del rows[-1]

    return change


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(arrive(2), [100, 1, 2, 3, 4, 5], id="a call arrives"),
        pytest.param(arrive(3), [100, 1, 2, 3, 4, 5], id="a call arrives before the last page"),
        pytest.param(vanish(2), [2, 3, 4, 5], id="a call goes away"),
        pytest.param(exchange(2), [100, 1, 2, 3, 4], id="one arrives and one goes away"),
    ],
)
def test_journal_that_moved_is_read_again(
    connect: Connect, before: Callable[[int, list[Row]], None], expected: list[int]
) -> None:
    api = connect(PagedApi(calls(1, 2, 3, 4, 5), 2, before))
    found = api.fetch()
    assert (call_ids(found), found.may_repeat, api.warnings) == (expected, False, [])


def never_resting() -> PagedApi:
    """Return a journal to which a call comes before each second page."""
    numbers = iter(range(100, 200))

    def before(_: int, rows: list[Row]) -> None:
        if api.pages[-1] == 2:
            rows.insert(0, *calls(next(numbers)))

    api = PagedApi(calls(1, 2, 3), 2, before)
    return api


def test_journal_that_never_rests_is_read_three_times_and_all_readings_count(
    connect: Connect,
) -> None:
    api = connect(never_resting())
    found = api.fetch()
    readings = [[101, 100, 100, 1, 2, 3], [100, 1, 1, 2, 3], [1, 2, 2, 3]]
    assert call_ids(found) == [number for reading in readings for number in reading]
    assert found.may_repeat
    assert found.received == RECEIVED + timedelta(seconds=1)
    assert api.pages == [1, 2, 1, 2, 3, 1, 2, 3]
    (warning,) = api.warnings
    assert warning.startswith(
        "Site, window 2024-01-08 to 2024-01-14: the journal moved while its pages were read, 3 tim"
    )


@pytest.mark.parametrize("total", [0, 1])
def test_total_that_is_less_than_the_records_is_not_believed(connect: Connect, total: int) -> None:
    api = connect(PagedApi(calls(1, 2), totals={"pageTotal": 1, "recordsTotal": total}))
    found = api.fetch()
    assert (set(call_ids(found)), found.may_repeat) == ({1, 2}, True)
    assert api.calls == 3
    (warning,) = api.warnings
    assert "the journal moved" in warning


@pytest.mark.parametrize(
    ("rows", "size"),
    [pytest.param(10, 3, id="the pages repeat"), pytest.param(1, 1, id="one row for ever")],
)
def test_there_are_never_many_more_pages_than_the_records_can_fill(
    connect: Connect, rows: int, size: int
) -> None:
    """An API that always says that there is one page more, and ignores which is asked for."""

    def content(query: Query) -> bytes:
        totals = {"pageTotal": int(query["page"]) + 1, "recordsTotal": rows}
        return json.dumps({**totals, "records": calls(*range(size))}).encode()

    api = connect(Api(content, Calls.journal))
    api.fail(FatalAPIError, "^Site, window 2024-01-08 to 2024-01-14: the API has more pages than")
    assert api.calls == -(-rows // size) + SPARE_PAGES


def test_new_pages_for_ever_are_not_read_for_ever(connect: Connect) -> None:
    api = connect(PagedApi(calls(*range(100_000)), 10, totals={"recordsTotal": 25}))
    api.fail(FatalAPIError, "more pages")
    assert api.calls == 3 + SPARE_PAGES


def test_an_empty_page_ends_the_reading(connect: Connect) -> None:
    api = connect(PagedApi(calls(1, 2), 2, totals={"pageTotal": 5}))
    assert (call_ids(api.fetch()), api.pages) == ([1, 2], [1, 2])


@pytest.mark.parametrize("failing", [1, 2, 4])
@pytest.mark.parametrize("error", [FatalAPIError("no"), KeyboardInterrupt()])
def test_bodies_are_closed_if_a_page_fails(
    connect: Connect, failing: int, error: BaseException
) -> None:
    """The fourth call is within the second reading, since the journal moves in the first."""
    move = arrive(2)

    def before(number: int, rows: list[Row]) -> None:
        move(number, rows)
        if number == failing:
            raise error

    api = connect(PagedApi(calls(1, 2, 3), 2, before))
    api.fail(type(error))
    assert api.calls == failing


def test_window_whose_page_is_heavy_is_halved(connect: Connect) -> None:
    """Its pages are asked for anew, since those of another window are others."""

    def content(query: Query) -> Content:
        is_week = window_of(query, "%d/%m/%Y") == WEEK
        if is_week and query["page"] == "2":
            return 500
        records = calls(int(query["page"]))
        return json.dumps({"pageTotal": 2, "recordsTotal": 2, "records": records}).encode()

    api = connect(Api(content, Calls.journal))
    assert call_ids(api.fetch()) == [1, 2] * 3
    assert [query["page"] for query in api.queries] == ["1", "2", "2", *["1", "2"] * 3]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param('"x": NaN', id="NaN"),
        pytest.param('"x": "a\x01b"', id="control character"),
        pytest.param('"x": "\\ud800"', id="lone surrogate"),
        pytest.param('"x": {"callId": 7}', id="an inner id"),
        pytest.param('"x": [{"callId": 7}]', id="an inner id in an array"),
    ],
)
def test_odd_values_are_left_to_the_decoder(connect: Connect, odd: str) -> None:
    array = f'[{{{odd}, "callId": 1}}, {{"callId": 2}}]'
    page = f'{{"pageTotal": 1, "recordsTotal": 2, "records": {array}}}'.encode()
    found = connect(Api(lambda _: page, Calls.journal)).fetch()
    (block,) = found.arrays()
    assert repr(decode_leniently(block)) == repr(decode_leniently(array.encode()))
    assert not found.may_repeat


def test_items_that_are_not_records_are_left_to_the_decoder(connect: Connect) -> None:
    page = b'{"pageTotal": 1, "records": [5, 6]}'
    assert items_of(connect(Api(lambda _: page, Calls.journal)).fetch()) == [5, 6]


# A full disk.


class FullBody(io.BytesIO):
    """A body that takes no more after the first write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(28, "No space left on device")
        return super().write(data)


def fill_disk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be added to an answer."""

    def full() -> IO[bytes]:
        api.bodies.append(FullBody())
        return api.bodies[-1]

    monkeypatch.setattr(client_module, "spool", full)


@pytest.mark.parametrize("journal", [Requests.journal, Calls.journal], ids=["requests", "calls"])
def test_full_disk_is_named_with_its_window_and_no_body_stays_open(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    def content(query: Query) -> Content:
        if journal is Requests.journal:
            return 500 if query["dateFrom"] != query["dateTo"] else encoded([row(1)])
        return json.dumps({"pageTotal": 2, "recordsTotal": 2, "records": calls(1)}).encode()

    api = connect(Api(content, journal))
    fill_disk(api, monkeypatch)
    error = api.fail(FatalAPIError, "the temporary folder cannot hold the answer")
    assert error.startswith("Site, window 2024-01-08 to 2024-01-")
    assert error.count("window") == 1


@pytest.mark.usefixtures("ten")
def test_full_disk_is_named_with_the_window_that_the_api_caps(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = connect(capped(rows_over(7 * 24, 15), 10))
    fill_disk(api, monkeypatch)
    api.fail(FatalAPIError, "^Site, window 2024-01-08 to 2024-01-14: the temporary folder cannot")


@pytest.mark.parametrize("largest", [0, 3], ids=["pages", "readings"])
def test_what_was_read_is_closed_if_it_cannot_be_joined(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    """The third reading is the first to take up another one, which is larger than a page."""
    api = connect(never_resting())
    append = Answer.append

    def fail(answer: Answer, other: Answer) -> None:
        if other.count > largest:
            other.close()
            message = "the temporary folder is full."
            raise FatalAPIError(message)
        append(answer, other)

    monkeypatch.setattr(Answer, "append", fail)
    api.fail(FatalAPIError, "^Site, window 2024-01-08 to 2024-01-14: the temporary folder is full")
