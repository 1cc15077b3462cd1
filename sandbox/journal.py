"""The requests that the sandbox knows: generated day by day, when first asked for."""

from __future__ import annotations

import threading
from copy import deepcopy
from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox.generator import SAMPLE, Record, requests_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable


class Journal:
    """A seeded journal of requests.

    A day of a site depends on the seed, the site and the day alone, so a longer period leaves all
    other days as they were. Every record is one mutable dict: what a test changes in it is what
    the server serves next. To move a request to another day, add it anew.
    """

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
            sites: the sites' ids.
            first_day: the first day with requests, in Moscow.
            last_day: the last day with requests.
            per_day: how many requests a usual day of one site brings.
            seed: another seed, another journal.
            sample: whether to add the request of the vendor's page (2019-04-04, first site).
        """
        self._sites = tuple(sites)
        self._first = first_day.toordinal()
        self._last = last_day.toordinal()
        self._per_day = per_day
        self._seed = seed
        self._days: dict[tuple[int, int], list[Record]] = {}
        self._lock = threading.Lock()
        self._added: list[Record] = []
        if sample and self._sites:
            self.add(vendor_sample(self._sites[0]))

    @classmethod
    def of(cls, records: Iterable[Record], sites: Iterable[int] = ()) -> Journal:
        """Return a journal of exactly these dicts.

        Args:
            records: the requests, with everything that a flag can ask for.
            sites: the known sites; by default those of the records.
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
        """Add a further request, such as a back-dated one."""
        with self._lock:
            self._added.append(record)

    def records(self, site: int | None = None) -> list[Record]:
        """Return the full requests of one site or all, in order of creation."""
        rows = self.between(date.min, date.max)
        if site is not None:
            rows = [row for row in rows if row.get("siteId") == site]
        return sorted(rows, key=_creation)

    def between(self, first: date, last: date) -> list[Record]:
        """Return the generated requests of some days and all added ones, for a filter to sift."""
        low, high = max(first.toordinal(), self._first), min(last.toordinal(), self._last)
        with self._lock:
            rows = list(self._added)
            for ordinal in range(low, high + 1):
                for position, site in enumerate(self._sites):
                    rows.extend(self._day(position, site, ordinal))
        return rows

    def find(self, number: str) -> Record | None:
        """Return the first request with this `requestNumber`."""
        rows = self.between(date.min, date.max)
        return next((row for row in rows if row.get("requestNumber") == number), None)

    def _day(self, position: int, site: int, ordinal: int) -> list[Record]:
        rows = self._days.get((site, ordinal))
        if rows is None:
            # Half a day's ids between two sites: some are on both, some are not.
            shift = position * (self._per_day // 2)
            day = date.fromordinal(ordinal)
            rows = requests_of_day(self._seed, site, shift, day, self._per_day)
            self._days[site, ordinal] = rows
        return rows


def vendor_sample(site: int) -> Record:
    """Return the request of the vendor's page, mended, with the page's other samples."""
    return deepcopy(SAMPLE) | {"siteId": site}


def _creation(record: Record) -> tuple[int, int]:
    return _integer(record.get("date")), _integer(record.get("requestId"))


def _integer(value: Any) -> int:
    # A test may put anything into a record; such a one sorts first.
    return value if isinstance(value, int) else 0
