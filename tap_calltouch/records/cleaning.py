"""Fits any JSON value to a shape: keeps what can be kept, null where nothing can. Pure.

Only records that do not fit come here, so this need not be fast.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from tap_calltouch.instants import format_epoch_ms
from tap_calltouch.lenient import decode_leniently
from tap_calltouch.records.structs import ANY, MAX_INTEGER, MIN_INTEGER, UNITS, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

_UNSAFE_FLOAT = 2**53  # from here on a float does not hold every integer
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what a database refuses within a text
_REPLACEMENT = "\ufffd"
_INTEGER = re.compile(r"\s*[+-]?\d{1,19}\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_TEXT = Shape("string")

#: How many values were changed, by what became of them and by the path of the field.
Changes = Counter[tuple[str, str]]


class UnusableRecordError(ValueError):
    """A record lacks a value that it cannot do without."""


def describe(value: Any) -> str:
    """Show a value in a message, in short."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value)[:60]


class Cleaner:
    """Fits values to shapes, and counts what it changes."""

    def __init__(self, unit: str) -> None:
        """Prepare.

        Args:
            unit: What the API counts instants in: `ms` or `s`.
        """
        self._factor = UNITS[unit]
        self._changes: Changes = Counter()

    def take_changes(self) -> Changes:
        """Return what was changed since this was called last."""
        changes, self._changes = self._changes, Counter()
        return changes

    def clean(self, value: Any, shape: Shape, path: str) -> Any:
        """Fit a value to a shape.

        Args:
            value: Any JSON value.
            shape: What it should be.
            path: The field's name in counts, such as `orders[].sum`.

        Returns:
            A value of the shape, or None if nothing of the value can be kept.
        """
        if value is None:
            return None
        given = value
        if shape.deselected:
            nested = read_nested(value)  # a text may hold what is deselected, too
            if isinstance(nested, dict):
                value = _without(nested, shape.deselected)
        try:
            if _is_nested(given, shape):
                return self._fit_nested(value, shape, path)
            cleaned = self._fit(value, shape, path)
        except (KeyError, OverflowError, RecursionError, ValueError):
            self._changes["removed", path] += 1
            return None
        if type(value) is not type(given) or not _is_same(value, cleaned, shape):
            is_damaged = shape.kind in _CONVERSIONS and _is_unstorable(value)
            self._changes["replaced" if is_damaged else "converted", path] += 1
        return cleaned

    def clean_record(
        self, item: Any, shape: Shape, defaults: Mapping[str, Any], required: Iterable[str]
    ) -> dict[str, Any]:
        """Fit an item of an answer to the shape of a record.

        Args:
            item: Any JSON value.
            shape: What the record should be.
            defaults: Values of columns that are null.
            required: Columns that must not be null.

        Raises:
            UnusableRecordError: If the item is not an object, or a required column stays null.
        """
        if not isinstance(item, dict):
            msg = "an item of the array is not an object"
            raise UnusableRecordError(msg)
        record = self.clean_object(item, shape)
        record |= {name: value for name, value in defaults.items() if record[name] is None}
        for name in required:
            if record[name] is None:
                msg = f"a record has no usable `{name}` (found {describe(item.get(name))})"
                raise UnusableRecordError(msg)
        return record

    def _fit(self, value: Any, shape: Shape, path: str) -> Any:
        """Fit a value that is not nested; raise an error if nothing of it can be kept."""
        if shape.kind == "instant":
            return format_epoch_ms(_to_integer(value) * self._factor)
        if shape.kind in _CONVERSIONS:
            return _CONVERSIONS[shape.kind](value)
        if shape.is_open:
            return _to_anything(value)
        return self._read_nested(value, shape, path)

    def _read_nested(self, value: Any, shape: Shape, path: str) -> Any:
        """Read what stands for an object or an array: JSON text, nothing, or one of its values."""
        nested = read_nested(value)
        if _is_nested(nested, shape):
            return self._fit_nested(nested, shape, path)
        if nested in (None, {}, []):
            return None
        if shape.kind == "object":
            raise ValueError
        inner, path = shape.items or ANY, f"{path}[]"
        fit = self._fit_nested if _is_nested(value, inner) else self._fit
        item = fit(value, inner, path)
        return None if item is None else [item]

    def _fit_nested(self, value: Any, shape: Shape, path: str) -> Any:
        if isinstance(value, list):
            return [self.clean(item, shape.items or ANY, f"{path}[]") for item in value]
        return self.clean_object(value, shape.items or ANY if shape.kind == "any" else shape, path)

    def clean_object(self, value: dict[str, Any], shape: Shape, path: str = "") -> dict[str, Any]:
        """Fit an object to the shape of one; see `clean`."""
        prefix = f"{path}." if path else ""
        cleaned = {
            name: self.clean(value.get(name), field, prefix + name)
            for name, field in shape.fields.items()
        }
        if shape.items:
            cleaned |= {
                self.clean(name, _TEXT, path): self.clean(item, shape.items, path)
                for name, item in _without(value, shape.deselected).items()
                if name not in shape.fields
            }
        return cleaned


def _is_nested(value: Any, shape: Shape) -> bool:
    """Return whether a value is an object or array of which a shape says what it holds."""
    if shape.kind == "array":
        return isinstance(value, list)
    return isinstance(value, dict) and (shape.kind == "object" or bool(shape.items))


def _is_same(value: Any, cleaned: Any, shape: Shape) -> bool:
    if shape.kind == "instant":
        return type(value) is int
    return type(value) is type(cleaned) and bool(cleaned == value)


def read_nested(value: Any) -> Any:
    """Read a value where an object or array belongs.

    Returns:
        What a text is the JSON of, None for a text that holds nothing; any other value as it is.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text in {"", "null"}:
        return None
    if text[0] in {"[", "{"}:
        with suppress(ValueError):
            return decode_leniently(text.encode(errors="surrogatepass"))
    return value


def _is_unstorable(value: Any) -> bool:
    """Return whether anything in a value cannot be stored: characters, numbers such as NaN."""
    if isinstance(value, (dict, list)):
        inner = chain(value, value.values()) if isinstance(value, dict) else value
        return any(map(_is_unstorable, inner))
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, str) and bool(_UNSTORABLE.search(value))


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, (dict, list)):
        return json.dumps(_to_anything(value), ensure_ascii=False)
    # Much faster than `json.dumps`, and what stands for a text is a number more often than not.
    return str(value) if type(value) is int else json.dumps(value)


def _to_integer(value: Any) -> int:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _UNSAFE_FLOAT
    if is_whole or (isinstance(value, str) and _INTEGER.fullmatch(value)):
        value = int(value)
    if type(value) is not int or not MIN_INTEGER <= value <= MAX_INTEGER:
        raise ValueError
    return value


def _to_number(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = _to_integer(value) if value.strip().lstrip("+-").isdigit() else float(value)
    if type(value) is int:
        return _to_integer(value)
    if type(value) is not float or not math.isfinite(value):
        raise ValueError
    return value


def _without(value: Any, paths: Collection[tuple[str, ...]]) -> Any:
    """Return a value without what stands at some paths of its objects."""
    if not paths or not isinstance(value, dict):
        return value
    return {
        name: _without(item, [path[1:] for path in paths if path[0] == name and path[1:]])
        for name, item in value.items()
        if (name,) not in paths
    }


def _to_boolean(value: Any) -> bool:
    return _BOOLEANS[str(value).strip().lower()]


def _to_anything(value: Any) -> Any:
    """Clean a value for which the schema says nothing: texts, and what JSON has no number for."""
    if isinstance(value, dict):
        return {_to_string(name): _to_anything(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_to_anything(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _to_string(value) if isinstance(value, str) else value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "any": _to_anything,
}
