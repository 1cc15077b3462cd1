"""Windows in, records out: what is asked for, and what becomes of every row that comes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import IO, TYPE_CHECKING, Any

import pytest
import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.api import reading
from tap_calltouch.api.answers import (
    Answer,
    HeavyAnswerError,
    NotFoundError,
    QuotaExhaustedError,
    read_answer,
)
from tap_calltouch.api.client import MAX_TRIES
from tap_calltouch.api.parts import Part
from tap_calltouch.api.query import Scope
from tap_calltouch.api.reading import Reader, Site, Window
from tap_calltouch.api.windows import DateWindow
from tap_calltouch.config.settings import CALL_PARAMETERS, REQUEST_PARAMETERS
from tap_calltouch.instants import DAY, HOUR
from tap_calltouch.records.decoding import Identity, RecordDecoder
from tap_calltouch.records.drift import Drift
from tap_calltouch.records.structs import Shape
from tap_calltouch.streams import Calls, Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_calltouch.api.query import Journal
    from tap_calltouch.journal import JournalStream


MOSCOW = timezone(timedelta(hours=3))  # in 2024
STARTED = datetime(2024, 2, 1, tzinfo=timezone.utc)
CONFIG = {
    "timezone": "Europe/Moscow",
    "start_date": "2024-01-01",
    "end_date": "2024-01-31",
    "bind_to": "request",
    "window_days": 7,
}
Row = dict[str, Any]
Query = dict[str, str]


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def span(start: str, end: str) -> DateWindow:
    return DateWindow(wall(start), wall(end))


WEEK = span("2024-01-08", "2024-01-15")
A_DAY = span("2024-01-08", "2024-01-09")
AN_HOUR = span("2024-01-08T10:00", "2024-01-08T11:00")


# What is asked for.

FLAGS = {
    "with_map_visits": "withMapVisits",
    "with_yandex_direct": "withYandexDirect",
    "with_google_adwords": "withGoogleAdwords",
    "with_attrs": "withAttrs",
    "with_custom_fields": "withCustomFields",
    "with_dcm": "withDcm",
}
REQUEST_FLAGS = {"with_request_tags": "withRequestTags", "with_widget_info": "withWidgetInfo"}
CALL_FLAGS = {
    "with_call_tags": "withCallTags",
    "with_orders": "withOrders",
    "with_comments": "withComments",
    "with_text": "withText",
    "with_callback_info": "withCallbackInfo",
    "unique_calls_only": "uniqueOnly",
    "target_calls_only": "targetOnly",
    "unique_target_calls_only": "uniqTargetOnly",
    "callback_calls_only": "callbackOnly",
}
FILTERS = {
    **{name: name for name in ("subject", "keywords", "city", "source", "medium", "manager")},
    "ani_value": "ani.value",
    "ani_filter_mode": "ani.filterMode",
    "email_value": "email.value",
    "email_filter_mode": "email.filterMode",
}
Setting = tuple[type["JournalStream"], str, Any, str, str]
SETTINGS: list[Setting] = [
    *((Requests, name, True, api, "true") for name, api in (FLAGS | REQUEST_FLAGS).items()),
    *((Calls, name, True, api, "true") for name, api in (FLAGS | CALL_FLAGS).items()),
    *((Requests, name, "Заявка +&=", api, "Заявка +&=") for name, api in FILTERS.items()),
    (Requests, "subject", "request", "subject", "request"),
    (Requests, "bind_to", "request", "bindTo", "request"),
    (Requests, "bind_to", "session", "bindTo", "session"),
    (Calls, "bind_to", "request", "bindTo", "call"),
    (Calls, "bind_to", "session", "bindTo", "session"),
    (Calls, "call_attribution", "0", "attribution", "0"),
    (Calls, "call_attribution", "1", "attribution", "1"),
]


def query(stream: type[JournalStream], window: DateWindow = WEEK, **settings: Any) -> Query:
    return stream.journal.query({"bind_to": "request", **settings}, 101, window)


@pytest.mark.parametrize(
    ("stream", "setting", "value", "parameter", "sent"),
    [pytest.param(*row, id=f"{row[0].name}-{row[1]}-{row[4]}") for row in SETTINGS],
)
def test_setting_is_a_parameter_of_the_api(
    stream: type[JournalStream], setting: str, value: Any, parameter: str, sent: str
) -> None:
    plain = query(stream)
    assert query(stream, **{setting: value}) == plain | {parameter: sent}


def test_each_setting_of_the_api_is_tried_here() -> None:
    tried = {(stream, setting): parameter for stream, setting, _, parameter, _ in SETTINGS}
    assert tried == {(Requests, name): api for name, api in REQUEST_PARAMETERS.items()} | {
        (Calls, name): api for name, api in CALL_PARAMETERS.items()
    }


@pytest.mark.parametrize("value", [False, None])
@pytest.mark.parametrize("stream", [Requests, Calls])
def test_settings_that_are_off_are_not_sent(
    stream: type[JournalStream], *, value: bool | None
) -> None:
    settings: dict[str, Any] = {name: value for owner, name, *_ in SETTINGS if owner is stream}
    assert query(stream, **settings | {"bind_to": "request"}) == query(stream)


@pytest.mark.parametrize("stream", [Requests, Calls])
def test_settings_of_the_other_journal_are_not_sent(stream: type[JournalStream]) -> None:
    own = {name for owner, name, *_ in SETTINGS if owner is stream}
    settings = {name: value for _, name, value, *_ in SETTINGS if name not in own}
    assert query(stream, **settings) == query(stream)


@pytest.mark.parametrize(
    ("stream", "site", "expected"),
    [
        pytest.param(
            Requests,
            101,
            {"dateFrom": "01/08/2024", "dateTo": "01/14/2024", "siteId": "101"},
            id="requests of a site",
        ),
        pytest.param(
            Requests, None, {"dateFrom": "01/08/2024", "dateTo": "01/14/2024"}, id="of all sites"
        ),
        pytest.param(
            Calls,
            101,
            {"dateFrom": "08/01/2024", "dateTo": "14/01/2024"},
            id="calls, whose site stands in the path",
        ),
    ],
)
def test_days_and_site_are_written_as_the_journal_has_them(
    stream: type[JournalStream], site: int | None, expected: Query
) -> None:
    bind_to = "request" if stream is Requests else "call"
    found = stream.journal.query({"bind_to": "request"}, site, WEEK)
    assert found == expected | {"bindTo": bind_to}


@pytest.mark.parametrize(
    ("window", "times"),
    [
        pytest.param(WEEK, {}, id="whole days"),
        pytest.param(A_DAY, {}, id="a day"),
        pytest.param(
            span("2024-01-08T10:30:15", "2024-01-09"),
            {"timeFrom": "10:30:15"},
            id="a cut first day",
        ),
        pytest.param(
            span("2024-01-08", "2024-01-08T18:30"), {"timeTo": "18:30:00"}, id="a cut last day"
        ),
        pytest.param(AN_HOUR, {"timeFrom": "10:00:00", "timeTo": "11:00:00"}, id="an hour"),
    ],
)
@pytest.mark.parametrize("stream", [Requests, Calls])
def test_times_are_sent_only_within_a_day(
    stream: type[JournalStream], window: DateWindow, times: Query
) -> None:
    sent = query(stream, window)
    assert {name: value for name, value in sent.items() if name.startswith("time")} == times
    if times:
        assert sent["dateFrom"] == sent["dateTo"]


@pytest.mark.parametrize(
    ("stream", "config", "is_possible"),
    [
        pytest.param(Requests, {}, True, id="requests of all sites"),
        pytest.param(Requests, {"site_ids": [1]}, True, id="requests of a site"),
        pytest.param(Requests, {"request_numbers": ["1"]}, True, id="requests by number"),
        pytest.param(Calls, {}, False, id="calls of all sites"),
        pytest.param(Calls, {"site_ids": [1]}, True, id="calls of a site"),
        pytest.param(Calls, {"site_ids": [1], "request_numbers": ["1"]}, False, id="by number"),
    ],
)
def test_journal_knows_whether_it_can_be_asked(
    stream: type[JournalStream], config: dict[str, Any], *, is_possible: bool
) -> None:
    whole = {"site_ids": [], "request_numbers": []} | config
    assert stream.journal.is_possible(whole) is is_possible


# An API without a network.


class Body(io.BytesIO):
    """A body, which does not mind being looked at after it was closed."""


@dataclass
class Api:
    """A journal behind the interface of the client.

    Attributes:
        rows: What it holds.
        answer: Makes an answer's body of the number of the call, from 1, and its rows.
        cap: How many rows an answer has at most.
        obeys: Whether the dates that are asked for count.
    """

    rows: list[Row]
    answer: Callable[[int, list[Row]], bytes | Exception] = lambda _, rows: json.dumps(
        rows
    ).encode()
    cap: int | None = None
    obeys: bool = True
    queries: list[Query] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[IO[bytes]] = field(default_factory=list)

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        label: str,
        *,
        expected: Any = "array",
        heavy_tries: int = MAX_TRIES,
        on_call: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Stand for `Client.get`, without its waits."""
        for attempt in range(1, MAX_TRIES + 1):
            on_call()
            self.queries.append(dict(params))
            self.paths.append(path)
            try:
                return self._answer(label, expected)
            except RetriableAPIError as error:
                if attempt == heavy_tries < MAX_TRIES:
                    raise
                if attempt == MAX_TRIES:
                    message = f"{error} Gave up after {MAX_TRIES} tries."
                    raise FatalAPIError(message) from None
        raise AssertionError

    def _answer(self, label: str, expected: Any) -> Answer:
        rows = [row for row in self.rows if not self.obeys or self._selects(row)][: self.cap]
        content = self.answer(len(self.queries), rows)
        if isinstance(content, Exception):
            raise content
        body = Body(content)
        response = requests.Response()
        response.status_code = 200
        try:
            answer = read_answer(response, body, label, "token", expected)
        except BaseException:
            body.close()
            raise
        if answer.body is not body:
            body.close()
        self.bodies.append(answer.body)
        return answer

    def _selects(self, row: Row) -> bool:
        params = self.queries[-1]
        first = wall_of(params["dateFrom"], params.get("timeFrom", "00:00:00"))
        last = wall_of(params["dateTo"], params.get("timeTo", "23:59:59"))
        at = datetime.fromtimestamp(row["date"] / 1000, MOSCOW).replace(tzinfo=None, microsecond=0)
        return first <= at <= last

    @property
    def all_closed(self) -> bool:
        return all(body.closed for body in self.bodies)


def wall_of(day: str, time: str) -> datetime:
    return datetime.strptime(f"{day} {time}", "%m/%d/%Y %H:%M:%S")  # noqa: DTZ007


def row(number: int, instant: str = "2024-01-08T10:00", site: Any = 101, **more: Any) -> Row:
    at = int(wall(instant).replace(tzinfo=MOSCOW).timestamp() * 1000)
    return {"siteId": site, "requestId": number, "date": at, **more}


def rows_over(hours: int, number: int) -> list[Row]:
    """Return so many rows, spread over so many hours from the beginning of the week."""
    step = hours * HOUR / number
    return [row(at, (WEEK.start + at * step).isoformat()) for at in range(number)]


@dataclass
class Setup:
    """A reader and what it tells the user."""

    api: Api
    settings: dict[str, Any] = field(default_factory=dict)
    site_id: int | None = 101
    warnings: list[str] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        identity = Identity("siteId", "requestId", "date")
        shape = Shape("object", {**identity.shape.fields, "text": Shape("string")})
        self.drift = Drift()
        decoder = RecordDecoder(shape, identity, "ms", self.drift, self.site_id)
        self.site = Site(self.site_id, "Site", decoder)
        self.config = CONFIG | self.settings
        self.scope = Scope.of(self.config)
        self.reader = self.reader_of(Requests.journal)

    def reader_of(self, journal: Journal) -> Reader:
        client: Any = self.api
        warn = self.warnings.append
        return Reader(journal, "requestId", self.config, client, warn, self._count)

    def _count(self) -> None:
        self.calls += 1

    def window(self, window: DateWindow = WEEK) -> Window:
        return Window(
            self.reader, self.scope, self.site, window, self.reader.read(self.site, window)
        )

    def read(self, window: DateWindow = WEEK) -> tuple[list[int], dict[str, int]]:
        """Return the numbers of the records of a window, and what became of its rows."""
        whole = self.window(window)
        return numbers(whole), {reason: count for reason, count in whole.rows.items() if count}


def numbers(window: Window) -> list[int]:
    return [record.f1 for record in window.records()]


# What becomes of rows.


def test_rows_that_were_asked_for_are_written() -> None:
    api = Api([row(1), row(2, "2024-01-14T23:59:59")])
    setup = Setup(api)
    assert setup.read() == ([1, 2], {"written": 2})
    assert (setup.calls, setup.warnings, api.all_closed) == (1, [], True)


@pytest.mark.parametrize(
    ("rows", "written", "counts", "warning"),
    [
        pytest.param([], [], {}, "", id="none"),
        pytest.param(
            [row(1), row(2, site=202), row(3, site=202)],
            [1],
            {"written": 1, "of other sites": 2},
            "the answer holds records of other sites",
            id="of another site",
        ),
        pytest.param([row(1, site="101")], [1], {"written": 1}, "", id="the site as a text"),
        pytest.param([row(1, site=None)], [1], {"written": 1}, "", id="without a site"),
        pytest.param(
            [row(1, "2024-01-07T00:00"), row(2, "2024-01-15T23:59:59")],
            [1, 2],
            {"written": 2},
            "",
            id="up to a day outside the window",
        ),
        pytest.param(
            [row(1), row(2, "2024-01-06T23:59:59"), row(3, "2024-01-16T00:00")],
            [1],
            {"written": 1, "of other dates": 2},
            "the answer holds records that are dated outside the window",
            id="more than a day outside",
        ),
        pytest.param(
            [row(1), {**row(2), "date": 1704700}],
            [1],
            {"written": 1, "dated before 2000": 1},
            "the answer holds records that are dated before 2000",
            id="one impossible date",
        ),
    ],
)
def test_rows_that_were_not_asked_for_are_left_out_and_counted(
    rows: list[Row], written: list[int], counts: dict[str, int], warning: str
) -> None:
    setup = Setup(Api(rows, obeys=False))
    assert setup.read() == (written, counts)
    expected = f"Site, window 2024-01-08 to 2024-01-14: {warning}, which are left out."
    assert setup.warnings == ([expected] if warning else [])


def test_rows_of_any_site_are_written_where_no_site_is_named() -> None:
    setup = Setup(Api([row(1), row(1, site=202)]), site_id=None)
    assert setup.read() == ([1, 1], {"written": 2})


def test_record_without_a_site_ends_the_sync_where_no_site_is_named() -> None:
    setup = Setup(Api([row(1, site=None)]), site_id=None)
    with pytest.raises(FatalAPIError, match=r"no usable `siteId` .found null.\. Set `site_ids`\.$"):
        setup.read()
    assert setup.api.all_closed


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        pytest.param({}, [1, 2, 3], id="the days of the start and end"),
        pytest.param({"start_date": "2024-01-08T10:00:00"}, [2, 3], id="start"),
        pytest.param({"end_date": "2024-01-08T12:00:00"}, [1, 2], id="end"),
        pytest.param(
            {"start_date": "2024-01-08T10:00:00", "end_date": "2024-01-08T12:00:00"}, [2], id="both"
        ),
        pytest.param(
            {"end_date": "2024-01-08T12:00:00", "bind_to": "session"}, [1, 2, 3], id="by session"
        ),
    ],
)
def test_rows_outside_the_users_dates_are_left_out_without_a_word(
    settings: dict[str, Any], written: list[int]
) -> None:
    at = ["2024-01-08T09:59:59", "2024-01-08T10:00", "2024-01-08T12:00"]
    setup = Setup(Api([row(number, instant) for number, instant in enumerate(at, 1)]), settings)
    left_out = {"outside start_date and end_date": 3 - len(written)} if len(written) < 3 else {}
    assert setup.read() == (written, {"written": len(written), **left_out})
    assert setup.warnings == []


@pytest.mark.parametrize("instant", ["2000-01-02T00:00", "2024-01-06T10:00", "2030-01-01T00:00"])
def test_rows_by_session_may_be_of_any_date(instant: str) -> None:
    setup = Setup(Api([row(1, instant)], obeys=False), {"bind_to": "session"})
    assert setup.read() == ([1], {"written": 1})


def test_there_is_one_warning_for_each_reason_and_site() -> None:
    odd = [row(1, site=202), row(2, "2023-01-01T00:00"), row(3), {**row(4), "date": 0}]
    setup = Setup(Api(odd, obeys=False))
    for days in (0, 7, 14):
        setup.read(DateWindow(WEEK.start + days * DAY, WEEK.end + days * DAY))
    assert len(setup.warnings) == 3


def test_row_that_comes_twice_in_parts_is_written_once() -> None:
    """The halves of a day share the second at which they meet."""
    rows = [row(1, "2024-01-08T11:00"), row(2, "2024-01-08T12:00"), row(3, "2024-01-08T13:00")]

    def answer(_: int, found: list[Row]) -> bytes | Exception:
        if "timeFrom" not in api.queries[-1] and "timeTo" not in api.queries[-1]:
            return HeavyAnswerError("heavy")
        return json.dumps(found).encode()

    api = Api(rows, answer)
    setup = Setup(api)
    assert setup.read(A_DAY) == ([1, 2, 3], {"written": 3, "came before": 1})
    assert api.all_closed


def test_ids_repeat_across_sites() -> None:
    setup = Setup(Api([row(1), row(1, site=202), row(1)]), site_id=None)
    window = setup.window()
    window.parts[0].is_unique = False
    assert numbers(window) == [1, 1]
    assert window.rows == {"written": 2, "came before": 1}


def test_received_is_when_the_first_answer_came() -> None:
    setup = Setup(Api([]))
    early, late = (Part(WEEK, Answer(Body(b"[]"), STARTED + days * DAY)) for days in (0, 1))
    window = Window(setup.reader, setup.scope, setup.site, WEEK, [late, early])
    assert window.received == STARTED


# Instants in another unit.


@pytest.mark.parametrize("settings", [{}, {"bind_to": "session"}])
def test_dates_in_another_unit_are_one_error_that_shows_them(settings: dict[str, Any]) -> None:
    rows = [{**row(1), "date": 1704700800}, {**row(2), "date": 1704787200}]
    setup = Setup(Api(rows, obeys=False), settings)
    with pytest.raises(FatalAPIError) as raised:
        setup.read()
    assert str(raised.value) == (
        "Site, window 2024-01-08 to 2024-01-14: the records are dated from "
        "1970-01-20T17:31:40.800+00:00 to 1970-01-20T17:33:07.200+00:00, before Calltouch existed. "
        "The API seems to count in another unit now."
    )
    assert setup.api.all_closed


def test_dates_beyond_the_calendar_are_one_error_that_shows_one() -> None:
    setup = Setup(Api([{**row(1), "date": 1704700800000000}], obeys=False))
    with pytest.raises(FatalAPIError, match=r"no usable `date` .found 1704700800000000.\.$"):
        setup.read()
    assert setup.api.all_closed


# Broken answers.

WHOLE = json.dumps([row(1, tags=["a"]), row(2, orders=[{"sum": "1"}]), row(3)]).encode()


def broken_once(broken: bytes) -> Callable[[int, list[Row]], bytes]:
    return lambda number, _: broken if number == 1 else WHOLE


@pytest.mark.parametrize("place", range(len(WHOLE)))
def test_answer_that_is_cut_anywhere_is_read_again(place: int) -> None:
    api = Api([], broken_once(WHOLE[:place]))
    setup = Setup(api)
    written, _ = setup.read()
    assert written[-3:] == [1, 2, 3]
    assert setup.calls == 2
    assert api.all_closed


BROKEN = [
    pytest.param(WHOLE.replace(b'"a"]', b'"a"'), id="a bracket is missing"),
    pytest.param(WHOLE.replace(b"}, {", b"}{"), id="a comma is missing"),
    pytest.param(WHOLE.replace(b'"tags":', b'"tags"'), id="a colon is missing"),
    pytest.param(WHOLE + b"\x00\x00\x00", id="NULs behind"),
    pytest.param(WHOLE[:-20] + b"\x00" * 20, id="NULs at the end"),
    pytest.param(WHOLE[:-20] + b"\x00" * 19 + b"]", id="NULs before the end"),
    pytest.param(WHOLE + WHOLE, id="twice"),
    pytest.param(WHOLE[:60] + b"<html>502</html>]", id="an error page within"),
    pytest.param(WHOLE[:40] + WHOLE[60:], id="a piece is missing"),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_is_no_json_is_read_again(broken: bytes) -> None:
    api = Api([], broken_once(broken))
    setup = Setup(api)
    written, _ = setup.read()
    assert set(written) == {1, 2, 3}
    assert setup.calls == 2
    assert api.all_closed


@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_breaks_twice_is_halved(broken: bytes) -> None:
    rows = rows_over(7 * 24, 14)

    def answer(_: int, found: list[Row]) -> bytes:
        params = api.queries[-1]
        is_long = params["dateFrom"] != params["dateTo"]
        return broken if is_long else json.dumps(found).encode()

    api = Api(rows, answer)
    setup = Setup(api)
    window = setup.window()
    written = numbers(window)
    assert set(written) >= {item["requestId"] for item in rows}
    assert [item for item in written if item > 3] == list(range(4, 14))
    assert setup.reader.length() == DAY
    assert any("Halving the window." in warning for warning in setup.warnings)
    assert api.all_closed


@pytest.mark.parametrize("window", [AN_HOUR, A_DAY, WEEK], ids=["hour", "day", "week"])
@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_is_always_broken_ends_with_one_error(
    broken: bytes, window: DateWindow
) -> None:
    api = Api([], lambda *_: broken)
    setup = Setup(api)
    with pytest.raises(FatalAPIError, match=r"(is|or is) not valid JSON|cut short|Gave up after 5"):
        setup.read(window)
    # A week, 3 days, a day, 12 hours, 6, 3: twice each; an hour five times.
    assert setup.calls == {AN_HOUR: 5, A_DAY: 13, WEEK: 17}[window]
    assert api.all_closed


def test_records_before_the_break_are_written_again() -> None:
    """A body of several blocks breaks when the first ones are written."""
    rows = [row(number, text="x" * 1000) for number in range(300)]
    body = json.dumps(rows).encode()
    api = Api([], lambda number, _: body[:-100] + b"}]" if number == 1 else body)
    setup = Setup(api)
    written, counts = setup.read()
    before = written.index(0, 1)
    assert before > 100
    assert written == [*range(before), *range(300)]
    assert counts == {"written": before + 300}


def test_records_before_the_break_of_a_part_are_not_lost() -> None:
    """Where parts may hold the same record, those that came before are known."""
    rows = [row(number, text="x" * 1000) for number in range(300)]
    body = json.dumps(rows).encode()
    api = Api([], lambda number, _: body[:-100] + b"}]" if number == 1 else body)
    setup = Setup(api)
    window = setup.window()
    window.parts[0].is_unique = False
    assert numbers(window) == list(range(300))


def test_bodies_are_closed_if_the_reading_ends_early() -> None:
    rows = [row(number, text="x" * 1000) for number in range(300)]
    body = json.dumps(rows).encode()
    for stop in (1, 250, 400):
        api = Api([], lambda number, _: body[:-100] + b"}]" if number == 1 else body)
        records = Setup(api).window().records()
        for _ in range(stop):
            next(records)
        records.close()  # type: ignore[attr-defined]
        assert api.all_closed


def test_bodies_of_later_parts_are_closed_if_an_earlier_one_fails() -> None:
    """The second try is answered in parts, the first of which holds no record."""

    def answer(number: int, _: list[Row]) -> bytes | Exception:
        if number == 1:
            return WHOLE[:-30] + b"]"
        if api.queries[-1]["dateFrom"] != api.queries[-1]["dateTo"]:
            return HeavyAnswerError("heavy")
        return b"[5]"

    api = Api([], answer)
    setup = Setup(api)
    with pytest.raises(FatalAPIError, match="an item of the array is not an object"):
        setup.read()
    assert len(api.bodies) == 8
    assert api.all_closed


# Answers that the API may have cut off.


@pytest.fixture
def ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten rows be as suspicious as a thousand."""
    monkeypatch.setattr(reading, "SUSPICIOUS_ROWS", 10)


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(("cap", "number"), [(10, 25), (10, 100), (20, 35), (10, 20)])
def test_halves_of_a_capped_answer_bring_the_other_rows_once(cap: int, number: int) -> None:
    rows = rows_over(7 * 24, number)
    api = Api(rows, cap=cap)
    setup = Setup(api)
    written, counts = setup.read()
    assert sorted(written) == list(range(number))
    assert counts["written"] == number
    assert setup.reader.length() < 7 * DAY
    assert any(
        f"to 2024-01-14: the API caps its answers: it sent {cap} records and left out at least "
        f"{number - cap}, which came with the halves" in warning
        for warning in setup.warnings
    )
    assert api.all_closed


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b"%b", id="an array"),
        pytest.param(b'{"records": %b}', id="no totals"),
        pytest.param(b'{"pageTotal": "3", "recordsTotal": "25", "records": %b}', id="texts"),
    ],
)
def test_page_that_does_not_say_how_many_records_there_are_may_be_capped(page: bytes) -> None:
    rows = rows_over(7 * 24, 25)
    setup = Setup(Api(rows, lambda _, found: page % json.dumps(found).encode(), cap=10))
    setup.reader = setup.reader_of(replace(Requests.journal, page_size=10))
    assert sorted(setup.read()[0]) == list(range(25))
    assert any("the API caps its answers" in warning for warning in setup.warnings)


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("number", [10, 20, 50])
def test_whole_answer_of_a_suspicious_number_of_rows_is_no_cap(number: int) -> None:
    setup = Setup(Api(rows_over(7 * 24, number)))
    written, counts = setup.read()
    assert written == list(range(number))
    assert counts == {"written": number, "came before": number}
    assert setup.calls >= 3
    assert setup.warnings == []
    assert setup.reader.length() == 7 * DAY
    assert setup.api.all_closed


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("number", [0, 1, 9, 11, 15])
def test_other_numbers_of_rows_cost_one_call(number: int) -> None:
    setup = Setup(Api(rows_over(7 * 24, number) if number else []))
    assert setup.read()[0] == list(range(number))
    assert setup.calls == 1


@pytest.mark.usefixtures("ten")
def test_capped_hour_cannot_be_halved_which_is_a_warning() -> None:
    setup = Setup(Api([row(number) for number in range(15)], cap=10))
    written, _ = setup.read(AN_HOUR)
    assert len(written) == 10
    (warning,) = setup.warnings
    assert "the API sent 10 records, which may be as many as it ever sends" in warning


def test_a_thousand_rows_are_suspicious() -> None:
    setup = Setup(Api(rows_over(7 * 24, 1500), cap=1000))
    assert sorted(setup.read()[0]) == list(range(1500))


@pytest.mark.usefixtures("ten")
def test_rows_left_out_of_a_capped_answer_are_not_written_from_its_halves() -> None:
    rows = [*rows_over(24, 9), row(100, site=202)]
    setup = Setup(Api(rows, obeys=False))
    written, _ = setup.read()
    assert written == list(range(9))


# Other questions.


@pytest.mark.usefixtures("ten")
def test_test_of_the_connection_is_one_call_however_many_rows_come() -> None:
    setup = Setup(Api(rows_over(24, 10)))
    setup.reader = replace(setup.reader, is_sample=True)
    assert setup.read(A_DAY) == ([*range(10)], {"written": 10})
    assert (setup.calls, setup.api.all_closed) == (1, True)


def test_pages_of_calls_are_asked_for_in_full_size_by_the_path_of_their_site() -> None:
    def answer(number: int, _: list[Row]) -> bytes:
        calls = [{"siteId": 101, "callId": number, "timestamp": 1704700800}]
        return json.dumps({"pageTotal": 2, "recordsTotal": 2, "records": calls}).encode()

    api = Api([], answer, obeys=False)
    identity = Identity("siteId", "callId", "timestamp")
    site = Site(101, "Site", RecordDecoder(identity.shape, identity, "s", Drift()))
    client: Any = api
    reader = Reader(Calls.journal, "callId", CONFIG, client, lambda _: None)
    window = Window(reader, Scope.of(CONFIG), site, WEEK, reader.read(site, WEEK))
    assert numbers(window) == [1, 2]
    assert api.paths == ["/101/calls-diary/calls"] * 2
    assert [(item["page"], item["limit"]) for item in api.queries] == [("1", "1000"), ("2", "1000")]


@pytest.mark.usefixtures("ten")
def test_page_totals_say_whether_calls_are_whole() -> None:
    calls = [{"siteId": 101, "callId": at, "timestamp": 1704700800} for at in range(10)]
    page = json.dumps({"pageTotal": 1, "recordsTotal": 10, "records": calls}).encode()
    api = Api([], lambda *_: page, obeys=False)
    identity = Identity("siteId", "callId", "timestamp")
    site = Site(101, "Site", RecordDecoder(identity.shape, identity, "s", Drift()))
    client: Any = api
    reader = Reader(Calls.journal, "callId", CONFIG, client, lambda _: None)
    window = Window(reader, Scope.of(CONFIG), site, WEEK, reader.read(site, WEEK))
    assert numbers(window) == list(range(10))
    assert len(api.queries) == 1


@pytest.mark.parametrize(
    ("number", "path"),
    [
        ("A-1", "/requests/A-1"),
        ("A/1 б?#", "/requests/A%2F1%20%D0%B1%3F%23"),
        ("..", "/requests/.."),
    ],
)
def test_request_is_asked_for_by_its_number(number: str, path: str) -> None:
    setup = Setup(Api([row(1)], obeys=False))
    answer = setup.reader.read_number(number)
    assert answer
    assert [record.f1 for record in setup.site.read_all(answer, number)] == [1]
    assert setup.api.paths == [path]
    assert setup.api.queries == [{}]
    assert setup.api.all_closed


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b'[{"requestId": 1}]', "a record has no usable `date`", id="no date"),
        pytest.param(b"[7]", "an item of the array is not an object", id="no record"),
    ],
)
def test_request_that_cannot_be_read_is_one_sentence(body: bytes, problem: str) -> None:
    setup = Setup(Api([], lambda *_: body, obeys=False))
    answer = setup.reader.read_number("A-1")
    assert answer
    with pytest.raises(FatalAPIError, match=f"^Request A-1: {problem}"):
        setup.site.read_all(answer, "Request A-1")
    assert setup.api.all_closed


def test_unknown_number_is_nothing() -> None:
    setup = Setup(Api([], lambda *_: NotFoundError("no")))
    assert setup.reader.read_number("A-1") is None


def test_used_up_points_know_the_site() -> None:
    setup = Setup(Api([], lambda *_: QuotaExhaustedError("points")))
    with pytest.raises(QuotaExhaustedError) as raised:
        setup.reader.read(setup.site, WEEK)
    assert raised.value.site == 101


def test_errors_and_warnings_name_stream_site_and_window() -> None:
    setup = Setup(Api([], lambda *_: b'{"message": "x", "errorCode": "500"}'))
    with pytest.raises(FatalAPIError, match=r"^Site, window 2024-01-08 00:00:00 to 2024-01-08 01"):
        setup.read()
    assert setup.warnings
    assert all(warning.startswith("Site, window 2024-01-08") for warning in setup.warnings)
