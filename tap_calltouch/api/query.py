"""What a run wants of the API: which journal, and which records by their dates. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from tap_calltouch.instants import (
    DAY,
    MIDNIGHT,
    midnight_of,
    parse_instant,
    timestamp,
    to_instant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from typing_extensions import Self

    from tap_calltouch.api.windows import DateWindow

# Calltouch is younger. If all dates of an answer are older, they are read in the wrong unit.
OLDEST_TIMESTAMP = "2000"
_LAST_TIMESTAMP = "~"  # sorts after every timestamp


@dataclass(frozen=True)
class Journal:
    """What differs between the journals of the API.

    Attributes:
        path: Behind the API's base URL; `{site}` stands for the site, if it is not a parameter.
        dates: Format of the API's dates, as for `strftime`.
        parameters: API parameters by setting.
        unit: What instants count since 1970: `ms` or `s`.
        own_date: The value of `bindTo` that selects by the record's own date.
        page_size: How many records a page holds; 0 if there are no pages.
        has_numbers: Whether single records can be asked for by number.
    """

    path: str
    dates: str
    parameters: Mapping[str, str]
    unit: str
    own_date: str
    page_size: int = 0
    has_numbers: bool = False

    @property
    def needs_site(self) -> bool:
        """Whether nothing can be asked for without naming a site."""
        return "{site}" in self.path

    def is_possible(self, config: Mapping[str, Any]) -> bool:
        """Return whether the settings say enough to ask for this journal."""
        if config["request_numbers"]:
            return self.has_numbers
        return bool(config["site_ids"]) or not self.needs_site

    def query(
        self, config: Mapping[str, Any], site: int | None, window: DateWindow
    ) -> dict[str, str]:
        """Return the parameters that ask for a window, of one site if one is named."""
        params = {
            "dateFrom": f"{window.start:{self.dates}}",
            "dateTo": f"{window.last_day:{self.dates}}",
        }
        if site is not None and not self.needs_site:
            params["siteId"] = str(site)
        # Leave out midnight: the API's default for a whole day cannot lose its last second.
        if window.start.time() != MIDNIGHT:
            params["timeFrom"] = f"{window.start:%H:%M:%S}"
        if window.end.time() != MIDNIGHT:
            params["timeTo"] = f"{window.end:%H:%M:%S}"
        by_session = config["bind_to"] == "session"
        values = {**config, "bind_to": "session" if by_session else self.own_date}
        for setting, parameter in self.parameters.items():
            value = values.get(setting)
            if value is True:
                params[parameter] = "true"
            elif value not in {None, False}:
                params[parameter] = str(value)
        return params


@dataclass(frozen=True)
class Scope:
    """Which records the user wants, by their dates.

    Attributes:
        zone: The zone of dates without an offset, and of the days asked for.
        start: First instant.
        end: First instant that is not wanted any more, if there is one.
        is_by_session: Whether the dates are those of sessions, so that a record may have any.
    """

    zone: ZoneInfo
    start: datetime
    end: datetime | None
    is_by_session: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read the settings."""
        zone = ZoneInfo(config["timezone"])
        end = config.get("end_date")
        return cls(
            zone,
            parse_instant(config["start_date"], zone),
            parse_instant(end, zone, whole_day=True) if end else None,
            config["bind_to"] == "session",
        )

    @property
    def wanted(self) -> tuple[str, str]:
        """The timestamps between which records are wanted."""
        if self.is_by_session:
            return OLDEST_TIMESTAMP, _LAST_TIMESTAMP
        return timestamp(self.start), timestamp(self.end) if self.end else _LAST_TIMESTAMP

    def nearby(self, window: DateWindow) -> tuple[str, str]:
        """Return the timestamps between which an answer for a window is dated, and a day more."""
        if self.is_by_session:
            return OLDEST_TIMESTAMP, _LAST_TIMESTAMP
        first, last = (to_instant(wall, self.zone) for wall in (window.start, window.end))
        return timestamp(first - DAY), timestamp(last + DAY)


class Extent(NamedTuple):
    """What one site is asked for in a run.

    Attributes:
        start: First instant.
        end: First instant after it.
        reason: Why it starts there, for the log.
    """

    start: datetime
    end: datetime
    reason: str


def plan_extent(
    scope: Scope,
    now: datetime,
    *,
    bookmark: datetime | None,
    lookback_days: int,
    is_incremental: bool,
    is_test: bool,
) -> Extent:
    """Decide from where to where one site is read.

    Args:
        scope: Which records the user wants.
        now: When the run began.
        bookmark: The instant before which everything was extracted, if anything was.
        lookback_days: How many days before the bookmark are read again.
        is_incremental: Whether the bookmark counts.
        is_test: Whether this is `--test`, which reads one day: the last one that is over, if
            there is one, since it is the likeliest to hold records.

    Returns:
        The extent. An incremental one starts at local midnight `lookback_days` before the
        bookmark, but not before the user's start. Today is asked for whole, unless the user's end
        is over.
    """
    first, end, zone = scope.start, scope.end, scope.zone
    midnight = midnight_of(now, zone)
    if end is None or end >= now:
        end = to_instant(midnight + DAY, zone)
    reason = "no bookmark" if is_incremental else "full table"
    if is_incremental and bookmark:
        reason = f"bookmark {timestamp(bookmark)}, look-back {lookback_days} days"
        # A clock that was fast may have written a bookmark that lies ahead.
        day = midnight_of(min(bookmark, now), zone) - timedelta(days=lookback_days)
        first = max(first, to_instant(day, zone))
    if is_test:
        reason = "a test of one day"
        today = to_instant(midnight, zone)
        if end > now and first < today:
            end = today
        first = max(first, end - DAY)
    return Extent(first, end, reason)
