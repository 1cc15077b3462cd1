"""Answers of the API that hold records: checked, counted, joined. No connection, no retries."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec
from requests.utils import DEFAULT_ACCEPT_ENCODING
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.blocks import Block, Blocks, BrokenAnswerError, find_blocks
from tap_calltouch.api.bodies import find_opening, recode, write_body
from tap_calltouch.api.errors import (
    HeavyAnswerError,
    answer_error,
    labelled,
    parse,
    quote_message,
    read_header,
)
from tap_calltouch.lenient import decode_leniently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import requests

Expected = Literal["array", "page", "single"]

ERROR_BODY_SIZE = 1 << 20
# What requests asks for and unpacks.
_PACKINGS = {"", "identity", "x-gzip", *DEFAULT_ACCEPT_ENCODING.replace(" ", "").split(",")}
_NULL = msgspec.Raw(b"null")
# What msgspec refuses may be JSON all the same.
_NOT_STRICT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Page(msgspec.Struct, rename="camel"):
    """The envelope of a page. A bare array or a single record counts as a page without totals.

    The totals may be of any type, or missing.
    """

    page_total: Any = None
    records_total: Any = None
    records: msgspec.Raw = _NULL

    @property
    def array(self) -> bytes | None:
        """The array of records: empty if a total is 0, None if there is neither array nor total."""
        records = bytes(self.records)
        if records[:1] == b"[":
            return records
        is_empty = 0 in {
            number for number in (self.page_total, self.records_total) if type(number) is int
        }
        return b"[]" if is_empty else None


@dataclass
class Answer:
    """A whole answer: one JSON array that was checked.

    Attributes:
        body: Holds the array; in memory if it is small and in an unnamed file if it is not. The
            receiver closes the answer.
        blocks: Where its items stand in the body.
        received: When it arrived, in UTC: by this machine's clock or by the server's, whichever
            is earlier.
        ids: The id of each record, as it stands in the answer, if ids were asked for.
        page_total: How many pages there are, if the API says so.
        records_total: How many records there are on all pages, if the API says so.
        may_repeat: Whether a record may be in it more than once.
    """

    body: IO[bytes]
    blocks: Blocks
    received: datetime
    ids: list[bytes] = field(default_factory=list)
    page_total: int | None = None
    records_total: int | None = None
    may_repeat: bool = False

    @property
    def count(self) -> int:
        """How many records it holds."""
        return sum(block.items for block in self.blocks)

    def arrays(self) -> Iterator[bytes]:
        """Yield the records as JSON arrays, a block at a time."""
        position: int | None = None
        for block in self.blocks:
            if block.start != position:  # to seek would drop what is read ahead
                self.body.seek(block.start)
            position = block.end
            text = memoryview(self.body.read(block.end - block.start))
            yield b"".join((b"[", text[1:], b"]"))

    def keys(self, names: Sequence[str]) -> set[tuple[bytes, ...]]:
        """Return the values of some columns of the records, as they stand in the answer."""
        columns = [[_read_column(name, array) for name in names] for array in self.arrays()]
        return {key for block in columns for key in zip(*block, strict=True)}

    def append(self, other: Answer) -> None:
        """Add another answer's records, and close it."""
        with closing(other):
            position = self.body.seek(0, 2)
            for block, array in zip(other.blocks, other.arrays(), strict=True):
                write_body(self.body, array)
                self.blocks.append(Block(position, position + len(array) - 1, block.items))
                position += len(array)
        self.ids += other.ids
        self.received = min(self.received, other.received)
        self.may_repeat = True

    def close(self) -> None:
        """Give the body back."""
        self.body.close()


def join(answers: Iterable[Answer], label: str) -> Answer:
    """Join answers, at least one, into the first.

    So a window takes no more memory and no more files than one answer does. If one of the answers
    cannot be had, those before are closed.

    Args:
        answers: The answers.
        label: Stands before the message if they cannot be joined.
    """
    rest = iter(answers)
    with ExitStack() as stack:
        joined = stack.enter_context(closing(next(rest)))
        for answer in rest:
            with labelled(label):
                joined.append(answer)
        stack.pop_all()
    return joined


def read_answer(
    response: requests.Response,
    body: IO[bytes],
    token: str,
    expected: Expected = "array",
    id_name: str = "",
) -> Answer:
    """Return an answer that holds records, or raise what it means instead.

    Args:
        response: Its status and headers.
        body: The whole body.
        token: The token, which the API may repeat.
        expected: An array; a page of calls, for which an array is taken too; or one request, as an
            object or in an array.
        id_name: The column whose values to collect, if any.

    Returns:
        The answer, which owns the body.

    Raises:
        RetriableAPIError: If the same question may be answered later.
        HeavyAnswerError: If a smaller question may be answered.
        NotFoundError: If what was asked for does not exist.
        QuotaExhaustedError: If the daily points are used up.
        FatalAPIError: If another try is of no use.
    """
    status = response.status_code
    packing = read_header(response, "Content-Encoding")
    if not _PACKINGS.issuperset(packing.lower().replace(" ", "").split(",")):
        msg = f"the answer is packed as {quote_message(packing, token)}, which was not asked for."
        raise FatalAPIError(msg)
    recode(body, read_header(response, "Content-Type"))
    is_success = status in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PARTIAL_CONTENT}
    start, opening = find_opening(body)
    body.seek(start)
    if is_success and opening == b"[" and expected == "array":
        return _check(response, body, id_name)
    text = body.read(-1 if is_success else ERROR_BODY_SIZE)
    if is_success and opening in {b"[", b"{"} and expected != "array":
        is_record = expected == "single" and opening == b"{"
        page = _read_record(text) if is_record else _read_page(text)
        if array := page.array:
            body.seek(0)
            body.truncate()
            write_body(body, array)
            body.seek(0)
            answer = _check(response, body, id_name)
            answer.page_total = _total(page.page_total)
            answer.records_total = _total(page.records_total)
            return answer
    raise answer_error(response, text, token, is_single=expected == "single")


def _check(response: requests.Response, body: IO[bytes], id_name: str) -> Answer:
    """Check that a body, from where it stands, is an array."""
    ids: list[bytes] = []

    def count(array: bytes) -> int | None:
        try:
            if not id_name:
                return len(_read_items(array))
            found = _read_column(id_name, array)
        except ValueError:
            return None
        ids.extend(found)
        return len(found)

    try:
        blocks = Blocks(find_blocks(body, count))
    except BrokenAnswerError as error:
        msg = f"{error}."
        raise HeavyAnswerError(msg) from None
    return Answer(body, blocks, received_at(response), ids)


def _read_items(array: bytes) -> list[Any]:
    try:
        return _split(array)
    except _NOT_STRICT:
        return decode_leniently(array)  # type: ignore[no-any-return]


def _read_column(name: str, array: bytes) -> list[bytes]:
    """Return a column of records, as it stands in an array."""
    try:
        return [bytes(record.value) for record in _column_decoder(name)(array)]
    except _NOT_STRICT:
        items = [item if isinstance(item, dict) else {} for item in decode_leniently(array)]
        return [json.dumps(item.get(name)).encode() for item in items]


@cache
def _column_decoder(name: str) -> Callable[[bytes], list[Any]]:
    record = msgspec.defstruct("Record", [("value", msgspec.Raw, _NULL)], rename={"value": name})
    return msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type]


def _total(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _read_record(text: bytes) -> Page:
    """Return the one record that an object is, nothing if it is something else."""
    is_record = "requestId" in (parse(text) or {})
    return Page(records=msgspec.Raw(b"[%b]" % text)) if is_record else Page()


def _read_page(text: bytes) -> Page:
    """Return a page, or an array as the only page; nothing if the text is broken."""
    if text[:1] == b"[":
        text = b'{"records":%b}' % text
    with suppress(*_NOT_STRICT):
        return msgspec.json.decode(text, type=Page)
    # What msgspec refuses may be within the records, whose decoder takes it.
    with suppress(ValueError):
        page = decode_leniently(text)
        records = msgspec.Raw(json.dumps(page.get("records")).encode())
        return Page(page.get("pageTotal"), page.get("recordsTotal"), records)
    return Page()


def received_at(response: requests.Response) -> datetime:
    """Return when an answer arrived, by this machine's clock or the server's, the earlier one.

    A clock that is fast must not say that later records were seen.
    """
    now = datetime.now(timezone.utc)
    try:
        return min(now, parsedate_to_datetime(response.headers["Date"]))
    except (KeyError, OverflowError, TypeError, ValueError):
        return now
