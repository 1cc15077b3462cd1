"""Answer bytes to clean records: pure, no HTTP, no settings.

An answer is one JSON array of any size. It is cut into blocks at record borders, each record is
decoded and checked by msgspec in one pass, and only a record that does not fit the schema goes
through a slower pass of its own that keeps what can be kept.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import IO

BLOCK_SIZE = 1 << 20

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_UNSAFE_FLOAT = 2**53  # from here on a float does not hold every integer
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what a database refuses within a text
_REPLACEMENT = "\ufffd"
_INTEGER = re.compile(r"\s*[+-]?\d{1,19}\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_MAX_NESTING = 10_000

_Schema = dict[str, Any]
_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode


class BrokenAnswerError(ValueError):
    """The answer is not a JSON array of objects."""


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


def timestamp(moment: datetime) -> str:
    """Format an instant the one way in which this tap writes it.

    Args:
        moment: With an offset.

    Returns:
        RFC 3339 in UTC with milliseconds, so that texts sort as instants do.
    """
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _stamp(milliseconds: int) -> str:
    """Format what the API gives; OverflowError outside the years 1 to 9999."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


class RecordDecoder:
    """Decodes answers into records of one schema."""

    def __init__(
        self,
        schema: _Schema,
        defaults: Mapping[str, int],
        drift: Drift | None = None,
        *,
        plain: bool = False,
    ) -> None:
        """Compile a schema.

        Args:
            schema: JSON Schema of a record. What it does not list is dropped; what an answer
                lacks is null.
            defaults: Values for required properties that an answer lacks.
            drift: Where to count what was changed.
            plain: Give nested objects as dicts. Otherwise they are structs, which only msgspec
                can encode, and which cost less.
        """
        self.drift = drift or Drift(Counter(), Counter())
        self._decode = msgspec.json.Decoder(_struct("Record", schema, defaults)).decode
        self._stamp = _stamper(schema)
        self._clean = _object_cleaner(schema, "", self.drift, defaults)
        self._as_dict = msgspec.to_builtins if plain else msgspec.structs.asdict

    def records(self, answer: IO[bytes]) -> Iterator[dict[str, Any]]:
        """Decode an answer, block by block.

        Args:
            answer: The whole body, positioned at its start.

        Yields:
            One record after the other, top level as a dict.

        Raises:
            BrokenAnswerError: If the body is not a JSON array of objects.
            UnusableRecordError: If a required value is missing and has no default.
        """
        for block, items in split_records(answer):
            may_hold_nul = b"\\u0000" in block
            for item in items:
                record = None
                if isinstance(item, msgspec.Raw):
                    raw = bytes(item) if may_hold_nul else item
                    if not (may_hold_nul and b"\\u0000" in raw):
                        record = self._decode_fitting(raw)
                    if record is None:
                        item = _lenient_json(bytes(item))  # noqa: PLW2901
                yield self._clean_unfitting(item) if record is None else record

    def _decode_fitting(self, raw: bytes | msgspec.Raw) -> dict[str, Any] | None:
        try:
            record = self._decode(raw)
            self._stamp(record)
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            return None
        return self._as_dict(record)  # type: ignore[no-any-return]

    def _clean_unfitting(self, item: Any) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(item, dict):
            msg = f"an item of the array is {_describe(item)}, not an object"
            raise BrokenAnswerError(msg)
        return self._clean(item)  # type: ignore[no-any-return]


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
            border, items = cut
            yield block[:border], items
            block = block[border:]
        block += more
    items = _parse_items(block.rstrip().removesuffix(b"]")) if block.rstrip()[-1:] == b"]" else None
    if items is None:
        msg = "the answer is cut short or is not valid JSON"
        raise BrokenAnswerError(msg)
    yield block, items


def _cut(block: bytes, beginnings: list[bytes]) -> tuple[int, list[Any]] | None:
    """Find the last border between two items of the outer array; only the decoder knows it."""
    for beginning in beginnings:
        border = block.rfind(beginning)
        while border > 0:
            before = block[:border].rstrip()
            if before.endswith(b",") and (items := _parse_items(before[:-1])):
                return border, items
            border = block.rfind(beginning, 0, border)
    return None


def _parse_items(block: bytes) -> list[Any] | None:
    array = b"[" + block + b"]"
    try:
        return _split_block(array)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return _lenient_json(array)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _lenient_json(raw: bytes) -> Any:  # noqa: ANN401
    """Decode what msgspec refuses: NaN, control characters, broken text, very deep nesting."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _MAX_NESTING))
    try:
        return json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)
    finally:
        sys.setrecursionlimit(limit)


def _type_of(schema: _Schema) -> str:
    """Give the one type beside null, `date-time` for instants, `any` where there are more."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    if len(types) != 1:
        return "any"
    return "date-time" if schema.get("format") == "date-time" else str(types[0])


def _is_required(schema: _Schema) -> bool:
    return isinstance(schema.get("type"), str) or "null" not in schema.get("type", ["null"])


def _struct(name: str, schema: _Schema, defaults: Mapping[str, int]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for key, value in schema["properties"].items():
        field_type = _python_type(key, value)
        if not _is_required(value):
            fields.append((key, field_type | None, None))
        elif key in defaults:
            fields.append((key, field_type, defaults[key]))
        else:
            fields.append((key, field_type))
    return msgspec.defstruct(name, fields, kw_only=True, gc=False)


def _python_type(name: str, schema: _Schema) -> Any:  # noqa: ANN401
    kind = _type_of(schema)
    if kind == "object":
        if schema.get("properties"):
            return _struct(name, schema, {})
        return dict[str, _python_type(name, schema.get("additionalProperties") or {}) | None]  # type: ignore[misc]
    if kind == "array":
        return list[_python_type(name, schema.get("items") or {}) | None]  # type: ignore[misc]
    return {
        "string": str,
        "boolean": bool,
        "number": float,
        "integer": Annotated[int, msgspec.Meta(ge=_MIN_INTEGER, le=_MAX_INTEGER)],
        "date-time": int | str,  # an integer when decoded, its timestamp afterwards
    }.get(kind, Any)


def _stamper(schema: _Schema) -> Callable[[Any], None]:
    """Compile a function that turns the epoch milliseconds in a struct into timestamps."""
    instants: list[str] = []
    nested: list[tuple[str, bool, Callable[[Any], None]]] = []
    for key, value in schema["properties"].items():
        kind = _type_of(value)
        inner = value.get("items") or {} if kind == "array" else value
        if kind == "date-time":
            instants.append(key)
        elif inner.get("properties") and '"date-time"' in json.dumps(inner):
            nested.append((key, kind == "array", _stamper(inner)))

    def stamp(record: Any) -> None:  # noqa: ANN401
        for key in instants:
            value = getattr(record, key)
            if value.__class__ is int:
                setattr(record, key, _stamp(value))
            elif value is not None:
                raise OverflowError  # a text: the lenient pass knows what to do
        for key, is_array, stamp_nested in nested:
            value = getattr(record, key)
            for item in value or () if is_array else (value,):
                if item is not None:
                    stamp_nested(item)

    return stamp


def _describe(value: Any) -> str:  # noqa: ANN401
    kinds = {dict: "an object", list: "an array"}
    return kinds.get(type(value)) or json.dumps(value)[:60]


class _UnconvertibleError(ValueError):
    """A value cannot be converted without loss."""


def _object_cleaner(
    schema: _Schema, path: str, drift: Drift, defaults: Mapping[str, int]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    fields = [
        (key, _cleaner(value, f"{path}{key}", drift), _is_required(value), defaults.get(key))
        for key, value in schema["properties"].items()
    ]

    def clean(value: dict[str, Any]) -> dict[str, Any]:
        record = {}
        for key, clean_field, required, default in fields:
            field = clean_field(value.get(key))
            if field is None and required:
                field = default
                if field is None:
                    msg = (
                        f"a record has no usable `{path}{key}` (found {_describe(value.get(key))})"
                    )
                    raise UnusableRecordError(msg)
            record[key] = field
        return record

    return clean


def _cleaner(schema: _Schema, path: str, drift: Drift) -> Callable[[Any], Any]:
    """Compile a function that fits any JSON value to a schema, null where nothing else does."""
    kind = _type_of(schema)
    convert: Callable[[Any], Any]
    if kind == "object" and schema.get("properties"):
        convert = _only(dict, _object_cleaner(schema, f"{path}.", drift, {}))
    elif kind == "object":
        clean_value = _cleaner(schema.get("additionalProperties") or {}, f"{path}.*", drift)
        convert = _only(
            dict, lambda value: {_to_string(key): clean_value(item) for key, item in value.items()}
        )
    elif kind == "array":
        clean_item = _cleaner(schema.get("items") or {}, f"{path}[]", drift)
        convert = _only(list, lambda value: [clean_item(item) for item in value])
    else:
        convert = _CONVERSIONS.get(kind, _to_anything)
    nested = kind in {"object", "array", "any"}
    expected = {
        "string": {str},
        "integer": {int},
        "number": {int, float},
        "boolean": {bool},
        "date-time": {int},
    }.get(kind, set())

    def clean(value: Any) -> Any:  # noqa: ANN401
        if value is None:
            return None
        try:
            cleaned = convert(value)
        except (_UnconvertibleError, OverflowError):
            drift.removed[path] += 1
            return None
        if not nested and not (
            type(value) in expected and (kind == "date-time" or cleaned == value)
        ):
            drift.converted[path] += 1
        return cleaned

    return clean


def _only(kind: type, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert_only(value: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, kind):
            raise _UnconvertibleError
        return convert(value)

    return convert_only


def _to_string(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if isinstance(value, (dict, list)) or (isinstance(value, float) and not math.isfinite(value)):
        raise _UnconvertibleError
    return json.dumps(value)


def _to_integer(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    elif isinstance(value, float) and value.is_integer() and abs(value) < _UNSAFE_FLOAT:
        value = int(value)
    if type(value) is not int or not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise _UnconvertibleError
    return value


def _to_number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if type(value) not in {int, float} or not math.isfinite(value):
        raise _UnconvertibleError
    return float(value)


def _to_boolean(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    try:
        return _BOOLEANS[str(value).strip().lower()]
    except KeyError:
        raise _UnconvertibleError from None


def _to_timestamp(value: Any) -> str:  # noqa: ANN401
    return _stamp(_to_integer(value))


def _to_anything(value: Any) -> Any:  # noqa: ANN401
    """Clean the texts of a value for which the schema says nothing."""
    if isinstance(value, dict):
        return {_to_string(key): _to_anything(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_anything(item) for item in value]
    return _to_string(value) if isinstance(value, str) else value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "date-time": _to_timestamp,
}
