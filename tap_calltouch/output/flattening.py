"""Flattens records straight from structs, by the rules and names of the SDK."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from tap_calltouch.records.structs import attributes

if TYPE_CHECKING:
    from singer_sdk.mapper import StreamMap

    from tap_calltouch.records.structs import Shape

_NESTED = {"object", "array", "any"}  # kinds of values that may have to become JSON text


class UnknownColumnError(Exception):
    """The SDK's flattened schema has other columns, so that only the SDK knows what to do."""


class Flattener:
    """A function from a struct to a dict of columns, built for one shape.

    As in the SDK, a null object has no columns, and objects and arrays at the last level become
    JSON text (here UTF-8, unescaped).
    """

    def __init__(self, shape: Shape, stream_map: StreamMap, path: tuple[str, ...] = ()) -> None:
        """Compile a shape.

        Args:
            shape: The shape of records, or of an object in them.
            stream_map: Has the options, and the schema that the SDK has flattened.
            path: The names of the fields that lead to the object.

        Raises:
            UnknownColumnError: If the SDK must flatten.
        """
        options = stream_map.flattening_options
        is_last = options is None or len(path) >= options.max_level
        scalars: dict[str, str] = {}
        self._others: list[tuple[str, str]] = []
        self._objects: list[tuple[str, Flattener]] = []
        names = attributes(shape)
        for name, field in shape.fields.items():
            attribute = names[name]
            column = _column(stream_map, (*path, name))
            is_split = field.kind == "object" and not field.items and not is_last
            # The SDK writes an object whole if another field has made a column of its name.
            if is_split == (column in stream_map.transformed_schema["properties"]):
                raise UnknownColumnError
            if is_split:
                self._objects.append((attribute, Flattener(field, stream_map, (*path, name))))
                continue
            if field.kind in _NESTED:
                self._others.append((column, attribute))
            else:
                scalars[column] = attribute
        if len(scalars) < 2:  # noqa: PLR2004 - attrgetter returns no tuple for one attribute
            self._others += scalars.items()
            scalars.clear()
        self._columns = tuple(scalars)
        self._get = attrgetter(*scalars.values()) if scalars else None

    def __call__(self, record: Any, columns: dict[str, Any] | None = None) -> dict[str, Any]:
        """Flatten a record, or an object in it whose columns join others."""
        columns = {} if columns is None else columns
        if self._get:
            columns.update(zip(self._columns, self._get(record), strict=True))
        for column, attribute in self._others:
            value = getattr(record, attribute)
            if value is not None and not isinstance(value, (str, int, float)):
                value = msgspec.json.encode(value).decode()
            columns[column] = value
        for attribute, node in self._objects:
            value = getattr(record, attribute)
            if value is not None:
                node(value, columns)
        return columns


def _column(stream_map: StreamMap, path: tuple[str, ...]) -> str:
    """Return the SDK's name of a column: what it makes of a schema that has no other."""
    schema: dict[str, Any] = {"type": "string"}
    for name in reversed(path):
        schema = {"type": "object", "properties": {name: schema}}
    (column,) = stream_map.flatten_schema(schema)["properties"]
    return str(column)
