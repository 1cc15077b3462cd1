"""Applies stream maps and flattening to records, by the SDK's rules."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.exceptions import FatalAPIError, MapExpressionError
from singer_sdk.mapper import SameRecordTransform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singer_sdk.mapper import StreamMap


def map_records(
    records: Iterable[Any], stream_maps: Sequence[StreamMap]
) -> Iterable[tuple[str, Any]]:
    """Yield records as they go out, each with the name of its stream.

    Args:
        records: Structs, or dicts where msgspec has no type for them.
        stream_maps: The stream's maps.
    """
    (first, *others) = stream_maps
    if others or type(first) is not SameRecordTransform or first.flattening_enabled:
        return transform(records, stream_maps)
    return zip(repeat(first.stream_alias), records)  # nothing looks into them


def transform(
    records: Iterable[Any], stream_maps: Sequence[StreamMap]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield mapped records as dicts, each with the name of its stream.

    Args:
        records: As above.
        stream_maps: The stream's maps.

    Raises:
        FatalAPIError: If an expression fails.
    """
    for record in map(msgspec.to_builtins, records):
        for stream_map in stream_maps:
            try:
                mapped = stream_map.transform(record)
            except Exception as error:  # noqa: BLE001 - an expression can raise anything
                # Only the SDK's message is known not to quote the record.
                cause = error if isinstance(error, MapExpressionError) else type(error).__name__
                msg = f"The map of stream {stream_map.stream_alias} failed: {cause}"
                raise FatalAPIError(msg) from None
            if mapped is not None:
                _drop_ghosts(mapped, stream_map)
                yield stream_map.stream_alias, mapped


def _drop_ghosts(record: dict[str, Any], stream_map: StreamMap) -> None:
    """Drop what the SDK's flattening leaves of an object that is null: no schema has it."""
    if stream_map.flattening_enabled:
        for name in record.keys() - stream_map.transformed_schema["properties"].keys():
            if record[name] is None:
                del record[name]
