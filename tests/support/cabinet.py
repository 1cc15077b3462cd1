"""The queries of docs/matching.md, and what they must find, counted in Python."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.support.pages import sections

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.journal import CallJournal, Journal

PAGE = "docs/matching.md"
#: The last one reads what a target has loaded, not the models.
DELETED = "Deleted leads"
SITE = 101
_MOSCOW = timezone(timedelta(hours=3))
_UNKNOWN = {"", "<не указано>", "<не заполнено>", "(not set)", "(not provided)", "(none)"}


def queries(page: str = PAGE) -> list[tuple[str, str]]:
    """Return the queries of a page, each with the heading above it."""
    return [
        (title.lstrip("# "), query)
        for title, text in sections(page)
        for query in re.findall(r"^```sql\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def found(query: Callable[[str], Any]) -> list[tuple[str, int]]:
    """Return what each query of the models finds, with its heading."""
    return [(heading, query(sql)[0][0]) for heading, sql in queries() if heading != DELETED]


def numbers(requests: Journal, calls: CallJournal) -> list[tuple[str, int]]:
    """Return what each query must find in the models, with its heading."""
    all_calls, all_requests = calls.records(SITE), requests.records(SITE)

    def count(condition: Callable[[Any], bool], records: list[Any] = all_calls) -> int:
        return sum(
            in_february(created(row)) and condition(row) for row in records if row["siteId"] == SITE
        )

    def count_requests(condition: Callable[[Any], bool]) -> int:
        return count(condition, all_requests)

    return [
        ("All calls", count(lambda _: True)),
        ("All calls", count(lambda row: row["callphase"] == "callconnected")),
        ("Unique calls", count(lambda row: row["uniqueCall"])),
        ("Target calls", count(lambda row: row["targetCall"])),
        ("Unique-target calls", count(lambda row: row["uniqTargetCall"])),
        ("Answered calls", count(lambda row: row["successful"])),
        ("Callbacks", count(lambda row: row["callbackCall"])),
        ("All requests", count_requests(lambda _: True)),
        ("Unique requests", count_requests(lambda row: row["uniqueRequest"])),
        ("Target requests", count_requests(lambda row: row["targetRequest"])),
        ("Unique-target requests", count_requests(lambda row: row["uniqTargetRequest"])),
        ("By source", count(lambda row: (row["source"], row["medium"]) == ("yandex", "cpc"))),
        ("By source", count(lambda row: row["source"] in _UNKNOWN)),
        ("By source", count(lambda row: row["attribution"] == 1)),
        ("By tag", count(lambda row: "Целевая" in tags(row))),
        ("By day", count(lambda row: created(row).hour < 3)),
        ("By day", sum(in_february(session(row)) for row in all_calls if row["sessionDate"])),
        ("People", len({row["callerNumber"] for row in all_calls if is_known(row)})),
    ]


def is_known(call: Any) -> bool:
    return in_february(created(call)) and call["callerNumber"] != "anonymous"


def created(record: Any) -> datetime:
    """Return when a lead came, in Moscow."""
    seconds = record["timestamp"] if "callId" in record else record["date"] / 1000
    return datetime.fromtimestamp(seconds, _MOSCOW)


def session(call: Any) -> datetime:
    """Return when the session of a call was, in Moscow."""
    found = datetime.strptime(call["sessionDate"], "%d/%m/%Y %H:%M:%S")  # noqa: DTZ007
    return found.replace(tzinfo=_MOSCOW)


def in_february(moment: datetime) -> bool:
    return (moment.year, moment.month) == (2024, 2)


def tags(call: Any) -> set[str]:
    groups = call["callTags"] or []
    names = [name for group in groups for text in group["names"] for name in text.split(",")]
    return {name.strip() for name in names}
