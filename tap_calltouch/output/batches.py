"""Writes files for BATCH messages, as the SDK does but from structs and with a faster gzip."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import FatalAPIError
from zlib_ng import gzip_ng

from tap_calltouch.output.messages import FLUSH_SIZE, append_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Files are smaller than the SDK's, which have the standard library's level 9 but escaped Cyrillic.
_LEVEL = 6


def write_files(
    records: Iterable[Any], batch_config: Any, tap: str, stream: str
) -> Iterator[list[str]]:
    """Write records to files.

    Args:
        records: Structs or dicts.
        batch_config: The SDK's: which format, where, and how many records make a file.
        tap: The tap's name, with which the files' names begin.
        stream: The stream's name, which follows.

    Returns:
        The URL of each file, in a list.
    """
    if batch_config.encoding.format == "jsonl":
        return _write_jsonl(records, batch_config, tap, stream)
    return _write_parquet(records, Batcher(tap, stream, batch_config), stream)


def _write_parquet(records: Iterable[Any], batcher: Batcher, stream: str) -> Iterator[list[str]]:
    rows = (_without_empty_objects(msgspec.to_builtins(record)) for record in records)
    try:
        yield from batcher.get_batches(rows)
    except (NotImplementedError, OverflowError, TypeError, ValueError) as error:
        # Not its message, which may quote a record.
        msg = (
            f"Stream {stream}: records cannot be written as Parquet ({type(error).__name__}), "
            "which has one type in a column. Check `stream_maps` and the catalog."
        )
        raise FatalAPIError(msg) from None


def _without_empty_objects(value: Any) -> Any:
    """Return a value with null for objects that have no keys: Parquet has no type for them."""
    if isinstance(value, dict):
        return {name: _without_empty_objects(item) for name, item in value.items()} or None
    if isinstance(value, list):
        return [_without_empty_objects(item) for item in value]
    return value


def _write_jsonl(
    records: Iterable[Any], batch_config: Any, tap: str, stream: str
) -> Iterator[list[str]]:
    storage = batch_config.storage
    name = f"{storage.prefix or ''}{tap}--{stream}-{uuid4()}"
    remaining = iter(records)
    for number, first in enumerate(remaining, start=1):  # the first record of each file
        file_name = f"{name}-{number}.json.gz"
        block = bytearray()
        with (
            storage.open(file_name, "wb") as file,
            gzip_ng.open(file, "wb", compresslevel=_LEVEL) as lines,
        ):
            for record in chain([first], islice(remaining, batch_config.batch_size - 1)):
                append_line(block, record, stream)
                if len(block) >= FLUSH_SIZE:
                    lines.write(block)
                    block.clear()
            lines.write(block)
        yield [storage.get_url(file_name)]
