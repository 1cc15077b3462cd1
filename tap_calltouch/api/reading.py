"""Reads a journal: windows in, records out. Knows nothing of the SDK's streams."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.answers import NotFoundError, QuotaExhaustedError
from tap_calltouch.api.client import HEAVY_TRIES, MAX_TRIES
from tap_calltouch.api.parts import Part, close, read_pages, read_parts
from tap_calltouch.api.query import OLDEST_TIMESTAMP
from tap_calltouch.api.windows import DateWindow, WindowLength, halves
from tap_calltouch.records.blocks import BrokenAnswerError
from tap_calltouch.records.cleaning import UnusableRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from tap_calltouch.api.answers import Answer
    from tap_calltouch.api.client import Client
    from tap_calltouch.api.query import Journal, Scope
    from tap_calltouch.records.decoding import RecordDecoder

# An answer of so many rows, or a multiple of it, may be one that the API has cut off.
SUSPICIOUS_ROWS = 1000
_ANCIENT = "dated before 2000"


@dataclass
class Site:
    """One site, or all that the token may see, and what is known of it in this run.

    Attributes:
        id: The site's id; None for all.
        label: Names it in messages, with its stream.
        decoder: Decodes its answers.
        warned: What has been warned of.
    """

    id: int | None
    label: str
    decoder: RecordDecoder
    warned: set[str] = field(default_factory=set)

    def read_all(self, answer: Answer, label: str) -> list[Any]:
        """Return all records of a small answer; raise FatalAPIError if it cannot be read."""
        try:
            with answer.body:
                return [record for _, record in self.decoder.records(answer.body)]
        except (BrokenAnswerError, UnusableRecordError) as error:
            msg = f"{label}: {error}."
            raise FatalAPIError(msg) from None


@dataclass
class Reader:
    """Asks for windows of a journal and reads what comes.

    Attributes:
        journal: The journal.
        key: The name of its records' id.
        config: The settings.
        client: Asks the API.
        warn: Called with what the user should know.
        on_call: Called for each call.
        is_sample: Whether to ask for a window in a single call; of pages, the first is enough.
    """

    journal: Journal
    key: str
    config: Mapping[str, Any]
    client: Client
    warn: Callable[[str], None]
    on_call: Callable[[], None] = lambda: None
    is_sample: bool = False

    def __post_init__(self) -> None:
        self.length = WindowLength(timedelta(days=self.config["window_days"]))

    def read(self, site: Site, window: DateWindow) -> list[Part]:
        """Ask for a window, in parts if need be. Safe to call from threads."""
        try:
            if self.is_sample:
                return [Part(window, self._get(site, window, MAX_TRIES, 1))]
            return read_parts(
                lambda piece, tries: self._ask(site, piece, tries),
                window,
                self.length,
                site.label,
                self.warn,
            )
        except QuotaExhaustedError as error:
            error.site = site.id
            raise

    def read_number(self, number: str) -> Answer | None:
        """Ask for one record by its number; None if the API does not know it."""
        path, label = f"{self.journal.path}/{quote(number, safe='')}", f"Request {number}"
        try:
            return self.client.get(path, {}, label, expected="single", on_call=self.on_call)
        except NotFoundError:
            return None

    def _ask(self, site: Site, window: DateWindow, tries: int) -> list[Part]:
        if not self.journal.page_size:
            return [Part(window, self._get(site, window, tries))]
        return read_pages(
            lambda page: self._get(site, window, tries, page),
            self.key,
            window,
            f"{site.label}, window {window}",
            self.warn,
        )

    def _get(self, site: Site, window: DateWindow, tries: int, page: int = 0) -> Answer:
        params = self.journal.query(self.config, site.id, window)
        if self.journal.page_size:
            params |= {"page": str(page), "limit": str(self.journal.page_size)}
        return self.client.get(
            self.journal.path.format(site=site.id),
            params,
            f"{site.label}, window {window}",
            expected="page" if self.journal.page_size else "array",
            heavy_tries=tries,
            on_call=self.on_call,
        )


@dataclass
class Window:
    """A window that the API has answered, to be read once.

    Attributes:
        reader: Asks for more if need be.
        scope: Which records are wanted.
        site: Whose they are.
        period: What was asked for.
        parts: The answers.
        rows: Rows by what became of them.
    """

    reader: Reader
    scope: Scope
    site: Site
    period: DateWindow
    parts: list[Part]
    rows: Counter[str] = field(default_factory=Counter)
    _came: set[tuple[int, int]] = field(default_factory=set)

    @property
    def received(self) -> datetime:
        """When the first of its answers arrived."""
        return min(part.answer.received for part in self.parts)

    def records(self) -> Iterator[Any]:
        """Yield the records that were asked for, each once.

        Raises:
            FatalAPIError: If the answers cannot be read.
        """
        try:
            yield from self._read_parts(self.parts)
        except UnusableRecordError as error:
            hint = " Set `site_ids`." if "`siteId`" in str(error) else ""
            msg = f"{self.site.label}, window {self.period}: {error}.{hint}"
            raise FatalAPIError(msg) from None

    def _read_parts(self, parts: list[Part], failures: int = 0) -> Iterator[Any]:
        try:
            for part in parts:
                yield from self._read(part, failures)
        finally:
            close(parts)

    def _read(self, part: Part, failures: int) -> Iterator[Any]:
        mine = self.site.id
        low, high = self._dates
        # Where a record may come twice, the keys of those that came are kept.
        may_repeat = len(self.parts) > 1 or not self.parts[0].is_unique or bool(self._came)
        body = part.answer.body
        start = body.tell()
        ancient = self.rows[_ANCIENT]
        came = written = 0
        try:
            for (site, key, timestamp), record in self.site.decoder.records(body):
                came += 1
                # Spares the usual record a call of `_is_wanted`.
                if (
                    not may_repeat and low <= timestamp < high and (mine is None or site == mine)
                ) or self._is_wanted(site, key, timestamp):
                    written += 1
                    yield record
        except BrokenAnswerError as error:
            yield from self._read_again(part, error, failures + 1)
            return
        finally:
            self.rows["written"] += written
        if came and came == self.rows[_ANCIENT] - ancient:
            raise FatalAPIError(self._wrong_unit(part, start))
        may_be_capped = not part.is_counted and not self.reader.is_sample
        if may_be_capped and came and came % SUSPICIOUS_ROWS == 0:
            yield from self._read_halves(part, start, came)

    @cached_property
    def _nearby(self) -> tuple[str, str]:
        return self.scope.nearby(self.period)

    @cached_property
    def _dates(self) -> tuple[str, str]:
        (first, last), (low, high) = self.scope.wanted, self._nearby
        return max(first, low), min(last, high)

    def _is_wanted(self, site: int, key: int, timestamp: str) -> bool:
        """Return whether a record was asked for and did not come before; count it if not."""
        if timestamp < OLDEST_TIMESTAMP:
            return self._leave_out(_ANCIENT, "the answer holds records that are dated before 2000")
        if self.site.id is not None and site != self.site.id:
            return self._leave_out("of other sites", "the answer holds records of other sites")
        if not self._nearby[0] <= timestamp < self._nearby[1]:
            return self._leave_out(
                "of other dates", "the answer holds records that are dated outside the window"
            )
        if not self._dates[0] <= timestamp < self._dates[1]:
            return self._leave_out("outside start_date and end_date")
        if (site, key) in self._came:
            return self._leave_out("came before")
        self._came.add((site, key))
        return True

    def _leave_out(self, reason: str, warning: str = "") -> bool:
        self.rows[reason] += 1
        if warning and reason not in self.site.warned:
            self.site.warned.add(reason)
            self.reader.warn(
                f"{self.site.label}, window {self.period}: {warning}, which are left out."
            )
        return False

    def _wrong_unit(self, part: Part, start: int) -> str:
        part.answer.body.seek(start)
        records = self.site.decoder.records(part.answer.body)
        timestamps = sorted(timestamp for (*_, timestamp), _ in records)
        return (
            f"{self.site.label}, window {part.window}: the records are dated from {timestamps[0]} "
            f"to {timestamps[-1]}, before Calltouch existed. "
            "The API seems to count in another unit now."
        )

    def _read_again(self, part: Part, error: BrokenAnswerError, failures: int) -> Iterator[Any]:
        """Ask once more for an answer that broke while it was read, then for its halves.

        Records of it that were written before the break are written again: at least once.
        """
        message = f"{self.site.label}, window {part.window}: {error}."
        pieces = halves(part.window) if failures >= HEAVY_TRIES else []
        if failures >= MAX_TRIES:
            msg = f"{message} Gave up after {failures} tries."
            raise FatalAPIError(msg)
        self.reader.warn(f"{message} {'Halving the window' if pieces else 'Trying again'}.")
        if pieces:
            self.reader.length.failed(part.window)
        for piece in pieces or [part.window]:
            parts = self.reader.read(self.site, piece)
            yield from self._read_parts(parts, 0 if pieces else failures)

    def _read_halves(self, part: Part, start: int, came: int) -> Iterator[Any]:
        """Read the halves of a part whose answer may have been cut off by the API."""
        label = f"{self.site.label}, window {part.window}"
        pieces = halves(part.window)
        if not pieces:
            self.reader.warn(
                f"{label}: the API sent {came} records, which may be as many as it ever sends. "
                "If there are more, they are missing: so short a window cannot be halved."
            )
            return
        part.answer.body.seek(start)
        self._came |= {
            (site, key) for (site, key, _), _ in self.site.decoder.records(part.answer.body)
        }
        before = self.rows["written"]
        for piece in pieces:
            yield from self._read_parts(self.reader.read(self.site, piece))
        if more := self.rows["written"] - before:
            self.reader.length.failed(part.window)
            self.reader.warn(
                f"{label}: the API caps its answers: it sent {came} records and left out at least "
                f"{more}, which came with the halves of the window. Set a smaller `window_days`."
            )
