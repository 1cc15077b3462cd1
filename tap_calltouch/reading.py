"""Reads a journal: windows in, records out. Knows the API's journals but not the SDK's streams."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.answers import NotFoundError, QuotaExhaustedError
from tap_calltouch.blocks import BrokenAnswerError
from tap_calltouch.cleaning import UnusableRecordError
from tap_calltouch.client import HEAVY_TRIES, MAX_TRIES
from tap_calltouch.moments import DAY, MIDNIGHT, parse_moment, timestamp, to_instant
from tap_calltouch.parts import Part, close, read_pages, read_parts
from tap_calltouch.windows import DateWindow, WindowLength, halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from tap_calltouch.answers import Answer
    from tap_calltouch.client import Client
    from tap_calltouch.records import RecordDecoder

# An answer of so many rows, or a multiple of it, may be one that the API has cut off.
SUSPICIOUS_ROWS = 1000
# Calltouch is younger. If all dates of an answer are older, they are read in the wrong unit.
OLDEST_MOMENT = "2000"
_LAST_MOMENT = "~"  # behind every timestamp
_ANCIENT = "dated before 2000"


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
        """Return the parameters that ask for a window.

        Args:
            config: The settings.
            site: The site, if one is named.
            window: The window.
        """
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
        values = {**config, "bind_to": config["bind_to"].replace("request", self.own_date)}
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
        end: First instant that is not wanted any more; None if it has yet to come.
        is_by_session: Whether the dates are those of sessions, so that a record may have any.
    """

    zone: ZoneInfo
    start: datetime
    end: datetime | None
    is_by_session: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], started: datetime) -> Self:
        """Read the settings of a run that began at an instant."""
        zone = ZoneInfo(config["timezone"])
        value = config.get("end_date")
        end = parse_moment(value, zone, whole_day=True) if value else started
        return cls(
            zone,
            parse_moment(config["start_date"], zone),
            end if end < started else None,
            config["bind_to"] == "session",
        )

    @property
    def kept(self) -> tuple[str, str]:
        """The timestamps between which records are wanted."""
        if self.is_by_session:
            return OLDEST_MOMENT, _LAST_MOMENT
        return timestamp(self.start), timestamp(self.end) if self.end else _LAST_MOMENT

    def nearby(self, window: DateWindow) -> tuple[str, str]:
        """Return the timestamps between which an answer for a window is dated, and a day more."""
        if self.is_by_session:
            return OLDEST_MOMENT, _LAST_MOMENT
        first, last = (to_instant(wall, self.zone) for wall in (window.start, window.end))
        return timestamp(first - DAY), timestamp(last + DAY)


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

    def read_all(self, answer: Answer) -> list[Any]:
        """Return all records of a small answer."""
        with answer.body:
            return [record for _, record in self.decoder.records(answer.body)]


class Reader:
    """Asks for windows of a journal and reads what comes."""

    def __init__(
        self,
        journal: Journal,
        key: str,
        config: Mapping[str, Any],
        client: Client,
        warn: Callable[[str], None],
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            journal: The journal.
            key: The name of its records' id.
            config: The settings.
            client: Asks the API.
            warn: Called with what the user should know.
            on_call: Called for each call.
        """
        self._journal = journal
        self._key = key
        self._config = config
        self._client = client
        self._on_call = on_call
        self.warn = warn
        self.length = WindowLength(timedelta(days=config["window_days"]))
        self.may_be_capped = not journal.page_size

    def read(self, site: Site, window: DateWindow) -> list[Part]:
        """Ask for a window, in parts if need be. Safe to call from threads."""
        try:
            return read_parts(
                lambda piece, tries: self._ask(site, piece, tries), window, self.length, self.warn
            )
        except QuotaExhaustedError as error:
            error.site = site.id
            raise

    def read_sample(self, site: Site, window: DateWindow) -> list[Part]:
        """Ask for a window in a single call; of pages, the first is enough."""
        return [Part(window, self._get(site, window, MAX_TRIES, 1))]

    def read_number(self, number: str) -> Answer | None:
        """Ask for one record by its number; None if the API does not know it."""
        path, label = f"{self._journal.path}/{quote(number, safe='')}", f"Request {number}"
        try:
            return self._client.get(path, {}, label, expected="single", on_call=self._on_call)
        except NotFoundError:
            return None

    def _ask(self, site: Site, window: DateWindow, tries: int) -> list[Part]:
        if not self._journal.page_size:
            return [Part(window, self._get(site, window, tries))]

        def warn(message: str) -> None:
            self.warn(f"{site.label}, window {window}: {message}")

        return read_pages(
            lambda page: self._get(site, window, tries, page), self._key, window, warn
        )

    def _get(self, site: Site, window: DateWindow, tries: int, page: int = 0) -> Answer:
        params = self._journal.query(self._config, site.id, window)
        if self._journal.page_size:
            params |= {"page": str(page), "limit": str(self._journal.page_size)}
        return self._client.get(
            self._journal.path.format(site=site.id),
            params,
            f"{site.label}, window {window}",
            expected="page" if self._journal.page_size else "array",
            heavy_tries=tries,
            on_call=self._on_call,
        )


@dataclass
class Window:
    """A window that the API has answered, to be read once.

    Attributes:
        reader: Asks for more if need be.
        scope: Which records are wanted.
        site: Whose they are.
        window: The period.
        parts: The answers.
        rows: Rows by what became of them.
    """

    reader: Reader
    scope: Scope
    site: Site
    window: DateWindow
    parts: list[Part]
    rows: Counter[str] = field(default_factory=Counter)
    _known: set[tuple[int, int]] | None = None

    @property
    def received(self) -> datetime:
        """When the first of its answers arrived."""
        return min(part.answer.received for part in self.parts)

    def records(self) -> Iterator[Any]:
        """Yield the records that were asked for, each once.

        Raises:
            FatalAPIError: If the answers cannot be read.
        """
        if len(self.parts) > 1 or not self.parts[0].is_unique:
            self._known = set()
        try:
            yield from self._read_all(self.parts)
        except UnusableRecordError as error:
            hint = " Set `site_ids`." if "`siteId`" in str(error) else ""
            msg = f"{self.site.label}, window {self.window}: {error}.{hint}"
            raise FatalAPIError(msg) from None

    def _read_all(self, parts: list[Part], failures: int = 0) -> Iterator[Any]:
        try:
            for part in parts:
                yield from self._read(part, failures)
        finally:
            close(parts)

    def _read(self, part: Part, failures: int) -> Iterator[Any]:
        mine, known = self.site.id, self._known
        low, high = self._dates
        body = part.answer.body
        start = body.tell()
        ancient = self.rows[_ANCIENT]
        came = written = 0
        try:
            for (site, key, moment), record in self.site.decoder.records(body):
                came += 1
                if (
                    known is None and low <= moment < high and (mine is None or site == mine)
                ) or self._is_wanted(site, key, moment):
                    written += 1
                    yield record
        except BrokenAnswerError as error:
            yield from self._read_again(part, error, failures + 1)
            return
        finally:
            self.rows["written"] += written
        if came and came == self.rows[_ANCIENT] - ancient:
            raise FatalAPIError(self._wrong_unit(part, start))
        if came and came % SUSPICIOUS_ROWS == 0 and self.reader.may_be_capped:
            yield from self._read_halves(part, start, came)

    @cached_property
    def _nearby(self) -> tuple[str, str]:
        return self.scope.nearby(self.window)

    @cached_property
    def _dates(self) -> tuple[str, str]:
        (first, last), (low, high) = self.scope.kept, self._nearby
        return max(first, low), min(last, high)

    def _is_wanted(self, site: int, key: int, moment: str) -> bool:
        """Return whether a record was asked for and did not come before; count it if not."""
        if moment < OLDEST_MOMENT:
            return self._leave_out(_ANCIENT, "the answer holds records that are dated before 2000")
        if self.site.id is not None and site != self.site.id:
            return self._leave_out("of other sites", "the answer holds records of other sites")
        if not self._nearby[0] <= moment < self._nearby[1]:
            return self._leave_out(
                "of other dates", "the answer holds records that are dated outside the window"
            )
        if not self._dates[0] <= moment < self._dates[1]:
            return self._leave_out("outside start_date and end_date")
        if self._known is not None:
            if (site, key) in self._known:
                return self._leave_out("came before")
            self._known.add((site, key))
        return True

    def _leave_out(self, reason: str, warning: str = "") -> bool:
        self.rows[reason] += 1
        if warning and reason not in self.site.warned:
            self.site.warned.add(reason)
            self.reader.warn(
                f"{self.site.label}, window {self.window}: {warning}, which are left out."
            )
        return False

    def _wrong_unit(self, part: Part, start: int) -> str:
        part.answer.body.seek(start)
        moments = [moment for (*_, moment), _ in self.site.decoder.records(part.answer.body)]
        return (
            f"{self.site.label}, window {part.window}: the records are dated from {min(moments)} "
            f"to {max(moments)}, before Calltouch was. The API seems to count in another unit now."
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
            yield from self._read_all(parts, 0 if pieces else failures)

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
        self._known = self._known or set()
        self._known |= {
            (site, key) for (site, key, _), _ in self.site.decoder.records(part.answer.body)
        }
        before = self.rows["written"]
        for piece in pieces:
            yield from self._read_all(self.reader.read(self.site, piece))
        if more := self.rows["written"] - before:
            self.reader.length.failed(part.window)
            self.reader.warn(
                f"{label}: the API caps its answers: it sent {came} records and left out at least "
                f"{more}, which came with the halves of the window. Set a smaller `window_days`."
            )
