"""What the API sends for one window: in one answer, in halves, or in pages. No streams."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from math import ceil
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.answers import Answer, HeavyAnswerError
from tap_calltouch.api.client import CHUNK_SIZE, HEAVY_TRIES, MAX_TRIES, spool, write_body
from tap_calltouch.api.windows import DateWindow, cut, halves
from tap_calltouch.records.cleaning import decode_leniently

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_calltouch.api.windows import WindowLength

SPARE_PAGES = 3  # an API that always says that there is one page more is not asked for ever
READINGS = 3  # of a journal that moves, which may never rest
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


class _Section:
    """What was written to a body from some position on, to be read like a body of its own."""

    def __init__(self, body: IO[bytes], start: int) -> None:
        self._body = body
        self._start, self._end = start, body.tell()
        self._position = 0
        self.close = body.close

    def read(self, size: int = -1) -> bytes:
        position = self._body.seek(self._start + self._position)
        rest = self._end - position
        data = self._body.read(rest if size < 0 else min(size, rest))
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        self._position = position
        return position


def read_parts(
    ask: Callable[[DateWindow, int], list[Part]],
    window: DateWindow,
    length: WindowLength,
    label: str,
    warn: Callable[[str], None],
) -> list[Part]:
    """Ask for a window, and for shorter and shorter parts of it where answers are too heavy.

    Args:
        ask: Asks for a window; its second argument says after how many tries to give up.
        window: The window.
        length: How long a window may be; learns from what happens here.
        label: Names in messages whose window it is.
        warn: Called with what the user should know.

    Returns:
        The parts, in order. If there are several, they share one body, so that a window takes no
        more memory and no more files than one answer does; to close one closes all.
    """
    parts: list[Part] = []
    start = window.start
    with ExitStack() as stack:
        body = stack.enter_context(spool())
        while start < window.end:
            piece = next(cut(start, window.end, length))
            is_trial = length.begin(piece)
            tries = MAX_TRIES if not halves(piece) else 1 if is_trial else HEAVY_TRIES
            try:
                found = ask(piece, tries)
            except HeavyAnswerError as error:
                length.failed(piece)
                warn(f"{error} Halving the window.")
                continue
            length.worked(piece)
            if piece == window:
                return found
            parts += [_move(part, body, f"{label}, window {part.window}") for part in found]
            start = piece.end
        stack.pop_all()
    return parts


def _move(part: Part, body: IO[bytes], label: str) -> Part:
    """Move an answer behind what a body holds."""
    start = body.seek(0, 2)
    with part.answer.body as source:
        while chunk := source.read(CHUNK_SIZE):
            write_body(body, chunk, label)
    section = cast("IO[bytes]", _Section(body, start))
    return replace(part, answer=replace(part.answer, body=section))


def close(parts: list[Part]) -> None:
    """Close the bodies of answers that nobody reads."""
    for part in parts:
        part.answer.body.close()


def read_pages(
    ask: Callable[[int], Answer],
    key: str,
    window: DateWindow,
    label: str,
    warn: Callable[[str], None],
) -> list[Part]:
    """Ask for the pages of a window, again if the journal moved meanwhile.

    New records come first, so a record that arrives between two pages makes another come twice,
    and one that goes away makes another be skipped. The window is whole if as many different
    records came as the API counts, and the API did not count anew between pages.

    Args:
        ask: Asks for a page, from 1.
        key: The name of the records' id.
        window: The window.
        label: Names in messages what is asked for.
        warn: Called with what the user should know.

    Returns:
        One part, or after three readings that were not whole all of them, the last one first.
    """
    readings: list[Part] = []
    with ExitStack() as stack:
        stack.callback(close, readings)
        for _ in range(READINGS):
            reading, is_whole = _read_once(ask, key, window, label)
            if is_whole:
                return [reading]
            readings.insert(0, reading)
        stack.pop_all()
    warn(
        f"{label}: the journal moved while its pages were read, {READINGS} times. "
        "What came is written; the look-back of the next run reads the window again."
    )
    return readings


def _read_once(
    ask: Callable[[int], Answer], key: str, window: DateWindow, label: str
) -> tuple[Part, bool]:
    """Read all pages once, and return whether they hold the whole window."""
    received: list[datetime] = []
    totals: set[int | None] = set()
    ids: set[bytes] = set()
    rows = largest = 0
    with ExitStack() as stack:
        body = stack.enter_context(spool())
        body.write(b"[")
        for number in count(1):
            answer = ask(number)
            with answer.body:
                array = answer.body.read().strip()
            found = _ids(array, key)
            if found:
                write_body(body, (b"," if rows else b"") + array[1:-1], label)
            received.append(answer.received)
            rows += len(found)
            ids.update(found)
            total = _count(answer.page.records_total)
            totals.add(total)
            largest = max(largest, len(found))
            pages = _count(answer.page.page_total) or ceil((total or 0) / max(largest, 1))
            if not found or number >= pages:
                break  # an array has no totals, and holds the whole window
            if number >= ceil((total or len(ids)) / largest) + SPARE_PAGES:
                msg = f"{label}: the API has more pages than its records can fill."
                raise FatalAPIError(msg)
        write_body(body, b"]", label)
        body.seek(0)
        stack.pop_all()
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


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
