"""What a JSON Schema means: shapes of values, and msgspec types that decode them. Pure.

The catalog decides which fields there are and of which type; the stream's own schema decides which
numbers are instants, since a catalog may say anything of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Schema = dict[str, Any]
Kind = Literal["string", "boolean", "number", "integer", "instant", "object", "array", "map", "any"]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
UNITS = {"ms": 1, "s": 1000}
_EPOCH = date(1970, 1, 1)
_KINDS: set[Any] = {"string", "boolean", "number", "integer", "object", "array"}


class _Anything(type):
    """The type of types that msgspec leaves to its `dec_hook`, whatever that returns."""

    def __instancecheck__(cls, _value: object) -> bool:
        return True


class Instant(metaclass=_Anything):
    """An epoch number in an answer, which becomes a timestamp in a record."""


class Drifting(metaclass=_Anything):
    """A value that did not fit its shape before; one class for each path."""

    path: ClassVar[str]
    shape: ClassVar[Shape]


@dataclass(frozen=True)
class Shape:
    """What a value may be, beside null.

    Attributes:
        kind: An object has the fields that are listed, a map any.
        fields: The fields of an object, by name.
        items: What an array or a map holds.
        is_open: Whether an object keeps fields that are not listed.
    """

    kind: Kind
    fields: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    is_open: bool = False

    @property
    def is_typed(self) -> bool:
        """Whether msgspec can decode it: no object in it is open or has an impossible name."""
        names = "".join(self.fields)
        return (
            not self.is_open
            and not any(char in '"\\' or char < " " for char in names)
            and all(inner.is_typed for inner in self.fields.values())
            and (self.items is None or self.items.is_typed)
        )


ANY = Shape("any")


def shape_of(schema: Schema | None, own: Schema) -> Shape:
    """Read a schema.

    Args:
        schema: JSON Schema of a value, as the catalog has it.
        own: The stream's own schema of the same value; empty if it has none.

    Returns:
        The shape of what a record holds.
    """
    schema = schema or {}
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    kind: Any = types[0] if len(types) == 1 and types[0] in _KINDS else "any"
    if own.get("format") == "date-time":
        return Shape("instant" if kind in {"string", "any"} else kind)
    if kind == "any" and _has_instants(own):
        kind, schema = _type_of(own), {**own, "additionalProperties": True}
    if kind == "object":
        return _object_shape(schema, own)
    if kind == "array":
        return Shape("array", items=shape_of(schema.get("items"), own.get("items") or {}))
    return Shape(kind)


def _object_shape(schema: Schema, own: Schema) -> Shape:
    rest = schema.get("additionalProperties")
    if "properties" not in schema:
        return Shape("map", items=shape_of(rest if isinstance(rest, dict) else {}, {}))
    known = own.get("properties", {})
    fields = {
        name: shape_of(inner, known.get(name, {})) for name, inner in schema["properties"].items()
    }
    return Shape("object", fields, is_open=bool(rest))


def _type_of(schema: Schema) -> str:
    types = schema["type"]
    return types if isinstance(types, str) else next(name for name in types if name != "null")


def _has_instants(schema: Schema) -> bool:
    inner = [*schema.get("properties", {}).values(), schema.get("items") or {}]
    return schema.get("format") == "date-time" or any(map(_has_instants, filter(None, inner)))


def struct_type(
    shape: Shape,
    required: Mapping[str, Any] = MappingProxyType({}),
    drifting: Collection[str] = (),
    prefix: str = "",
) -> type[msgspec.Struct]:
    """Build the type of the objects of a shape.

    Args:
        shape: The shape of an object. Fields that it does not list are dropped.
        required: Fields that must not be null, each with the value for one that is missing, or
            None if there is no such value.
        drifting: Paths of values that are left to `dec_hook`, such as `orders[].sum`.
        prefix: The path of the object, with a dot.

    Returns:
        A struct with a field for each of the shape's, in their order, in which msgspec finds them
        fastest. Attributes have names of their own, since a column may have any name; those of
        the fields stand in `__struct_encode_fields__`.
    """
    fields: list[Any] = []
    for number, (key, inner) in enumerate(shape.fields.items()):
        attribute, decoded = f"f{number}", _python_type(inner, drifting, prefix + key)
        if key not in required:
            fields.append((attribute, decoded | None, None))
        elif required[key] is None:
            fields.append((attribute, decoded))
        else:
            fields.append((attribute, decoded, required[key]))
    rename = {f"f{number}": key for number, key in enumerate(shape.fields)}
    name = prefix.rstrip(".") or "Record"
    return msgspec.defstruct(name, fields, rename=rename, kw_only=True, gc=False)


def _python_type(shape: Shape, drifting: Collection[str], path: str) -> Any:
    if path in drifting:
        return _Anything(path, (Drifting,), {"path": path, "shape": shape})
    if shape.kind == "object":
        return struct_type(shape, drifting=drifting, prefix=f"{path}.")
    if shape.kind == "map":
        return dict[str, _python_type(shape.items or ANY, (), path) | None]  # type: ignore[misc]
    if shape.kind == "array":
        return list[_python_type(shape.items or ANY, drifting, f"{path}[]") | None]  # type: ignore[misc]
    return {
        "string": str,
        "boolean": bool,
        "number": float,
        "integer": Annotated[int, msgspec.Meta(ge=MIN_INTEGER, le=MAX_INTEGER)],
        "instant": Instant,
    }.get(shape.kind, Any)


def stamp(milliseconds: int) -> str:
    """Format an instant as `moments.timestamp` does, much faster.

    Args:
        milliseconds: Since 1970.

    Returns:
        RFC 3339 in UTC with milliseconds.

    Raises:
        OverflowError: Outside the years 1 to 9999.
    """
    day = _day(milliseconds // 86_400_000)
    minute = _minute(milliseconds // 60_000 % 1440)
    return f"{day}T{minute}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}+00:00"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days)).isoformat()


@cache
def _minute(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
