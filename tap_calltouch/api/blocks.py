"""Finds blocks of whole records in an answer. Pure.

An answer is one JSON array of any size. Only a parser knows where its items end: a block ends where
one says that what stands before is a whole array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

BLOCK_SIZE = 1 << 16  # fits a processor's cache; a larger block takes longer


class BrokenAnswerError(ValueError):
    """The answer is not a JSON array."""


@dataclass(frozen=True)
class Block:
    """Items of an array that follow one another in a body.

    Attributes:
        start: Position of the first item.
        end: Position behind the last one.
        count: How many items there are, at least one.
    """

    start: int
    end: int
    count: int


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
    position = body.tell() + 1
    block = body.read(block_size)
    # Records begin alike. Where this one's beginning stands again is a likely border.
    first_key = re.match(rb'\[\s*(\{\s*"[^"]*")', block)
    beginnings = [first_key.group(1), b"{"] if first_key else []
    while more := body.read(max(block_size, len(block) - block_size)):
        for comma, border in _likely_borders(block, beginnings):
            number = count(b"".join((memoryview(block)[:comma], b"]")))
            if number is not None:
                yield Block(position, position + comma - 1, number)
                position += border - 1
                block = b"[" + block[border:]
                break
        block += more
    number = count(block) if block.startswith(b"[") else None
    if number is None:
        msg = "the answer is cut short or is not valid JSON"
        raise BrokenAnswerError(msg)
    if number:
        yield Block(position, position + block.rindex(b"]") - 1, number)


def _likely_borders(block: bytes, beginnings: list[bytes]) -> Iterator[tuple[int, int]]:
    """Yield, from the end, each comma that stands before a beginning, and where that is."""
    for beginning in beginnings:
        border = block.rfind(beginning)
        while border > 0:
            comma = block.rfind(b",", 0, border)
            if comma >= 0 and not block[comma + 1 : border].strip():
                yield comma, border
            border = block.rfind(beginning, 0, border)
