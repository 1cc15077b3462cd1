"""Fits any JSON value to a schema: keeps what can be kept, null where nothing can. Pure.

Only records that do not fit come here, so this need not be fast.
"""

from __future__ import annotations

import json
import math
import re
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_calltouch.structs import MAX_INTEGER, MIN_INTEGER, Schema, is_required, stamp, type_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

_UNSAFE_FLOAT = 2**53  # from here on a float does not hold every integer
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what a database refuses within a text
_REPLACEMENT = "\ufffd"
_INTEGER = re.compile(r"\s*[+-]?\d{1,19}\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_MAX_NESTING = 10_000
_MAX_DIGITS = 1000


class UnusableRecordError(ValueError):
    """A record lacks a value that it cannot do without."""


class Drift(NamedTuple):
    """What had to be changed in records that do not fit the schema, counted by field path.

    Attributes:
        converted: Values of another type that were converted without loss, or texts with
            characters that were replaced.
        removed: Values that became null.
    """

    converted: Counter[str]
    removed: Counter[str]


def _parse_integer(digits: str) -> float:
    # Python refuses more digits than 4300, and no field holds so many.
    return int(digits) if len(digits) <= _MAX_DIGITS else math.nan


_decode = json.JSONDecoder(strict=False, parse_int=_parse_integer).decode


def decode_leniently(raw: bytes) -> Any:  # noqa: ANN401
    """Decode any JSON, also what msgspec refuses: NaN, control characters, very deep nesting."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(raw)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _MAX_NESTING))
    try:
        return _decode(raw.decode("utf-8", "surrogateescape"))
    finally:
        sys.setrecursionlimit(limit)


def describe(value: Any) -> str:  # noqa: ANN401
    """Show a value in a message, in short."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value)[:60]


def field_cleaners(
    schema: Schema, path: str, drift: Drift, defaults: Mapping[str, int]
) -> dict[str, Callable[[Any], Any]]:
    """Compile functions that fit the properties of objects to a schema.

    Args:
        schema: Schema of the objects.
        path: Names them in counts, such as `orders[].`; empty for a record.
        drift: Where to count what was changed.
        defaults: Values for required properties.

    Returns:
        A function for each property, by name. It takes any value and raises UnusableRecordError
        if the property is required and has neither a usable value nor a default.
    """
    return {
        name: _field_cleaner(field, f"{path}{name}", drift, defaults.get(name))
        for name, field in schema["properties"].items()
    }


def clean_object(
    value: dict[str, Any], cleaners: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """Fit an object to a schema.

    Args:
        value: The object.
        cleaners: From `field_cleaners`.

    Returns:
        Each property of the schema and no other.

    Raises:
        UnusableRecordError: If a required property has neither a usable value nor a default.
    """
    return {name: clean(value.get(name)) for name, clean in cleaners.items()}


def _field_cleaner(
    schema: Schema, path: str, drift: Drift, default: int | None
) -> Callable[[Any], Any]:
    clean_value, required = _cleaner(schema, path, drift), is_required(schema)

    def clean(value: Any) -> Any:  # noqa: ANN401
        cleaned = None if value is None else clean_value(value)
        if required and cleaned is None:
            if default is None:
                msg = f"a record has no usable `{path}` (found {describe(value)})"
                raise UnusableRecordError(msg)
            return default
        return cleaned

    return clean


def _cleaner(schema: Schema, path: str, drift: Drift) -> Callable[[Any], Any]:
    """Compile a function that fits a JSON value to a schema, null where nothing else does."""
    kind = type_of(schema)
    convert: Callable[[Any], Any]
    if kind == "object" and schema.get("properties"):
        convert = partial(clean_object, cleaners=field_cleaners(schema, f"{path}.", drift, {}))
    elif kind == "object":
        convert = _map_cleaner(
            _cleaner({"type": "string"}, path, drift),
            _cleaner(schema.get("additionalProperties") or {}, path, drift),
        )
    elif kind == "array":
        convert = _list_cleaner(_cleaner(schema.get("items") or {}, f"{path}[]", drift))
    else:
        convert = _CONVERSIONS[kind]
    expected, is_counted = _EXPECTED[kind], kind in _CONVERSIONS and kind != "any"

    def clean(value: Any) -> Any:  # noqa: ANN401
        fits = type(value) in expected
        try:
            if not fits and not is_counted:
                raise _UnconvertibleError  # noqa: TRY301
            cleaned = convert(value)
        except (_UnconvertibleError, OverflowError):
            drift.removed[path] += 1
            return None
        if is_counted and not (fits and (kind == "date-time" or cleaned == value)):
            drift.converted[path] += 1
        return cleaned

    return clean


def _map_cleaner(
    clean_name: Callable[[Any], Any], clean: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    return lambda value: {
        clean_name(name): None if item is None else clean(item) for name, item in value.items()
    }


def _list_cleaner(clean: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [None if item is None else clean(item) for item in value]


class _UnconvertibleError(ValueError):
    """A value cannot be converted without loss."""


def _to_string(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if isinstance(value, (dict, list)) or (isinstance(value, float) and not math.isfinite(value)):
        raise _UnconvertibleError
    return str(value) if type(value) is int else json.dumps(value)


def _to_integer(value: Any) -> int:  # noqa: ANN401
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _UNSAFE_FLOAT
    if is_whole or (isinstance(value, str) and _INTEGER.fullmatch(value)):
        value = int(value)
    if type(value) is not int or not MIN_INTEGER <= value <= MAX_INTEGER:
        raise _UnconvertibleError
    return value


def _to_number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if type(value) not in {int, float} or not math.isfinite(value):
        raise _UnconvertibleError
    return float(value)


def _to_boolean(value: Any) -> bool:  # noqa: ANN401
    try:
        return value if isinstance(value, bool) else _BOOLEANS[str(value).strip().lower()]
    except KeyError:
        raise _UnconvertibleError from None


def _to_timestamp(value: Any) -> str:  # noqa: ANN401
    return stamp(_to_integer(value))


def _to_anything(value: Any) -> Any:  # noqa: ANN401
    """Clean the texts of a value for which the schema says nothing."""
    if isinstance(value, dict):
        return {_to_string(name): _to_anything(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_to_anything(item) for item in value]
    return _to_string(value) if isinstance(value, str) else value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "date-time": _to_timestamp,
    "any": _to_anything,
}
_EXPECTED: dict[str, set[type]] = {
    "string": {str},
    "integer": {int},
    "number": {int, float},
    "boolean": {bool},
    "date-time": {int},
    "any": {str, int, float, bool, dict, list},
    "object": {dict},
    "array": {list},
}
