"""What a JSON Schema means: msgspec types, and timestamps in place of epoch milliseconds. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Schema = dict[str, Any]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
_EPOCH = date(1970, 1, 1)
_NULL = msgspec.Raw(b"null")


def type_of(schema: Schema) -> str:
    """Give the one type beside null, `date-time` for instants, `any` where there are more."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    if len(types) != 1:
        return "any"
    return "date-time" if schema.get("format") == "date-time" else str(types[0])


def is_required(schema: Schema) -> bool:
    """Tell whether a value must not be null."""
    return isinstance(schema.get("type"), str) or "null" not in schema.get("type", ["null"])


def struct_type(
    name: str, schema: Schema, defaults: Mapping[str, int], raw: Collection[str] = ()
) -> type[msgspec.Struct]:
    """Compile a type of objects.

    Args:
        name: What to call it.
        schema: JSON Schema of the objects. Properties that it does not list are dropped; optional
            ones that an object lacks are null.
        defaults: Values for required properties that an object lacks.
        raw: Properties to leave as they come.

    Returns:
        A struct with a field for each property, in the order of the schema, in which msgspec finds
        them fastest. Instants are epoch milliseconds.
    """
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
            return struct_type(name, schema, {})
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


def struct_decoder(
    schema: Schema, defaults: Mapping[str, int], raw: Collection[str] = ()
) -> Callable[[bytes], Any]:
    """Compile what decodes an object into a struct with timestamps; arguments as above.

    Returns:
        The function. It raises msgspec.DecodeError, UnicodeDecodeError, OverflowError or
        RecursionError if the object does not fit.
    """
    decode_object = msgspec.json.Decoder(struct_type("Record", schema, defaults, raw)).decode
    properties = schema["properties"].items()
    stamp_object = stamper({"properties": {k: v for k, v in properties if k not in raw}})

    def decode(body: bytes) -> Any:  # noqa: ANN401
        record = decode_object(body)
        if stamp_object:
            stamp_object(record)
        return record

    return decode


def stamper(schema: Schema) -> Callable[[Any], None] | None:
    """Compile what turns epoch milliseconds in a struct into timestamps.

    Args:
        schema: JSON Schema of the struct.

    Returns:
        The function, or None if such a struct holds no instants.
    """
    properties = schema.get("properties", {}).items()
    names = [name for name, field in properties if type_of(field) == "date-time"]
    nested = [
        (name, stamp_inner)
        for name, field in properties
        if (stamp_inner := stamper(field.get("items") or field))
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


def stamp(milliseconds: int) -> str:
    """Format what the API gives; OverflowError outside the years 1 to 9999."""
    day = _day(milliseconds // 86_400_000)
    minute = _minute(milliseconds // 60_000 % 1440)
    return f"{day}T{minute}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}+00:00"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days)).isoformat()


@cache
def _minute(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def timestamp(moment: datetime) -> str:
    """Format an instant the one way in which this tap writes it.

    Args:
        moment: With an offset.

    Returns:
        RFC 3339 in UTC with milliseconds, so that texts sort as instants do.
    """
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
