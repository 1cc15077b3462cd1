"""The table of faults: what goes wrong, and what the user must see."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from sandbox import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Call


@dataclass(frozen=True)
class Case:
    """One row of the table.

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
    faults: Callable[[str], list[Fault]] = lambda _: []
    exit_code: int = 1
    said: str = ""
    max_calls: int = 100
    settings: dict[str, Any] = field(default_factory=dict)
    sandbox: dict[str, Any] = field(default_factory=dict)
    written: int = 0


def _one(kind: str, times: int | None = 1, **options: Any) -> Callable[[str], list[Fault]]:
    return lambda _: [Fault(kind, times=times, **options)]


def _second(kind: str, **options: Any) -> Callable[[str], list[Fault]]:
    """A fault in the second week, for good."""
    return lambda _: [Fault(kind, when=_is_second_week, **options)]


# Texts of a used-up quota come with any status.
QUOTA_ANSWERS = [
    (200, "Исчерпан суточный лимит баллов API"),
    (403, "Daily quota exceeded"),
    (429, "API points are over"),
    (500, "Квота исчерпана"),
]


def _is_second_week(call: Call) -> bool:
    return "01/08" <= call.params.get("dateFrom", "") < "01/15"


def _spans_days(call: Call) -> bool:
    return call.params["dateFrom"] != call.params["dateTo"]


def _is_long(call: Call) -> bool:
    return "timeFrom" not in call.params and "timeTo" not in call.params


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _status(status: int, body: object = None, **options: Any) -> Callable[[str], list[Fault]]:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return _one("status", times=None, status=status, body=text, **options)


def _answer(body: bytes, content_type: str = "application/json") -> Callable[[str], list[Fault]]:
    return _second("body", body=body, content_type=content_type)


def _later(seconds: int) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


ERROR_500 = {"errorCode": "500", "message": "При обработке вашего запроса произошла ошибка."}
INNER = {"data": {"apiErrorData": {"errorCode": 10007, "errorMessage": "Внутренняя ошибка"}}}
INVALID = {"data": {"validationErrorData": {"violations": [{"message": "Неверная дата"}]}}}
RECORDS_OF_NO_OBJECT = b'[{"siteId":101,"requestId":1,"date":1704700000000}, 5]'
ONE_WEEK = {"end_date": "2024-01-07"}

RECOVERS = [
    Case("reset before the answer", _one("reset", 2), 0, "connection failed"),
    Case("reset in the body", _one("reset_body"), 0, "connection failed"),
    Case("time-out before the answer", _one("stall"), 0, "within 1 seconds"),
    Case("time-out in the body", _one("stall_body"), 0, "timed out"),
    Case("body cut short, length told", _one("truncate", framing="length"), 0, ""),
    Case("body cut short, chunked", _one("truncate", framing="chunked"), 0, ""),
    Case("body cut short, no length", _one("truncate", framing="close"), 0, ""),
    Case("JSON cut short", _one("cut_json"), 0, "cut short"),
    Case("slow bytes", _one("slow", seconds=1), 0, ""),
    Case("429 without Retry-After", _one("status", 4, status=429, body="{}"), 0, "429"),
    Case(
        "429 with seconds",
        _one("status", status=429, body="{}", headers={"Retry-After": "1"}),
        0,
        r"for 1\.0s",
    ),
    Case(
        "429 with a date",
        lambda _: [Fault("status", times=1, status=429, headers={"Retry-After": _later(8)})],
        0,
        r"for (?!0\.0s)\d",
    ),
    Case("a burst of 503", _one("status", 1, status=503, body="<html>"), 0, "503"),
    Case("heavy over some rows", exit_code=0, said="Halving", sandbox={"row_limit": 15}),
    Case(
        "heavy over one day",
        lambda _: [Fault("status", when=_spans_days, status=500)],
        0,
        "Halving",
    ),
    Case(
        "heavy over a part of a day",
        lambda _: [Fault("stall", when=_is_long)],
        0,
        "Halving",
        settings={"start_date": "2024-01-08", "end_date": "2024-01-08", "request_timeout": 1},
    ),
    Case("empty body once", _one("body", body=b""), 0, "nothing"),
    Case(
        "an error object with code 500 once",
        _one("body", body=json.dumps(ERROR_500).encode()),
        0,
        "произошла ошибка",
    ),
]
ENDS = [
    Case(
        "connection refused",
        said="refused.* Gave up after 5 tries",
        max_calls=0,
        settings={"api_url": f"http://127.0.0.1:{_free_port()}"},
    ),
    Case(
        "no such host",
        said="resolve|not known",
        max_calls=0,
        settings={"api_url": "http://calltouch.invalid"},
    ),
    Case("reset for good", _one("reset", None), said="connection failed", max_calls=5),
    Case(
        "429 for good",
        _status(429, {"message": "Слишком много запросов в секунду"}),
        said="в секунду. Gave up",
        max_calls=5,
    ),
    # A week, 3 days, a day, 12 hours, 6, 3 and 1: twice each, but 5 times at the end.
    Case(
        "500 for good",
        _status(500, ERROR_500),
        said="site 101, window 2024-01-01 00:00:00 to 2024-01-01 01:00:00.*произошла ошибка",
        max_calls=17,
    ),
    Case("500 in a later window", _second("status", status=500), said="Gave up", written=1),
    Case(
        "401",
        _status(401, {"message": "Нет доступа"}),
        said="Нет доступа.*`api_token`",
        max_calls=1,
    ),
    Case("403, wrong token", said="403.*`api_token`", max_calls=1, settings={"api_token": "wrong"}),
    Case("403, unknown site", said="403.*`site_ids`", max_calls=1, settings={"site_ids": [999]}),
    Case("400", _status(400, INVALID), said="Неверная дата", max_calls=1),
    Case("404", _status(404, {"message": "no such thing"}), said="no such thing", max_calls=1),
    Case("200 with a message", _answer(b'{"message": "not now"}'), said="not now", written=1),
    Case(
        "200 with an inner error",
        _answer(json.dumps(INNER).encode()),
        said="Внутренняя ошибка",
        written=1,
    ),
    Case(
        "200 with violations",
        _answer(json.dumps(INVALID).encode()),
        said="Неверная дата",
        written=1,
    ),
    Case(
        "200 with an error object, code 500",
        _answer(json.dumps(ERROR_500).encode()),
        said="произошла ошибка",
        written=1,
    ),
    Case("200 with HTML", _second("html"), said="HTML page", written=1),
    Case("200 with an empty body", _answer(b""), said="nothing", written=1),
    Case("200 with null", _answer(b"null"), said="null", written=1),
    Case("200 with a string", _answer(b'"done"'), said="done", written=1),
    Case("200 with cut JSON", _second("cut_json"), said="cut short", written=1),
    Case(
        "200 with an item that is no object",
        _answer(RECORDS_OF_NO_OBJECT),
        said="an item of the array is not an object",
        written=1,
    ),
    Case(
        "200 with garbage in the middle",
        _answer(b'[{"siteId":101,"requestId":1,"date":1704700000000},}{]'),
        said="not valid JSON",
        written=1,
    ),
    Case(
        "a record without a key", _answer(b'[{"date":1}]'), said="no usable `requestId`", written=1
    ),
    Case(
        "a record without a date",
        _answer(b'[{"siteId":101,"requestId":1,"date":"soon"}]'),
        said='no usable `date` .found "soon"',
        written=1,
    ),
    Case(
        "redirect to another host",
        lambda other: [Fault("redirect", location=other)],
        said="redirect",
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
    *(
        Case(
            f"points used up, {status}: {text}",
            _second("status", status=status, body=json.dumps({"message": text})),
            said=text,
            written=1,
        )
        for status, text in QUOTA_ANSWERS
    ),
]
