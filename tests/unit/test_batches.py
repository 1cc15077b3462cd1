"""Files of BATCH messages hold what RECORD lines would hold, and are no larger than the SDK's."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import pytest
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.helpers._batch import BatchConfig

from tap_calltouch.output.batches import write_files
from tests.support.decoded import SCHEMA_OF, builtins, lifelike, structs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


def test_a_file_is_announced_only_when_it_is_whole(tmp_path: Path) -> None:
    records = structs("requests", lifelike("requests"))[:5]
    manifests = write_files(iter(records), batch_config(tmp_path, 2), "tap-calltouch", "requests")
    first = path_of(next(manifests)[0])
    assert len(read(first)) == 2
    assert [*tmp_path.iterdir()] == [first]


def test_names_begin_with_prefix_tap_and_stream_and_differ_between_windows(tmp_path: Path) -> None:
    config = batch_config(tmp_path, 2, prefix="leads-")
    records = structs("calls", lifelike("calls"))[:3]
    names = [path.name for path in (*write(records, config, "calls"), *write(records, config))]
    assert len({*names}) == 4
    assert [name[:25] for name in names[:2]] == ["leads-tap-calltouch--call"] * 2
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


# Parquet, which the SDK writes.


def parquet(
    records: list[Json], folder: Path, monkeypatch: pytest.MonkeyPatch, *, fail: bool
) -> Any:
    """Return what the SDK gets to write as Parquet, whose library need not be installed."""

    class Recorder:
        def __init__(self, *_: object) -> None:
            pass

        def get_batches(self, rows: Iterable[Json]) -> Iterator[list[Json]]:
            yield [*rows]
            if fail:
                msg = "Could not convert '+79990000000' with type str"
                raise ValueError(msg)

    monkeypatch.setattr("tap_calltouch.output.batches.Batcher", Recorder)
    config = batch_config(folder, 10)
    config.encoding.format = "parquet"
    return [*write_files(iter(records), config, "tap-calltouch", "requests")]


def test_objects_without_keys_are_null_in_parquet_which_has_no_type_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"id": 1, "attrs": {}, "session": {"attrs": {}, "ip": ""}, "orders": [{}, [], 0]}
    ((found,),) = parquet([record], tmp_path, monkeypatch, fail=False)
    expected = {"attrs": None, "ip": ""}
    assert found == {"id": 1, "attrs": None, "session": expected, "orders": [None, [], 0]}


def test_what_parquet_cannot_hold_is_one_sentence_without_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FatalAPIError) as raised:
        parquet([{"x": 1}, {"x": "+79990000000"}], tmp_path, monkeypatch, fail=True)
    assert str(raised.value) == (
        "Stream requests: records cannot be written as Parquet (ValueError), which has one type "
        "in a column. Check `stream_maps` and the catalog."
    )
