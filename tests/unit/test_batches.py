"""Files of BATCH messages hold what RECORD lines would hold, and are no larger than the SDK's."""

from __future__ import annotations

import errno
import gzip
import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlparse

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, StorageTarget
from singer_sdk.sinks import BatchSink
from singer_sdk.target_base import Target

from tap_calltouch.output.batches import write_files
from tests.support.decoded import SCHEMA_OF, builtins, lifelike, structs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]


def batch_config(folder: Path, size: int, prefix: str | None = None) -> BatchConfig:
    return BatchConfig.from_dict(
        {
            "batch_size": size,
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": folder.as_uri(), **({"prefix": prefix} if prefix else {})},
        }
    )


def write(records: list[Any], config: BatchConfig, stream: str = "requests") -> list[Path]:
    """Write files and return their paths; fails if one announces more or less than one."""
    paths = []
    for manifest in write_files(iter(records), config, "tap-calltouch", stream):
        (url,) = manifest
        paths.append(path_of(url))
    return paths


def path_of(url: str) -> Path:
    return Path(unquote(urlparse(url).path))


def read(path: Path) -> list[Json]:
    """Read a file with the standard library's gzip; each record is a whole line."""
    text = gzip.decompress(path.read_bytes()).decode()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("stream", SCHEMA_OF)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_files_hold_the_records_in_order(stream: str, size: int, tmp_path: Path) -> None:
    records = structs(stream, lifelike(stream))
    paths = write(records, batch_config(tmp_path, size), stream)
    found = [read(path) for path in paths]
    assert [len(rows) for rows in found] == [
        min(size, len(records) - start) for start in range(0, len(records), size)
    ]
    assert [row for rows in found for row in rows] == [builtins(record) for record in records]
    assert sorted(paths) == sorted(tmp_path.iterdir())


def test_storage_may_be_elsewhere_than_on_this_machine() -> None:
    records = structs("requests", lifelike("requests"))
    config = batch_config(Path("/x"), 1000)
    config.storage.root = "memory://calltouch"
    ((url,),) = write_files(iter(records), config, "tap-calltouch", "requests")
    with fsspec.open(url, compression="gzip") as file:
        assert [json.loads(line) for line in file] == [builtins(record) for record in records]


def test_the_parameters_of_a_storage_reach_its_file_system() -> None:
    config = batch_config(Path("/x"), 1000)
    config.storage = StorageTarget("memory://calltouch", params={"key": "value"})
    found: list[Json] = []

    def records() -> Iterator[Json]:
        yield {"id": 1}
        found.append(MemoryFileSystem.current().storage_options)  # where a file is open now

    list(write_files(records(), config, "tap-calltouch", "requests"))
    assert found == [{"key": "value"}]


def test_dicts_are_written_like_structs(tmp_path: Path) -> None:
    records = structs("requests", lifelike("requests"))
    dicts = [builtins(record) for record in records]
    (path,) = write(dicts, batch_config(tmp_path, 1000))
    assert read(path) == dicts


def test_a_file_of_as_many_records_as_fit_is_followed_by_no_empty_one(tmp_path: Path) -> None:
    records = structs("requests", lifelike("requests"))[:6]
    assert [len(read(path)) for path in write(records, batch_config(tmp_path, 3))] == [3, 3]


def test_no_records_make_no_file(tmp_path: Path) -> None:
    assert write([], batch_config(tmp_path, 10)) == []
    assert list(tmp_path.iterdir()) == []


def test_records_larger_than_a_block_are_written_whole(tmp_path: Path) -> None:
    records = [{"id": number, "text": "ё" * 100_000} for number in range(5)]
    (path,) = write(records, batch_config(tmp_path, 10))
    assert read(path) == records


def test_a_file_grows_by_blocks_so_that_no_more_waits_in_memory(tmp_path: Path) -> None:
    record = {"text": "x" * 50_000}  # three fill a block
    sizes: list[int] = []

    def records() -> Iterator[Json]:
        yield record
        for _ in range(5):
            (part,) = tmp_path.iterdir()
            sizes.append(part.stat().st_size)
            yield record

    config = batch_config(tmp_path, 10)
    config.encoding = BaseBatchFileEncoding.from_dict({"format": "jsonl"})
    (path,) = write(records(), config)  # type: ignore[arg-type]
    half = path.stat().st_size // 2
    assert sizes == [0, 0, half, half, half]


def test_a_file_is_announced_only_when_it_is_whole(tmp_path: Path) -> None:
    records = structs("requests", lifelike("requests"))[:5]
    manifests = write_files(iter(records), batch_config(tmp_path, 2), "tap-calltouch", "requests")
    first = path_of(next(manifests)[0])
    assert len(read(first)) == 2
    assert [*tmp_path.iterdir()] == [first]


@pytest.mark.parametrize("prefix", ["leads-", None])
def test_names_begin_with_prefix_tap_and_stream_and_differ_between_windows(
    tmp_path: Path, prefix: str | None
) -> None:
    config = batch_config(tmp_path, 2, prefix)
    records = structs("calls", lifelike("calls"))[:3]
    names = [path.name for path in (*write(records, config, "calls"), *write(records, config))]
    assert len({*names}) == 4
    assert all(name.startswith(f"{prefix or ''}tap-calltouch--calls-") for name in names[:2])
    assert {name[-9:] for name in names} == {"1.json.gz", "2.json.gz"}


@pytest.mark.parametrize("stream", SCHEMA_OF)
def test_files_are_no_larger_than_the_sdks(stream: str, tmp_path: Path) -> None:
    records = structs(stream, lifelike(stream))
    for name in ("ours", "sdk"):
        (tmp_path / name).mkdir()
    (ours,) = write(records, batch_config(tmp_path / "ours", 1000), stream)
    batcher = Batcher("tap-calltouch", stream, batch_config(tmp_path / "sdk", 1000))
    ((url,),) = batcher.get_batches(map(builtins, records))
    assert read(path_of(url)) == read(ours)
    assert ours.stat().st_size <= path_of(url).stat().st_size


# Files are what their manifest says.

PACKINGS = [
    pytest.param({"compression": "gzip"}, ".json.gz", id="gzip"),
    pytest.param({"compression": "none"}, ".json", id="none"),
    pytest.param({"compression": None}, ".json", id="null"),
    pytest.param({}, ".json", id="not set"),
]


class Reader(Target):
    """A target of the SDK that keeps what it reads."""

    name = "reader"

    class Sink(BatchSink):
        """Keeps records."""

        rows: ClassVar[list[Json]] = []

        def process_batch(self, context: Json) -> None:
            self.rows.extend(context["records"])

    default_sink_class = Sink


@pytest.mark.parametrize(("packing", "ending"), PACKINGS)
def test_targets_of_the_sdk_read_files_as_the_manifest_says(
    packing: Json, ending: str, tmp_path: Path
) -> None:
    records = [{"id": number, "text": "ё"} for number in range(3)]
    config = batch_config(tmp_path, 10)
    config.encoding = BaseBatchFileEncoding.from_dict({"format": "jsonl", **packing})
    (manifest,) = write_files(iter(records), config, "tap-calltouch", "requests")
    assert manifest[0].endswith(f"-1{ending}")
    properties = {"id": {"type": "integer"}, "text": {"type": "string"}}
    schema = {"type": "object", "properties": properties}
    encoding = {"format": "jsonl", **packing}
    messages: list[Json] = [
        {"type": "SCHEMA", "stream": "requests", "schema": schema, "key_properties": ["id"]},
        {"type": "BATCH", "stream": "requests", "encoding": encoding, "manifest": manifest},
    ]
    Reader.Sink.rows.clear()
    Reader(config={}).listen(io.StringIO("".join(json.dumps(item) + "\n" for item in messages)))
    assert Reader.Sink.rows == records


@pytest.mark.parametrize("folder", ["с пробелом", "a%20b", "a#b?c", "a/b"])
def test_folders_of_any_name_are_made(folder: str, tmp_path: Path) -> None:
    config = batch_config(tmp_path, 10)
    config.storage = StorageTarget(str(tmp_path / folder))
    ((url,),) = write_files(iter([{"id": 1}]), config, "tap-calltouch", "requests")
    assert read(path_of(url)) == [{"id": 1}]
    assert path_of(url).parent == tmp_path / folder


def test_nothing_of_a_file_is_left_if_its_records_break_off(tmp_path: Path) -> None:
    def records() -> Iterator[Json]:
        yield {"id": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(records(), batch_config(tmp_path, 10))  # type: ignore[arg-type]
    assert not [*tmp_path.iterdir()]


def test_unfinished_file_has_a_name_that_no_pattern_finds(tmp_path: Path) -> None:
    names: list[str] = []

    def records() -> Iterator[Json]:
        yield {"id": 1}
        names.extend(path.name for path in tmp_path.iterdir())

    (path,) = write(records(), batch_config(tmp_path, 10))  # type: ignore[arg-type]
    assert names == [f".{path.name}.part"]


@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        ("file:///dev/null/x", "cannot write to file:///dev/null/x: Not a directory."),
        (
            "ftp://user:secret@127.0.0.1:1/x",
            "cannot write to ftp://127.0.0.1:1/x: Connection refused.",
        ),
        ("https://127.0.0.1/x", "(ImportError). Check `batch_config.storage`."),
    ],
)
def test_storage_that_cannot_be_written_to_is_named_without_its_password(
    root: str, sentence: str, tmp_path: Path
) -> None:
    config = batch_config(tmp_path, 10)
    config.storage = StorageTarget(root)
    with pytest.raises(FatalAPIError) as raised:
        write([{"id": 1}], config)
    assert str(raised.value).startswith("Stream requests: cannot write to ")
    assert str(raised.value).endswith(sentence)
    assert "secret" not in str(raised.value)


def test_a_folder_that_takes_no_file_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(FatalAPIError, match=r": No space left on device\.$"):
        write([{"id": 1}], batch_config(tmp_path, 10))


# Parquet, whose library need not be installed.


def parquet(
    records: list[Json],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fail: type[Exception] | None = None,
    compression: str | None = None,
) -> tuple[list[Path], Any]:
    """Return the paths of files, and what pyarrow gets to write into them and how."""
    found: list[Any] = []

    def from_pylist(rows: list[Json]) -> list[Json]:
        if fail:
            msg = "Could not convert '+79990000000' with type str"
            raise fail(msg)
        return rows

    def write_table(table: list[Json], file: IO[bytes], *, compression: str) -> None:
        found.append((table, compression))
        file.write(b"PAR1")

    pyarrow: Any = ModuleType("pyarrow")
    pyarrow.Table = SimpleNamespace(from_pylist=from_pylist)
    pyarrow.parquet = SimpleNamespace(write_table=write_table)
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    config = batch_config(folder, 10)
    config.encoding = BaseBatchFileEncoding("parquet", compression)
    return write(records, config), found


def test_objects_without_keys_are_null_in_parquet_which_has_no_type_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"id": 1, "attrs": {}, "session": {"attrs": {}, "ip": ""}, "orders": [{}, [], 0]}
    _, (((found,), _),) = parquet([record], tmp_path, monkeypatch)
    expected = {"attrs": None, "ip": ""}
    assert found == {"id": 1, "attrs": None, "session": expected, "orders": [None, [], 0]}


@pytest.mark.parametrize(
    ("compression", "codec"), [("gzip", "gzip"), ("none", "none"), (None, "snappy")]
)
def test_parquet_is_packed_within_so_its_name_says_nothing_of_it(
    compression: str | None, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,), ((_, found),) = parquet([{}], tmp_path, monkeypatch, compression=compression)
    assert (path.suffixes[-1], found) == (".parquet", codec)
    assert path.read_bytes() == b"PAR1"


@pytest.mark.parametrize("fail", [NotImplementedError, OverflowError, TypeError, ValueError])
def test_what_parquet_cannot_hold_is_one_sentence_without_values(
    fail: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FatalAPIError) as raised:
        parquet([{"x": 1}, {"x": "+79990000000"}], tmp_path, monkeypatch, fail=fail)
    assert str(raised.value) == (
        f"Stream requests: records cannot be written as Parquet ({fail.__name__}), which has one "
        "type in a column. Check `stream_maps` and the catalog."
    )
    assert not [*tmp_path.iterdir()]
