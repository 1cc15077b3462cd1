"""The streams' engine by the SDK's rules: windows, answers, records, lines, bookmark."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from functools import cached_property
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import SchemaDirectory, Stream, metrics
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_calltouch.api.answers import QuotaExhaustedError
from tap_calltouch.api.parts import close
from tap_calltouch.api.prefetch import prefetch
from tap_calltouch.api.query import Scope, plan_extent
from tap_calltouch.api.reading import Reader, Site, Window
from tap_calltouch.api.windows import cut
from tap_calltouch.config.files import InputError
from tap_calltouch.instants import (
    DAY,
    next_bookmark,
    parse_instant,
    timestamp,
    to_instant,
    wall_period,
)
from tap_calltouch.output.batches import write_files
from tap_calltouch.output.maps import RecordMapper
from tap_calltouch.output.progress import Progress, count, describe_rows, describe_sample
from tap_calltouch.records.decoding import Identity, RecordDecoder
from tap_calltouch.records.drift import Drift
from tap_calltouch.records.structs import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib.catalog import Catalog
    from singer_sdk.tap_base import Tap

    from tap_calltouch.api.client import Client
    from tap_calltouch.api.query import Journal
    from tap_calltouch.output.messages import BlockWriter
    from tap_calltouch.records.structs import Shape

_HERE = Path(__file__).parent
# The wheel carries the folder inside the package; in a checkout it stands beside it.
SCHEMAS = SchemaDirectory(
    next(path for path in (_HERE / "schemas", _HERE.parent / "schemas") if path.is_dir())
)

#: Records, and when they arrived.
Delivery = tuple["Iterable[Any]", datetime]


class JournalStream(Stream):
    """A journal of the API, asked for site by site and window by window."""

    journal: ClassVar[Journal]

    def __init__(self, tap: Tap, client: Callable[[], Client], writer: BlockWriter) -> None:
        """Prepare; nothing is asked yet.

        Args:
            tap: The tap.
            client: Returns the client of all streams. Called when a sync begins, since a tap that
                only discovers has no token.
            writer: Writes lines to standard output.
        """
        super().__init__(tap)
        self._client = client
        self._writer = writer
        self._state_writer = tap.state_writer
        self._started = datetime.fromtimestamp(tap.initialized_at / 1000, tz=timezone.utc)
        self._drift = Drift()

    @cached_property
    def _scope(self) -> Scope:
        return Scope.of(self.config)

    @property
    def columns(self) -> set[str] | None:
        """The columns that the stream or its catalog has; None if the catalog allows any."""
        if self.effective_schema.get("additionalProperties"):
            return None
        return {*self.schema["properties"], *self.effective_schema["properties"]}

    @property
    @override
    def partitions(self) -> list[dict[str, Any]] | None:
        """One for each site, from the settings alone; the SDK would take them from the state."""
        if self.config["request_numbers"]:
            return None
        return [{"siteId": int(site)} for site in dict.fromkeys(self.config["site_ids"])] or None

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        super().apply_catalog(catalog)
        if asked := self.forced_replication_method:
            method = str(asked).upper()
            if method not in {REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL}:
                msg = (
                    f"The catalog asks for the replication method {asked} of stream {self.name}, "
                    "which has FULL_TABLE and INCREMENTAL."
                )
                raise InputError(msg)
            self.forced_replication_method = method
        if "properties" not in self.effective_schema:
            msg = f"The catalog's schema of stream {self.name} has no properties."
            raise InputError(msg)

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Return none: bookmarks never pass the beginning of the sync anyway."""

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for records, _ in self._deliveries():
            yield from map(msgspec.to_builtins, records)

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        # The one protected member that is overridden; `sync` calls nothing else. The SDK's own
        # walks through each record for selection, for types and for the bookmark, all of which
        # is done here for a block or a window at a time, and makes four objects of each.
        with self.get_record_counter() as counter, self.get_sync_timer():
            for records, received in self._deliveries():
                counter.increment(self._write(records, received))
        yield from ()

    @override
    def get_batches(
        self, batch_config: Any, context: Context | None = None
    ) -> Iterable[tuple[Any, list[str]]]:
        # The SDK would put records into the files as they were before selection and stream maps.
        if len(self.stream_maps) > 1:
            msg = f"BATCH files hold one stream, but `stream_maps` makes several of {self.name}."
            raise FatalAPIError(msg)
        for records, _ in self._deliveries():
            mapped = (record for _, record in self._mapper(records))
            for manifest in write_files(mapped, batch_config, self.tap_name, self.name):
                yield batch_config.encoding, manifest

    def _write(self, records: Iterable[Any], received: datetime) -> int:
        """Write records as messages, and return how many there were."""
        message: dict[str, Any] = {"type": "RECORD", "time_extracted": received}
        if not self._is_incremental and self.emit_activate_version_messages:
            message["version"] = int(self._started.timestamp())
        number = 0
        for stream, record in islice(self._mapper(records), self.ABORT_AT_RECORD_COUNT):
            message["stream"], message["record"] = stream, record
            self._writer.write_record(message)
            number += 1
        return number

    # Windows to records.

    def _deliveries(self) -> Iterator[Delivery]:
        """Yield the records of one window after the other.

        When the next is asked for, the one before has been written, and the bookmark moves.
        """
        if not self.journal.is_possible(self.config):
            return
        try:
            with metrics.http_request_counter(self.name, self.journal.path) as calls:
                reader = Reader(
                    self.journal,
                    self._identity.key,
                    self.config,
                    self._client(),
                    self._warn,
                    calls.increment,
                    is_sample=self._is_test,
                )
                if self.config["request_numbers"]:
                    yield from self._by_number(reader)
                else:
                    yield from self._by_date(reader)
        except QuotaExhaustedError as error:
            raise FatalAPIError(_advise(error, self._bookmark(error.site))) from None
        finally:
            if not self._writer.is_ending:  # else that would raise while this is thrown away
                self._writer.flush()
            for level, line in self._drift.report():
                self.log("Stream %s: %s", self.name, line, level=level)

    def _by_date(self, reader: Reader) -> Iterator[Delivery]:
        sites = [self._site(partition.get("siteId")) for partition in self.partitions or [{}]]
        periods = [self._period(site) for site in sites]
        progress = Progress(
            sum(sum(1 for _ in cut(*period, reader.length)) for period in periods),
            sum((end - start for start, end in periods), timedelta()),
            monotonic,
        )
        windows = (
            (site, window)
            for site, period in zip(sites, periods, strict=True)
            for window in cut(*period, lambda: max(DAY, reader.length()))
        )
        width = int(self.config["max_concurrent_requests"])
        fetched = prefetch(lambda item: reader.read(*item), windows, width, close)
        for (site, period), parts in fetched:
            for part in parts:
                self._drift.look_for_unknown(part.answer.body, self.schema)
            window = Window(reader, self._scope, site, period, parts)
            began = monotonic()
            records: Iterable[Any] = window.records()
            if self._is_test:
                records = [*records]
                sample = [msgspec.to_builtins(record) for record in records]
                found = describe_sample(sample, self.schema, self._identity.instant)
                self.log("%s: %s", site.label, found)
            yield records, window.received
            self._complete(window)
            rows, seconds = describe_rows(window.rows), monotonic() - began
            self.logger.debug("%s, window %s: %s, %.1f s", site.label, period, rows, seconds)
            if line := progress.add(period.length, window.rows):
                self.log("%s: %s", site.label, line)
        self.log("Stream %s: %s", self.name, progress.summary())

    def _by_number(self, reader: Reader) -> Iterator[Delivery]:
        """Yield the requests that are asked for by number."""
        site = self._site(None)
        numbers = dict.fromkeys(self.config["request_numbers"])
        width = int(self.config["max_concurrent_requests"])
        for number, answer in prefetch(reader.read_number, numbers, width):
            records = site.read_all(answer, f"Request {number}") if answer else []
            if not answer or not records:
                self._warn(f"The API does not know request {number!r}.")
            else:
                yield records, answer.received

    def _complete(self, window: Window) -> None:
        """Move the bookmark, which says that all records before it are extracted."""
        if self._is_test or not self._is_incremental:
            return
        end = to_instant(window.period.end, self._scope.zone)
        end = min(end, self._scope.end or end)
        before = self._bookmark(window.site.id) or self._scope.start
        state = self.get_context_state(_context(window.site.id))
        state["replication_key"] = self._identity.instant
        state["replication_key_value"] = timestamp(
            next_bookmark(before, end, self._started, window.received)
        )
        if not self.config.get("batch_config"):
            # With BATCH, the SDK writes it after the next file, which may hold these records.
            self._state_writer.write_state(self.tap_state)

    def _site(self, site: int | None) -> Site:
        label = f"Stream {self.name}" + ("" if site is None else f", site {site}")
        decoder = RecordDecoder(self._shape, self._identity, self.journal.unit, self._drift, site)
        return Site(site, label, decoder)

    def _period(self, site: Site) -> tuple[datetime, datetime]:
        """Decide between which wall times a site is asked for, and log why."""
        scope, bookmark = self._scope, self._bookmark(site.id)
        other = "partitions" if site.id is None else "replication_key_value"
        if self._is_incremental and not bookmark and self.stream_state.get(other):
            self._warn(
                f"{site.label} has no bookmark, since bookmarks with and without `site_ids` are "
                "kept apart. Everything is loaded again."
            )
        extent = plan_extent(
            scope,
            self._started,
            bookmark=bookmark,
            lookback_days=self.config["lookback_days"],
            is_incremental=self._is_incremental,
            is_test=self._is_test,
        )
        period = wall_period(extent.start, extent.end, scope.zone)
        days = int(self.config["window_days"])
        number = sum(1 for _ in cut(*period, lambda: timedelta(days)))
        end = period[1] if extent.end < self._started else "now"
        dates = f"from {period[0]} to {end} ({extent.reason})"
        windows, length = count(number, "window"), count(days, "day")
        self.log("%s: %s of up to %s %s", site.label, windows, length, dates)
        return period

    def _bookmark(self, site: int | None) -> datetime | None:
        value = self.get_context_state(_context(site)).get("replication_key_value")
        return parse_instant(value, self._scope.zone) if value else None

    @cached_property
    def _shape(self) -> Shape:
        return shape_of(self.effective_schema, self.schema, self.mask)

    @cached_property
    def _mapper(self) -> RecordMapper:
        return RecordMapper(self.stream_maps, self._shape, self.config.get("stream_maps"))

    @cached_property
    def _identity(self) -> Identity:
        """The table's keys, even if a catalog names other columns."""
        site, key = map(str, type(self).primary_keys)  # type: ignore[call-overload]
        return Identity(site, key, str(type(self).replication_key))

    @property
    def _is_test(self) -> bool:
        """Whether this is `--test`, which costs one call for each site."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    def _warn(self, message: str) -> None:
        self.log("%s", message, level=logging.WARNING)


def _advise(error: QuotaExhaustedError, bookmark: datetime | None) -> str:
    start = f"{timestamp(bookmark)}, less the look-back" if bookmark else "the start date"
    return (
        f"{error} The daily points of the project are used up. Run again tomorrow: the next run "
        f"will go on from {start}."
    )


def _context(site: int | None) -> dict[str, Any] | None:
    return None if site is None else {"siteId": site}
