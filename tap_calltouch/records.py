"""Answer bytes to clean records: pure, no HTTP, no settings.

Each record is decoded and checked by msgspec in one pass. Only fields that do not fit the schema go
through a slower pass of their own, which keeps what can be kept.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from tap_calltouch.blocks import BrokenAnswerError, decode_leniently, split_records
from tap_calltouch.cleaning import (
    MAX_INTEGER,
    MIN_INTEGER,
    Drift,
    Schema,
    describe,
    is_required,
    object_cleaner,
    stamp,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import IO

_UNFITTING = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)

_split_record = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def timestamp(moment: datetime) -> str:
    """Format an instant the one way in which this tap writes it.

    Args:
        moment: With an offset.

    Returns:
        RFC 3339 in UTC with milliseconds, so that texts sort as instants do.
    """
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


class RecordDecoder:
    """Decodes answers into records of one schema."""

    def __init__(
        self,
        schema: Schema,
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
            plain: Give records as dicts. Otherwise they are structs, which only msgspec
                can encode, and which cost less.
        """
        self.drift = drift or Drift(Counter(), Counter())
        self._type = _struct("Record", schema, defaults)
        self._decode = msgspec.json.Decoder(self._type).decode
        self._instants = _find_instants(schema)
        self._fields = [
            (name, _field_decoder(name, field, plain=plain))
            for name, field in schema["properties"].items()
        ]
        self._clean = object_cleaner(schema, "", self.drift, defaults)
        self._plain = plain

    def records(self, answer: IO[bytes]) -> Iterator[Any]:
        """Decode an answer, block by block.

        Args:
            answer: The whole body, positioned at its start.

        Yields:
            One record after the other.

        Raises:
            BrokenAnswerError: If the body is not a JSON array of objects.
            UnusableRecordError: If a required value is missing and has no default.
        """
        decode, instants, plain = self._decode, self._instants, self._plain
        for block, items in split_records(answer):
            may_hold_nul = b"\\u0000" in block
            for item in items:
                if isinstance(item, msgspec.Raw):
                    if not (may_hold_nul and b"\\u0000" in bytes(item)):
                        try:
                            record = decode(item)
                            _stamp_struct(record, instants)
                        except _UNFITTING:
                            pass
                        else:
                            yield msgspec.to_builtins(record) if plain else record
                            continue
                    cleaned = self._clean_by_field(bytes(item))
                else:
                    cleaned = self._clean_unfitting(item)
                yield cleaned if plain else self._type(**cleaned)

    def _clean_by_field(self, raw: bytes) -> dict[str, Any]:
        """Clean just those fields of a record that do not fit."""
        try:
            parts = _split_record(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._clean_unfitting(decode_leniently(raw))
        may_hold_nul = b"\\u0000" in raw
        fitting: dict[str, Any] = {}
        found: dict[str, Any] = {}
        for name, decode in self._fields:
            part = parts.get(name)
            if part is None:
                continue
            try:
                if may_hold_nul and b"\\u0000" in bytes(part):
                    raise msgspec.DecodeError
                fitting[name] = decode(part)
            except _UNFITTING:
                found[name] = decode_leniently(bytes(part))
        return self._clean(found, fitting)

    def _clean_unfitting(self, item: Any) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(item, dict):
            msg = f"an item of the array is {describe(item)}, not an object"
            raise BrokenAnswerError(msg)
        return self._clean(item, {})


def _struct(name: str, schema: Schema, defaults: Mapping[str, int]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for key, value in schema["properties"].items():
        field_type = _python_type(key, value)
        if not is_required(value):
            fields.append((key, field_type | None, None))
        elif key in defaults:
            fields.append((key, field_type, defaults[key]))
        else:
            fields.append((key, field_type))
    return msgspec.defstruct(name, fields, kw_only=True, gc=False)


def _python_type(name: str, schema: Schema) -> Any:  # noqa: ANN401
    kind = type_of(schema)
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
        "integer": Annotated[int, msgspec.Meta(ge=MIN_INTEGER, le=MAX_INTEGER)],
        "date-time": int,  # when decoded; a timestamp afterwards
    }.get(kind, Any)


def _field_decoder(name: str, schema: Schema, *, plain: bool) -> Callable[[msgspec.Raw], Any]:
    """Compile what decodes one field of a record, whatever the others are like."""
    alone = {"properties": {name: schema}}
    instants = _find_instants(alone)
    if not plain and instants == ([], []):
        field_type = _python_type(name, schema)
        return msgspec.json.Decoder(field_type if is_required(schema) else field_type | None).decode
    decode_object = msgspec.json.Decoder(_struct(name, alone, {})).decode

    def decode(raw: msgspec.Raw) -> Any:  # noqa: ANN401
        record = decode_object(b'{"%b":%b}' % (name.encode(), bytes(raw)))
        _stamp_struct(record, instants)
        return msgspec.to_builtins(record)[name] if plain else getattr(record, name)

    return decode


class _Instants(NamedTuple):
    """Where the instants of a struct are: fields of its own, and fields that hold structs."""

    names: list[str]
    nested: list[tuple[str, bool, _Instants]]


def _find_instants(schema: Schema) -> _Instants:
    names = []
    nested = []
    for name, field in schema["properties"].items():
        kind = type_of(field)
        inner = (field.get("items") or {}) if kind == "array" else field
        if kind == "date-time":
            names.append(name)
        elif inner.get("properties"):
            instants = _find_instants(inner)
            if instants.names or instants.nested:
                nested.append((name, kind == "array", instants))
    return _Instants(names, nested)


def _stamp_struct(record: Any, instants: _Instants) -> None:  # noqa: ANN401
    """Turn the epoch milliseconds in a struct into timestamps."""
    names, nested_instants = instants
    for name in names:
        value = getattr(record, name)
        if value is not None:
            setattr(record, name, stamp(value))
    for name, is_array, nested in nested_instants:
        value = getattr(record, name)
        if not value:
            continue
        for item in value if is_array else (value,):
            if item is not None:
                _stamp_struct(item, nested)
