"""Which periods to ask for. Pure: wall times in, wall times out; no HTTP, no settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from tap_calltouch.instants import DAY, HOUR, MIDNIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD_WINDOWS = 16


@dataclass(frozen=True)
class DateWindow:
    """One period to ask for, in wall time, whole seconds.

    Attributes:
        start: First wall time of the window.
        end: First wall time after it. Midnight, unless the window lies within one day.
    """

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.start

    @property
    def last_day(self) -> date:
        """The last day that the window touches."""
        return (self.end - timedelta.resolution).date()

    def __str__(self) -> str:
        if self.start.time() != MIDNIGHT or self.end.time() != MIDNIGHT:
            return f"{self.start} to {self.end}"
        return f"{self.start:%Y-%m-%d} to {self.last_day:%Y-%m-%d}"


def cut(start: datetime, end: datetime, length: Callable[[], timedelta]) -> Iterator[DateWindow]:
    """Cut a period into windows that cover each wall time once, in order.

    A day that the period's start or end cuts is a window of its own: what `timeFrom` and `timeTo`
    mean over several days is unknown, and over one day it is clear. All other windows are whole
    days, unless they have to be shorter than a day.

    Args:
        start: First wall time.
        end: First wall time after the period.
        length: Returns the longest window, each time that one is cut.

    Yields:
        The windows.
    """
    while start < end:
        stop = min(start + length(), end)
        midnight = datetime.combine(start, MIDNIGHT) + DAY
        if stop > midnight:
            stop = datetime.combine(stop, MIDNIGHT) if start.time() == MIDNIGHT else midnight
        yield DateWindow(start, stop)
        start = stop


def halves(window: DateWindow) -> list[DateWindow]:
    """Cut a window that was too heavy in two: days down to a day, a day down to an hour.

    Returns:
        Its two halves, or nothing if it is an hour or less.
    """
    if window.length <= HOUR:
        return []
    unit = DAY if window.length >= 2 * DAY else HOUR
    middle = window.start + max(unit, window.length / 2 // unit * unit)
    return [DateWindow(window.start, middle), DateWindow(middle, window.end)]


class WindowLength:
    """How long a window may be: as long as the user wants, shorter where answers are too heavy.

    Safe to use from threads.

    A length that works is kept. Only after 16 good windows in a row is one window of twice the
    length tried: to grow after each success would let every other call fail at a steady limit.
    """

    def __init__(self, longest: timedelta) -> None:
        self._longest = self._length = longest
        self._good = 0
        self._lock = Lock()

    def current(self) -> timedelta:
        """Return the length of the next window: what worked, or twice as long if that is due."""
        with self._lock:
            if self._good < GOOD_WINDOWS:
                return self._length
            return min(self._longest, 2 * self._length)

    def start_trial(self, window: DateWindow) -> bool:
        """Note that a window is asked for, and return whether it is longer than what worked."""
        with self._lock:
            if is_longer := window.length > self._length:
                self._good = 0  # so that no other one is tried meanwhile
            return is_longer

    def record_success(self, window: DateWindow) -> None:
        """Note that a window was answered."""
        with self._lock:
            self._good += 1
            if window.length > self._length:
                self._length, self._good = window.length, 0

    def record_failure(self, window: DateWindow) -> None:
        """Note that a window was too heavy."""
        lengths = (max(half.length, HOUR) for half in halves(window))
        with self._lock:
            self._length, self._good = min([self._length, *lengths]), 0
