"""Files: JSON lines, CSV and Parquet, loaded through a pipe and read back with DuckDB."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import duckdb
import requests

from sandbox import Journal, Sandbox
from tests.support.meltano_project import (
    CSV,
    JSONL,
    S3,
    SCHEMAS,
    expected,
    install,
    pipe,
    stream_of,
    tap_config,
)
from tests.support.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.meltano_project import Config, Loader, Rows


SITES = [101, 202]


def load(path: Path, loader: Loader, config: Config, **settings: Any) -> dict[str, Rows]:
    """Load journals of two sites and return what must have been loaded, by stream."""
    requests_journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 6), per_day=4, sample=False)
    journals = requests_journal, requests_journal.calls(per_day=4)
    with Sandbox(*journals) as sandbox:
        settings = {"site_ids": SITES, "end_date": "2024-02-06", **settings}
        pipe(path, loader, config, tap_config(sandbox, **settings))
    return {stream_of(journal): expected(journal) for journal in journals}


def read(source: str, stream: str) -> Rows:
    """Read a table by DuckDB as a journal would have it, flat or not."""
    with duckdb.connect() as connection:
        cursor = connection.execute(f"set timezone = 'UTC'; select * from {source}")
        names = [column[0] for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return rows_of(found, stream)


def without_empty(rows: Rows) -> Rows:
    """Drop empty texts, which CSV writes like null, and objects of which nothing is known."""

    def clean(record: dict[str, Any]) -> dict[str, Any]:
        inner = {
            name: clean(value) if isinstance(value, dict) else value
            for name, value in record.items()
        }
        return {name: value for name, value in inner.items() if value not in ("", {})}

    return {key: clean(row) for key, row in rows.items()}


def test_target_jsonl_writes_every_field(tmp_path: Path) -> None:
    config = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    for stream, rows in load(tmp_path, JSONL, config).items():
        fields = SCHEMAS[stream]["properties"].items()
        columns = {name: duckdb_type(field) for name, field in fields}
        source = f"read_json('{tmp_path}/{stream}.jsonl', format = 'nd', columns = {columns})"
        assert read(source, stream) == rows


def test_target_csv_writes_every_field_of_a_flat_table(tmp_path: Path) -> None:
    config = {"destination_path": str(tmp_path), "file_naming_scheme": "{stream_name}.csv"}
    loaded = load(tmp_path, CSV, config, flattening_enabled=True, flattening_max_depth=1)
    for stream, rows in loaded.items():
        found = read(csv(tmp_path / f"{stream}.csv", stream), stream)
        assert without_empty(found) == without_empty(rows)


def csv(file: Path, stream: str) -> str:
    """Return a file of a flat table as a table of DuckDB's."""
    header = file.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")
    columns = {name: duckdb_type(field_at(name.split("__"), stream)) for name in header}
    return f"read_csv('{file}', header = true, columns = {columns}, allow_quoted_nulls = false)"


def field_at(path: list[str], stream: str) -> Config:
    field = SCHEMAS[stream]
    for name in path:
        field = field["properties"][name]
    return field


def duckdb_type(field: Config) -> str:
    """Name the type of a column, as a user who reads the file would."""
    if field.get("format") == "date-time":
        return "TIMESTAMPTZ"
    types = {"integer": "BIGINT", "boolean": "BOOLEAN", "number": "DOUBLE", "string": "VARCHAR"}
    return next((types[kind] for kind in types if kind in field["type"]), "JSON")


def test_target_s3_writes_every_field_of_a_flat_table_as_parquet(tmp_path: Path) -> None:
    with s3() as url:
        place = {
            "aws_access_key_id": "any",
            "aws_secret_access_key": "any",
            "aws_region": "us-east-1",
            "aws_bucket": "bucket",
            "aws_endpoint_override": url,
        }
        config = {
            "format": {"format_type": "parquet"},
            "cloud_provider": {"cloud_provider_type": "aws", "aws": place},
            "prefix": "calltouch",
        }
        loaded = load(tmp_path, S3, config, flattening_enabled=True, flattening_max_depth=1)
        download(url, tmp_path)
    for stream, rows in loaded.items():
        # The target cuts times to seconds.
        instant = {"requests": "date", "calls": "timestamp"}[stream]
        wanted = {
            key: row | {instant: f"{row[instant][:19]}.000+00:00"} for key, row in rows.items()
        }
        found = read(f"'{tmp_path}/bucket/calltouch/{stream}/**/*.parquet'", stream)
        assert without_empty(found) == without_empty(wanted)


def download(url: str, path: Path) -> None:
    """Write the objects of the bucket to files below a folder."""
    listing = ET.fromstring(requests.get(f"{url}/bucket", timeout=60).content)  # noqa: S314
    for key in listing.iterfind(".//{*}Key"):
        file = path / "bucket" / str(key.text)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(requests.get(f"{url}/bucket/{key.text}", timeout=60).content)


@contextmanager
def s3() -> Iterator[str]:
    """Run a server that stands in for S3, with one bucket."""
    command = [str(install(S3) / "venv" / "bin" / "moto_server"), "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stderr)
            url = next(match.group() for match in found if match)
            requests.put(f"{url}/bucket", timeout=60).raise_for_status()
            yield url
        finally:
            process.terminate()
