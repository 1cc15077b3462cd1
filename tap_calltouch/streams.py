"""The stream: its keys, what becomes a record, when the bookmark moves."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from functools import cached_property
from operator import attrgetter, itemgetter
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import singer_sdk.singerlib as singer
from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

from tap_calltouch.answers import Answer, QuotaExhaustedError
from tap_calltouch.blocks import BrokenAnswerError
from tap_calltouch.cleaning import Drift, UnusableRecordError
from tap_calltouch.journal import MIDNIGHT, JournalStream
from tap_calltouch.prefetch import FixedPlan, Prefetch
from tap_calltouch.records import RecordDecoder
from tap_calltouch.structs import timestamp
from tap_calltouch.windows import (
    DateWindow,
    instant,
    next_bookmark,
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

ALL_DATES = ("", "~")


class RequestsStream(JournalStream):
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

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Give none: bookmarks never pass the beginning of the sync anyway."""

    # Records are dicts if something downstream looks into them, and msgspec structs otherwise.

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
            total = self._window_counts[index]
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
        getter = itemgetter if self._needs_dicts else attrgetter
        identify = getter("siteId", "requestId", "date")
        foreign = 0
        try:
            for record in self._decoder(site).records(answer.body):
                self._rows += 1
                site_id, request_id, created = identify(record)
                if site is not None and site_id != site:
                    foreign += 1
                    continue
                if not first <= created < end:
                    continue
                if meets_next or known:
                    key = (site_id, request_id)
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
                for name in mapped.keys() - stream_map.transformed_schema["properties"].keys():
                    del mapped[name]
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

    @cached_property
    def _kept_dates(self) -> tuple[str, str]:
        """The `date` values that the user wants, if dates select by the date of the request."""
        if self.config["bind_to"] != "request":
            return ALL_DATES
        return timestamp(self._start), timestamp(self._end) if self._end else ALL_DATES[1]

    @cached_property
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
