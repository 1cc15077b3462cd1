"""What to ask the journal for: sites, windows, filters, single requests."""

from __future__ import annotations

import io
import sys
from datetime import datetime, time, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.streams.rest import HTTPRequest, PageContext

from tap_calltouch.answers import Answer, NotFoundError
from tap_calltouch.client import CalltouchStream
from tap_calltouch.prefetch import Prefetch
from tap_calltouch.settings import PARAMETERS
from tap_calltouch.structs import timestamp
from tap_calltouch.windows import (
    DAY,
    HOUR,
    DateWindow,
    DateWindowPaginator,
    first_instant,
    instant,
    parse_moment,
    plan_windows,
)

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

MIDNIGHT = time()


class JournalStream(CalltouchStream):
    """A stream that is asked for site by site, window by window."""

    @property
    @override
    def partitions(self) -> list[dict[str, Any]] | None:
        """One partition a site, from the settings alone; the SDK would take them from the state."""
        if self.config["request_numbers"]:
            return None
        sites = [{"siteId": int(site)} for site in dict.fromkeys(self.config["site_ids"])]
        return (sites[:1] if self._is_test else sites) or None

    @property
    def _contexts(self) -> list[dict[str, Any] | None]:
        return [*self.partitions] if self.partitions else [None]

    @override
    def get_http_request(self, *, page: PageContext) -> HTTPRequest:
        request = HTTPRequest(url=f"{self.url_base}{self.path}", headers=self.http_headers)
        if isinstance(page.next_page_token, str):
            request.url += f"/{quote(page.next_page_token, safe='')}"
            return request
        window = cast("DateWindow", page.next_page_token)
        params = request.params
        params |= page.stream_context or {}
        params["dateFrom"] = f"{window.start:%m/%d/%Y}"
        params["dateTo"] = f"{window.last_day:%m/%d/%Y}"
        # Midnight is not told: the API's default for a whole day cannot lose its last second.
        if window.start.time() != MIDNIGHT:
            params["timeFrom"] = f"{window.start:%H:%M:%S}"
        if window.end.time() != MIDNIGHT:
            params["timeTo"] = f"{window.end:%H:%M:%S}"
        for setting, parameter in PARAMETERS.items():
            value = self.config.get(setting)
            if value not in {None, False}:
                params[parameter] = "true" if value is True else value
        for setting in ("ani", "email"):
            value_filter = self.config.get(setting, {})
            if "value" in value_filter:
                params[f"{setting}.value"] = value_filter["value"]
                params[f"{setting}.filterMode"] = value_filter.get("filter_mode")
        return request

    def _name(self, context: Context | None, page: object = None) -> str:
        parts = [f"Stream {self.name}"]
        if context:
            parts.append(f"site {context['siteId']}")
        if page:
            parts.append(f"{'request' if isinstance(page, str) else 'window'} {page}")
        return ", ".join(parts)

    # Settings, read once.

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.config["timezone"])

    @cached_property
    def _started(self) -> datetime:
        return datetime.fromtimestamp(self._tap.initialized_at / 1000, tz=timezone.utc)

    @cached_property
    def _start(self) -> datetime:
        return parse_moment(self.config["start_date"], self._zone)

    @cached_property
    def _end(self) -> datetime | None:
        """The user's end, unless it has yet to come."""
        value = self.config.get("end_date")
        end = parse_moment(value, self._zone, whole_day=True) if value else self._started
        return end if end < self._started else None

    @property
    def _is_test(self) -> bool:
        """Whether this is a test of the connection (`--test`), which should cost one call."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    @property
    def _width(self) -> int:
        return 1 if self._is_test else int(self.config["max_concurrent_requests"])

    # What to fetch.

    @cached_property
    def _plans(self) -> list[DateWindowPaginator]:
        return [self._plan(partition) for partition in self._contexts]

    def _plan(self, context: Context | None) -> DateWindowPaginator:
        """Decide from where to where one site is extracted, and say why."""
        lookback = self.config["lookback_days"]
        bookmark = self._bookmark(context) if self._is_incremental else None
        if bookmark:
            why = f"bookmark {timestamp(bookmark)}, look-back {lookback} days"
            bookmark = min(bookmark, self._started)
        else:
            why = "no bookmark" if self._is_incremental else "full table"
        first = first_instant(self._start, bookmark, lookback, self._zone)
        end = self._end
        if self._is_test:
            # One day, the last that is over if there is one: the likeliest to have requests.
            today = datetime.combine(self._started.astimezone(self._zone), MIDNIGHT)
            if end is None and first < instant(today, self._zone):
                end = instant(today, self._zone)
            first = max(first, end - DAY) if end else first
        plan = plan_windows(first, end, self._started, self._zone, self.config["window_days"])
        self.log(
            "%s: %s windows of up to %s days from %s to %s (%s)",
            self._name(context),
            plan.count_windows(),
            self.config["window_days"],
            first.astimezone(self._zone),
            (end or self._started).astimezone(self._zone),
            why,
        )
        return plan

    def _bookmark(self, context: Context | None) -> datetime | None:
        value = self.get_context_state(context).get("replication_key_value")
        return parse_moment(value, self._zone) if value else None

    @cached_property
    def _window_counts(self) -> list[int]:
        return [plan.count_windows() for plan in self._plans]

    @cached_property
    def _prefetch(self) -> Prefetch[DateWindow, Answer]:
        return Prefetch(self._plans, self._fetch_window, self._width)

    def _fetch_window(self, index: int, window: DateWindow) -> Answer:
        context = self._contexts[index]
        request = self.get_http_request(page=PageContext(context, window))
        divisible = window.end - window.start > HOUR
        return self.fetch(request, self._name(context, window), divisible=divisible)

    def _fetch_number(self, _index: int, page: tuple[int, str]) -> Answer | None:
        number = page[1]
        request = self.get_http_request(page=PageContext(None, number))
        try:
            answer = self.fetch(request, self._name(None, number), single=True)
        except NotFoundError:
            return None
        with answer.body:  # an object or an array: make it an array
            body = answer.body.read()
        if not body.lstrip().startswith(b"["):
            body = b"[" + body + b"]"
        return Answer(io.BytesIO(body), answer.received)
