"""Applies stream maps and flattening to records, by the SDK's rules."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from fnmatch import fnmatch
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    RemoveRecordTransform,
    SameRecordTransform,
)

from tap_calltouch.output.flattening import Flattener, UnknownColumnError
from tap_calltouch.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_calltouch.records.structs import Shape

_WHOLE_RECORD = re.compile(r"\b(_|record)\b")  # how expressions call it
_QUOTED_LENGTH = 500
_OPTIONS = {
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
}
_OPTION = re.compile("__.+__")


def unmatched(
    stream_maps: Mapping[str, Any], columns: Mapping[str, Collection[str] | None]
) -> Iterator[str]:
    """Look for names in stream maps that match nothing, so that less is changed than was asked for.

    Args:
        stream_maps: What the user has written.
        columns: The columns of each stream there is, whatever is selected; None for any.

    Yields:
        One sentence for each name, with the nearest that there is.
    """
    for key, definition in stream_maps.items():
        if key == MAPPER_ELSE_OPTION:
            continue
        parts = definition if isinstance(definition, dict) else {}
        pattern = str(parts.get(MAPPER_SOURCE_OPTION, key))
        matched = [name for name in columns if fnmatch(name, pattern)]
        if not matched:
            yield (
                f"`stream_maps` names the stream `{pattern}`, which is none of "
                f"{', '.join(columns)}.{did_you_mean(pattern, columns)}"
            )
            continue
        known = {column for name in matched for column in columns[name] or parts}
        for column, expression in parts.items():
            if column in _OPTIONS or column in known:
                continue
            if _OPTION.fullmatch(column):
                hint = did_you_mean(column, _OPTIONS)
                yield f"`stream_maps.{key}` has no option `{column}`.{hint}"
            elif expression in (None, NULL_STRING):
                yield (
                    f"`stream_maps.{key}` drops the column `{column}`, which is none of "
                    f"{' and '.join(matched)} before flattening.{did_you_mean(column, known)}"
                )


def leaves_nothing(stream_maps: Iterable[StreamMap]) -> bool:
    """Return whether maps drop each record of a stream."""
    return all(isinstance(stream_map, RemoveRecordTransform) for stream_map in stream_maps)


class RecordMapper:
    """Makes of records what goes out, as a plain tap of the SDK would.

    Attributes:
        left_out: How many records no map has let through.
    """

    def __init__(
        self, stream_maps: Sequence[StreamMap], shape: Shape, definitions: dict[str, Any] | None
    ) -> None:
        """Compile the maps.

        Args:
            stream_maps: The stream's maps.
            shape: The shape of records.
            definitions: What the user has written of all streams' maps.
        """
        self.left_out = 0
        self._stream_maps = stream_maps
        self._names = tuple(shape.fields)
        self._definitions = definitions or {}
        # A name that is found within a longer one costs time, and does no harm.
        texts = "\n".join(_texts_in(self._definitions))
        is_whole_used = _WHOLE_RECORD.search(texts)
        self._to_convert = [
            name
            for name, field in shape.fields.items()
            if field.kind in {"object", "array"} and (is_whole_used or name in texts)
        ]
        self._flattens = any(stream_map.flattening_enabled for stream_map in stream_maps)
        self._is_plain = len(stream_maps) == 1 and type(stream_maps[0]) is SameRecordTransform
        self._flatten: Flattener | None = None
        if self._is_plain and self._flattens and shape.is_typed:
            with suppress(UnknownColumnError):  # else the SDK does it
                self._flatten = Flattener(shape, stream_maps[0])

    def __call__(self, records: Iterable[Any]) -> Iterable[tuple[str, Any]]:
        """Return records as they go out, each with the name of its stream.

        Args:
            records: Structs, or dicts where msgspec has no type for them.

        Raises:
            FatalAPIError: If an expression fails.
        """
        if self._flatten:
            records = map(self._flatten, records)
        elif self._flattens or not self._is_plain:
            return self._transformed(records)
        return zip(repeat(self._stream_maps[0].stream_alias), records)

    def _transformed(self, records: Iterable[Any]) -> Iterator[tuple[str, Any]]:
        for record in map(self._to_dict, records):
            is_left_out = True
            for stream_map in self._stream_maps:
                try:
                    mapped = stream_map.transform(record)
                except Exception as error:  # noqa: BLE001 - an expression can raise anything
                    # Not its message, which may quote the record.
                    definitions = json.dumps(self._definitions, ensure_ascii=False)[:_QUOTED_LENGTH]
                    msg = (
                        f"The map of stream {stream_map.stream_alias} failed on a record with "
                        f"{type(error).__name__}; `stream_maps` is {definitions}."
                    )
                    raise FatalAPIError(msg) from None
                if mapped is not None:
                    is_left_out = False
                    _drop_null_objects(mapped, stream_map)
                    yield stream_map.stream_alias, mapped
            self.left_out += is_left_out

    def _to_dict(self, record: Any) -> Any:
        """Convert a record as far as maps look into it; the rest stays for the encoder."""
        if self._flattens or isinstance(record, dict):
            return msgspec.to_builtins(record)
        fields = dict(zip(self._names, msgspec.structs.astuple(record), strict=True))
        for name in self._to_convert:
            fields[name] = msgspec.to_builtins(fields[name])
        return fields


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all names and expressions in stream maps."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in chain(value, value.values()):
            yield from _texts_in(item)


def _drop_null_objects(record: dict[str, Any], stream_map: StreamMap) -> None:
    """Drop what the SDK's flattening leaves of an object that is null: no schema has it."""
    if stream_map.flattening_enabled:
        for name in record.keys() - stream_map.transformed_schema["properties"].keys():
            if record[name] is None:
                del record[name]
