"""The requests and the calls that the sandbox knows: generated day by day, when first asked for."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from copy import deepcopy
from datetime import date
from typing import TYPE_CHECKING

from sandbox.call_generator import calls_of_day
from sandbox.leads import SAMPLE, Record
from sandbox.request_generator import requests_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self


class Records(ABC):
    """Seeded records of one kind.

    A day of a site depends on the seed, the site and the day alone, so a longer period leaves all
    other days as they were. Every record is one mutable dict: what a test changes in it is what
    the server serves next. To move a record to another day, add it anew.

    Attributes:
        order: The keys by which records are in order of creation.
    """

    order: tuple[str, str]

    def __init__(
        self,
        sites: Iterable[int] = (101, 202),
        first_day: date = date(2024, 1, 1),
        last_day: date = date(2024, 3, 31),
        per_day: int = 20,
        seed: int = 1,
    ) -> None:
        """Prepare the days; each is made when it is first needed.

        Args:
            sites: The sites' ids.
            first_day: The first day with records, in Moscow.
            last_day: The last day with records.
            per_day: How many records a usual day of one site brings.
            seed: Another seed, other records.
        """
        self._sites = tuple(sites)
        self._first = first_day
        self._last = last_day
        self._per_day = per_day
        self._seed = seed
        self._days: dict[tuple[int, int], list[Record]] = {}
        self._lock = threading.Lock()
        self._added: list[Record] = []

    @abstractmethod
    def _make(self, position: int, site: int, day: date) -> list[Record]:
        """Return the records of one day of the site at a position among the sites."""

    @classmethod
    def of(cls, records: Iterable[Record], sites: Iterable[int] = ()) -> Self:
        """Return a journal of exactly these dicts.

        Args:
            records: The records, with everything that a flag can ask for.
            sites: The known sites; by default those of the records.
        """
        journal = cls(sites, date.max, date.min)
        journal._added = list(records)
        return journal

    @property
    def sites(self) -> frozenset[int]:
        """The sites that a token may ask for; empty if the journal names none."""
        added = (record.get("siteId") for record in self._added)
        return frozenset(self._sites) | {site for site in added if isinstance(site, int)}

    def add(self, record: Record) -> None:
        """Add a further record, such as a back-dated one."""
        with self._lock:
            self._added.append(record)

    def remove(self, record: Record) -> None:
        """Delete this very dict, if it is still there."""
        with self._lock:
            for rows in (self._added, *self._days.values()):
                rows[:] = [row for row in rows if row is not record]

    def records(self, site: int | None = None) -> list[Record]:
        """Return the full records of one site or all, in order of creation."""
        rows = self.between(date.min, date.max)
        if site is not None:
            rows = [row for row in rows if row.get("siteId") == site]
        return sorted(rows, key=self.creation)

    def between(self, first: date, last: date) -> list[Record]:
        """Return the generated records of some days and all added ones, for a filter to sift."""
        low = max(first, self._first).toordinal()
        high = min(last, self._last).toordinal()
        with self._lock:
            rows = list(self._added)
            for ordinal in range(low, high + 1):
                for position, site in enumerate(self._sites):
                    rows.extend(self._day(position, site, ordinal))
        return rows

    def creation(self, record: Record) -> tuple[int, int]:
        """Return what puts records into the order of their creation."""
        # A test may put anything into a record; such a one sorts first.
        values = (record.get(key) for key in self.order)
        first, second = (value if isinstance(value, int) else 0 for value in values)
        return first, second

    def _day(self, position: int, site: int, ordinal: int) -> list[Record]:
        rows = self._days.get((site, ordinal))
        if rows is None:
            rows = self._make(position, site, date.fromordinal(ordinal))
            self._days[site, ordinal] = rows
        return rows


class Journal(Records):
    """A seeded journal of requests."""

    order = ("date", "requestId")

    def __init__(
        self,
        sites: Iterable[int] = (101, 202),
        first_day: date = date(2024, 1, 1),
        last_day: date = date(2024, 3, 31),
        per_day: int = 20,
        seed: int = 1,
        *,
        sample: bool = True,
    ) -> None:
        """Prepare a journal; days are made when they are first needed.

        Args:
            sites: The sites' ids.
            first_day: The first day with requests, in Moscow.
            last_day: The last day with requests.
            per_day: How many requests a usual day of one site brings.
            seed: Another seed, another journal.
            sample: Whether to add the request of the vendor's page (2019-04-04, first site).
        """
        super().__init__(sites, first_day, last_day, per_day, seed)
        if sample and self._sites:
            self.add(vendor_sample(self._sites[0]))

    def calls(self, per_day: int = 20) -> CallJournal:
        """Return calls of the same sites, days and people, some of whom write and then call.

        Args:
            per_day: How many calls a usual day of one site brings.
        """
        return CallJournal(
            self._sites,
            self._first,
            self._last,
            per_day,
            self._seed,
            requests_per_day=self._per_day,
        )

    def find(self, number: str) -> Record | None:
        """Return the first request with this `requestNumber`."""
        rows = self.between(date.min, date.max)
        return next((row for row in rows if row.get("requestNumber") == number), None)

    def _make(self, position: int, site: int, day: date) -> list[Record]:
        shift = _shift(position, self._per_day)
        return requests_of_day(self._seed, site, shift, day, self._per_day)


class CallJournal(Records):
    """A seeded journal of calls; `Journal.calls` makes the one that fits a journal of requests."""

    order = ("timestamp", "callId")

    def __init__(
        self,
        sites: Iterable[int] = (101, 202),
        first_day: date = date(2024, 1, 1),
        last_day: date = date(2024, 3, 31),
        per_day: int = 20,
        seed: int = 1,
        *,
        requests_per_day: int = 0,
    ) -> None:
        """Prepare a journal; days are made when they are first needed.

        Args:
            sites: The sites' ids.
            first_day: The first day with calls, in Moscow.
            last_day: The last day with calls.
            per_day: How many calls a usual day of one site brings.
            seed: Another seed, another journal.
            requests_per_day: The `per_day` of the requests after which some visitors call.
        """
        super().__init__(sites, first_day, last_day, per_day, seed)
        self._requests_per_day = requests_per_day

    def find(self, site: int, number: str) -> Record | None:
        """Return the call of a site that has this id."""
        rows = self.records(site)
        return next((row for row in rows if str(row["callId"]) == number), None)

    def _make(self, position: int, site: int, day: date) -> list[Record]:
        # Made anew, since what a test changes in a request must not change the calls.
        shift, per_day = _shift(position, self._requests_per_day), self._requests_per_day
        requests = requests_of_day(self._seed, site, shift, day, per_day)
        shift = _shift(position, self._per_day)
        return calls_of_day(self._seed, site, shift, day, self._per_day, requests)


def _shift(position: int, per_day: int) -> int:
    # Half a day's ids between two sites: some are on both, some are not.
    return position * (per_day // 2)


def vendor_sample(site: int) -> Record:
    """Return the request of the vendor's page, as valid JSON, with the page's other samples."""
    return deepcopy(SAMPLE) | {"siteId": site}
