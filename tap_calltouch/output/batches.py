"""Writes files for BATCH messages, from structs, packed as their manifest says."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from fsspec.implementations.local import LocalFileSystem
from singer_sdk.exceptions import FatalAPIError
from upath import UPath
from zlib_ng import gzip_ng

from tap_calltouch.output.messages import FLUSH_SIZE, append_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PASSWORD = re.compile("//[^/@]*@")


def write_files(
    records: Iterable[Any], batch_config: Any, tap: str, stream: str
) -> Iterator[list[str]]:
    """Write records to files.

    Args:
        records: Structs or dicts.
        batch_config: The SDK's: which format, where, and how many records make a file.
        tap: The tap's name, with which the files' names begin.
        stream: The stream's name, which follows.

    Yields:
        The URL of each file, in a list, when the file is whole.

    Raises:
        FatalAPIError: If a record or the storage cannot be written.
    """
    storage, encoding = batch_config.storage, batch_config.encoding
    write = _write_jsonl if encoding.format == "jsonl" else _write_parquet
    ending = ".json.gz" if encoding.compression == "gzip" else ".json"
    if encoding.format == "parquet":
        ending = ".parquet"  # what is packed are its columns
    name = f"{storage.prefix or ''}{tap}--{stream}-{uuid4()}"
    remaining = iter(records)
    for number, first in enumerate(remaining, start=1):  # the first record of each file
        file_name = f"{name}-{number}{ending}"
        rest = islice(remaining, batch_config.batch_size - 1)
        with _new_file(storage, file_name, stream) as file:
            write(chain([first], rest), file, encoding.compression, stream)
        yield [storage.get_url(file_name)]


def _write_jsonl(
    records: Iterable[Any], file: IO[bytes], compression: str | None, stream: str
) -> None:
    block = bytearray()
    with ExitStack() as stack:
        if compression == "gzip":
            # With the usual level, 6, files are smaller than the SDK's, which have the standard
            # library's 9 but escaped Cyrillic.
            file = stack.enter_context(gzip_ng.open(file, "wb"))
        for record in records:
            append_line(block, record, stream)
            if len(block) >= FLUSH_SIZE:
                file.write(block)
                block.clear()
        file.write(block)


def _write_parquet(
    records: Iterable[Any], file: IO[bytes], compression: str | None, stream: str
) -> None:
    # Need not be installed.
    from pyarrow import Table, parquet  # type: ignore[import-not-found]  # noqa: PLC0415

    rows = [_without_empty_objects(msgspec.to_builtins(record)) for record in records]
    try:
        table = Table.from_pylist(rows)
        parquet.write_table(table, file, compression=compression or "snappy")
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


@contextmanager
def _new_file(storage: Any, name: str, stream: str) -> Iterator[IO[bytes]]:
    """Open a file that gets its name only when it is whole.

    The SDK writes into the temporary folder. If the storage is full, the move from there leaves a
    part of the file under its final name.
    """
    label = f"Stream {stream}: cannot write to {_PASSWORD.sub('//', storage.root)}"
    try:
        with ExitStack() as stack:
            try:
                file = stack.enter_context(_open(storage, name))
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001 - a file system can raise anything
                msg = f"{label} ({type(error).__name__}). Check `batch_config.storage`."
                raise FatalAPIError(msg) from None
            yield file
    except OSError as error:
        msg = f"{label}: {error.strerror or error}."
        raise FatalAPIError(msg) from None


@contextmanager
def _open(storage: Any, name: str) -> Iterator[IO[bytes]]:
    path = UPath(storage.root, **storage.params).resolve() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(path.fs, LocalFileSystem):
        with path.fs.transaction, path.fs.open(path.path, "wb") as file:
            yield file
        return
    part = Path(path.path).with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path.path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
