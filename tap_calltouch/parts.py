"""What the API sends for one window: in one answer, in halves, or in pages. No streams."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.answers import Answer, HeavyAnswerError
from tap_calltouch.cleaning import decode_leniently
from tap_calltouch.client import HEAVY_TRIES, MAX_TRIES, spool, write_body
from tap_calltouch.windows import DateWindow, cut, halves

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_calltouch.windows import WindowLength

SPARE_PAGES = 3
READINGS = 3
_NULL = msgspec.Raw(b"null")


@dataclass
class Part:
    """An answer for a window or a part of it.

    Attributes:
        window: The part.
        answer: The answer.
        is_unique: Whether each record is known to be in it once.
        is_counted: Whether the API said how many records there are.
    """

    window: DateWindow
    answer: Answer
    is_unique: bool = True
    is_counted: bool = False


def read_parts(
    ask: Callable[[DateWindow, int], list[Part]],
    window: DateWindow,
    length: WindowLength,
    warn: Callable[[str], None],
) -> list[Part]:
    """Ask for a window, and for shorter and shorter parts of it where answers are too heavy.

    Args:
        ask: Asks for a window; its second argument says after how many tries to give up.
        window: The window.
        length: How long a window may be; learns from what happens here.
        warn: Called with what the user should know.

    Returns:
        The parts, in order.
    """
    parts: list[Part] = []
    start = window.start
    try:
        while start < window.end:
            piece = next(cut(start, window.end, length))
            is_trial = length.begin(piece)
            tries = MAX_TRIES if not halves(piece) else 1 if is_trial else HEAVY_TRIES
            try:
                parts += ask(piece, tries)
            except HeavyAnswerError as error:
                length.failed(piece)
                warn(f"{error} Halving the window.")
            else:
                length.worked(piece)
                start = piece.end
    except BaseException:
        close(parts)
        raise
    return parts


def close(parts: list[Part]) -> None:
    """Close the bodies of answers that nobody reads."""
    for part in parts:
        part.answer.body.close()


def read_pages(
    ask: Callable[[int], Answer], key: str, window: DateWindow, warn: Callable[[str], None]
) -> list[Part]:
    """Ask for the pages of a window, again if the journal moved meanwhile.

    New records come first, so a record that arrives between two pages makes another come twice,
    and one that goes away makes another be skipped. The window is whole if as many different
    records came as the API counts, and the API did not count anew between pages.

    Args:
        ask: Asks for a page, from 1.
        key: The name of the records' id.
        window: The window.
        warn: Called with what the user should know.

    Returns:
        One part, or after three readings that were not whole all of them, the last one first.
    """
    readings: list[Part] = []
    try:
        for _ in range(READINGS):
            reading, is_whole = _read_once(ask, key, window)
            if is_whole:
                close(readings)
                return [reading]
            readings.insert(0, reading)
    except BaseException:
        close(readings)
        raise
    warn(
        f"The journal moved while its pages were read, {READINGS} times. "
        "What came is written; the look-back of the next run reads the window again."
    )
    return readings


def _read_once(ask: Callable[[int], Answer], key: str, window: DateWindow) -> tuple[Part, bool]:
    """Read all pages once, and return whether they hold the whole window."""
    body = spool()
    body.write(b"[")
    received: list[datetime] = []
    totals: set[int | None] = set()
    ids: set[bytes] = set()
    rows = largest = 0
    try:
        for number in count(1):
            answer = ask(number)
            with answer.body:
                array = answer.body.read().strip()
            found = _ids(array, key)
            if found:
                write_body(body, (b"," if rows else b"") + array[1:-1], f"Window {window}")
            received.append(answer.received)
            rows += len(found)
            ids.update(found)
            total = _number(answer.page.records_total)
            totals.add(total)
            if not found or number >= (_number(answer.page.page_total) or 0):
                break  # an array has no totals, and holds the whole window
            largest = max(largest, len(found))
            if number >= ceil((total or len(ids)) / largest) + SPARE_PAGES:
                msg = f"The API has more pages of {window} than its records can fill."
                raise FatalAPIError(msg)  # noqa: TRY301
    except BaseException:
        body.close()
        raise
    write_body(body, b"]", f"Window {window}")
    body.seek(0)
    is_counted = totals != {None}
    part = Part(window, Answer(body, min(received)), rows == len(ids), is_counted)
    return part, not is_counted or totals == {len(ids)}


def _ids(array: bytes, key: str) -> list[bytes]:
    """Return the id of each item, as it stands in the answer."""
    record = msgspec.defstruct("Record", [("id", msgspec.Raw, _NULL)], rename={"id": key})
    try:
        records: list[Any] = msgspec.json.decode(array, type=list[record])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        items = [item if isinstance(item, dict) else {} for item in decode_leniently(array)]
        return [json.dumps(item.get(key)).encode() for item in items]
    return [bytes(record.id) for record in records]


def _number(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
