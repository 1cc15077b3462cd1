"""From when to when a site is asked for, and which dates its records may have. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.instants import (
    DAY,
    format_instant,
    midnight_of,
    to_instant,
    wall_period,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tap_calltouch.api.windows import DateWindow
    from tap_calltouch.config.typed import Settings

# Calltouch is younger. If all dates of an answer are older, they are read in the wrong unit.
OLDEST_TIMESTAMP = "2000"
_FIRST_YEAR = 2020  # a clock that says less was never set
_LAST_TIMESTAMP = "~"  # sorts after every timestamp

#: The timestamps between which records are dated; the second one is the first that is too late.
Dates = tuple[str, str]


class Extent(NamedTuple):
    """The period that one site is asked for in a run.

    Attributes:
        start: First wall time.
        end: First wall time after it.
        reason: Why it starts there, for the log.
    """

    start: datetime
    end: datetime
    reason: str


def plan_extent(
    settings: Settings, now: datetime, bookmark: datetime | None, *, is_incremental: bool
) -> Extent:
    """Decide from when to when one site is read.

    Args:
        settings: What the user wants.
        now: When the run began.
        bookmark: The instant before which everything was extracted, if anything was.
        is_incremental: Whether the bookmark counts.

    Returns:
        The extent. An incremental one starts at local midnight `lookback_days` before the
        bookmark, but not before the user's start. Today is asked for whole, unless the user's end
        is over.
    """
    start, reason = settings.start, "no bookmark" if is_incremental else "full table"
    if is_incremental and bookmark:
        days = settings.lookback_days
        reason = f"bookmark {format_instant(bookmark)}, `lookback_days` {days}"
        # A clock that was fast may have written a bookmark that lies ahead.
        day = midnight_of(min(bookmark, now), settings.zone) - timedelta(days=days)
        start = max(start, to_instant(day, settings.zone))
    return Extent(*wall_period(start, _end(settings, now), settings.zone), reason)


def plan_sample(settings: Settings, now: datetime) -> Extent:
    """Return the one day that `--test` reads.

    It is the last wanted day that is over, if there is one, since it is the likeliest to hold
    records.
    """
    start, end, zone = settings.start, _end(settings, now), settings.zone
    today = to_instant(midnight_of(now, zone), zone)
    if end > now and start < today:
        end = today
    return Extent(*wall_period(max(start, end - DAY), end, zone), "a test of one day")


def check_clock(settings: Settings, now: datetime) -> None:
    """Check that there can be anything to load.

    Raises:
        FatalAPIError: If the clock was never set, or the start lies more than a day ahead.
    """
    if now.year < _FIRST_YEAR:
        msg = f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC. Set it first."
        raise FatalAPIError(msg)
    if settings.start > now + DAY:
        msg = (
            f"Setting `start_date` ({settings.values['start_date']}) lies ahead: the clock of this "
            f"machine says {now:%Y-%m-%d %H:%M} UTC."
        )
        raise FatalAPIError(msg)


def _end(settings: Settings, now: datetime) -> datetime:
    end = settings.end
    if end is None or end >= now:
        return to_instant(midnight_of(now, settings.zone) + DAY, settings.zone)
    return end


def wanted_dates(settings: Settings) -> Dates:
    """Return the dates that the user wants."""
    if settings.is_by_session:
        return OLDEST_TIMESTAMP, _LAST_TIMESTAMP
    last = format_instant(settings.end) if settings.end else _LAST_TIMESTAMP
    return format_instant(settings.start), last


def dates_near(window: DateWindow, settings: Settings) -> Dates:
    """Return the dates that records of a window may have, with a day's tolerance."""
    if settings.is_by_session:
        return OLDEST_TIMESTAMP, _LAST_TIMESTAMP
    first, last = (to_instant(wall, settings.zone) for wall in (window.start, window.end))
    return format_instant(first - DAY), format_instant(last + DAY)
