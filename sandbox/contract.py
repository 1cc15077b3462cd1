"""What the rules of both journals have in common: periods, and selecting the records of one."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, ClassVar

from sandbox.clock import MOSCOW
from sandbox.leads import SESSION_AGE, Record

if TYPE_CHECKING:
    from sandbox.journal import Records

Params = Mapping[str, str]
Test = Callable[[Record], bool]

_DAY = re.compile(r"[0-9]{2}/[0-9]{2}/[0-9]{4}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}")


class BadQueryError(Exception):
    """The parameters make no sense to the API."""


def is_set(params: Params, flag: str) -> bool:
    """Return whether a flag is set; clients send it in three ways that count, and others do not."""
    return params.get(flag) in {"true", "True", "1"}


@dataclass(frozen=True)
class Period:
    """From one Moscow second to another, both included.

    How `timeFrom` and `timeTo` apply over several days is not documented. Here they are the edges
    of the whole period, not hours of every day.
    """

    first: datetime
    last: datetime

    @classmethod
    def of(cls, params: Params, dates: str) -> Period:
        """Read the period's four parameters; days are written as `dates` says."""
        first = datetime.combine(_day(params, "dateFrom", dates), _time(params, "timeFrom", time()))
        end = _time(params, "timeTo", time(23, 59, 59))
        last = datetime.combine(_day(params, "dateTo", dates), end)
        if first.date() > last.date():
            message = "dateFrom is after dateTo"
            raise BadQueryError(message)
        return cls(first, last)


class Contract(ABC):
    """The rules of one journal.

    Attributes:
        path: Where it is, below the base of the API.
        dates: How the parameters write a day.
        bind_to: What `bindTo` is by default; otherwise it is `session`.
    """

    path: ClassVar[re.Pattern[str]]
    dates: ClassVar[str]
    bind_to: ClassVar[str]

    @abstractmethod
    def instant(self, record: Record) -> float | None:
        """Return when a record was made, in epoch seconds."""

    @abstractmethod
    def session_date(self, record: Record) -> str | None:
        """Return when a record's session was, as dd/mm/yyyy hh:mm:ss; None without a session."""

    @abstractmethod
    def filters(self, params: Params) -> list[Test]:
        """Return what else than period and site the parameters ask for."""

    @abstractmethod
    def show(self, record: Record, params: Params) -> Record:
        """Return a record as an answer has it: empty where it was not asked for."""

    def exists(self, record: Record, now: datetime) -> bool:
        """Return whether a record is in the journal by now."""
        made = self.instant(record)
        return made is None or made <= now.timestamp()

    def select(
        self, records: Records, params: Params, site: int | None, *, by_date: bool = True
    ) -> list[Record]:
        """Return the full records that the parameters ask for.

        Args:
            records: Where from.
            params: The query's parameters.
            site: The one site whose records count; None for all.
            by_date: Whether the period counts.
        """
        period = Period.of(params, self.dates)
        bind_to = params.get("bindTo", self.bind_to)
        if bind_to not in {self.bind_to, "session"}:
            raise BadQueryError(bind_to)
        tests = self.filters(params)
        first, last = date.min, date.max
        if by_date:
            first, last = period.first.date(), period.last.date()
            tests.append(self._by_session(period) if bind_to == "session" else self._own(period))
        if by_date and bind_to == "session":
            # A record is made at most so long after its session.
            last = min(last, date.max - 2 * SESSION_AGE) + SESSION_AGE + timedelta(days=1)
        if site is not None:
            # Where a record does not say its site, any may have it.
            tests.append(lambda record: record.get("siteId", site) == site)
        rows = records.between(first, last)
        return [row for row in rows if all(test(row) for test in tests)]

    def _own(self, period: Period) -> Test:
        """Return a test of a record's own date."""
        low = period.first.replace(tzinfo=MOSCOW).timestamp()
        high = period.last.replace(tzinfo=MOSCOW).timestamp() + 1

        def test(record: Record) -> bool:
            made = self.instant(record)
            return made is not None and low <= made < high

        return test

    def _by_session(self, period: Period) -> Test:
        """Return a test of the date of a record's session; without a session there is none."""
        low, high = period.first.isoformat(), period.last.isoformat()

        def test(record: Record) -> bool:
            text = self.session_date(record)
            if text is None:
                return False
            # Put in the order in which text compares like time.
            return low <= f"{text[6:10]}-{text[3:5]}-{text[:2]}T{text[11:19]}" <= high

        return test


def _day(params: Params, name: str, dates: str) -> date:
    text = params.get(name, "")
    if _DAY.fullmatch(text) is None:
        raise BadQueryError(name)
    try:
        return datetime.strptime(text, dates).date()  # noqa: DTZ007  (a day of Moscow)
    except ValueError as error:
        raise BadQueryError(name) from error


def _time(params: Params, name: str, default: time) -> time:
    text = params.get(name)
    if text is None:
        return default
    if _TIME.fullmatch(text) is None:
        raise BadQueryError(name)
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise BadQueryError(name) from error
