"""JSON as it comes: decodes what msgspec refuses as well. Pure."""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from threading import Lock
from typing import Any

import msgspec

_MAX_NESTING = 10_000
_MAX_DIGITS = 1000
_RAISED_LIMIT = Lock()  # the limit of recursion is that of all threads


def _parse_integer(digits: str) -> float:
    # Python refuses more digits than 4300, and no field holds so many.
    return int(digits) if len(digits) <= _MAX_DIGITS else math.nan


_decode = json.JSONDecoder(strict=False, parse_int=_parse_integer).decode


def decode_leniently(raw: bytes) -> Any:
    """Decode any JSON, also what msgspec refuses: NaN, control characters, very deep nesting.

    Raises:
        ValueError: If it is not JSON.
        RecursionError: If it is nested deeper than 10,000 levels.
    """
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(raw)
    with _RAISED_LIMIT:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, _MAX_NESTING))
        try:
            return _decode(raw.decode("utf-8", "surrogateescape"))
        finally:
            sys.setrecursionlimit(limit)
