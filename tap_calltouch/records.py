"""Answer bytes to clean records: pure, no HTTP, no settings.

Each record is decoded and checked by msgspec in one pass. Only fields that do not fit the schema go
through a slower pass of their own, which keeps what can be kept.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from json import JSONDecodeError
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from tap_calltouch.blocks import BrokenAnswerError, split_array
from tap_calltouch.cleaning import (
    MAX_INTEGER,
    MIN_INTEGER,
    Drift,
    Schema,
    clean_object,
    decode_leniently,
    describe,
    field_cleaners,
    is_required,
    stamp,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import IO

_UNFITTING = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
_NUL = b"\\u0000"
_NULL = msgspec.Raw(b"null")

_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode


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
        self._schema = schema
        self._defaults = defaults
        self._plain = plain
        self._type = _struct("Record", schema, defaults)
        self._decode_block = msgspec.json.Decoder(list[self._type]).decode  # type: ignore[name-defined]
        self._stamp = _stamper(schema)
        self._cleaners = field_cleaners(schema, "", self.drift, defaults)
        self._decoders = {
            name: _decoder({"properties": {name: field}}, {})
            for name, field in schema["properties"].items()
        }
        self._drifting: frozenset[str] = frozenset()
        self._decode_drifting = self._record_decoder(self._drifting)
        self._decode_by_field = self._record_decoder(self._decoders)

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
        for records in split_array(answer, self._parse):
            yield from map(msgspec.to_builtins, records) if self._plain else records

    def _parse(self, array: bytes) -> list[Any] | None:
        """Decode a block at once if all of it fits, else record by record."""
        if array.rfind(_NUL) < 0:  # much faster than from the beginning: few bytes are a backslash
            try:
                records: list[Any] = self._decode_block(array)
                if self._stamp:
                    for record in records:
                        self._stamp(record)
            except _UNFITTING:
                pass
            else:
                return records
        try:
            parts = _split_block(array)
        except _UNFITTING:
            try:
                return [self._clean(item) for item in decode_leniently(array)]
            except (JSONDecodeError, RecursionError):
                return None
        return [self._fit(bytes(part)) for part in parts]

    def _fit(self, raw: bytes) -> Any:  # noqa: ANN401
        """Decode a record, and clean just those of its fields that do not fit."""
        if _NUL not in raw:
            try:
                return self._decode_drifting(raw)
            except _UNFITTING:
                pass
        try:
            return self._decode_by_field(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._clean(decode_leniently(raw))

    def _clean(self, item: Any) -> Any:  # noqa: ANN401
        if not isinstance(item, dict):
            msg = f"an item of the array is {describe(item)}, not an object"
            raise BrokenAnswerError(msg)
        return self._type(**clean_object(item, self._cleaners))

    def _record_decoder(self, names: Collection[str]) -> Callable[[bytes], Any]:
        """Compile what decodes a record in one pass but for some fields, each of which is fitted.

        Args:
            names: Those fields.
        """
        decode_record = _decoder(self._schema, self._defaults, raw=names)

        def decode(raw: bytes) -> Any:  # noqa: ANN401
            record = decode_record(raw)
            for name in names:
                setattr(record, name, self._fit_field(name, getattr(record, name)))
            return record

        return decode

    def _fit_field(self, name: str, raw: msgspec.Raw) -> Any:  # noqa: ANN401
        part = bytes(raw)
        if _NUL not in part:
            try:
                return getattr(self._decoders[name](b'{"%b":%b}' % (name.encode(), part)), name)
            except _UNFITTING:
                pass
        value = self._cleaners[name](decode_leniently(part))
        if name not in self._drifting:
            # What does not fit once is likely not to fit again.
            self._drifting |= {name}
            self._decode_drifting = self._record_decoder(self._drifting)
        return value


def _decoder(
    schema: Schema, defaults: Mapping[str, int], raw: Collection[str] = ()
) -> Callable[[bytes], Any]:
    """Compile what decodes an object into a struct, leaving some of its fields as they come."""
    decode_object = msgspec.json.Decoder(_struct("Record", schema, defaults, raw)).decode
    properties = schema["properties"].items()
    stamp_object = _stamper({"properties": {k: v for k, v in properties if k not in raw}})

    def decode(body: bytes) -> Any:  # noqa: ANN401
        record = decode_object(body)
        if stamp_object:
            stamp_object(record)
        return record

    return decode


def _struct(
    name: str, schema: Schema, defaults: Mapping[str, int], raw: Collection[str] = ()
) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for key, value in schema["properties"].items():
        field_type = _python_type(key, value)
        if key in raw:
            fields.append((key, msgspec.Raw, _NULL))
        elif not is_required(value):
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


def _stamper(schema: Schema) -> Callable[[Any], None] | None:
    """Compile what turns epoch milliseconds in a struct into timestamps, if it can hold any."""
    properties = schema.get("properties", {}).items()
    names = [name for name, field in properties if type_of(field) == "date-time"]
    nested = [
        (name, stamp_inner)
        for name, field in properties
        if (stamp_inner := _stamper(field.get("items") or field))
    ]
    if not names and not nested:
        return None

    def stamp_struct(record: Any) -> None:  # noqa: ANN401
        for name in names:
            if (value := getattr(record, name)) is not None:
                setattr(record, name, stamp(value))
        for name, stamp_inner in nested:
            if value := getattr(record, name):
                for item in value if isinstance(value, list) else (value,):
                    if item is not None:
                        stamp_inner(item)

    return stamp_struct
