"""Answers cut into blocks of any size, as a worker cuts them."""

from __future__ import annotations

import io
from datetime import datetime, timezone

from tap_calltouch.api.answers import Answer
from tap_calltouch.api.blocks import Blocks, find_blocks
from tap_calltouch.lenient import decode_leniently


def count_items(array: bytes) -> int | None:
    """Return how many items a JSON array has; None if it is not one."""
    try:
        return len(decode_leniently(array))
    except (ValueError, RecursionError):
        return None


def arrays_of(body: bytes, size: int) -> list[bytes]:
    """Return a JSON array as arrays of at least one item, each of about so many bytes."""
    file = io.BytesIO(body)
    blocks = Blocks(find_blocks(file, count_items, size))
    return [*Answer(file, blocks, datetime.now(timezone.utc)).arrays()]
