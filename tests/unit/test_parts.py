"""A window is asked for in shorter and shorter parts where answers are heavy, and page by page."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.answers import Answer, HeavyAnswerError, Page
from tap_calltouch.api.client import HEAVY_TRIES, MAX_TRIES, spool
from tap_calltouch.api.parts import SPARE_PAGES, Part, close, read_pages, read_parts
from tap_calltouch.api.prefetch import prefetch
from tap_calltouch.api.windows import DateWindow, WindowLength, cut
from tap_calltouch.instants import DAY, HOUR
from tests.support.repetitions import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


START = datetime(2024, 1, 1)  # noqa: DTZ001 - wall time
RECEIVED = datetime(2024, 2, 1, tzinfo=timezone.utc)
WEEK = DateWindow(START, START + 7 * DAY)


def answer(number: int = 0) -> Answer:
    return Answer(io.BytesIO(b"[%d]" % number), RECEIVED)


# Heavy windows.


@dataclass
class HeavyApi:
    """An API that fails for windows that are too long.

    Attributes:
        limit: The longest window that it answers, by the window's start.
        calls: Each call's window, and whether it was answered.
        answers: What was answered.
    """

    limit: Callable[[datetime], timedelta]
    calls: list[tuple[DateWindow, bool]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def ask(self, window: DateWindow, tries: int) -> list[Part]:
        if window.length <= self.limit(window.start):
            self.calls.append((window, True))
            self.answers.append(answer(len(self.calls)))
            return [Part(window, self.answers[-1])]
        self.calls += [(window, False)] * tries
        message = f"{window} is heavy."
        raise FatalAPIError(message) if tries == MAX_TRIES else HeavyAnswerError(message)

    @property
    def failed(self) -> list[float]:
        """The hours of the windows that failed."""
        return [window.length / HOUR for window, is_answered in self.calls if not is_answered]


def steady(limit: timedelta) -> HeavyApi:
    return HeavyApi(lambda _: limit)


def read(
    api: HeavyApi,
    window: DateWindow = WEEK,
    length: WindowLength | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[Part]:
    return read_parts(api.ask, window, length or WindowLength(7 * DAY), "Site", warn)


def hours(parts: list[Part]) -> list[float]:
    return [part.window.length / HOUR for part in parts]


def test_window_that_is_answered_is_one_part() -> None:
    api = steady(7 * DAY)
    parts = read(api)
    assert parts == [Part(WEEK, api.answers[0])]
    assert api.calls == [(WEEK, True)]


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
    parts = read(api)
    assert [hours(parts), api.failed] == [expected, failed]
    assert [parts[0].window.start, parts[-1].window.end] == [WEEK.start, WEEK.end]
    assert all(before.window.end == after.window.start for before, after in pairwise(parts))


def test_part_is_tried_twice_before_it_is_halved() -> None:
    tries = []

    def ask(window: DateWindow, times: int) -> list[Part]:
        tries.append((window.length / DAY, times))
        if window.length > 3 * DAY:
            message = "heavy"
            raise HeavyAnswerError(message)
        return [Part(window, answer())]

    read_parts(ask, WEEK, WindowLength(7 * DAY), "Site", lambda _: None)
    assert tries[:2] == [(7, HEAVY_TRIES), (3, HEAVY_TRIES)]


def test_an_hour_is_tried_until_the_client_gives_up() -> None:
    api = steady(timedelta())
    with pytest.raises(FatalAPIError, match="2024-01-01 00:00:00 to 2024-01-01 01:00:00 is heavy"):
        read(api)
    assert api.failed == [168] * 2 + [72] * 2 + [24] * 2 + [12] * 2 + [6] * 2 + [3] * 2 + [1] * 5


def test_each_halving_is_a_warning() -> None:
    warnings: list[str] = []
    read(steady(DAY), warn=warnings.append)
    assert warnings == [
        "2024-01-01 to 2024-01-07 is heavy. Halving the window.",
        "2024-01-01 to 2024-01-03 is heavy. Halving the window.",
    ]


def test_length_that_worked_is_kept_for_the_next_window() -> None:
    api = steady(DAY)
    length = WindowLength(7 * DAY)
    read(api, length=length)
    before = len(api.calls)
    next_week = DateWindow(WEEK.end, WEEK.end + 7 * DAY)
    assert hours(read(api, next_week, length)) == [24] * 7
    assert len(api.calls) == before + 7


def test_failed_trial_costs_one_call() -> None:
    api = steady(DAY)
    length = WindowLength(7 * DAY)
    read(api, DateWindow(START, START + 18 * DAY), length)
    assert api.failed == [168] * 2 + [72] * 2 + [48]


def load(api: HeavyApi, days: int, width: int, longest: int = 7) -> list[Part]:
    """Read a period as a sync does."""
    length = WindowLength(longest * DAY)
    windows = cut(START, START + days * DAY, lambda: max(DAY, length()))
    results = prefetch(lambda window: read(api, window, length), windows, width)
    return [part for _, parts in results for part in parts]


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
    parts = load(api, days, width)
    assert [parts[0].window.start, parts[-1].window.end] == [START, START + days * DAY]
    assert all(before.window.end == after.window.start for before, after in pairwise(parts))
    assert len(api.calls) <= most


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("limit", [DAY, 6 * HOUR])
def test_windows_regain_their_length_after_a_heavy_week(limit: timedelta, width: int) -> None:
    api = HeavyApi(lambda start: limit if start < WEEK.end else 7 * DAY)
    parts = load(api, 200, width)
    assert parts[-2].window.length == 7 * DAY
    assert len(api.calls) <= 120


@settings(max_examples=times(30, 100))
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
    api = HeavyApi(lambda start: limits[(start - START).days % len(limits)] * HOUR)
    parts = load(api, days, width, longest)
    assert [parts[0].window.start, parts[-1].window.end] == [START, START + days * DAY]
    assert all(before.window.end == after.window.start for before, after in pairwise(parts))


@settings(max_examples=100)
@given(
    st.integers(1, 40),
    st.lists(st.integers(1, 1000), min_size=1, max_size=9),
    st.integers(1, 5),
    st.sets(st.integers(0, 40 * 24 - 1), min_size=1, max_size=3),
)
def test_whatever_fails_parts_come_without_a_gap_and_then_the_error(
    days: int, limits: list[int], width: int, bad_hours: set[int]
) -> None:
    """The API fails for windows with some hours, besides being heavy."""
    api = HeavyApi(lambda start: limits[(start - START).days % len(limits)] * HOUR)
    bad = sorted(START + hour * HOUR for hour in bad_hours)

    def ask(window: DateWindow, tries: int) -> list[Part]:
        found = api.ask(window, tries)
        if any(window.start <= time < window.end for time in bad):
            raise FatalAPIError
        return found

    length = WindowLength(7 * DAY)
    windows = cut(START, START + days * DAY, lambda: max(DAY, length()))
    results = prefetch(
        lambda item: read_parts(ask, item, length, "Site", lambda _: None), windows, width
    )
    reached = START
    end = START + days * DAY
    try:
        for window, parts in results:
            assert [window.start, window.end] == [reached, parts[-1].window.end]
            reached = window.end
    except FatalAPIError:
        assert reached <= bad[0] < end
    else:
        assert reached == end <= bad[0]


def test_parts_of_a_window_wait_in_one_body(bodies: list[Any]) -> None:
    api = steady(2 * DAY)
    parts = read(api, length=WindowLength(2 * DAY))
    assert [item.body.closed for item in api.answers] == [True] * 4
    (body,) = bodies
    assert body.tell() == len(b"[1][2][3][4]")
    # In any order, since a part may be read once more.
    for part, expected in [*zip(parts, b"1234", strict=True)][::-1]:
        found = part.answer.body
        assert [found.tell(), found.read(2), found.read(), found.read(1)] == [
            0, b"[%c" % expected, b"]", b"",
        ]  # fmt: skip
        assert [found.seek(1), found.read()] == [1, b"%c]" % expected]
    parts[0].answer.body.close()
    assert body.closed


@pytest.mark.parametrize("error", [FatalAPIError("no"), KeyboardInterrupt()])
def test_bodies_are_closed_if_a_later_part_fails(error: BaseException, bodies: list[Any]) -> None:
    answers: list[Answer] = []

    def ask(window: DateWindow, _: int) -> list[Part]:
        if len(answers) == 2:
            raise error
        answers.append(answer())
        return [Part(window, answers[-1])]

    length = WindowLength(DAY)
    with pytest.raises(type(error)):
        read_parts(ask, WEEK, length, "Site", lambda _: None)
    assert all(body.closed for body in [*bodies, *(item.body for item in answers)])


# Pages.

KEY = "callId"
Row = dict[str, Any]


@dataclass
class PagedApi:
    """A journal whose pages can be asked for.

    Attributes:
        rows: The journal, newest first.
        size: How many rows a page holds.
        before: Called with the number of each call before it is answered; may change the rows.
        change: Changes what a page says of itself.
        bodies: All bodies that were sent.
    """

    rows: list[Row]
    size: int = 1000
    before: Callable[[int, list[Row]], None] = lambda _, __: None
    change: Callable[[Page], None] = lambda _: None
    is_bare: bool = False
    bodies: list[io.BytesIO] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)

    def ask(self, number: int) -> Answer:
        self.pages.append(number)
        self.before(len(self.pages), self.rows)
        start = (number - 1) * self.size
        shown = self.rows[start : start + self.size]
        self.bodies.append(io.BytesIO(b" %b\n" % json.dumps(shown).encode()))
        received = RECEIVED + timedelta(seconds=len(self.pages))
        page = Page(-(-len(self.rows) // self.size), len(self.rows))
        self.change(page)
        return Answer(self.bodies[-1], received, Page() if self.is_bare else page)

    def read(self, warn: Callable[[str], None] = lambda _: None) -> list[Part]:
        return read_pages(self.ask, KEY, WEEK, "Site, window W", warn)


def calls(*ids: int) -> list[Row]:
    return [{"siteId": 1, KEY: number, "timestamp": 0} for number in ids]


def ids(part: Part) -> list[int]:
    return [row[KEY] for row in json.loads(part.answer.body.read())]


@pytest.fixture(autouse=True)
def bodies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The bodies of readings, to see whether they are closed."""
    made: list[Any] = []

    def tracked_spool() -> Any:
        made.append(spool())
        return made[-1]

    monkeypatch.setattr("tap_calltouch.api.parts.spool", tracked_spool)
    yield made
    for body in made:
        body.close()


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
def test_pages_are_read_in_turn_into_one_part(rows: int, size: int, pages: int) -> None:
    api = PagedApi(calls(*range(rows)), size)
    (part,) = api.read()
    assert api.pages == list(range(1, pages + 1))
    assert ids(part) == list(range(rows))
    assert (part.window, part.is_unique) == (WEEK, True)
    assert part.answer.received == RECEIVED + timedelta(seconds=1)  # the first: what is certain
    assert all(body.closed for body in api.bodies)


@pytest.mark.parametrize("total", [0, 1, None])
def test_empty_period_is_one_call_and_whole(total: int | None) -> None:
    def change(page: Page) -> None:
        page.page_total = total

    warnings: list[str] = []
    api = PagedApi([], change=change)
    (part,) = api.read(warnings.append)
    assert (api.pages, ids(part), warnings) == ([1], [], [])


@pytest.mark.parametrize("total", [0, None, "4", 4.0, True, -1, [4]])
def test_without_a_page_total_the_records_total_counts(total: object) -> None:
    def change(page: Page) -> None:
        page.page_total = total

    warnings: list[str] = []
    api = PagedApi(calls(1, 2, 3), 2, change=change)
    (part,) = api.read(warnings.append)
    assert (ids(part), api.pages, warnings) == ([1, 2, 3], [1, 2], [])


def test_first_page_without_any_total_ends_the_reading() -> None:
    def change(page: Page) -> None:
        page.page_total = page.records_total = None

    api = PagedApi(calls(1, 2, 3), 2, change=change)
    (part,) = api.read()
    assert (ids(part), api.pages, part.is_counted) == ([1, 2], [1], False)


@pytest.mark.parametrize("total", [None, "3", -1, 3.0])
def test_without_a_records_total_pages_are_taken_as_they_are(total: object) -> None:
    def change(page: Page) -> None:
        page.records_total = total

    api = PagedApi(calls(*range(10)), 3, change=change)
    (part,) = api.read()
    assert ids(part) == list(range(10))


def test_bare_array_is_the_whole_window() -> None:
    api = PagedApi(calls(*range(1500)), 2000, is_bare=True)
    (part,) = api.read()
    assert (api.pages, ids(part), part.is_unique) == ([1], list(range(1500)), True)


def test_bare_array_with_a_row_twice_is_not_unique() -> None:
    (part,) = PagedApi(calls(1, 2, 1), is_bare=True).read()
    assert (ids(part), part.is_unique) == ([1, 2, 1], False)


def arrive(at: int) -> Callable[[int, list[Row]], None]:
    """Let a call arrive before the answer of one call."""
    return lambda number, rows: rows.insert(0, *calls(100)) if number == at else None


def vanish(at: int) -> Callable[[int, list[Row]], None]:
    """Let the newest call go away before the answer of one call."""
    return lambda number, rows: rows.__delitem__(0) if number == at else None


def replace(at: int) -> Callable[[int, list[Row]], None]:
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
        pytest.param(replace(2), [100, 1, 2, 3, 4], id="one arrives and one goes away"),
    ],
)
def test_journal_that_moved_is_read_again(
    before: Callable[[int, list[Row]], None], expected: list[int], bodies: list[Any]
) -> None:
    warnings: list[str] = []
    api = PagedApi(calls(1, 2, 3, 4, 5), 2, before)
    (part,) = api.read(warnings.append)
    assert (ids(part), part.is_unique, warnings) == (expected, True, [])
    assert [body.closed for body in bodies] == [True, False]


def test_journal_that_never_rests_is_read_three_times_and_all_readings_count() -> None:
    counter = iter(range(100, 200))

    def before(_: int, rows: list[Row]) -> None:
        if api.pages[-1] == 2:
            rows.insert(0, *calls(next(counter)))

    warnings: list[str] = []
    api = PagedApi(calls(1, 2, 3), 2, before)
    parts = api.read(warnings.append)
    assert [ids(part) for part in parts] == [
        [101, 100, 100, 1, 2, 3],
        [100, 1, 1, 2, 3],
        [1, 2, 2, 3],
    ]
    assert api.pages == [1, 2, 1, 2, 3, 1, 2, 3]
    (warning,) = warnings
    assert warning.startswith(
        "Site, window W: the journal moved while its pages were read, 3 times."
    )


@pytest.mark.parametrize(
    ("rows", "size"),
    [pytest.param(10, 3, id="the pages repeat"), pytest.param(1, 1, id="one row for ever")],
)
def test_there_are_never_many_more_pages_than_the_records_can_fill(
    rows: int, size: int, bodies: list[Any]
) -> None:
    """An API that always says that there is one page more, and ignores which is asked for."""
    api = PagedApi(calls(*range(rows)), size)

    def ask(number: int) -> Answer:
        found = api.ask(1)
        assert found.page
        found.page.page_total = number + 1
        return found

    with pytest.raises(FatalAPIError, match="the API has more pages than"):
        read_pages(ask, KEY, WEEK, "Site, window W", lambda _: None)
    assert len(api.pages) == -(-rows // size) + SPARE_PAGES
    assert all(body.closed for body in [*api.bodies, *bodies])


def test_new_pages_for_ever_are_not_read_for_ever() -> None:
    api = PagedApi(calls(*range(100_000)), 10)

    def change(page: Page) -> None:
        page.records_total = 25

    api.change = change
    with pytest.raises(FatalAPIError, match="more pages"):
        api.read()
    assert len(api.pages) == 3 + SPARE_PAGES


def test_an_empty_page_ends_the_reading() -> None:
    api = PagedApi(calls(1, 2), 2)

    def change(page: Page) -> None:
        page.page_total = 5

    api.change = change
    (part,) = api.read()
    assert (api.pages, ids(part)) == ([1, 2], [1, 2])


@pytest.mark.parametrize("failing", [1, 2, 4])
@pytest.mark.parametrize(
    "error", [HeavyAnswerError("no"), FatalAPIError("no"), KeyboardInterrupt()]
)
def test_bodies_are_closed_if_a_page_fails(
    failing: int, error: BaseException, bodies: list[Any]
) -> None:
    """The fourth call is within the second reading, since the journal moves in the first."""
    move = arrive(2)

    def before(number: int, rows: list[Row]) -> None:
        move(number, rows)
        if number == failing:
            raise error

    api = PagedApi(calls(1, 2, 3), 2, before)
    with pytest.raises(type(error)):
        api.read()
    assert bodies
    assert all(body.closed for body in [*api.bodies, *bodies])


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
def test_odd_values_are_left_to_the_decoder(odd: str) -> None:
    body = f'[{{{odd}, "callId": 1}}, {{"callId": 2}}]'.encode()
    (part,) = read_pages(
        lambda _: Answer(io.BytesIO(body), RECEIVED, Page(1, 2)),
        KEY,
        WEEK,
        "Site, window W",
        lambda _: None,
    )
    assert part.is_unique
    assert part.answer.body.read() == body


def test_items_that_are_no_records_are_left_to_the_decoder() -> None:
    (part,) = read_pages(
        lambda _: Answer(io.BytesIO(b"[5, 6]"), RECEIVED, Page(1)),
        KEY,
        WEEK,
        "Site, window W",
        lambda _: None,
    )
    assert part.answer.body.read() == b"[5, 6]"


def test_close_closes_all() -> None:
    parts = [Part(WEEK, answer()), Part(WEEK, answer())]
    close(parts)
    assert all(part.answer.body.closed for part in parts)
