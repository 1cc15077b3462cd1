"""Which periods are asked for: every moment once, in order, nothing that has yet to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_calltouch.windows import (
    DAY,
    HOUR,
    SECOND,
    DateWindow,
    DateWindowPaginator,
    first_instant,
    instant,
    next_bookmark,
    parse_moment,
    plan_windows,
    wall_period,
)

UTC = ZoneInfo("UTC")
MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
BEIRUT = ZoneInfo("Asia/Beirut")
HAVANA = ZoneInfo("America/Havana")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # until 2019 the clock changed at midnight
    "Asia/Beirut",  # days that begin at 01:00
    "Australia/Lord_Howe",  # half an hour
    "Europe/Moscow",
    "Africa/Casablanca",
    "UTC",
]
PROPERTY = settings(max_examples=120, deadline=None, derandomize=True)


def wall(text: str) -> datetime:
    """A wall time, as in `2024-01-31` or `2024-01-31T10:00`."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def span(start: str, end: str) -> DateWindow:
    return DateWindow(wall(start), wall(end))


def take(paginator: DateWindowPaginator) -> DateWindow:
    window = paginator.current_value
    paginator.advance()
    return window


def take_all(paginator: DateWindowPaginator) -> list[DateWindow]:
    windows = []
    while not paginator.finished:
        windows.append(take(paginator))
    return windows


def days(*dates: str) -> list[DateWindow]:
    """Windows that meet at these moments."""
    return [span(start, end) for start, end in pairwise(dates)]


# Windows.


@pytest.mark.parametrize(
    ("borders", "longest"),
    [
        pytest.param(["2024-01-01", "2024-01-08"], 7, id="one whole window"),
        pytest.param(["2024-01-01", "2024-01-08", "2024-01-15"], 7, id="two whole windows"),
        pytest.param(["2024-01-01", "2024-01-08", "2024-01-09"], 7, id="a rest of one day"),
        pytest.param(["2024-01-01", "2024-01-02", "2024-01-03"], 1, id="the shortest windows"),
        pytest.param(["2024-01-01", "2024-03-31", "2024-04-01"], 90, id="the longest windows"),
        pytest.param(["2024-01-01", "2024-01-03"], 90, id="shorter than a window"),
        pytest.param(
            ["2024-01-01T10:00", "2024-01-02", "2024-01-09"], 7, id="a cut first day is alone"
        ),
        pytest.param(
            ["2024-01-01", "2024-01-08", "2024-01-09", "2024-01-09T10:00"],
            7,
            id="a cut last day is alone",
        ),
        pytest.param(
            ["2024-01-01", "2024-01-08", "2024-01-08T10:00"], 7, id="a cut last day after a window"
        ),
        pytest.param(
            ["2024-01-01T23:59:59", "2024-01-02", "2024-01-03", "2024-01-03T00:00:01"],
            7,
            id="both ends are cut by a second",
        ),
        pytest.param(["2024-01-01T10:00", "2024-01-01T11:30"], 7, id="a part of one day"),
        pytest.param(["2024-01-01", "2024-01-01T11:30"], 7, id="the beginning of one day"),
        pytest.param(["2024-01-01T10:00", "2024-01-02"], 7, id="the end of one day"),
        pytest.param(
            ["2024-01-01T10:00", "2024-01-02", "2024-01-02T10:00"], 7, id="parts of two days"
        ),
        pytest.param(["2024-02-28", "2024-03-01"], 2, id="a leap day"),
        pytest.param(["2023-12-31", "2024-01-02"], 2, id="over a new year"),
    ],
)
def test_windows_are_runs_of_whole_days_and_a_cut_day_is_alone(
    borders: list[str], longest: int
) -> None:
    paginator = DateWindowPaginator(wall(borders[0]), wall(borders[-1]), longest)
    assert take_all(paginator) == days(*borders)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param("2024-01-01", "2024-01-01", id="nothing between"),
        pytest.param("2024-01-02", "2024-01-01", id="end before start"),
        pytest.param("2024-01-01T10:00:01", "2024-01-01T10:00", id="a second too late"),
    ],
)
def test_an_empty_period_has_no_windows(start: str, end: str) -> None:
    paginator = DateWindowPaginator(wall(start), wall(end), 7)
    assert (paginator.finished, paginator.count_windows(), paginator.get_next(None)) == (
        True,
        0,
        None,
    )


def test_counting_windows_takes_none() -> None:
    paginator = DateWindowPaginator(wall("2024-01-01"), wall("2024-01-31"), 7)
    take(paginator)
    assert [paginator.count_windows(), paginator.count_windows()] == [4, 4]
    assert len(take_all(paginator)) == 4


@pytest.mark.parametrize(
    ("window", "text"),
    [
        pytest.param(span("2024-01-01", "2024-01-08"), "2024-01-01 to 2024-01-07", id="days"),
        pytest.param(span("2024-01-01", "2024-01-02"), "2024-01-01 to 2024-01-01", id="one day"),
        pytest.param(
            span("2024-01-01T12:00", "2024-01-02"),
            "2024-01-01 12:00:00 to 2024-01-02 00:00:00",
            id="half a day",
        ),
    ],
)
def test_a_window_names_itself_in_logs(window: DateWindow, text: str) -> None:
    assert str(window) == text


@pytest.mark.parametrize(
    ("end", "last_day"),
    [
        pytest.param("2024-01-08", date(2024, 1, 7), id="midnight belongs to the day before"),
        pytest.param("2024-01-08T00:00:01", date(2024, 1, 8), id="a second later"),
        pytest.param("2024-01-08T12:00", date(2024, 1, 8), id="noon"),
    ],
)
def test_the_last_day_of_a_window_is_the_last_that_it_touches(end: str, last_day: date) -> None:
    assert span("2024-01-01", end).last_day == last_day


# Heavy windows.


@pytest.mark.parametrize(
    ("borders", "halves"),
    [
        pytest.param(
            ["2024-01-01", "2024-01-09"], ["2024-01-01", "2024-01-05", "2024-01-09"], id="8 days"
        ),
        pytest.param(
            ["2024-01-01", "2024-01-08"],
            ["2024-01-01", "2024-01-04", "2024-01-07", "2024-01-08"],
            id="7 days",
        ),
        pytest.param(
            ["2024-01-01", "2024-01-03"], ["2024-01-01", "2024-01-02", "2024-01-03"], id="2 days"
        ),
        pytest.param(
            ["2024-01-01", "2024-01-02"],
            ["2024-01-01", "2024-01-01T12:00", "2024-01-02"],
            id="1 day",
        ),
        pytest.param(
            ["2024-01-01T12:00", "2024-01-02"],
            ["2024-01-01T12:00", "2024-01-01T18:00", "2024-01-02"],
            id="12 hours",
        ),
        pytest.param(
            ["2024-01-01T15:00", "2024-01-01T18:00"],
            ["2024-01-01T15:00", "2024-01-01T16:00", "2024-01-01T17:00", "2024-01-01T18:00"],
            id="3 hours",
        ),
        pytest.param(
            ["2024-01-01T15:00", "2024-01-01T16:00:01"],
            ["2024-01-01T15:00", "2024-01-01T16:00", "2024-01-01T16:00:01"],
            id="a second over an hour",
        ),
    ],
)
def test_a_heavy_window_is_asked_for_in_parts(borders: list[str], halves: list[str]) -> None:
    paginator = DateWindowPaginator(wall(borders[0]), wall(borders[1]), 90)
    assert paginator.halve(take(paginator))
    assert take_all(paginator) == days(*halves)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("2024-01-01T16:00", id="an hour"),
        pytest.param("2024-01-01T15:00:01", id="a second"),
    ],
)
def test_an_hour_or_less_is_not_halved(end: str) -> None:
    paginator = DateWindowPaginator(wall("2024-01-01T15:00"), wall(end), 7)
    assert not paginator.halve(take(paginator))
    assert paginator.finished


def test_halving_goes_from_days_to_a_day_to_an_hour() -> None:
    paginator = DateWindowPaginator(wall("2024-01-01"), wall("2024-01-09"), 8)
    lengths = []
    while True:
        window = take(paginator)
        lengths.append((window.end - window.start) // HOUR)
        if not paginator.halve(window):
            break
    assert lengths == [192, 96, 48, 24, 12, 6, 3, 1]


def test_windows_regain_their_length_step_by_step_and_their_midnights() -> None:
    paginator = DateWindowPaginator(wall("2024-01-01"), wall("2024-01-31"), 7)
    heavy = take(paginator)
    while paginator.halve(heavy):
        heavy = take(paginator)
    taken = []
    while not paginator.finished:
        paginator.lengthen()
        taken.append(take(paginator))
    assert taken[:8] == days(
        "2024-01-01T01:00",
        "2024-01-01T03:00",
        "2024-01-01T06:00",
        "2024-01-01T12:00",
        "2024-01-02",
        "2024-01-03",  # after 16 hours a day, not 32 hours
        "2024-01-04",
        "2024-01-08",
        "2024-01-15",
    )


@pytest.mark.parametrize("longest", [1, 2, 7, 90])
def test_windows_never_grow_beyond_the_setting(longest: int) -> None:
    paginator = DateWindowPaginator(wall("2024-01-01"), wall("2024-12-31"), longest)
    for _ in range(10):
        paginator.lengthen()
    window = take(paginator)
    assert window.end - window.start == longest * DAY


# Moments.


@pytest.mark.parametrize(
    ("value", "zone", "moment"),
    [
        pytest.param("2024-01-31", MOSCOW, "2024-01-30T21:00", id="date"),
        pytest.param("2024-01-31", UTC, "2024-01-31", id="date in UTC"),
        pytest.param("2024-07-01", BERLIN, "2024-06-30T22:00", id="date in summer"),
        pytest.param("2024-01-31T10:00:00", MOSCOW, "2024-01-31T07:00", id="no offset"),
        pytest.param(
            "2024-01-31T10:00:00.000001", MOSCOW, "2024-01-31T07:00:00.000001", id="microseconds"
        ),
        pytest.param("2024-01-31 10:00:00", MOSCOW, "2024-01-31T07:00", id="a space"),
        pytest.param("2024-01-31T10:00:00+05:00", MOSCOW, "2024-01-31T05:00", id="offset"),
        pytest.param("2024-01-31T10:00:00Z", MOSCOW, "2024-01-31T10:00", id="Z"),
        pytest.param(
            "2024-01-31T10:00:00.000+00:00", MOSCOW, "2024-01-31T10:00", id="as bookmarks are"
        ),
        pytest.param("2024-10-27T02:30", BERLIN, "2024-10-27T00:30", id="the first of two"),
        pytest.param("2024-03-31T02:30", BERLIN, "2024-03-31T00:30", id="skipped: the earlier"),
        pytest.param("2024-03-31", BEIRUT, "2024-03-30T21:00", id="midnight is skipped"),
    ],
)
def test_moments_are_read_in_the_zone(value: str, zone: ZoneInfo, moment: str) -> None:
    assert parse_moment(value, zone) == utc(moment)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        pytest.param("2024-01-31", "2024-01-31T21:00", id="date: to the end of the day"),
        pytest.param("2024-01-31T10:00:00", "2024-01-31T07:00", id="date-time: that moment"),
        pytest.param("2024-01-31T00:00:00", "2024-01-30T21:00", id="midnight is a moment too"),
    ],
)
def test_an_end_date_includes_its_day(value: str, moment: str) -> None:
    assert parse_moment(value, MOSCOW, whole_day=True) == utc(moment)


@pytest.mark.parametrize("value", ["", "yesterday", "31.01.2024", "2024-13-01", "2024-01-31T25:00"])
def test_what_is_no_moment_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(value, MOSCOW)


# Where a run starts, and how far its bookmark gets.


@pytest.mark.parametrize(
    ("bookmark", "lookback", "zone", "first"),
    [
        pytest.param(None, 10, MOSCOW, "2024-01-01T10:30", id="no bookmark: no look-back"),
        pytest.param("2024-02-20T12:00", 0, MOSCOW, "2024-02-19T21:00", id="no look-back"),
        pytest.param("2024-02-20T12:00", 10, MOSCOW, "2024-02-09T21:00", id="10 days"),
        pytest.param("2024-02-20T12:00", 10, UTC, "2024-02-10", id="10 days in UTC"),
        pytest.param("2024-02-20T21:00", 0, MOSCOW, "2024-02-20T21:00", id="local midnight"),
        pytest.param("2024-02-20T22:00", 0, MOSCOW, "2024-02-20T21:00", id="tomorrow there"),
        pytest.param("2024-01-05T12:00", 10, MOSCOW, "2024-01-01T10:30", id="the start is later"),
        pytest.param("2024-01-01T12:00", 0, MOSCOW, "2024-01-01T10:30", id="the start's own day"),
        pytest.param("2023-06-01", 0, MOSCOW, "2024-01-01T10:30", id="a bookmark before the start"),
        pytest.param("2024-04-05T12:00", 10, BERLIN, "2024-03-25T23:00", id="over a clock change"),
        pytest.param("2024-03-31T12:00", 0, BEIRUT, "2024-03-30T21:00", id="no midnight"),
    ],
)
def test_a_run_starts_at_local_midnight_before_the_bookmark(
    bookmark: str | None, lookback: int, zone: ZoneInfo, first: str
) -> None:
    start = utc("2024-01-01T10:30")
    assert first_instant(start, utc(bookmark) if bookmark else None, lookback, zone) == utc(first)


@pytest.mark.parametrize(
    ("bookmark", "window_end", "expected"),
    [
        pytest.param(None, "2024-01-08", "2024-01-08", id="the first window"),
        pytest.param("2024-01-08", "2024-01-15", "2024-01-15", id="forward"),
        pytest.param("2024-01-15", "2024-01-08", "2024-01-15", id="never back"),
        pytest.param("2024-01-08", "2024-01-08", "2024-01-08", id="the same"),
        pytest.param("2024-01-08", "2024-02-01", "2024-01-20", id="never beyond the limit"),
        pytest.param(None, "2024-02-01", "2024-01-20", id="nor at once"),
        pytest.param("2024-03-01", "2024-01-08", "2024-01-20", id="back from the future"),
    ],
)
def test_the_bookmark_moves_forward_up_to_the_limit(
    bookmark: str | None, window_end: str, expected: str
) -> None:
    before = utc(bookmark) if bookmark else None
    assert next_bookmark(before, utc(window_end), utc("2024-01-20")) == utc(expected)


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        pytest.param(
            "2024-01-01T10:00", "2024-01-02T10:00", MOSCOW,
            span("2024-01-01T13:00", "2024-01-02T13:00"), id="wall time",
        ),
        pytest.param(
            "2024-01-01T10:00:00.9", "2024-01-01T11:00:00.1", UTC,
            span("2024-01-01T10:00", "2024-01-01T11:00:01"), id="whole seconds, outwards",
        ),
        pytest.param(
            "2024-01-01T10:00", "2024-01-01T23:59:59.5", UTC,
            span("2024-01-01T10:00", "2024-01-02"), id="the last half second",
        ),
        pytest.param(
            "2024-10-27T10:00", "2024-10-27T12:00", BERLIN,
            span("2024-10-27", "2024-10-28"), id="a day of 25 hours is whole",
        ),
        pytest.param(
            "2024-03-31T10:00", "2024-03-31T12:00", BERLIN,
            span("2024-03-31", "2024-04-01"), id="a day of 23 hours is whole",
        ),
        pytest.param(
            "2024-04-07T01:00", "2024-04-07T02:00", LORD_HOWE,
            span("2024-04-07", "2024-04-08"), id="half an hour is a change too",
        ),
        pytest.param(
            "2024-10-25T22:00", "2024-10-26T22:00", BERLIN,
            span("2024-10-26", "2024-10-27"), id="an end at the midnight before the change",
        ),
        pytest.param(
            "2024-11-01T12:00", "2024-11-03T05:00", HAVANA,
            span("2024-11-01T08:00", "2024-11-04"), id="an end at the second of two midnights",
        ),
    ],
)  # fmt: skip
def test_a_period_in_wall_time_holds_all_of_its_instants(
    start: str, end: str, zone: ZoneInfo, expected: DateWindow
) -> None:
    assert DateWindow(*wall_period(utc(start), utc(end), zone)) == expected


@pytest.mark.parametrize(
    ("start", "end", "borders"),
    [
        pytest.param(
            "2024-01-08", None, ["2024-01-08", "2024-01-15", "2024-01-18"], id="today is whole"
        ),
        pytest.param("2024-01-16", "2024-01-17", ["2024-01-16", "2024-01-17"], id="over before"),
        pytest.param(
            "2024-01-16", "2024-01-17T05:00",
            ["2024-01-16", "2024-01-17", "2024-01-17T05:00"], id="over today",
        ),
        pytest.param("2024-01-17", "2024-01-17T12:00", ["2024-01-17", "2024-01-18"], id="over now"),
        pytest.param("2024-01-16", "2025-01-01", ["2024-01-16", "2024-01-18"], id="yet to come"),
        pytest.param("2024-01-17T11:00", None, ["2024-01-17T11:00", "2024-01-18"], id="today"),
        pytest.param("2024-01-18", None, ["2024-01-18"], id="starts tomorrow"),
        pytest.param("2025-01-01", None, ["2025-01-01"], id="starts in a year"),
        pytest.param("2024-01-16", "2024-01-15", ["2024-01-16"], id="end before start"),
    ],
)  # fmt: skip
def test_a_plan_reaches_to_the_end_or_today(
    start: str, end: str | None, borders: list[str]
) -> None:
    now = utc("2024-01-17T12:00")
    plan = plan_windows(utc(start), utc(end) if end else None, now, UTC, 7)
    assert take_all(plan) == days(*borders)


def test_today_is_the_day_in_the_zone() -> None:
    plan = plan_windows(utc("2024-01-16T21:00"), None, utc("2024-01-17T21:30"), MOSCOW, 7)
    assert take_all(plan) == days("2024-01-17", "2024-01-19")


# Properties.


def changes(zone: ZoneInfo) -> list[datetime]:
    """The hours in which the clock of a zone changed, in UTC."""
    first = datetime(2009, 1, 1, tzinfo=timezone.utc)
    days = [first + number * DAY for number in range(16 * 365)]
    return [
        hour
        for day in days
        if (day + DAY).astimezone(zone).utcoffset() != day.astimezone(zone).utcoffset()
        for hour in (day + number * HOUR for number in range(24))
        if (hour + HOUR).astimezone(zone).utcoffset() != hour.astimezone(zone).utcoffset()
    ]


CHANGES = {zone: changes(ZoneInfo(zone)) for zone in ZONES}
ANYTIME = st.datetimes(datetime(2009, 1, 1), datetime(2026, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001
LENGTHS = st.timedeltas(-2 * HOUR, 3 * DAY) | st.timedeltas(-2 * HOUR, 120 * DAY)


@dataclass
class Run:
    """A run of the tap with its settings."""

    start: datetime
    end: datetime | None
    now: datetime
    zone: ZoneInfo
    longest: int
    fractions: list[float]

    def plan(
        self, first: datetime | None = None, now: datetime | None = None
    ) -> DateWindowPaginator:
        return plan_windows(first or self.start, self.end, now or self.now, self.zone, self.longest)

    def instants(
        self, first: datetime | None = None, now: datetime | None = None
    ) -> list[datetime]:
        """Instants to extract: the edges, around all hours if they are few, and some between."""
        start, limit = first or self.start, now or self.now
        end = min(self.end or limit, limit)
        if start >= end:
            return []
        step = max((end - start) // 60 // HOUR, 1) * HOUR
        first_hour = start.replace(minute=0, second=0, microsecond=0)
        hours = [first_hour + number * step for number in range((end - start) // step + 2)]
        some = [start + fraction * (end - start) for fraction in self.fractions]
        edges = [moment - SECOND / 1000 for moment in [*hours, end]]
        return [moment for moment in [start, *hours, *edges, *some] if start <= moment < end]

    def wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Runs whose start, end or now is likely to be near a change of the clock."""
    zone = draw(st.sampled_from(ZONES))
    moment = draw(ANYTIME)
    if draw(st.booleans()) and CHANGES[zone]:
        moment = draw(st.sampled_from(CHANGES[zone])) + draw(st.timedeltas(-2 * HOUR, 3 * HOUR))
    start = moment - draw(st.just(timedelta()) | LENGTHS)
    return Run(
        start=start,
        end=draw(st.none() | st.just(moment) | LENGTHS.map(lambda length: start + length)),
        now=draw(st.just(moment) | LENGTHS.map(lambda length: start + length)),
        zone=ZoneInfo(zone),
        longest=draw(st.integers(1, 90)),
        fractions=draw(st.lists(st.floats(0, 1), min_size=5, max_size=5)),
    )


def check(windows: list[DateWindow], run: Run, first: datetime | None = None) -> None:
    """Each instant lies in one window; windows are in order, not too long, whole days or parts."""
    for moment in run.instants(first):
        holders = [w for w in windows if w.start <= run.wall(moment) < w.end]
        assert len(holders) == 1, f"{moment} is in {len(holders)} windows"
    assert all(window.start < window.end <= window.start + run.longest * DAY for window in windows)
    assert all(before.end == after.start for before, after in pairwise(windows))
    for window in windows:
        is_whole_days = window.start.time() == window.end.time() == time()
        assert is_whole_days or window.start.date() == window.last_day


@PROPERTY
@given(runs(), st.integers(0, 30), st.none() | LENGTHS)
def test_every_instant_is_in_one_window_and_none_is_in_the_future(
    run: Run, lookback: int, since: timedelta | None
) -> None:
    bookmark = None if since is None else min(run.start + since, run.now)
    first = first_instant(run.start, bookmark, lookback, run.zone)
    windows = take_all(run.plan(first))
    check(windows, run, first)
    assert run.start <= first <= max(run.start, bookmark or run.start)
    assert all(window.last_day <= run.wall(run.now).date() for window in windows)


@PROPERTY
@given(runs(), st.lists(st.integers(1, 2000), min_size=1, max_size=12))
def test_every_instant_is_in_one_window_however_heavy_the_answers_are(
    run: Run, hours: list[int]
) -> None:
    """The API answers for at most that many hours at once, three windows long, then the next."""
    plan = run.plan()
    windows: list[DateWindow] = []
    while not plan.finished:
        window = take(plan)
        limit = hours[len(windows) // 3 % len(hours)] * HOUR
        if window.end - window.start <= limit or not plan.halve(window):
            windows.append(window)
            plan.lengthen()
    check(windows, run)


@PROPERTY
@given(runs(), st.floats(0, 1), st.timedeltas(timedelta(), 40 * DAY))
def test_a_run_that_resumes_after_any_window_skips_nothing(
    run: Run, stop: float, later: timedelta
) -> None:
    plan = run.plan()
    before = [take(plan) for _ in range(round(stop * plan.count_windows()))]
    bookmark = None
    for window in before:
        bookmark = next_bookmark(bookmark, instant(window.end, run.zone), run.now)
    resumed = first_instant(run.start, bookmark, 0, run.zone)
    after = take_all(run.plan(resumed, run.now + later))
    for moment in run.instants(now=run.now + later):
        # What came after the first run began is in its windows by chance only.
        asked = [*before, *after] if moment < run.now else after
        assert any(w.start <= run.wall(moment) < w.end for w in asked), moment
