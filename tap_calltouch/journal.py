"""The streams' engine by the SDK's rules: plan, deliver, bookmark."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import msgspec
from singer_sdk import SchemaDirectory, Stream, metrics
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_calltouch.api.errors import QuotaExhaustedError, SiteError
from tap_calltouch.api.extents import (
    Extent,
    check_clock,
    dates_near,
    plan_extent,
    plan_sample,
    wanted_dates,
)
from tap_calltouch.api.fetching import Fetcher
from tap_calltouch.api.prefetch import prefetch
from tap_calltouch.api.query import Site
from tap_calltouch.api.windows import cut
from tap_calltouch.config.files import InputError
from tap_calltouch.instants import DAY, format_instant, next_bookmark, parse_instant, to_instant
from tap_calltouch.output.batches import write_files
from tap_calltouch.output.maps import RecordMapper
from tap_calltouch.output.progress import Progress, count, format_rows
from tap_calltouch.records.cleaning import UnusableRecordError
from tap_calltouch.records.decoding import KeyColumns, RecordDecoder
from tap_calltouch.records.drift import Drift
from tap_calltouch.records.structs import shape_of
from tap_calltouch.rows import WindowFilter, describe_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib.catalog import Catalog
    from singer_sdk.tap_base import Tap

    from tap_calltouch.api.answers import Answer
    from tap_calltouch.api.client import Client
    from tap_calltouch.api.failures import Failures
    from tap_calltouch.api.query import Journal
    from tap_calltouch.api.windows import DateWindow
    from tap_calltouch.config.typed import Settings
    from tap_calltouch.output.messages import BlockWriter
    from tap_calltouch.records.structs import Shape


def find_schemas() -> SchemaDirectory:
    """Return the folder with the JSON Schema of each stream.

    Raises:
        FileNotFoundError: If there is none.
    """
    here = Path(__file__).parent
    # The wheel carries the folder inside the package; in a checkout it stands beside it.
    for folder in (here, here.parent):
        if (path := folder / "schemas").is_dir():
            return SchemaDirectory(path)
    msg = f"The folder `schemas` is missing in {here}. Install tap-calltouch again."
    raise FileNotFoundError(msg)


SCHEMAS = find_schemas()

Result = TypeVar("Result")
#: Records, and when they arrived.
Delivery = tuple["Iterable[Any]", datetime]


class Plan(NamedTuple):
    """How a run reads its windows.

    Attributes:
        extents: The period of each site.
        fetch: Fetches a window.
        look: Called with a site and the records of a window, if given; returns the records.
        moves_bookmark: Whether a complete window moves its site's bookmark.
    """

    extents: dict[Site, Extent]
    fetch: Callable[[Site, DateWindow], Answer]
    look: Callable[[Site, Iterable[Any]], Iterable[Any]] | None
    moves_bookmark: bool


class JournalStream(Stream):
    """A journal of the API, asked for site by site and window by window."""

    journal: ClassVar[Journal]

    def __init__(
        self, tap: Tap, client: Callable[[], Client], writer: BlockWriter, failures: Failures
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            tap: The tap.
            client: Returns the client of all streams. Called when a sync begins, since a tap that
                only discovers has no token.
            writer: Writes lines to standard output.
            failures: What cannot be loaded, of all streams.
        """
        super().__init__(tap)
        self._failures = failures
        self._owner = tap
        self._client = client
        self._writer = writer
        self._state_writer = tap.state_writer
        self._started = datetime.fromtimestamp(tap.initialized_at / 1000, tz=timezone.utc)
        self._drift = Drift()
        self._decoders: dict[Site, RecordDecoder] = {}
        self._warned: set[tuple[int | None, str]] = set()

    @property
    def _settings(self) -> Settings:
        return self._client().settings

    @property
    def is_possible(self) -> bool:
        """Whether the settings say enough to ask for this journal."""
        return self.journal.is_possible(self.config["site_ids"], self.config["request_numbers"])

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
        if self._settings.request_numbers:
            return None
        return [{"siteId": site} for site in self._settings.site_ids] or None

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

    def _deliveries(self) -> Iterator[Delivery]:
        """Yield the records of one window after the other.

        When the next is asked for, the one before has been written, and the bookmark moves.
        """
        if self.is_possible:
            yield from self._read()
        *_, last = (stream for stream in self._owner.streams.values() if stream.selected)
        if last is self:
            self._failures.raise_if_any()

    def _read(self) -> Iterator[Delivery]:
        try:
            with metrics.http_request_counter(self.name, self.journal.path) as calls:
                fetcher = Fetcher(
                    self._client(),
                    self.journal,
                    (self._columns.site, self._columns.key),
                    warn=self._warn,
                    on_call=calls.increment,
                )
                if self._settings.request_numbers:
                    yield from self._by_number(fetcher)
                else:
                    yield from self._by_date(self._plan(fetcher), fetcher.length.current)
        finally:
            if not self._writer.is_ending:  # else that would raise while the generator is closed
                self._writer.flush()
            for level, line in self._drift.report():
                self.log("Stream %s: %s", self.name, line, level=level)

    def _plan(self, fetcher: Fetcher) -> Plan:
        check_clock(self._settings, self._started)
        sites = []
        for site in [self._site(part.get("siteId")) for part in self.partitions or [{}]]:
            if self._failures.is_exhausted(site):
                msg = f"{site.label}: not asked, since the daily points are used up."
                self._failures.add(site, QuotaExhaustedError(msg))
            else:
                sites.append(site)
        if self.ABORT_AT_RECORD_COUNT is not None:  # `--test`: one API call for each site
            extent = plan_sample(self._settings, self._started)
            extents = dict.fromkeys(sites, extent)
            plan = Plan(extents, fetcher.fetch_sample, self._describe, moves_bookmark=False)
        else:
            extents = {site: self._extent(site) for site in sites}
            plan = Plan(extents, fetcher.fetch, None, moves_bookmark=self._is_incremental)
        for site, (start, end, reason) in plan.extents.items():
            number = sum(1 for _ in cut(start, end, lambda: self._settings.window))
            if start >= end:
                self._warn(f"{site.label}: nothing to load from {start} to {end} ({reason}).")
            is_now = to_instant(end, self._settings.zone) > self._started
            dates = f"from {start} to {'now' if is_now else end} ({reason})"
            windows, longest = count(number, "window"), count(self._settings.window.days, "day")
            self.log("%s: %s of up to %s %s", site.label, windows, longest, dates)
        return plan

    def _by_date(self, plan: Plan, length: Callable[[], timedelta]) -> Iterator[Delivery]:
        extents = plan.extents.values()
        progress = Progress(
            sum(sum(1 for _ in cut(start, end, length)) for start, end, _ in extents),
            sum((end - start for start, end, _ in extents), timedelta()),
            monotonic,
        )
        windows = (
            ((site, window) for window in cut(start, end, lambda: max(DAY, length())))
            for site, (start, end, _) in plan.extents.items()
        )
        width = self._settings.max_concurrent_requests
        fetched = prefetch(lambda item: plan.fetch(*item), windows, width, _close)
        failed: set[Site] = set()
        for (site, window), future in fetched:
            if site in failed:  # what comes behind a gap is for the next run
                _discard(future)
                continue
            try:
                fetched_answer = self._result(site, future)
            except SiteError as error:
                failed.add(site)
                self._failures.add(site, error)
                if len(plan.extents) > 1:
                    self._warn(f"{error} The other sites go on.")
                continue
            with closing(fetched_answer) as answer:
                self._failures.note_answer(site)
                began = monotonic()
                left_out = self._mapper.left_out
                chosen = self._filter(site, window)
                self._drift.look_for_unknown(next(answer.arrays(), b"[]"), self.schema)
                records: Iterable[Any] = chosen.records(self._decoder(site), answer)
                yield plan.look(site, records) if plan.look else records, answer.received
            if left_out := self._mapper.left_out - left_out:
                chosen.rows["written"] -= left_out
                chosen.rows["by `stream_maps`"] = left_out
            if plan.moves_bookmark:
                self._move_bookmark(site, window, answer.received)
            rows, seconds = format_rows(chosen.rows), monotonic() - began
            self.logger.debug("%s, window %s: %s, %.1f s", site.label, window, rows, seconds)
            if line := progress.add(window.length, chosen.rows):
                self.log("%s: %s", site.label, line)
        self.log("Stream %s: %s", self.name, progress.summary())

    def _by_number(self, fetcher: Fetcher) -> Iterator[Delivery]:
        """Yield the requests that are asked for by number."""
        site = self._site(None)
        decoder = self._decoder(site)
        numbers, width = self._settings.request_numbers, self._settings.max_concurrent_requests
        for number, future in prefetch(fetcher.fetch_number, [numbers], width, _close):
            answer = self._result(site, future)
            if not answer or not answer.count:
                _close(answer)
                self._warn(f"The API does not know request {number!r}.")
                continue
            with closing(answer):
                try:
                    records = [record for _, record in decoder.records(answer.arrays())]
                except UnusableRecordError as error:
                    msg = f"Request {number}: {error}."
                    raise FatalAPIError(msg) from None
                yield records, answer.received

    def _result(self, site: Site, future: Future[Result]) -> Result:
        """Return what was fetched; raise what to do if that cannot be had."""
        try:
            return future.result()
        except QuotaExhaustedError as error:
            bookmark = self._bookmark(site)
            start = bookmark and f"{format_instant(bookmark)}, less the look-back"
            msg = (
                f"{error} The daily points of the project are used up. Run again tomorrow: the "
                f"next run will go on from {start or 'the start date'}."
            )
            raise QuotaExhaustedError(msg) from None

    def _filter(self, site: Site, window: DateWindow) -> WindowFilter:
        return WindowFilter(
            site.id,
            f"{site.label}, window {window}",
            wanted=wanted_dates(self._settings),
            nearby=dates_near(window, self._settings),
            warn=partial(self._warn_once, site.id),
        )

    def _describe(self, site: Site, records: Iterable[Any]) -> list[Any]:
        """Say what a test of the connection brought."""
        found = [*records]
        sample = [msgspec.to_builtins(record) for record in found]
        self.log("%s: %s", site.label, describe_sample(sample, self.schema, self._columns.instant))
        return found

    def _move_bookmark(self, site: Site, window: DateWindow, received: datetime) -> None:
        """Move the bookmark, which says that all records before it are extracted."""
        end = to_instant(window.end, self._settings.zone)
        end = min(end, self._settings.end or end)
        before = self._bookmark(site) or self._settings.start
        state = self.get_context_state(_context(site))
        state["replication_key"] = self._columns.instant
        state["replication_key_value"] = format_instant(
            next_bookmark(before, end, self._started, received)
        )
        if not self.config.get("batch_config"):
            # With BATCH, the SDK writes it after the next file, which may hold these records.
            self._state_writer.write_state(self.tap_state)

    def _site(self, site: int | None) -> Site:
        return Site(site, f"Stream {self.name}" + ("" if site is None else f", site {site}"))

    def _extent(self, site: Site) -> Extent:
        """Decide between which wall times a site is asked for."""
        bookmark = self._bookmark(site)
        other = "partitions" if site.id is None else "replication_key_value"
        if self._is_incremental and not bookmark and self.stream_state.get(other):
            self._warn(
                f"{site.label} has no bookmark, since bookmarks with and without `site_ids` are "
                "kept apart. Everything is loaded again."
            )
        if self._is_incremental and bookmark and bookmark > self._started + DAY:
            self._warn(
                f"{site.label}: the bookmark {format_instant(bookmark)} lies ahead of this "
                f"machine's clock, which says {self._started:%Y-%m-%d %H:%M} UTC. Nothing after "
                "that is loaded. Set the clock, or correct the bookmark."
            )
        return plan_extent(
            self._settings, self._started, bookmark, is_incremental=self._is_incremental
        )

    def _bookmark(self, site: Site) -> datetime | None:
        value = self.get_context_state(_context(site)).get("replication_key_value")
        return parse_instant(value, self._settings.zone) if value else None

    def _decoder(self, site: Site) -> RecordDecoder:
        """Return the decoder of a site, which learns what drifts."""
        if site not in self._decoders:
            self._decoders[site] = RecordDecoder(
                self._shape, self._columns, self.journal.epoch_unit, self._drift, site.id
            )
        return self._decoders[site]

    @cached_property
    def _shape(self) -> Shape:
        return shape_of(self.effective_schema, self.schema, self.mask)

    @cached_property
    def _mapper(self) -> RecordMapper:
        return RecordMapper(self.stream_maps, self._shape, self.config.get("stream_maps"))

    @cached_property
    def _columns(self) -> KeyColumns:
        """The table's keys, even if a catalog names other columns."""
        site, key = map(str, type(self).primary_keys)  # type: ignore[call-overload]
        return KeyColumns(site, key, str(type(self).replication_key))

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    def _warn(self, message: str) -> None:
        self.log(message, level=logging.WARNING)

    def _warn_once(self, site: int | None, kind: str, message: str) -> None:
        if (site, kind) not in self._warned:
            self._warned.add((site, kind))
            self._warn(message)


def _context(site: Site) -> dict[str, Any] | None:
    return None if site.id is None else {"siteId": site.id}


def _discard(future: Future[Answer]) -> None:
    if not future.exception():
        future.result().close()


def _close(answer: Answer | None) -> None:
    if answer:
        answer.close()
