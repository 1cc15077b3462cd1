"""The stream: its keys, which pages to ask for, when the bookmark moves."""

from __future__ import annotations

import io
import logging
import sys
from collections import Counter
from datetime import datetime, time, timezone
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

import singer_sdk.singerlib as singer
from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.streams.rest import HTTPRequest, PageContext

from tap_calltouch.answers import Answer, NotFoundError, QuotaExhaustedError
from tap_calltouch.cleaning import Drift, UnusableRecordError
from tap_calltouch.client import CalltouchStream
from tap_calltouch.prefetch import FixedPlan, Prefetch
from tap_calltouch.records import BrokenAnswerError, RecordDecoder, timestamp
from tap_calltouch.settings import PARAMETERS
from tap_calltouch.windows import (
    DAY,
    HOUR,
    DateWindow,
    DateWindowPaginator,
    first_instant,
    instant,
    next_bookmark,
    parse_moment,
    plan_windows,
)

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.tap_base import Tap

    from tap_calltouch.messages import BlockWriter

_HERE = Path(__file__).parent
# The wheel carries the folder inside the package; in a checkout it stands beside it.
SCHEMAS = next(path for path in (_HERE / "schemas", _HERE.parent / "schemas") if path.is_dir())

MIDNIGHT = time()
ALL_DATES = ("", "~")


class RequestsStream(CalltouchStream):
    """The requests journal (журнал заявок)."""

    name = "requests"
    path = "/requests"
    primary_keys = ("siteId", "requestId")
    replication_key = "date"
    schema = StreamSchema(SchemaDirectory(SCHEMAS))

    # Records fit the schema when they leave the decoder.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    # State is written when a window is complete, never within one.
    STATE_MSG_FREQUENCY = sys.maxsize

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        self._rows = 0
        self._drift = Drift(Counter(), Counter())
        self._decoders: dict[int | None, RecordDecoder] = {}
        self._border_keys: set[tuple[int, int]] = set()
        self._warned_of: set[int | None] = set()
        self._message: dict[str, Any] = {}

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
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Give none: bookmarks never pass the beginning of the sync anyway."""

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

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for records in self._windows(context):
            yield from records

    @override
    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        # The SDK would put records into the files as they were before selection and stream maps.
        if len(self.stream_maps) > 1:
            msg = "BATCH files can hold one stream, but `stream_maps` makes several of `requests`."
            raise FatalAPIError(msg)
        batcher = Batcher(self.tap_name, self.name, batch_config)
        for partition in self._contexts:
            for records in self._windows(partition):
                mapped = (
                    message.record
                    for record in records
                    for message in self._generate_record_messages(record)
                )
                for manifest in batcher.get_batches(mapped):
                    yield batch_config.encoding, manifest

    def _windows(self, context: Context | None) -> Iterator[Iterator[Record]]:
        """Give the records of one window after the other.

        When the next one is asked for, the one before has been written, and the bookmark moves.
        """
        try:
            if self.config["request_numbers"]:
                yield from self._numbered_requests()
                return
            index = self._contexts.index(dict(context) if context else None)
            total = self._plans[index].count_windows()
            for number, (window, answer) in enumerate(self._prefetch.answers(index), start=1):
                began = monotonic()
                self._rows = 0
                with answer.body:
                    yield self._records(context, window, answer)
                self._complete(context, window, answer)
                self.log(
                    "%s: window %s of %s, %s: %s rows, written in %.1f s",
                    self._name(context),
                    number,
                    max(number, total),
                    window,
                    self._rows,
                    monotonic() - began,
                )
        except QuotaExhaustedError as error:
            bookmark = self.get_context_state(context).get("replication_key_value")
            msg = (
                f"{error} The daily points of the project are used up. Run again tomorrow: the "
                f"next run will go on from {bookmark or 'the start date'}, less the look-back."
            )
            raise FatalAPIError(msg) from None
        finally:
            self._writer.flush()

    def _numbered_requests(self) -> Iterator[Iterator[Record]]:
        """Give the records of the requests that were asked for by number."""
        plan = FixedPlan(self.config["request_numbers"])
        prefetch = Prefetch([plan], self._fetch_number, self._width)
        for (_, number), answer in prefetch.answers(0):
            self._rows = 0
            if answer:
                with answer.body:
                    yield self._records(None, None, answer)
            if not self._rows:
                self.log("The API does not know request %r.", number, level=logging.WARNING)

    def _records(
        self, context: Context | None, window: DateWindow | None, answer: Answer
    ) -> Iterator[Record]:
        """Decode an answer and leave out what was not asked for."""
        site = context["siteId"] if context else None
        first, end = self._kept_dates if window else ALL_DATES
        # The second at which two windows of one day meet belongs to both.
        known, keys = self._border_keys, set()
        meets_next = bool(window and window.end.time() != MIDNIGHT)
        self._message = {
            "type": "RECORD",
            "stream": self.stream_maps[0].stream_alias,
            "time_extracted": answer.received,
            **({} if self._stream_version is None else {"version": self._stream_version}),
        }
        foreign = 0
        try:
            for record in self._decoder(site).records(answer.body):
                self._rows += 1
                if site is not None and record["siteId"] != site:
                    foreign += 1
                    continue
                if not first <= record["date"] < end:
                    continue
                if meets_next or known:
                    key = (record["siteId"], record["requestId"])
                    if key in known:
                        continue
                    keys.add(key)
                yield record
        except BrokenAnswerError as error:
            msg = f"{self._name(context, window)}: {error}."
            raise FatalAPIError(msg) from None
        except UnusableRecordError as error:
            hint = " Set `site_ids`." if "`siteId`" in str(error) else ""
            msg = f"{self._name(context, window)}: {error}.{hint}"
            raise FatalAPIError(msg) from None
        self._border_keys = keys if meets_next else set()
        if foreign and site not in self._warned_of:
            self._warned_of.add(site)
            self.log(
                "%s: the answer holds records of other sites, which are left out (%s in this one).",
                self._name(context, window),
                foreign,
                level=logging.WARNING,
            )

    def _complete(self, context: Context | None, window: DateWindow, answer: Answer) -> None:
        """Move the bookmark, which says that all requests before it are extracted."""
        if self._is_test or not self._is_incremental:
            return
        limit = min(self._started, answer.received)
        end = min(instant(window.end, self._zone), self._end or self._started)
        state = self.get_context_state(context)
        before = state.get("replication_key_value")
        state["replication_key"] = self.replication_key
        state["replication_key_value"] = timestamp(
            next_bookmark(self._bookmark(context), end, limit)
        )
        if self.config.get("batch_config"):
            return  # the SDK writes the state after the next BATCH, which may hold these records
        self.finalize_state_progress_markers(state)
        if state["replication_key_value"] == before:  # the SDK writes no state twice
            self._tap.write_message(singer.StateMessage(value=self.tap_state))

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        """Do nothing: a record within a window says nothing about the records before it."""

    @override
    def _process_record(
        self,
        record: Record,
        child_context: Context | None = None,
        partition_context: Context | None = None,
    ) -> None:
        """Do nothing: there are no child streams, and the decoder has put in the site."""

    @override
    def _write_record_message(self, record: Record) -> None:
        # Nothing public lies between `get_records` and the line. The SDK's own walks through each
        # record twice, for selection and for types, which the decoder has done, and makes three
        # objects of it.
        if self._needs_dicts:
            super()._write_record_message(record)
            return
        self._message["record"] = record
        self._writer.write_record(self._message)
        self.state_manager.is_flushed = False

    @override
    def _generate_record_messages(self, record: Record) -> Generator[singer.RecordMessage]:
        # Without the SDK's passes for selection and types, as above.
        flat = self.config.get("flattening_enabled")
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if flat and mapped is not None:
                # The SDK leaves an object that is null as it is, a column that no schema has.
                columns = stream_map.transformed_schema["properties"]
                mapped = {name: value for name, value in mapped.items() if name in columns}
            if mapped is not None:
                yield singer.RecordMessage(
                    stream=stream_map.stream_alias,
                    record=mapped,
                    version=self._stream_version,
                    time_extracted=self._message["time_extracted"],
                )

    @override
    def log_sync_costs(self) -> None:
        """Log, once at the end, what had to be changed in records."""
        for what, fields in zip(("converted", "removed"), self._drift, strict=True):
            if fields:
                counts = ", ".join(f"{name} {number}" for name, number in fields.most_common())
                self.log("Values %s since they do not fit the schema: %s", what, counts)

    @property
    def _writer(self) -> BlockWriter:
        return cast("BlockWriter", self._tap.message_writer)

    @cached_property
    def _needs_dicts(self) -> bool:
        """Whether something downstream looks into records."""
        return bool(
            self.config.get("flattening_enabled")
            or self.config.get("batch_config")
            or any(type(item) is not SameRecordTransform for item in self.stream_maps)
        )

    def _decoder(self, site: int | None) -> RecordDecoder:
        """Get the decoder of a site, whose id stands in for a missing one."""
        if site not in self._decoders:
            selected_schema = self.stream_maps[0].raw_schema
            defaults = {} if site is None else {"siteId": site}
            self._decoders[site] = RecordDecoder(
                selected_schema, defaults, self._drift, plain=self._needs_dicts
            )
        return self._decoders[site]

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

    @cached_property
    def _kept_dates(self) -> tuple[str, str]:
        """The `date` values that the user wants, if dates select by the date of the request."""
        if self.config["bind_to"] != "request":
            return ALL_DATES
        return timestamp(self._start), timestamp(self._end) if self._end else ALL_DATES[1]

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
            end = end or max(instant(today, self._zone), first)
            first = max(first, end - DAY)
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
