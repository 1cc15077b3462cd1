"""Which periods to ask for: pure dates, no HTTP, no settings.

Times without a zone are wall times in the journal's time zone, the only ones that the API takes.
"""

from __future__ import annotations

import sys
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from singer_sdk.pagination import BaseAPIPaginator

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import requests

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class DateWindow:
    """One period to ask for, in wall time, whole seconds.

    Attributes:
        start: First moment of the window.
        end: First moment after the window. Midnight, unless the window lies within one day.
    """

    start: datetime
    end: datetime

    @property
    def last_day(self) -> date:
        """The last day that the window touches."""
        return (self.end - SECOND).date()

    def __str__(self) -> str:
        if self.end - self.start < DAY:
            return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S}"
        return f"{self.start:%Y-%m-%d} to {self.last_day:%Y-%m-%d}"


class DateWindowPaginator(BaseAPIPaginator[DateWindow]):
    """Cuts a period into windows of whole days, shorter ones where answers are too heavy.

    A day that the period's start or end cuts is a window of its own: what `timeFrom` and `timeTo`
    mean over several days is unknown, and over one day it is clear. Windows do not depend on
    answers, so that they can be asked for ahead.
    """

    def __init__(self, start: datetime, end: datetime, days: int) -> None:
        """Cover a period.

        Args:
            start: First moment, wall time.
            end: First moment after the period, wall time.
            days: Longest window, in days.
        """
        self._longest = self._length = timedelta(days=days)
        self._todo = [(start, end)] if start < end else []  # the next stretch is the last item
        super().__init__(DateWindow(start, end))

    @property
    @override
    def current_value(self) -> DateWindow:
        start, end = self._todo[-1]
        midnight = datetime.combine(start.date() + DAY, time())
        if start.time() != time() or self._length < DAY:
            return DateWindow(start, min(start + self._length, midnight, end))
        stop = min(start + self._length, end)
        whole_days = datetime.combine(stop.date(), time())
        return DateWindow(start, whole_days if whole_days > start else stop)

    @property
    @override
    def finished(self) -> bool:
        return not self._todo

    @override
    def continue_if_empty(self, response: requests.Response) -> bool:
        return True

    @override
    def get_next(self, response: requests.Response | None) -> DateWindow | None:
        return (self._todo and self.current_value) or None

    @override
    def advance(self, response: requests.Response | None = None) -> None:
        window = self.current_value
        _, end = self._todo.pop()
        if window.end < end:
            self._todo.append((window.end, end))
        self._page_count += 1

    def count_windows(self) -> int:
        """Count the windows that are left, if they keep their length."""
        rest = copy(self)
        rest._todo = list(self._todo)  # noqa: SLF001 - its own copy
        while not rest.finished:
            rest.advance()
        return rest.count - self.count

    def halve(self, window: DateWindow) -> bool:
        """Put a window back, to be asked for again in halves.

        Args:
            window: A window that was too heavy for the API.

        Returns:
            False if it is an hour or less, which is not halved.
        """
        length = window.end - window.start
        if length <= HOUR:
            return False
        unit = DAY if length >= 2 * DAY else HOUR
        self._length = max(unit, length / 2 // unit * unit)
        self._todo.append((window.start, window.end))
        return True

    def lengthen(self) -> None:
        """Double the windows to come, after one that was not too heavy, up to the longest."""
        doubled = self._length * 2
        self._length = min(self._longest, DAY if self._length < DAY < doubled else doubled)


def parse_moment(value: str, zone: ZoneInfo, *, whole_day: bool = False) -> datetime:
    """Read a date or a date-time of ISO 8601.

    Args:
        value: Such as `2024-01-31`, `2024-01-31T10:00:00.000000` or `2024-01-31T10:00:00+03:00`.
        zone: The zone of a value that has no offset.
        whole_day: Take a date for the end of that day, not for its beginning.

    Returns:
        The instant, in UTC.

    Raises:
        ValueError: If the value is neither.
    """
    try:
        day = date.fromisoformat(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(timezone.utc) if moment.tzinfo else instant(moment, zone)
    return instant(datetime.combine(day + whole_day * DAY, time()), zone)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Give the instant of a wall time, in UTC.

    Args:
        wall: A wall time.
        zone: Its zone.

    Returns:
        The earlier one where a change of the clock makes two readings possible: who starts there
        again skips nothing.
    """
    readings = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return min(reading.astimezone(timezone.utc) for reading in readings)


def first_instant(
    start: datetime, bookmark: datetime | None, lookback_days: int, zone: ZoneInfo
) -> datetime:
    """Give the instant from which a run extracts.

    Args:
        start: The user's start, before which nothing is wanted.
        bookmark: The instant before which all was extracted, if any was.
        lookback_days: How many days before the bookmark are extracted again.
        zone: The zone whose midnights count.

    Returns:
        The start, or local midnight `lookback_days` before the bookmark if that is later.
    """
    if bookmark is None:
        return start
    day = bookmark.astimezone(zone).date() - timedelta(days=lookback_days)
    return max(start, instant(datetime.combine(day, time()), zone))


def next_bookmark(bookmark: datetime | None, window_end: datetime, limit: datetime) -> datetime:
    """Give the bookmark after a complete window.

    Args:
        bookmark: The bookmark before, if any.
        window_end: The instant of the window's end.
        limit: What a bookmark never passes: requests made later cannot have been seen.

    Returns:
        The later one of bookmark and end, neither beyond the limit.
    """
    return min(max(bookmark or window_end, window_end), limit)


def wall_period(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Turn a period between two instants into wall time, in whole seconds.

    Args:
        start: First instant.
        end: First instant after the period.
        zone: The zone of the wall times.

    Returns:
        Start and end. On a day on which the clock changes they are the day's borders, since a
        wall time within such a day may be two instants or none.
    """
    first, last = (moment.astimezone(zone) for moment in (start, end))
    first_day, last_day = (datetime.combine(moment.date(), time()) for moment in (first, last))
    first_wall = first.replace(microsecond=0, tzinfo=None)
    last_wall = last.replace(microsecond=0, tzinfo=None) + bool(last.microsecond) * SECOND
    if _clock_changes(first_day, zone):
        first_wall = first_day
    if end > instant(last_day, zone) and _clock_changes(last_day, zone):
        last_wall = last_day + DAY
    return first_wall, last_wall


def _clock_changes(midnight: datetime, zone: ZoneInfo) -> bool:
    """Tell whether the day that begins at a midnight has another length than 24 hours."""
    return instant(midnight + DAY, zone) - instant(midnight, zone) != DAY


def plan_windows(
    start: datetime, end: datetime | None, now: datetime, zone: ZoneInfo, days: int
) -> DateWindowPaginator:
    """Cut what is to be extracted into windows.

    Args:
        start: First instant.
        end: First instant after the period; None, or one that has yet to come, means now.
        now: When the run began.
        zone: The journal's zone.
        days: Longest window, in days.

    Returns:
        The windows. Today is asked for whole, unless the period ends earlier.
    """
    if end is not None and end < now:
        return DateWindowPaginator(*wall_period(start, end, zone), days)
    first, _ = wall_period(start, start, zone)
    tomorrow = datetime.combine(now.astimezone(zone).date() + DAY, time())
    return DateWindowPaginator(first, tomorrow, days)
