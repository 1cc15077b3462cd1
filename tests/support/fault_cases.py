"""The table of faults: what goes wrong, and what the user must see."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from sandbox import Fault
from tests.support.streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Call

    Faults = Callable[[str], list[Fault]]


@dataclass(frozen=True)
class Case:
    """One row of the table, which holds for both streams.

    Attributes:
        name: What goes wrong.
        faults: Makes the faults anew; given the URL of a server that must not be called.
        exit_code: What the tap ends with.
        said: A pattern that standard error must match.
        max_calls: How many calls there may be.
        settings: Settings of this case; `sites` and a month are given.
        sandbox: Options of the sandbox.
        written: Windows that are written before the end if the tap fails; all if it does not.
    """

    name: str
    faults: Faults = lambda _: []
    exit_code: int = 1
    said: str = ""
    max_calls: int = 100
    settings: dict[str, Any] = field(default_factory=dict)
    sandbox: dict[str, Any] = field(default_factory=dict)
    written: int = 0


def first_call(kind: str, **options: Any) -> Faults:
    """Only the first call meets the fault."""
    return first_calls(1, kind, **options)


def first_calls(number: int, kind: str, **options: Any) -> Faults:
    """Only the first so many calls meet the fault."""
    return lambda _: [Fault(kind, times=number, **options)]


def every_call(kind: str, **options: Any) -> Faults:
    """All calls meet the fault, as long as there are any."""
    return lambda _: [Fault(kind, **options)]


def second_week(kind: str, **options: Any) -> Faults:
    """Each call for days of the second week, and no other, meets the fault."""
    return lambda _: [Fault(kind, when=_is_of_second_week, **options)]


def several_days(kind: str, **options: Any) -> Faults:
    """Each call for more than one day meets the fault."""
    return lambda _: [Fault(kind, when=_is_of_several_days, **options)]


def whole_days(kind: str, **options: Any) -> Faults:
    """Each call for whole days meets the fault, also for one day."""
    return lambda _: [Fault(kind, when=_is_of_whole_days, **options)]


def _is_of_second_week(call: Call) -> bool:
    first, _ = STREAMS[call.journal].days(call)
    return date(2024, 1, 8) <= first <= date(2024, 1, 14)


def _is_of_several_days(call: Call) -> bool:
    first, last = STREAMS[call.journal].days(call)
    return first != last


def _is_of_whole_days(call: Call) -> bool:
    return "timeFrom" not in call.params and "timeTo" not in call.params


def message(text: str) -> str:
    """Return the body of an error as the API writes it."""
    return json.dumps({"message": text}, ensure_ascii=False)


def _in(seconds: int) -> str:
    """Return the instant in so many seconds, as HTTP writes it."""
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


ERROR_500 = json.dumps(
    {"errorCode": "500", "message": "При обработке вашего запроса произошла ошибка."}
)

RECOVERS = [
    Case("reset before the answer", first_calls(2, "reset"), 0, "connection failed"),
    Case("reset in the body", first_call("reset_body"), 0, "connection failed"),
    Case("time-out before the answer", first_call("stall"), 0, r"within 1 s\."),
    Case("time-out in the body", first_call("stall_body"), 0, "the answer stalled"),
    Case("body cut short, length told", first_call("truncate", framing="length"), 0, ""),
    Case("body cut short, chunked", first_call("truncate", framing="chunked"), 0, ""),
    Case("body cut short, no length", first_call("truncate", framing="close"), 0, ""),
    Case("JSON cut short", first_call("cut_json"), 0, "cut short|broken JSON"),
    Case("slow bytes", first_call("slow", seconds=1), 0, ""),
    Case("429 without Retry-After", first_calls(4, "status", status=429, body="{}"), 0, "429"),
    Case(
        "429 with seconds",
        first_call("status", status=429, body="{}", headers={"Retry-After": "1"}),
        0,
        r"again in 1\.0 s",
    ),
    Case(
        "429 with a date",
        lambda _: [Fault("status", times=1, status=429, headers={"Retry-After": _in(3)})],
        0,
        r"again in (?!0\.0)\d",
    ),
    Case("a burst of 503", first_call("status", status=503, body="<html>"), 0, "503"),
    Case("heavy over some rows", exit_code=0, said="Halving", sandbox={"row_limit": 15}),
    Case("heavy over one day", several_days("status", status=500), 0, "Halving"),
    Case(
        "heavy over a part of a day",
        whole_days("stall"),
        0,
        "Halving",
        settings={"start_date": "2024-01-08", "end_date": "2024-01-08", "request_timeout": 1},
    ),
    Case("empty body once", first_call("body", body=b""), 0, "nothing"),
    Case(
        "an error object with code 500 once",
        first_call("body", body=ERROR_500.encode()),
        0,
        "произошла ошибка",
    ),
]
# One of each kind of end; what each answer means is in `test_answers`.
ENDS = [
    Case(
        "connection refused",
        said="refused.* Gave up after 5 tries",
        max_calls=0,
        settings={"api_url": "http://127.0.0.1:{closed_port}"},
    ),
    Case(
        "no such host",
        said="resolve|not known",
        max_calls=0,
        settings={"api_url": "http://calltouch.invalid"},
    ),
    Case("reset for good", every_call("reset"), said="connection failed", max_calls=5),
    Case(
        "500 for good",
        every_call("status", status=500, body=ERROR_500),
        said="site 101, window 2024-01-01 00:00:00 to 2024-01-01 01:00:00.*произошла ошибка",
        max_calls=17,
    ),
    Case("500 in a later window", second_week("status", status=500), said="Gave up", written=1),
    Case(
        "401",
        every_call("status", status=401, body=message("Нет доступа")),
        said="Нет доступа.*`api_token`",
        max_calls=1,
    ),
    Case("403, wrong token", said="403.*`api_token`", max_calls=1, settings={"api_token": "wrong"}),
    Case(
        "an unknown site",  # the calls journal has no such page
        said="403.*`site_ids`|HTML page",
        max_calls=1,
        settings={"site_ids": [999]},
    ),
    Case("200 with HTML", second_week("html"), said="HTML page", written=1),
    Case(
        "a record without a date",
        second_week(
            "body",
            body=b'[{"siteId":101,"requestId":1,"callId":1,"date":"soon","timestamp":"soon"}]',
        ),
        said='no usable `(date|timestamp)` .found "soon"',
        written=1,
    ),
    Case(
        "redirect to another host",
        lambda other: [Fault("redirect", location=other)],
        said="redirect",
        max_calls=1,
    ),
    Case(
        "redirect to a malformed address",
        lambda _: [Fault("redirect", location="http://[")],
        said="of a redirect is malformed.*`api_url`",
        max_calls=1,
    ),
    Case(
        "an unknown path",
        said="redirect.*`api_url`",
        max_calls=1,
        settings={"api_url": "{api_url}/nowhere"},
    ),
    Case(
        "points used up",
        said="Исчерпан суточный лимит.*tomorrow.*go on from 2024-01-14T21",
        written=2,
        sandbox={"points": 2},
        settings={"max_concurrent_requests": 1},
    ),
    Case(
        "points used up, said with another status",
        second_week("status", status=500, body=message("Квота исчерпана")),
        said="Квота исчерпана",
        written=1,
    ),
]
