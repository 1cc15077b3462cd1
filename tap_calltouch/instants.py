"""Instants, wall times and bookmarks. Pure: no HTTP, no settings.

A date-time without a zone is a wall time in the journal's time zone, the only kind that the API
takes; one with a zone is an instant, in UTC.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = time()
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECONDS = [f"{second:02}" for second in range(60)]
_MILLISECONDS = [f"{millisecond:03}" for millisecond in range(1000)]


def parse_instant(value: str, zone: ZoneInfo, *, whole_day: bool = False) -> datetime:
    """Read a date or a date-time in ISO 8601.

    Args:
        value: Such as `2024-01-31`, `2024-01-31T10:00:00.000000` or `2024-01-31T10:00:00+03:00`.
        zone: The zone of a value that has no offset.
        whole_day: Read it as an end: a date as the end of that day instead of its beginning, and a
            wall time that the clock skips as the later instant, so that nothing before is lost.

    Returns:
        The instant, in UTC.

    Raises:
        ValueError: If the value is neither.
    """
    value = value.strip()
    try:
        parsed = datetime.combine(date.fromisoformat(value) + whole_day * DAY, MIDNIGHT)
    except ValueError:
        # Python 3.10 reads neither the Z of RFC 3339 nor fractions of any length.
        parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if parsed.tzinfo:
        return parsed.astimezone(timezone.utc)
    if whole_day:  # the first of two readings; where there is none, the later, as Python does
        return parsed.replace(tzinfo=zone).astimezone(timezone.utc)
    return to_instant(parsed, zone)


def format_epoch_ms(milliseconds: int) -> str:
    """Format an instant in the one way in which this tap writes it.

    Args:
        milliseconds: Since 1970.

    Returns:
        RFC 3339 in UTC with milliseconds, so that texts sort as instants do.

    Raises:
        OverflowError: Outside the years 1 to 9999.
    """
    # Much faster than `isoformat`: each record has an instant, and most share their day.
    minutes, rest = divmod(milliseconds, 60_000)
    day, minute = _day(minutes // 1440), _minute(minutes % 1440)
    return f"{day}T{minute}:{_SECONDS[rest // 1000]}.{_MILLISECONDS[rest % 1000]}+00:00"


def format_instant(instant: datetime) -> str:
    """Format an instant that has an offset as `format_epoch_ms` does."""
    return format_epoch_ms((instant - _EPOCH) // timedelta(milliseconds=1))


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH.date() + timedelta(days)).isoformat()


@cache
def _minute(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Convert a wall time to an instant.

    Returns:
        The instant in UTC: the earlier one where a change of the clock allows two readings, so
        that a run that starts there skips nothing.
    """
    readings = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return min(reading.astimezone(timezone.utc) for reading in readings)


def midnight_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the local midnight at which the day of an instant begins, as a wall time."""
    return datetime.combine(instant.astimezone(zone), MIDNIGHT)


def next_bookmark(
    before: datetime, window_end: datetime, started: datetime, received: datetime
) -> datetime:
    """Return the bookmark after a complete window.

    Args:
        before: The bookmark before; without one, the instant before which nothing is wanted.
        window_end: The instant at which the window ends.
        started: When the run began. No bookmark lies behind it, since later records may not have
            been seen.
        received: When the window's last answer arrived, by this machine's clock or the server's,
            whichever is earlier. A bookmark does not move beyond it either.

    Returns:
        The new bookmark, never earlier than one that is not in the future.
    """
    return max(min(before, started), min(window_end, started, received))


def wall_period(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Convert a period between two instants to wall time, in whole seconds.

    Args:
        start: First instant.
        end: First instant after the period.
        zone: The zone of the wall times.

    Returns:
        Start and end. On a day on which the clock changes they are the borders of the day, since
        a wall time within such a day may stand for two instants or none.
    """
    first, last = (instant.astimezone(zone) for instant in (start, end - timedelta.resolution))
    first_day, last_day = (datetime.combine(local, MIDNIGHT) for local in (first, last))
    first_wall = first.replace(microsecond=0, tzinfo=None)
    last_wall = last.replace(microsecond=0, tzinfo=None) + SECOND
    if _clock_changes(first_day, zone):
        first_wall = first_day
    if _clock_changes(last_day, zone):
        last_wall = last_day + DAY
    return first_wall, last_wall


def _clock_changes(midnight: datetime, zone: ZoneInfo) -> bool:
    """Return whether the day that begins at a midnight has another length than 24 hours."""
    return to_instant(midnight + DAY, zone) - to_instant(midnight, zone) != DAY
