"""Cuts an answer into blocks of whole records. Pure.

An answer is one JSON array of any size. Only a decoder knows where its items end: a block is cut
where one says that what stands before is a whole array.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

Parsed = TypeVar("Parsed")

BLOCK_SIZE = 1 << 16  # what a processor keeps at hand; a larger block takes longer


class BrokenAnswerError(ValueError):
    """The answer is not a JSON array of objects."""


def split_array(
    answer: IO[bytes], parse: Callable[[bytes], Parsed | None], block_size: int = BLOCK_SIZE
) -> Iterator[Parsed]:
    """Parse a JSON array block by block.

    Args:
        answer: The whole body.
        parse: Parses a JSON array of whole items; returns None if the text is not one.
        block_size: Bytes to read at a time; a block is larger only if one item is, or if the first
            item has no key, so that it is no record.

    Yields:
        What `parse` returns for one block after the other.

    Raises:
        BrokenAnswerError: If the body is not one whole JSON array.
    """
    block = answer.read(block_size).lstrip()
    # Records begin alike. Where this one's beginning stands again is a likely border.
    first_key = re.match(rb'\[\s*(\{\s*"[^"]*")', block)
    beginnings = [first_key.group(1), b"{"] if first_key else []
    while more := answer.read(max(block_size, len(block) - block_size)):
        for comma, border in _likely_borders(block, beginnings):
            parsed = parse(b"".join((memoryview(block)[:comma], b"]")))
            if parsed is not None:
                block = b"[" + block[border:]
                yield parsed
                break
        block += more
    parsed = parse(block) if block.startswith(b"[") else None
    if parsed is None:
        msg = "the answer is cut short or is not valid JSON"
        raise BrokenAnswerError(msg)
    yield parsed


def _likely_borders(block: bytes, beginnings: list[bytes]) -> Iterator[tuple[int, int]]:
    """Yield, from the end, each comma that stands before a beginning, and where that is."""
    for beginning in beginnings:
        border = block.rfind(beginning)
        while border > 0:
            comma = block.rfind(b",", 0, border)
            if comma >= 0 and not block[comma + 1 : border].strip():
                yield comma, border
            border = block.rfind(beginning, 0, border)
