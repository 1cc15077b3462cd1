"""Which periods are asked for: every wall time once, in order, nothing that has yet to come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from itertools import cycle, islice, pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api import windows as windows_module
from tap_calltouch.api.extents import check_clock, plan_extent
from tap_calltouch.api.windows import GOOD_WINDOWS, DateWindow, WindowLength, cut, halves
from tap_calltouch.instants import (
    DAY,
    HOUR,
    SECOND,
    midnight_of,
    next_bookmark,
    to_instant,
)
from tests.support.repetitions import times
from tests.support.settings import settings_of
from tests.support.threads import THREADS, hammer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


UTC = ZoneInfo("UTC")
MOSCOW = ZoneInfo("Europe/Moscow")
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
PROPERTY = settings(max_examples=times(40, 120))


def wall(text: str) -> datetime:
    """Return a wall time, as in `2024-01-31` or `2024-01-31T10:00`."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def span(start: str, end: str) -> DateWindow:
    return DateWindow(wall(start), wall(end))


def between(*borders: str) -> list[DateWindow]:
    """Return windows that meet at these wall times."""
    return [span(start, end) for start, end in pairwise(borders)]


def fixed(days: float) -> Callable[[], timedelta]:
    return lambda: days * DAY


# Cutting.


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
        pytest.param(
            ["2024-01-01", "2024-01-01T12:00", "2024-01-02", "2024-01-02T12:00"],
            0.5,
            id="half days",
        ),
        pytest.param(
            ["2024-01-01", "2024-01-01T16:00", "2024-01-02", "2024-01-02T16:00", "2024-01-03"],
            2 / 3,
            id="parts of a day end at midnight",
        ),
    ],
)
def test_windows_are_runs_of_whole_days_and_a_cut_day_is_alone(
    borders: list[str], longest: float
) -> None:
    windows = list(cut(wall(borders[0]), wall(borders[-1]), fixed(longest)))
    assert windows == between(*borders)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param("2024-01-01", "2024-01-01", id="nothing between"),
        pytest.param("2024-01-02", "2024-01-01", id="end before start"),
        pytest.param("2024-01-01T10:00:01", "2024-01-01T10:00", id="a second too late"),
    ],
)
def test_empty_period_has_no_windows(start: str, end: str) -> None:
    assert list(cut(wall(start), wall(end), fixed(7))) == []


def test_each_window_is_as_long_as_the_length_at_its_turn() -> None:
    lengths = iter([2 * DAY, 12 * HOUR, 3 * DAY, DAY])
    windows = cut(wall("2024-01-01"), wall("2024-01-05"), lambda: next(lengths))
    assert list(windows) == between(
        "2024-01-01", "2024-01-03", "2024-01-03T12:00", "2024-01-04", "2024-01-05"
    )


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
def test_window_names_itself_in_logs(window: DateWindow, text: str) -> None:
    assert str(window) == text


@pytest.mark.parametrize(
    ("end", "last_day"),
    [
        pytest.param("2024-01-08", date(2024, 1, 7), id="midnight belongs to the day before"),
        pytest.param("2024-01-08T00:00:01", date(2024, 1, 8), id="a second later"),
        pytest.param("2024-01-08T12:00", date(2024, 1, 8), id="noon"),
    ],
)
def test_last_day_of_a_window_is_the_last_that_it_touches(end: str, last_day: date) -> None:
    assert span("2024-01-01", end).last_day == last_day


# What a run asks for.


@dataclass
class Run:
    """A run of the tap with its settings."""

    start: datetime
    end: datetime | None
    now: datetime
    zone: ZoneInfo
    longest: int = 7
    fractions: Sequence[float] = ()

    def period(
        self, bookmark: datetime | None = None, lookback: int = 0, now: datetime | None = None
    ) -> tuple[datetime, tuple[datetime, datetime]]:
        """Return the first instant, and the wall times between which the run asks."""
        wanted = replace(
            settings_of(lookback_days=lookback), zone=self.zone, start=self.start, end=self.end
        )
        start, end, _ = plan_extent(wanted, now or self.now, bookmark, is_incremental=True)
        return max(self.start, to_instant(start, self.zone)), (start, end)

    def instants(
        self, first: datetime | None = None, now: datetime | None = None
    ) -> list[datetime]:
        """Return instants to extract: edges, around all hours if they are few, some between."""
        start, limit = first or self.start, now or self.now
        end = min(self.end or limit, limit)
        if start >= end:
            return []
        step = max((end - start) // 60 // HOUR, 1) * HOUR
        first_hour = start.replace(minute=0, second=0, microsecond=0)
        hours = [first_hour + number * step for number in range((end - start) // step + 2)]
        some = [start + fraction * (end - start) for fraction in self.fractions]
        edges = [instant - SECOND / 1000 for instant in [*hours, end]]
        return [instant for instant in [start, *hours, *edges, *some] if start <= instant < end]

    def wall(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param("2024-01-08", None, ("2024-01-08", "2024-01-18"), id="today is whole"),
        pytest.param("2024-01-16", "2024-01-17", ("2024-01-16", "2024-01-17"), id="over before"),
        pytest.param(
            "2024-01-16", "2024-01-17T05:00", ("2024-01-16", "2024-01-17T05:00"), id="over today"
        ),
        pytest.param("2024-01-17T11:00", None, ("2024-01-17T11:00", "2024-01-18"), id="today"),
        pytest.param(
            "2024-01-17T12:30", None, ("2024-01-17T12:30", "2024-01-18"), id="later today"
        ),
    ],
)
def test_period_reaches_to_the_end_or_over_today(
    start: str, end: str | None, expected: tuple[str, str]
) -> None:
    run = Run(utc(start), utc(end) if end else None, utc("2024-01-17T12:00"), UTC)
    assert run.period()[1] == tuple(map(wall, expected))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param("2024-01-18", None, id="starts tomorrow"),
        pytest.param("2025-01-01", None, id="starts in a year"),
        pytest.param("2024-01-16", "2024-01-15", id="end before start"),
    ],
)
def test_period_that_has_yet_to_come_has_no_windows(start: str, end: str | None) -> None:
    run = Run(utc(start), utc(end) if end else None, utc("2024-01-17T12:00"), UTC)
    assert list(cut(*run.period()[1], fixed(7))) == []


@pytest.mark.parametrize(
    ("start", "now", "said"),
    [
        pytest.param("2024-01-08", "1970-01-01T00:01", r"clock .* 1970-01-01 00:01 UTC", id="1970"),
        pytest.param("2010-01-01", "2019-12-31T23:59", r"clock .* 2019-12-31 23:59", id="2019"),
        pytest.param("2024-01-08", "2020-01-01", r"`start_date` \(2024-01-08\).*clock", id="2020"),
        pytest.param("2024-01-08", "2024-01-06T20:59", r"lies ahead", id="over a day ahead"),
    ],
)
def test_wrong_clock_is_said(start: str, now: str, said: str) -> None:
    with pytest.raises(FatalAPIError, match=said):
        check_clock(settings_of(start_date=start), utc(now))


@pytest.mark.parametrize(
    ("start", "now"), [("2024-01-08", "2024-01-06T21:00"), ("2019-01-01", "2020-01-01")]
)
def test_start_within_a_day_is_no_wrong_clock(start: str, now: str) -> None:
    """It is midnight earlier elsewhere."""
    check_clock(settings_of(start_date=start), utc(now))


def test_today_is_the_day_in_the_zone() -> None:
    run = Run(utc("2024-01-16T21:00"), None, utc("2024-01-17T21:30"), MOSCOW)
    assert run.period()[1] == (wall("2024-01-17"), wall("2024-01-19"))


# Halving.


@pytest.mark.parametrize(
    "borders",
    [
        pytest.param(["2024-01-01", "2024-01-05", "2024-01-09"], id="8 days"),
        pytest.param(["2024-01-01", "2024-01-04", "2024-01-08"], id="7 days"),
        pytest.param(["2024-01-01", "2024-01-02", "2024-01-04"], id="3 days"),
        pytest.param(["2024-01-01", "2024-01-02", "2024-01-03"], id="2 days"),
        pytest.param(["2024-01-01", "2024-01-01T12:00", "2024-01-02"], id="1 day"),
        pytest.param(["2024-01-01T12:00", "2024-01-01T18:00", "2024-01-02"], id="12 hours"),
        pytest.param(["2024-01-01T15:00", "2024-01-01T16:00", "2024-01-01T18:00"], id="3 hours"),
        pytest.param(
            ["2024-01-01T15:00", "2024-01-01T16:00", "2024-01-01T16:00:01"], id="over an hour"
        ),
        pytest.param(
            ["2024-01-01T10:30", "2024-01-01T16:30", "2024-01-02"], id="a cut day from its start"
        ),
    ],
)
def test_heavy_window_is_asked_for_in_halves(borders: list[str]) -> None:
    assert halves(span(borders[0], borders[-1])) == between(*borders)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("2024-01-01T16:00", id="an hour"),
        pytest.param("2024-01-01T15:00:01", id="a second"),
    ],
)
def test_an_hour_or_less_is_not_halved(end: str) -> None:
    assert halves(span("2024-01-01T15:00", end)) == []


def test_halving_goes_from_days_to_a_day_to_an_hour() -> None:
    window = span("2024-01-01", "2024-01-09")
    lengths = [window.length // HOUR]
    while pieces := halves(window):
        window = pieces[0]
        lengths.append(window.length // HOUR)
    assert lengths == [192, 96, 48, 24, 12, 6, 3, 1]


# The length that worked.


def window_of(length: timedelta) -> DateWindow:
    return DateWindow(wall("2024-01-01"), wall("2024-01-01") + length)


def fail(length: WindowLength, *lengths: timedelta) -> None:
    for failed in lengths:
        length.start_trial(window_of(failed))
        length.record_failure(window_of(failed))


def succeed(length: WindowLength, times: int = 1) -> None:
    """Let windows of the length that is due work, cut from midnight."""
    for _ in range(times):
        window = next(cut(wall("2024-01-01"), wall("2025-01-01"), length.current))
        length.start_trial(window)
        length.record_success(window)


@pytest.mark.parametrize("longest", [1, 2, 7, 90])
def test_windows_are_as_long_as_the_setting_and_never_longer(longest: int) -> None:
    length = WindowLength(longest * DAY)
    before = length.current()
    succeed(length, 5 * GOOD_WINDOWS)
    assert before == length.current() == longest * DAY


@pytest.mark.parametrize(
    ("failed", "kept"),
    [
        pytest.param([7 * DAY], 3 * DAY, id="a week"),
        pytest.param([7 * DAY, 3 * DAY], DAY, id="three days"),
        pytest.param([7 * DAY, 3 * DAY, DAY], 12 * HOUR, id="a day"),
        pytest.param([DAY, 12 * HOUR, 6 * HOUR, 3 * HOUR], HOUR, id="three hours"),
        pytest.param([HOUR + SECOND], HOUR, id="an hour and a second: no shorter than an hour"),
        pytest.param([HOUR], 7 * DAY, id="an hour cannot be halved"),
        pytest.param([3 * DAY, 7 * DAY], DAY, id="one that was longer already"),
    ],
)
def test_after_a_heavy_window_its_shorter_half_is_the_length(
    failed: list[timedelta], kept: timedelta
) -> None:
    length = WindowLength(7 * DAY)
    fail(length, *failed)
    assert length.current() == kept


def test_twice_the_length_is_tried_only_after_16_good_windows_in_a_row() -> None:
    length = WindowLength(7 * DAY)
    fail(length, 7 * DAY, 3 * DAY)
    succeed(length, GOOD_WINDOWS - 1)
    assert length.current() == DAY
    fail(length, DAY)
    succeed(length, GOOD_WINDOWS - 1)
    assert length.current() == 12 * HOUR
    succeed(length)
    assert length.current() == DAY


def test_a_failed_trial_waits_for_16_more() -> None:
    length = WindowLength(7 * DAY)
    fail(length, 7 * DAY, 3 * DAY)
    succeed(length, GOOD_WINDOWS)
    fail(length, 2 * DAY)
    succeed(length, GOOD_WINDOWS - 1)
    assert length.current() == DAY
    succeed(length)
    assert length.current() == 2 * DAY


def test_a_trial_that_works_is_followed_by_16_of_its_length() -> None:
    length = WindowLength(8 * DAY)
    fail(length, 8 * DAY, 4 * DAY)
    succeed(length, GOOD_WINDOWS + 1)
    assert length.current() == 4 * DAY
    succeed(length, GOOD_WINDOWS - 1)
    assert length.current() == 4 * DAY
    succeed(length)
    assert length.current() == 8 * DAY


def test_only_one_window_at_a_time_is_a_trial() -> None:
    length = WindowLength(7 * DAY)
    fail(length, 7 * DAY, 3 * DAY)
    succeed(length, GOOD_WINDOWS)
    assert length.start_trial(window_of(length.current()))
    assert not length.start_trial(window_of(length.current()))
    assert length.current() == DAY


def test_windows_regain_their_length_step_by_step_and_their_midnights() -> None:
    length = WindowLength(7 * DAY)
    fail(length, *(hours * HOUR for hours in (168, 72, 24, 12, 6, 3)))
    lengths = []
    for _ in range(9):
        window = next(cut(wall("2024-01-01"), wall("2025-01-01"), length.current))
        lengths.append(window.length // HOUR)
        succeed(length, GOOD_WINDOWS + bool(lengths[1:]))
    assert lengths == [1, 2, 4, 8, 16, 24, 48, 96, 168]


def test_no_good_window_is_lost_between_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many as make a trial due make it due, and one less does not."""
    turns = 2000
    monkeypatch.setattr(windows_module, "GOOD_WINDOWS", THREADS * turns + 1)
    length = WindowLength(7 * DAY)
    fail(length, 7 * DAY)
    hammer(lambda _: length.record_success(window_of(DAY)), turns)
    assert length.current() == 3 * DAY
    succeed(length)
    assert length.current() == 6 * DAY


def test_shortest_of_windows_that_fail_at_once_is_the_length() -> None:
    for _ in range(20):
        length = WindowLength(THREADS * 100 * DAY)
        hammer(lambda turn, length=length: fail(length, (turn + 2) * DAY), 100)  # type: ignore[misc]
        assert length.current() == DAY


# Properties.


def changes(zone: ZoneInfo) -> list[datetime]:
    """Return the hours in which the clock of a zone changed, in UTC."""
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


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw runs whose start, end or now is likely to be near a change of the clock."""
    zone = draw(st.sampled_from(ZONES))
    instant = draw(ANYTIME)
    if draw(st.booleans()) and CHANGES[zone]:
        instant = draw(st.sampled_from(CHANGES[zone])) + draw(st.timedeltas(-2 * HOUR, 3 * HOUR))
    start = instant - draw(st.just(timedelta()) | LENGTHS)
    return Run(
        start=start,
        end=draw(st.none() | st.just(instant) | LENGTHS.map(lambda length: start + length)),
        now=draw(st.just(instant) | LENGTHS.map(lambda length: start + length)),
        zone=ZoneInfo(zone),
        longest=draw(st.integers(1, 90)),
        fractions=draw(st.lists(st.floats(0, 1), min_size=5, max_size=5)),
    )


def check(windows: list[DateWindow], run: Run, first: datetime | None = None) -> None:
    """Each instant lies in one window; windows are in order, not too long, whole days or parts."""
    for instant in run.instants(first):
        holders = [w for w in windows if w.start <= run.wall(instant) < w.end]
        assert len(holders) == 1, f"{instant} is in {len(holders)} windows"
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
    bookmark = None if since is None else run.start + since
    first, period = run.period(bookmark, lookback)
    windows = list(cut(*period, fixed(run.longest)))
    check(windows, run, first)
    assert first <= max(run.start, bookmark or run.start)
    assert period[0] >= midnight_of(run.start, run.zone)
    assert all(window.last_day <= run.wall(run.now).date() for window in windows)


@PROPERTY
@given(runs(), st.lists(st.integers(1, 2000), min_size=1, max_size=12))
def test_every_instant_is_in_one_window_however_heavy_the_answers_are(
    run: Run, hours: list[int]
) -> None:
    """The API answers for at most that many hours at once, three windows long, then the next."""
    length = WindowLength(run.longest * DAY)
    windows: list[DateWindow] = []
    _, (start, end) = run.period()
    while start < end:
        window = next(cut(start, end, length.current))
        limit = hours[len(windows) // 3 % len(hours)] * HOUR
        length.start_trial(window)
        if window.length > limit and halves(window):
            length.record_failure(window)
        else:
            length.record_success(window)
            windows.append(window)
            start = window.end
    check(windows, run)


@PROPERTY
@given(
    runs(),
    st.floats(0, 1),
    st.timedeltas(timedelta(), 40 * DAY),
    st.integers(0, 3),
    st.none() | LENGTHS,
    st.lists(st.integers(1, 2000), min_size=1, max_size=9),
)
def test_run_that_resumes_after_any_window_skips_nothing(
    run: Run,
    stop: float,
    later: timedelta,
    lookback: int,
    future: timedelta | None,
    hours: list[int],
) -> None:
    """Whatever bookmark from the future it finds, and however short heavy answers make windows."""
    bookmark = run.start
    if future is not None:
        bookmark = run.now + abs(future)
    first, period = run.period(None if future is None else bookmark, lookback)
    lengths = cycle(hours)
    windows = list(cut(*period, lambda: min(run.longest * DAY, next(lengths) * HOUR)))
    before = list(islice(windows, round(stop * len(windows))))
    assume(before or future is None)  # nothing else brings a bookmark back from the future
    for window in before:
        bookmark = next_bookmark(bookmark, to_instant(window.end, run.zone), run.now, run.now)
    now = run.now + later
    _, period = run.period(bookmark, lookback, now)
    after = list(cut(*period, fixed(run.longest)))
    for instant in run.instants(first, now):
        # What came after the first run began is in its windows by chance only.
        asked = [*before, *after] if instant < run.now else after
        assert any(w.start <= run.wall(instant) < w.end for w in asked), instant
