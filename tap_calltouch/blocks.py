"""Cuts an answer into blocks of whole records. Pure.

An answer is one JSON array of any size. Only a decoder knows where its items end: a block is cut
where one says that what stands before is a whole array.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

BLOCK_SIZE = 1 << 16  # what a processor keeps at hand; a larger block takes longer

_MAX_NESTING = 10_000
_MAX_DIGITS = 1000

_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode


class BrokenAnswerError(ValueError):
    """The answer is not a JSON array of objects."""


def split_records(
    answer: IO[bytes], block_size: int = BLOCK_SIZE
) -> Iterator[tuple[bytes, list[Any]]]:
    """Cut a JSON array into blocks of whole items.

    Args:
        answer: The whole body.
        block_size: Bytes to read at a time; a block is larger only if one item is.

    Yields:
        A block and its items: `msgspec.Raw` views of it, or decoded values if the block holds
        JSON that only a lenient decoder takes (such as NaN).

    Raises:
        BrokenAnswerError: If the body is not one whole JSON array.
    """
    block = answer.read(block_size).lstrip()
    if not block.startswith(b"["):
        msg = "the answer is not a JSON array"
        raise BrokenAnswerError(msg)
    block = block[1:].lstrip()
    # Records begin alike. Where this one's beginning stands again is a likely border.
    first_key = re.match(rb'\{\s*"[^"]*"', block)
    beginnings = ([first_key.group()] if first_key else []) + [b"{"]
    while more := answer.read(max(block_size, len(block) - block_size)):
        if len(block) >= block_size and (cut := _cut(block, beginnings)):
            border, array, items = cut
            yield array, items
            block = block[border:] + more
        else:
            block += more
    block = block.rstrip()
    last = _parse_items(block, len(block) - 1) if block.endswith(b"]") else None
    if last is None:
        msg = "the answer is cut short or is not valid JSON"
        raise BrokenAnswerError(msg)
    yield last


def _cut(block: bytes, beginnings: list[bytes]) -> tuple[int, bytes, list[Any]] | None:
    """Find the last border between two items of the outer array; only the decoder knows it."""
    for beginning in beginnings:
        border = block.rfind(beginning)
        while border > 0:
            comma = block.rfind(b",", 0, border)
            is_likely = comma >= 0 and not block[comma + 1 : border].strip()
            if is_likely and (parsed := _parse_items(block, comma)):
                return border, *parsed
            border = block.rfind(beginning, 0, border)
    return None


def _parse_items(block: bytes, end: int) -> tuple[bytes, list[Any]] | None:
    array = b"".join((b"[", memoryview(block)[:end], b"]"))
    try:
        return array, _split_block(array)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return array, decode_leniently(array)
    except (ValueError, RecursionError):
        return None


def _parse_integer(digits: str) -> float:
    # Python refuses more digits than 4300, and no field holds so many.
    return int(digits) if len(digits) <= _MAX_DIGITS else math.nan


_decoder = json.JSONDecoder(strict=False, parse_int=_parse_integer).decode


def decode_leniently(raw: bytes) -> Any:  # noqa: ANN401
    """Decode what msgspec refuses: NaN, control characters, broken text, very deep nesting."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _MAX_NESTING))
    try:
        return _decoder(raw.decode("utf-8", "surrogateescape"))
    finally:
        sys.setrecursionlimit(limit)
