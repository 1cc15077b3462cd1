"""A window in, one whole answer out. Whatever can lead to another API call is decided here."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import quote

from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.answers import join
from tap_calltouch.api.client import HEAVY_TRIES, MAX_TRIES
from tap_calltouch.api.errors import HeavyAnswerError, NotFoundError
from tap_calltouch.api.windows import WindowLength, cut, halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_calltouch.api.answers import Answer
    from tap_calltouch.api.client import Client
    from tap_calltouch.api.query import Journal, Site
    from tap_calltouch.api.windows import DateWindow

SPARE_PAGES = 3  # an API that always says that there is one page more is not asked for ever
READINGS = 3  # of a journal that moves, which may never rest
# An answer of so many rows, or a multiple of it, may be one that the API has cut off.
SUSPICIOUS_ROWS = 1000


class Fetcher:
    """Fetches windows of a journal. Safe to call from threads."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        key: tuple[str, str],
        *,
        warn: Callable[[str], None],
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            client: Asks the API.
            journal: What to ask for.
            key: The names of a record's site and of its id within the site.
            warn: Called with what the user should know.
            on_call: Called for each API call.
        """
        self.length = WindowLength(client.settings.window)
        self._client = client
        self._journal = journal
        self._key = key
        self._warn = warn
        self._on_call = on_call
        self._failed: list[tuple[Site, DateWindow]] = []

    def fetch(self, site: Site, window: DateWindow) -> Answer:
        """Fetch a window, in shorter and shorter parts where answers are too heavy.

        Raises:
            FatalAPIError: If the API cannot be asked, or does not answer the shortest windows.
            CancelledError: If an earlier window of the site failed meanwhile.
        """
        try:
            return join(self._fetch_parts(site, window), f"{site.label}, window {window}")
        except BaseException:
            self._failed.append((site, window))
            raise

    def _is_wanted(self, site: Site, window: DateWindow) -> bool:
        """Return whether no earlier window of a site has failed: nothing behind it is written."""
        return all(other != site or window.start <= failed.start for other, failed in self._failed)

    def fetch_sample(self, site: Site, window: DateWindow) -> Answer:
        """Fetch a window in a single API call; of pages, the first is enough."""
        return self._get(site, window)

    def fetch_number(self, number: str) -> Answer | None:
        """Fetch one record by its number; None if the API does not know it."""
        path = f"{self._journal.path}/{quote(number, safe='')}"
        label = f"Request {number}"
        try:
            return self._client.get(path, {}, label, expected="single", on_call=self._on_call)
        except NotFoundError:
            return None

    def _fetch_parts(self, site: Site, window: DateWindow) -> Iterator[Answer]:
        """Yield the answers for a window, in the order of their dates."""
        start = window.start
        while start < window.end:
            part = next(cut(start, window.end, self.length.current))
            is_trial = self.length.start_trial(part)
            tries = MAX_TRIES if not halves(part) else 1 if is_trial else HEAVY_TRIES
            try:
                answer = self._fetch_part(site, part, tries)
            except HeavyAnswerError as error:
                self.length.record_failure(part)
                self._warn(f"{error} Halving the window.")
                continue
            self.length.record_success(part)
            start = part.end
            # Where the API counts its records, it cannot have left some out.
            is_counted = answer.records_total is not None
            is_suspicious = not is_counted and answer.count and answer.count % SUSPICIOUS_ROWS == 0
            found = answer.keys(self._key) if is_suspicious else set()
            yield answer
            if found:
                yield from self._fetch_missing(site, part, found)

    def _fetch_part(self, site: Site, window: DateWindow, tries: int) -> Answer:
        if not self._journal.page_size:
            return self._get(site, window, tries)
        return self._fetch_pages(site, window, tries)

    def _fetch_missing(
        self, site: Site, window: DateWindow, found: set[tuple[bytes, ...]]
    ) -> Iterator[Answer]:
        """Yield the halves of a window if they hold records other than those that were found."""
        label, rows = f"{site.label}, window {window}", len(found)
        if not halves(window):
            self._warn(
                f"{label}: the API sent {rows} records, which may be as many as it ever sends. "
                "If there are more, they are missing: so short a window cannot be halved."
            )
            return
        parts = join(
            (part for half in halves(window) for part in self._fetch_parts(site, half)), label
        )
        if more := len(parts.keys(self._key) - found):
            self.length.record_failure(window)
            self._warn(
                f"{label}: the API caps its answers: it sent {rows} records and left out at least "
                f"{more}, which came with the halves of the window. Set a smaller `window_days`."
            )
            yield parts
        else:
            parts.close()

    def _fetch_pages(self, site: Site, window: DateWindow, tries: int) -> Answer:
        """Fetch the pages of a window, again if the journal moved meanwhile.

        New records come first, so a record that arrives between two pages makes another come
        twice, and one that goes away makes another be skipped. The window is whole if as many
        different records came as the API counts, and the API did not count anew between pages.

        Returns:
            The window, or after three readings that were not whole all of them, the last one first.
        """
        label = f"{site.label}, window {window}"
        readings: list[Answer] = []
        with ExitStack() as stack:
            for _ in range(READINGS):
                totals = _Totals()
                reading = join(self._read_pages(site, window, tries, totals), label)
                if totals.is_whole:
                    reading.may_repeat = totals.rows != len(totals.ids)
                    return reading
                readings.insert(0, stack.enter_context(closing(reading)))
            joined = join(readings, label)
            stack.pop_all()
        self._warn(
            f"{label}: the journal moved while its pages were read, {READINGS} times. "
            "What came is written; the look-back of the next run reads the window again."
        )
        return joined

    def _read_pages(
        self, site: Site, window: DateWindow, tries: int, totals: _Totals
    ) -> Iterator[Answer]:
        """Yield the pages of a window, once."""
        for number in count(1):  # pragma: no branch - has no end
            answer = self._get(site, window, tries, number)
            totals.add(answer)
            rows = answer.count
            pages = answer.page_total or ceil((answer.records_total or 0) / totals.largest)
            yield answer
            if not rows or number >= pages:
                return  # an array has no totals, and holds the whole window
            most = ceil((answer.records_total or len(totals.ids)) / totals.largest) + SPARE_PAGES
            if number >= most:
                msg = (
                    f"{site.label}, window {window}: the API has more pages than its records "
                    "can fill."
                )
                raise FatalAPIError(msg)

    def _get(self, site: Site, window: DateWindow, tries: int = MAX_TRIES, page: int = 1) -> Answer:
        params = self._journal.query(self._client.settings, site.id, window)
        size = self._journal.page_size
        if size:
            params |= {"page": str(page), "limit": str(size)}
        return self._client.get(
            self._journal.path.format(site=site.id),
            params,
            f"{site.label}, window {window}",
            expected="page" if size else "array",
            id_name=self._key[1] if size else "",
            heavy_tries=tries,
            is_wanted=lambda: self._is_wanted(site, window),
            on_call=self._on_call,
        )


@dataclass
class _Totals:
    """What the pages of one reading hold, and what they say of themselves."""

    ids: set[bytes] = field(default_factory=set)
    rows: int = 0
    largest: int = 1  # nothing is divided by 0
    counted: set[int | None] = field(default_factory=set)

    def add(self, answer: Answer) -> None:
        self.ids.update(answer.ids)
        self.rows += answer.count
        self.largest = max(self.largest, answer.count)
        self.counted.add(answer.records_total)

    @property
    def is_whole(self) -> bool:
        return self.counted in ({None}, {len(self.ids)})
