"""JSON as it comes: decodes what msgspec refuses as well. Pure."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DIGITS = 1000
_MAX_NESTING = 500
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<opening>[\[{])|(?P<closing>[\]}])')


def _parse_integer(digits: str) -> float:
    # Python refuses more digits than 4300, and no field holds so many.
    return int(digits) if len(digits) <= _MAX_DIGITS else math.nan


_decode = json.JSONDecoder(strict=False, parse_int=_parse_integer).decode


def decode_leniently(raw: bytes) -> Any:
    """Decode any JSON, also what msgspec refuses: NaN, control characters, very deep nesting.

    Of what Python cannot decode for its depth, what lies below 500 levels becomes NaN.

    Raises:
        ValueError: If it is not JSON.
    """
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(raw)
    text = raw.decode(errors="surrogateescape")
    try:
        return _decode(text)
    except RecursionError:
        # Its limit cannot be raised: it is that of all threads, and Python ends the process if
        # one of them is deep while another lowers it again.
        return _decode("".join(_shallow_parts(text)))


def _shallow_parts(text: str) -> Iterator[str]:
    """Yield JSON with NaN for each array or object that is nested too deeply."""
    depth = copied = 0
    for token in _TOKEN.finditer(text):
        if token["opening"]:
            depth += 1
            if depth == _MAX_NESTING + 1:
                yield text[copied : token.start()]
        elif token["closing"]:
            if depth == _MAX_NESTING + 1:
                yield "NaN"
                copied = token.end()
            depth -= 1
    if depth <= _MAX_NESTING:
        yield text[copied:]
