"""What a JSON Schema means: shapes of values, and msgspec types that decode them. Pure.

The catalog decides which fields there are and of which type; the stream's own schema decides which
numbers are instants, since a catalog may say anything of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from singer_sdk.singerlib.catalog import SelectionMask

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Schema = dict[str, Any]
Breadcrumb = tuple[str, ...]
Kind = Literal["string", "boolean", "number", "integer", "instant", "object", "array", "any"]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
UNITS = {"ms": 1, "s": 1000}
_INTEGER = Annotated[int, msgspec.Meta(ge=MIN_INTEGER, le=MAX_INTEGER)]
_ALL = SelectionMask()
_KINDS: set[Any] = {"string", "boolean", "number", "integer", "object", "array"}


class _Anything(type):
    """Metaclass of placeholder types.

    msgspec hands their values to `dec_hook` and accepts whatever comes back.
    """

    def __instancecheck__(cls, _value: object) -> bool:
        return True


class Instant(metaclass=_Anything):
    """An epoch number in an answer, which becomes a timestamp in a record."""


class Drifting(metaclass=_Anything):
    """A value that did not fit its shape before; one class for each path.

    Attributes:
        path: Such as `orders[].sum`.
        shape: What it should be.
        fitting: The type of values that fit.
    """

    path: ClassVar[str]
    shape: ClassVar[Shape]
    fitting: ClassVar[Any]


@dataclass(frozen=True)
class Shape:
    """What a value may be, beside null.

    Attributes:
        kind: Its type, or `any`.
        fields: The fields of an object, by name.
        items: The shape of an array's items, or of the values of keys that `fields` does not name
            (None: such keys are dropped). For kind `any`: the shape to use if the value is an
            object.
        deselected: Paths of fields that the user deselected and `fields` cannot know.
        is_open: Whether the catalog allows any other value, too.
    """

    kind: Kind
    fields: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    deselected: frozenset[tuple[str, ...]] = frozenset()
    is_open: bool = False

    @property
    def is_typed(self) -> bool:
        """Whether msgspec has a type for it.

        It has none for an object with both named fields and free keys.
        """
        return (
            not self.is_open
            and not (self.deselected and self.kind != "array")
            and not (self.items and (self.fields or self.kind == "any"))
            and not any(char in {'"', "\\"} or char < " " for name in self.fields for char in name)
            and all(inner.is_typed for inner in self.fields.values())
            and (self.items is None or self.items.is_typed)
        )


ANY = Shape("any")


def shape_of(
    schema: Schema, own: Schema, mask: Mapping[Breadcrumb, bool] = _ALL, path: Breadcrumb = ()
) -> Shape:
    """Read a schema.

    Args:
        schema: JSON Schema of a value, as the catalog has it.
        own: The stream's own schema of the same value; empty if it has none.
        mask: Whether what stands at a breadcrumb is selected, as the SDK has it.
        path: The breadcrumb of the value.

    Returns:
        The shape of what a record holds.
    """
    kind: Any = _type_of(schema)
    if own.get("format") == "date-time":
        return Shape("instant" if kind in {"string", "any"} else kind)
    is_free = "properties" not in schema and not isinstance(
        schema.get("additionalProperties"), dict
    )
    if is_open := kind == "any" and is_free and _has_instants(own):
        kind = _type_of(own)
    own = own.get("items") or own  # one value may stand for an array of such values
    if kind == "object":
        return _shape_of_object(schema, own, mask, path, is_open=is_open)
    if kind == "any" and "properties" in schema:
        # One of several types; what stands here of an object holds for one.
        return Shape("any", items=_shape_of_object(schema, own, mask, path))
    items = shape_of(schema.get("items") or {}, own) if kind == "array" else None
    return Shape(kind, items=items, deselected=_deselected_below(mask, path), is_open=is_open)


def _shape_of_object(
    schema: Schema,
    own: Schema,
    mask: Mapping[Breadcrumb, bool],
    path: Breadcrumb,
    *,
    is_open: bool = False,
) -> Shape:
    listed, known = schema.get("properties", {}), own.get("properties", {})
    fields = {
        name: shape_of(inner, known.get(name, {}), mask, below)
        for name, inner in listed.items()
        if mask[below := (*path, "properties", name)]
    }
    others = schema.get("additionalProperties")
    if "properties" in schema and not others:
        return Shape("object", fields)
    other = others if isinstance(others, dict) else {}
    # Instants are found by name, whether the catalog lists them or not.
    for name, inner in known.items():
        below = (*path, "properties", name)
        if name not in listed and mask[below] and _has_instants(inner):
            fields[name] = shape_of(other, inner, mask, below)
    return Shape(
        "object", fields, shape_of(other, {}), _deselected_below(mask, path), is_open=is_open
    )


def _deselected_below(mask: Mapping[Breadcrumb, bool], path: Breadcrumb) -> frozenset[Breadcrumb]:
    """Return the paths, from a value on, of what is deselected of its objects."""
    return frozenset(
        crumb[len(path) + 1 :: 2]
        for crumb, is_selected in mask.items()
        if not is_selected
        and crumb[: len(path)] == path
        and set(crumb[len(path) :: 2]) == {"properties"}
    )


def _type_of(schema: Schema) -> str:
    """Return the only type beside null; `any` if there is none or there are more."""
    types = schema.get("type", "object" if "properties" in schema else [])
    types = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    return types[0] if len(types) == 1 and types[0] in _KINDS else "any"


def _has_instants(schema: Schema) -> bool:
    inner = [*schema.get("properties", {}).values(), schema.get("items")]
    return schema.get("format") == "date-time" or any(map(_has_instants, filter(None, inner)))


def attributes(shape: Shape) -> dict[str, str]:
    """Return the attribute of each field of a shape in its struct.

    Attributes have names of their own, since a column may have any name.
    """
    return {name: f"f{number}" for number, name in enumerate(shape.fields)}


def struct_type(
    shape: Shape,
    required: Collection[str] = (),
    defaults: Mapping[str, Any] = MappingProxyType({}),
    drifting: Collection[str] = (),
    prefix: str = "",
) -> type[msgspec.Struct]:
    """Build the type of the objects of a shape.

    Args:
        shape: The shape of an object. Fields that it does not list are dropped.
        required: Fields that must not be null.
        defaults: Values of fields that are missing, in place of null, which they do not take.
        drifting: Paths of values that are left to `dec_hook`, such as `orders[].sum`.
        prefix: The path of the object, with a dot.

    Returns:
        A struct with a field for each of the shape's, in their order, in which msgspec finds them
        fastest. Its attributes are those of `attributes`.
    """
    fields: list[Any] = []
    names = attributes(shape)
    for key, inner in shape.fields.items():
        decoded = _python_type(inner, drifting, prefix + key)
        default = defaults.get(key, msgspec.NODEFAULT)
        if key not in required and key not in defaults:
            decoded, default = decoded | None, None
        options = msgspec.field(default=default, name=key)
        fields.append((names[key], decoded, options))
    return msgspec.defstruct(f"{prefix}Record", fields, kw_only=True, gc=False)


def _python_type(shape: Shape, drifting: Collection[str], path: str) -> Any:
    if path in drifting:
        fitting = _python_type(shape, (), path)
        return _Anything(path, (Drifting,), {"path": path, "shape": shape, "fitting": fitting})
    if shape.kind == "object" and shape.items:
        return dict[str, _python_type(shape.items, (), path) | None]  # type: ignore[misc]
    if shape.kind == "object":
        return struct_type(shape, drifting=drifting, prefix=f"{path}.")
    if shape.kind == "array":
        return list[_python_type(shape.items or ANY, drifting, f"{path}[]") | None]  # type: ignore[misc]
    return {
        "string": str,
        "boolean": bool,
        "number": _INTEGER | float,
        "integer": _INTEGER,
        "instant": Instant,
    }.get(shape.kind, Any)
