"""Instants, wall times and bookmarks: where a run starts, and how far its bookmark gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from tap_calltouch.api.extents import plan_extent, plan_sample
from tap_calltouch.instants import (
    format_instant,
    midnight_of,
    next_bookmark,
    parse_instant,
    to_instant,
    wall_period,
)
from tests.support.settings import settings_of

UTC = ZoneInfo("UTC")
MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
BEIRUT = ZoneInfo("Asia/Beirut")
HAVANA = ZoneInfo("America/Havana")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


def wall(text: str) -> datetime:
    """Return a wall time, as in `2024-01-31` or `2024-01-31T10:00`."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


# Reading and writing.


@pytest.mark.parametrize(
    ("value", "zone", "instant"),
    [
        pytest.param("2024-01-31", MOSCOW, "2024-01-30T21:00", id="date"),
        pytest.param("2024-01-31", UTC, "2024-01-31", id="date in UTC"),
        pytest.param("2024-07-01", BERLIN, "2024-06-30T22:00", id="date in summer"),
        pytest.param(" 2024-01-31\n", UTC, "2024-01-31", id="blanks around"),
        pytest.param("2024-01-31T10:00:00", MOSCOW, "2024-01-31T07:00", id="no offset"),
        pytest.param(
            "2024-01-31T10:00:00.000001", MOSCOW, "2024-01-31T07:00:00.000001", id="microseconds"
        ),
        pytest.param("2024-01-31 10:00:00", MOSCOW, "2024-01-31T07:00", id="a space"),
        pytest.param("2024-01-31T10:00:00+05:00", MOSCOW, "2024-01-31T05:00", id="offset"),
        pytest.param("2024-01-31T10:00:00Z", MOSCOW, "2024-01-31T10:00", id="Z"),
        pytest.param("2024-01-31T10:00:00.123Z", MOSCOW, "2024-01-31T10:00:00.123", id="ms and Z"),
        pytest.param(
            "2024-01-31T10:00:00.000+00:00", MOSCOW, "2024-01-31T10:00", id="as bookmarks are"
        ),
        pytest.param("2024-10-27T02:30", BERLIN, "2024-10-27T00:30", id="the first of two"),
        pytest.param("2024-03-31T02:30", BERLIN, "2024-03-31T00:30", id="skipped: the earlier"),
        pytest.param("2024-03-31", BEIRUT, "2024-03-30T21:00", id="midnight is skipped"),
    ],
)
def test_date_time_without_offset_is_read_in_the_zone(
    value: str, zone: ZoneInfo, instant: str
) -> None:
    assert parse_instant(value, zone) == utc(instant)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        pytest.param("2024-01-31", "2024-01-31T21:00", id="date: to the end of the day"),
        pytest.param("2024-01-31T10:00:00", "2024-01-31T07:00", id="date-time: that instant"),
        pytest.param("2024-01-31T00:00:00", "2024-01-30T21:00", id="midnight is an instant too"),
    ],
)
def test_end_date_includes_its_day(value: str, instant: str) -> None:
    assert parse_instant(value, MOSCOW, whole_day=True) == utc(instant)


@pytest.mark.parametrize(
    ("value", "zone", "instant"),
    [
        pytest.param("2024-03-09", HAVANA, "2024-03-10T05:00", id="the next midnight is skipped"),
        pytest.param("2024-11-02", HAVANA, "2024-11-03T04:00", id="the next midnight comes twice"),
        pytest.param("2024-03-31T02:30", BERLIN, "2024-03-31T01:30", id="skipped: the later"),
        pytest.param("2024-10-27T02:30", BERLIN, "2024-10-27T00:30", id="the first of two"),
    ],
)
def test_end_includes_all_that_comes_before_it(value: str, zone: ZoneInfo, instant: str) -> None:
    assert parse_instant(value, zone, whole_day=True) == utc(instant)


@pytest.mark.parametrize("value", ["", "yesterday", "31.01.2024", "2024-13-01", "2024-01-31T25:00"])
def test_text_that_is_no_date_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(value, MOSCOW)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        pytest.param(utc("2024-01-31"), "2024-01-31T00:00:00.000+00:00", id="midnight"),
        pytest.param(
            utc("2024-01-31T10:00:00.999999"), "2024-01-31T10:00:00.999+00:00", id="never later"
        ),
        pytest.param(
            datetime(2024, 1, 31, 1, tzinfo=MOSCOW), "2024-01-30T22:00:00.000+00:00", id="in UTC"
        ),
        pytest.param(utc("0001-01-01"), "0001-01-01T00:00:00.000+00:00", id="the first"),
    ],
)
def test_timestamps_have_one_form_which_can_be_read_again(instant: datetime, text: str) -> None:
    assert format_instant(instant) == text
    assert format_instant(parse_instant(text, MOSCOW)) == text


@pytest.mark.parametrize(
    ("wall_time", "zone", "instant"),
    [
        pytest.param("2024-01-31T03:00", MOSCOW, "2024-01-31", id="usual"),
        pytest.param("2024-10-27T02:30", BERLIN, "2024-10-27T00:30", id="twice: the first"),
        pytest.param("2024-03-31T02:30", BERLIN, "2024-03-31T00:30", id="never: the earlier"),
        pytest.param("2024-04-07T01:45", LORD_HOWE, "2024-04-06T14:45", id="half an hour twice"),
    ],
)
def test_ambiguous_wall_time_is_the_earlier_instant(
    wall_time: str, zone: ZoneInfo, instant: str
) -> None:
    assert to_instant(wall(wall_time), zone) == utc(instant)


@pytest.mark.parametrize(
    ("instant", "zone", "midnight"),
    [
        pytest.param("2024-01-30T20:59", MOSCOW, "2024-01-30", id="before midnight"),
        pytest.param("2024-01-30T21:00", MOSCOW, "2024-01-31", id="midnight"),
        pytest.param("2024-03-30T22:30", BEIRUT, "2024-03-31", id="no midnight"),
    ],
)
def test_day_is_that_of_the_zone(instant: str, zone: ZoneInfo, midnight: str) -> None:
    assert midnight_of(utc(instant), zone) == wall(midnight)


# Where a run starts.

START = "2024-01-01T10:30"
NOW = "2024-06-01T12:00"
MIDNIGHT = "2024-06-01T21:00"  # at which today ends in Moscow


def plan(
    *,
    start: str = START,
    end: str | None = None,
    now: str = NOW,
    zone: ZoneInfo = MOSCOW,
    bookmark: str | None = None,
    lookback_days: int = 10,
    is_incremental: bool = True,
    is_test: bool = False,
) -> tuple[datetime, datetime, str]:
    """Return the first and last instant of a run, and the reason."""
    wanted = replace(
        settings_of(lookback_days=lookback_days),
        zone=zone,
        start=utc(start),
        end=utc(end) if end else None,
    )
    found = utc(bookmark) if bookmark else None
    first, last, reason = (
        plan_sample(wanted, utc(now))
        if is_test
        else plan_extent(wanted, utc(now), found, is_incremental=is_incremental)
    )
    return to_instant(first, zone), to_instant(last, zone), reason


@pytest.mark.parametrize(
    ("bookmark", "lookback", "zone", "first"),
    [
        pytest.param(None, 10, MOSCOW, START, id="no bookmark: no look-back"),
        pytest.param("2024-02-20T12:00", 0, MOSCOW, "2024-02-19T21:00", id="no look-back"),
        pytest.param("2024-02-20T12:00", 10, MOSCOW, "2024-02-09T21:00", id="10 days"),
        pytest.param("2024-02-20T12:00", 10, UTC, "2024-02-10", id="10 days in UTC"),
        pytest.param("2024-02-20T21:00", 0, MOSCOW, "2024-02-20T21:00", id="local midnight"),
        pytest.param("2024-02-20T22:00", 0, MOSCOW, "2024-02-20T21:00", id="tomorrow there"),
        pytest.param("2024-01-05T12:00", 10, MOSCOW, START, id="the start is later"),
        pytest.param("2024-01-01T12:00", 0, MOSCOW, START, id="the start's own day"),
        pytest.param("2023-06-01", 0, MOSCOW, START, id="a bookmark before the start"),
        pytest.param("2024-04-05T12:00", 10, BERLIN, "2024-03-25T23:00", id="over a clock change"),
        pytest.param(
            "2024-03-31T12:00", 0, BEIRUT, "2024-03-29T22:00", id="no midnight: the day before"
        ),
        pytest.param(NOW, 1, MOSCOW, "2024-05-30T21:00", id="a bookmark of now"),
        pytest.param("2024-09-01", 1, MOSCOW, "2024-05-30T21:00", id="from the future: of now"),
        pytest.param("9999-12-31", 1, MOSCOW, "2024-05-30T21:00", id="from the last year there is"),
        pytest.param("2025-01-01", 365, MOSCOW, START, id="from the future, long look-back"),
    ],
)
def test_run_starts_at_local_midnight_before_the_bookmark(
    bookmark: str | None, lookback: int, zone: ZoneInfo, first: str
) -> None:
    assert plan(bookmark=bookmark, lookback_days=lookback, zone=zone)[0] == utc(first)


@pytest.mark.parametrize(
    ("end", "planned"),
    [
        pytest.param(None, MIDNIGHT, id="none"),
        pytest.param("2024-05-31T21:00", "2024-05-31T21:00", id="over"),
        pytest.param("2024-06-01T11:59", "2024-06-01T11:59", id="over a minute ago"),
        pytest.param(NOW, MIDNIGHT, id="now"),
        pytest.param("2025-01-01", MIDNIGHT, id="yet to come"),
    ],
)
def test_end_that_has_yet_to_come_means_the_end_of_today(end: str | None, planned: str) -> None:
    assert plan(end=end)[1] == utc(planned)


def test_full_table_starts_at_the_start_whatever_the_bookmark_says() -> None:
    planned = plan(bookmark="2024-02-20T12:00", is_incremental=False)
    assert planned == (utc(START), utc(MIDNIGHT), "full table")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({}, "no bookmark", id="first run"),
        pytest.param(
            {"bookmark": "2024-02-20T12:00", "lookback_days": 3},
            "bookmark 2024-02-20T12:00:00.000+00:00, `lookback_days` 3",
            id="bookmark",
        ),
        pytest.param({"is_incremental": False}, "full table", id="full table"),
        pytest.param({"is_test": True}, "a test of one day", id="test"),
    ],
)
def test_reason_for_the_log_says_why_a_run_starts_there(
    options: dict[str, object], reason: str
) -> None:
    assert plan(**options)[2] == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "end", "now", "expected"),
    [
        pytest.param(
            START, None, NOW, ("2024-05-30T21:00", "2024-05-31T21:00"), id="yesterday of the zone"
        ),
        pytest.param(
            START, "2024-03-01T21:00", NOW, ("2024-02-29T21:00", "2024-03-01T21:00"), id="last day"
        ),
        pytest.param(
            START, "2024-03-01T15:00", NOW, ("2024-02-29T15:00", "2024-03-01T15:00"), id="24 hours"
        ),
        pytest.param(
            "2024-03-01T12:00",
            "2024-03-01T15:00",
            NOW,
            ("2024-03-01T12:00", "2024-03-01T15:00"),
            id="hours",
        ),
        pytest.param(
            "2024-05-31T21:00", None, NOW, ("2024-05-31T21:00", MIDNIGHT), id="today only"
        ),
        pytest.param(
            "2024-06-01T10:00", None, NOW, ("2024-06-01T10:00", MIDNIGHT), id="hours of today"
        ),
        pytest.param(
            "2024-05-31T20:00", None, NOW, ("2024-05-31T20:00", "2024-05-31T21:00"), id="an hour"
        ),
    ],
)
def test_connection_test_reads_the_last_day_that_is_over(
    start: str, end: str | None, now: str, expected: tuple[str, str]
) -> None:
    planned = plan(start=start, end=end, now=now, is_test=True)
    first, last = expected
    assert planned[:2] == (utc(first), utc(last))


# How far the bookmark gets.


@pytest.mark.parametrize(
    ("before", "window_end", "received", "expected"),
    [
        pytest.param("2024-01-01", "2024-01-08", NOW, "2024-01-08", id="the first window"),
        pytest.param("2024-01-08", "2024-01-15", NOW, "2024-01-15", id="forward"),
        pytest.param("2024-01-15", "2024-01-08", NOW, "2024-01-15", id="never back"),
        pytest.param("2024-01-08", "2024-01-08", NOW, "2024-01-08", id="the same"),
        pytest.param("2024-01-08", "2024-07-01", NOW, NOW, id="never beyond the run's beginning"),
        pytest.param("2024-01-01", "2024-07-01", NOW, NOW, id="nor at once"),
        pytest.param(
            "2024-01-08", "2024-07-01", "2024-06-01T13:00", NOW, id="nor up to a later answer"
        ),
        pytest.param(
            "2024-01-08",
            "2024-07-01",
            "2024-05-30",
            "2024-05-30",
            id="nor beyond the server's clock",
        ),
        pytest.param(
            "2024-01-08",
            "2024-01-15",
            "1970-01-01",
            "2024-01-08",
            id="a server of 1970 changes nothing",
        ),
        pytest.param(
            "2024-01-08", "2024-01-15", "2024-01-07", "2024-01-08", id="a server a day behind"
        ),
        pytest.param("2024-09-01", "2024-01-08", NOW, NOW, id="back from the future"),
        pytest.param(
            "2024-09-01", "2024-01-08", "1970-01-01", NOW, id="back from the future, server of 1970"
        ),
    ],
)
def test_bookmark_moves_forward_up_to_what_is_certainly_seen(
    before: str, window_end: str, received: str, expected: str
) -> None:
    found = next_bookmark(utc(before), utc(window_end), utc(NOW), utc(received))
    assert found == utc(expected)


@pytest.mark.parametrize("lookback_days", [0, 1, 30])
def test_bookmark_from_the_future_comes_back_and_skips_nothing(lookback_days: int) -> None:
    future = "2024-06-30T12:00"
    first, *_ = plan(bookmark=future, lookback_days=lookback_days, zone=UTC)
    after = next_bookmark(utc(future), utc("2024-06-02"), utc(NOW), utc("2024-06-01T12:01"))
    assert first == utc("2024-06-01") - timedelta(days=lookback_days)
    assert after == utc(NOW)


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        pytest.param(
            "2024-01-01T10:00", "2024-01-02T10:00", MOSCOW,
            ("2024-01-01T13:00", "2024-01-02T13:00"), id="wall time",
        ),
        pytest.param(
            "2024-01-01T10:00:00.9", "2024-01-01T11:00:00.1", UTC,
            ("2024-01-01T10:00", "2024-01-01T11:00:01"), id="whole seconds, outwards",
        ),
        pytest.param(
            "2024-01-01T10:00", "2024-01-01T23:59:59.5", UTC,
            ("2024-01-01T10:00", "2024-01-02"), id="the last half second",
        ),
        pytest.param(
            "2024-10-27T10:00", "2024-10-27T12:00", BERLIN,
            ("2024-10-27", "2024-10-28"), id="a day of 25 hours is whole",
        ),
        pytest.param(
            "2024-03-31T10:00", "2024-03-31T12:00", BERLIN,
            ("2024-03-31", "2024-04-01"), id="a day of 23 hours is whole",
        ),
        pytest.param(
            "2024-04-07T01:00", "2024-04-07T02:00", LORD_HOWE,
            ("2024-04-07", "2024-04-08"), id="half an hour is a change too",
        ),
        pytest.param(
            "2024-10-25T22:00", "2024-10-26T22:00", BERLIN,
            ("2024-10-26", "2024-10-27"), id="an end at the midnight before the change",
        ),
        pytest.param(
            "2024-11-01T12:00", "2024-11-03T05:00", HAVANA,
            ("2024-11-01T08:00", "2024-11-04"), id="an end at the second of two midnights",
        ),
        pytest.param(
            "2024-03-07T12:00", "2024-03-10T05:00", HAVANA,
            ("2024-03-07T07:00", "2024-03-10"), id="an end where the next midnight is skipped",
        ),
    ],
)  # fmt: skip
def test_period_in_wall_time_holds_all_of_its_instants(
    start: str, end: str, zone: ZoneInfo, expected: tuple[str, str]
) -> None:
    first, last = map(wall, expected)
    assert wall_period(utc(start), utc(end), zone) == (first, last)
