"""How far a run is: counts rows by what became of them, and says so now and then. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_SECONDS = 10


class Progress:
    """Counts the windows and rows of one stream."""

    def __init__(self, windows: int, length: timedelta, clock: Callable[[], float]) -> None:
        """Begin.

        Args:
            windows: How many windows there are, if all are as long as they may be.
            length: How much time they cover.
            clock: Returns seconds.
        """
        self._windows = windows
        self._length = length
        self._clock = clock
        self._began = self._reported = clock()
        self._done = 0
        self._covered = timedelta()
        self._rows: Counter[str] = Counter()

    def add(self, length: timedelta, rows: Counter[str]) -> str | None:
        """Count a window that is complete: its length, and its rows by what became of them.

        Returns:
            A line for the log, if the last one is ten seconds old.
        """
        self._done += 1
        self._covered += length
        self._rows += rows
        now = self._clock()
        if now - self._reported < INTERVAL_SECONDS:
            return None
        self._reported = now
        share = self._covered / self._length
        left = (now - self._began) * (1 - share) / share
        total = max(self._windows, self._done)
        return (
            f"window {self._done} of {total}, {share:.0%}, {format_rows(self._rows)}, "
            f"about {timedelta(seconds=round(left))} left"
        )

    def summary(self) -> str:
        """Return the line for the end."""
        seconds = self._clock() - self._began
        return f"{count(self._done, 'window')}, {format_rows(self._rows)}, in {seconds:.1f} s"


def count(number: int, noun: str) -> str:
    """Return a number of things in words, such as `1 window` or `2 windows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_rows(rows: Counter[str]) -> str:
    """Return in words what became of rows; `written` counts those that were."""
    left_out = [f"{number} left out ({why})" for why, number in rows.items() if why != "written"]
    received = count(sum(rows.values()), "row")
    return ", ".join([f"{received} received, {rows['written']} written", *left_out])
