"""The vendor's page as code: which requests an inquiry selects, and how they are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.clock import MOSCOW
from sandbox.generator import SESSION_AGE, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.journal import Journal

_DAY = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}")
_MODES: dict[str, Callable[[str, str], bool]] = {
    "startwith": str.startswith,
    "contains": str.__contains__,
    "exact": str.__eq__,
}
#: The parameter that asks for each object; without it the object is null.
FLAGS = {
    "withMapVisits": "mapVisits",
    "withRequestTags": "RequestTags",
    "withYandexDirect": "yandexDirect",
    "withGoogleAdwords": "googleAdWords",
    "withAttrs": "attrs",
    "withWidgetInfo": "widgetInfo",
    "withCustomFields": "customFields",
    "withDcm": "dcm",
}


class BadInquiryError(Exception):
    """The parameters make no sense to the API."""


@dataclass(frozen=True)
class Period:
    """From one Moscow second to another, both included.

    How `timeFrom` and `timeTo` apply over several days is not documented. Here they are the edges
    of the whole period, not hours of every day.
    """

    first: datetime
    last: datetime

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Period:
        """Read the period's four parameters."""
        first = datetime.combine(_day(params, "dateFrom"), _time(params, "timeFrom", time()))
        last = datetime.combine(_day(params, "dateTo"), _time(params, "timeTo", time(23, 59, 59)))
        if first.date() > last.date():
            message = "dateFrom is after dateTo"
            raise BadInquiryError(message)
        return cls(first, last)

    def by_request(self) -> Callable[[Record], bool]:
        """Return a test of a request's own date."""
        low = self.first.replace(tzinfo=MOSCOW).timestamp() * 1000
        high = (self.last.replace(tzinfo=MOSCOW).timestamp() + 1) * 1000
        return lambda record: isinstance(record.get("date"), int) and low <= record["date"] < high

    def by_session(self) -> Callable[[Record], bool]:
        """Return a test of the date of a request's session; without a session there is none."""
        low, high, own = self.first.isoformat(), self.last.isoformat(), self.by_request()

        def test(record: Record) -> bool:
            session = record.get("session")
            if not isinstance(session, dict):
                return False
            stamp = session.get("sessionDate")
            if not isinstance(stamp, str):
                return own(record)
            # dd/mm/yyyy hh:mm:ss, put in the order in which text compares like time
            return low <= f"{stamp[6:10]}-{stamp[3:5]}-{stamp[:2]}T{stamp[11:19]}" <= high

        return test


def select(journal: Journal, params: Mapping[str, str], *, by_site: bool) -> list[Record]:
    """Return the full requests that the parameters ask for.

    Args:
        journal: where from.
        params: the query's parameters.
        by_site: whether `siteId` counts.
    """
    period = Period.of(params)
    tests = _filters(params)
    bind_to = params.get("bindTo", "request")
    last = period.last.date()
    if bind_to == "session":
        tests.append(period.by_session())
        # A request is made at most so long after its session.
        last = min(last, date.max - 2 * SESSION_AGE) + SESSION_AGE + timedelta(days=1)
    elif bind_to == "request":
        tests.append(period.by_request())
    else:
        raise BadInquiryError(bind_to)
    if by_site and "siteId" in params:
        site = int(params["siteId"])
        # Where a record does not say its site, any may have it.
        tests.append(lambda record: record.get("siteId", site) == site)
    rows = journal.between(period.first.date(), last)
    return [row for row in rows if all(test(row) for test in tests)]


def show(record: Record, params: Mapping[str, str]) -> Record:
    """Return a request as an answer has it: null for what was not asked for."""
    hidden = [key for flag, key in FLAGS.items() if params.get(flag) != "true"]
    shown = {**record, **dict.fromkeys(hidden)}
    if "attrs" in hidden:
        for key in ("session", "order", "orders"):
            if key in shown:
                shown[key] = _without_attrs(shown[key])
    return shown


def _without_attrs(value: Any) -> Any:
    """Return a session, an order or a list of orders with every `attrs` in it null."""
    if isinstance(value, list):
        return [_without_attrs(item) for item in value]
    if not isinstance(value, dict):
        return value
    bare = {**value, "attrs": None} if "attrs" in value else dict(value)
    if "session" in bare:
        bare["session"] = _without_attrs(bare["session"])
    return bare


def _filters(params: Mapping[str, str]) -> list[Callable[[Record], bool]]:
    tests: list[Callable[[Record], bool]] = []

    def add(name: str, mode: str, texts: Callable[[Record], list[Any]]) -> None:
        wanted = params.get(name)
        if mode not in _MODES:
            raise BadInquiryError(mode)
        if wanted:
            match = _MODES[mode]
            tests.append(
                lambda record: any(isinstance(t, str) and match(t, wanted) for t in texts(record))
            )

    add("subject", "startwith", lambda record: [record.get("subject")])
    add("manager", "exact", lambda record: [record.get("manager")])
    add("keywords", "contains", lambda record: _inside(record, "session", "keywords"))
    add("city", "exact", lambda record: _inside(record, "session", "city"))
    add("source", "exact", lambda record: _inside(record, "session", "source"))
    add("medium", "exact", lambda record: _inside(record, "session", "medium"))
    ani_mode, email_mode = (params.get(f"{name}.filterMode", "exact") for name in ("ani", "email"))
    add("ani.value", ani_mode, lambda record: _inside(record, "client", "phones", "phoneNumber"))
    add("email.value", email_mode, lambda rec: _inside(rec, "client", "contacts", "contactValue"))
    return tests


def _inside(value: Any, *path: str) -> list[Any]:
    """Return the values at a path, through lists, whatever shape the record really has."""
    for key in path:
        parts = value if isinstance(value, list) else [value]
        value = [part.get(key) for part in parts if isinstance(part, dict)]
        value = [item for part in value for item in (part if isinstance(part, list) else [part])]
    return list(value)


def _day(params: Mapping[str, str], name: str) -> date:
    match = _DAY.fullmatch(params.get(name, ""))
    if match is None:
        raise BadInquiryError(name)
    month, day, year = map(int, match.groups())
    try:
        return date(year, month, day)
    except ValueError as error:
        raise BadInquiryError(name) from error


def _time(params: Mapping[str, str], name: str, default: time) -> time:
    text = params.get(name)
    if text is None:
        return default
    if _TIME.fullmatch(text) is None:
        raise BadInquiryError(name)
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise BadInquiryError(name) from error
