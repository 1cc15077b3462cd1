"""Applies stream maps and flattening to records, by the SDK's rules."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.mapper import SameRecordTransform

from tap_calltouch.output.flattening import Flattener, UnknownColumnError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singer_sdk.mapper import StreamMap

    from tap_calltouch.records.structs import Shape

_WHOLE_RECORD = re.compile(r"\b(_|record)\b")  # how expressions call it
_QUOTED_LENGTH = 500


class RecordMapper:
    """Makes of records what goes out, as a plain tap of the SDK would."""

    def __init__(
        self, stream_maps: Sequence[StreamMap], shape: Shape, definitions: dict[str, Any] | None
    ) -> None:
        """Compile the maps.

        Args:
            stream_maps: The stream's maps.
            shape: The shape of records.
            definitions: What the user has written of all streams' maps.
        """
        self._stream_maps = stream_maps
        self._names = tuple(shape.fields)
        self._definitions = definitions or {}
        # A name that is found within a longer one costs time, and does no harm.
        texts = "\n".join(_texts_in(self._definitions))
        is_whole_used = _WHOLE_RECORD.search(texts)
        is_nested = {"object", "array", "any"}
        self._to_convert = [
            name
            for name, field in shape.fields.items()
            if field.kind in is_nested and (is_whole_used or name in texts)
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
                    _drop_null_objects(mapped, stream_map)
                    yield stream_map.stream_alias, mapped

    def _to_dict(self, record: Any) -> Any:
        """Convert a record as far as maps look into it; the rest stays for the encoder."""
        if self._flattens or isinstance(record, dict):
            return msgspec.to_builtins(record)
        fields = dict(zip(self._names, msgspec.structs.astuple(record), strict=True))
        for name in self._to_convert:
            fields[name] = msgspec.to_builtins(fields[name])
        return fields


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all texts in stream maps: expressions, and names of properties, which do no harm."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in chain(value, value.values() if isinstance(value, dict) else ()):
            yield from _texts_in(item)


def _drop_null_objects(record: dict[str, Any], stream_map: StreamMap) -> None:
    """Drop what the SDK's flattening leaves of an object that is null: no schema has it."""
    if stream_map.flattening_enabled:
        for name in record.keys() - stream_map.transformed_schema["properties"].keys():
            if record[name] is None:
                del record[name]
