"""Finds blocks of whole records in an answer. Pure.

An answer is one JSON array of any size. Only a parser knows where its items end: a block ends where
one says that what stands before is a whole array.
"""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

BLOCK_SIZE = 1 << 16  # fits a processor's cache; a larger block takes longer
_LONGEST_LITERAL = 16  # what is cut within a number or an escape is noticed a few letters before
_scan = json.JSONDecoder(strict=False).raw_decode


class BrokenAnswerError(ValueError):
    """The answer is not a JSON array."""


class Block(NamedTuple):
    """Items of an array that follow one another in a body.

    Attributes:
        start: Position of the bracket or comma before the first item.
        end: Position behind the last item; where the next block starts.
        items: How many there are, at least one.
    """

    start: int
    end: int
    items: int


class Blocks:
    """Blocks in a few bytes each, since a large answer has thousands of them."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Take blocks in their order."""
        self._numbers = array("Q", chain.from_iterable(blocks))

    def __iter__(self) -> Iterator[Block]:
        """Yield one block after the other."""
        numbers = iter(self._numbers)
        return map(Block, numbers, numbers, numbers)

    def append(self, block: Block) -> None:
        """Add a block."""
        self._numbers.extend(block)


def find_blocks(
    body: IO[bytes], count: Callable[[bytes], int | None], block_size: int = BLOCK_SIZE
) -> Iterator[Block]:
    """Check a JSON array and find its blocks.

    Args:
        body: Stands at the array's opening bracket; nothing but blanks may follow the array.
        count: Counts the items of a JSON array; returns None if the text is not one.
        block_size: Bytes to read at a time; a block is larger only if one item is, or if the first
            item has no key, so that it cannot be a record.

    Yields:
        One block after the other.

    Raises:
        BrokenAnswerError: If the body is not one whole JSON array.
    """
    position = body.tell()
    total = 0
    block = body.read(block_size)
    # Records begin alike. Where this one's beginning stands again is a likely border.
    first_key = re.match(rb'\[\s*(\{\s*"[^"]*")', block)
    beginnings = [first_key.group(1), b"{"] if first_key else []
    while more := body.read(max(block_size, len(block) - block_size)):
        for comma in _likely_borders(block, beginnings):
            number = count(b"".join((memoryview(block)[:comma], b"]")))
            if number is not None:
                yield Block(position, position + comma, number)
                total += number
                position += comma
                block = b"[" + block[comma + 1 :]
                break
        else:
            place = find_break(block)
            if place and not place.is_end:
                break  # more text does not mend it
        block += more
    number = count(block) if block.startswith(b"[") else None
    if number is None:
        place = find_break(block)
        where = f" (record {total + place.item}, byte {position + place.byte})" if place else ""
        msg = f"the answer is cut short or is not valid JSON{where}"
        raise BrokenAnswerError(msg)
    if number:
        yield Block(position, position + block.rindex(b"]"), number)


@dataclass(frozen=True)
class Break:
    """Where a text stops to be a JSON array.

    Attributes:
        item: Number of the item, from 1.
        byte: Position in the text.
        is_end: Whether more text might follow there.
    """

    item: int
    byte: int
    is_end: bool


def find_break(block: bytes) -> Break | None:
    """Return where a text stops to be a JSON array; None if it does not, or nests too deeply."""
    text = block.decode(errors="surrogateescape")
    item, position = 1, 1
    if text.startswith("]", _skip(text, position)):
        return None
    try:
        while True:
            _, position = _scan(text, _skip(text, position))
            position = _skip(text, position)
            if text[position : position + 1] != ",":
                break
            item, position = item + 1, position + 1
    except json.JSONDecodeError as error:
        position = error.pos
        is_cut = error.msg.startswith("Unterminated")
    except RecursionError:
        return None
    else:
        is_cut = False
        if text[position : position + 1] == "]":
            return None
    byte = len(text[:position].encode(errors="surrogateescape"))
    return Break(item, byte, is_cut or position >= len(text) - _LONGEST_LITERAL)


def _skip(text: str, position: int) -> int:
    """Return the position of what follows blanks."""
    while text[position : position + 1] in {" ", "\t", "\r", "\n"}:
        position += 1
    return position


def _likely_borders(block: bytes, beginnings: list[bytes]) -> Iterator[int]:
    """Yield, from the end, where a comma stands before a beginning."""
    for beginning in beginnings:
        border = block.rfind(beginning)
        while border > 0:
            comma = block.rfind(b",", 0, border)
            if comma >= 0 and not block[comma + 1 : border].strip():
                yield comma
            border = block.rfind(beginning, 0, border)
