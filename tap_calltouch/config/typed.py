"""The settings as typed values, made once in a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tap_calltouch.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


@dataclass(frozen=True)
class Settings:
    """What the user wants of a run.

    Attributes:
        api_url: Base URL of the API, without a slash at its end.
        api_token: The token.
        request_timeout: Seconds.
        requests_per_second: API calls of all threads and streams together.
        max_concurrent_requests: API calls under way at once.
        site_ids: The sites, each once; none for all that the token may see.
        request_numbers: The requests to load instead of windows, each once.
        zone: The zone of dates without an offset, and of the days asked for.
        start: First instant.
        end: First instant that is not wanted any more, if there is one.
        is_by_session: Whether the dates are those of sessions, so that a record may have any.
        window: The longest period to ask for at once.
        lookback_days: How many days before the bookmark are read again.
        values: All settings by name, for those that the API takes as they are.
    """

    api_url: str
    api_token: str
    request_timeout: int
    requests_per_second: int
    max_concurrent_requests: int
    site_ids: tuple[int, ...]
    request_numbers: tuple[str, ...]
    zone: ZoneInfo
    start: datetime
    end: datetime | None
    is_by_session: bool
    window: timedelta
    lookback_days: int
    values: Mapping[str, Any]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Convert settings that were checked."""
        zone = ZoneInfo(config["timezone"])
        end = config.get("end_date")
        return cls(
            api_url=config["api_url"].rstrip("/"),
            api_token=config["api_token"],
            request_timeout=int(config["request_timeout"]),
            requests_per_second=int(config["requests_per_second"]),
            max_concurrent_requests=int(config["max_concurrent_requests"]),
            site_ids=tuple(dict.fromkeys(map(int, config["site_ids"]))),
            request_numbers=tuple(dict.fromkeys(config["request_numbers"])),
            zone=zone,
            start=parse_instant(config["start_date"], zone),
            end=parse_instant(end, zone, whole_day=True) if end else None,
            is_by_session=config["bind_to"] == "session",
            window=timedelta(days=int(config["window_days"])),
            lookback_days=int(config["lookback_days"]),
            values=config,
        )
