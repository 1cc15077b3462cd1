"""Files: JSON lines, CSV and Parquet, loaded by Meltano and read back with DuckDB."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import duckdb
import requests

from sandbox import Journal, Sandbox
from tests.support.meltano_project import (
    CSV,
    JSONL,
    S3,
    SCHEMA,
    Project,
    expected,
    install,
    without_nulls,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.meltano_project import Config, Loader

Rows = dict[tuple[int, int], dict[str, Any]]
SITES = [101, 202]


def load(path: Path, loader: Loader, config: Config, **settings: Any) -> Rows:
    """Load a journal of two sites and return what must have been loaded."""
    journal = Journal(SITES, date(2024, 2, 1), date(2024, 2, 10), per_day=5, sample=False)
    with Sandbox(journal) as sandbox:
        settings = {"site_ids": SITES, "end_date": "2024-02-10", **settings}
        Project(path, sandbox, loader, config, **settings).run()
    return expected(journal)


def read(source: str) -> Rows:
    """Read a table by DuckDB as a journal would have it, flat or not."""
    with duckdb.connect() as connection:
        cursor = connection.execute(f"set timezone = 'UTC'; select * from {source}")
        names = [column[0] for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    rows = {}
    for row in found:
        record: dict[str, Any] = {}
        for name, value in row.items():
            put(record, name.split("__"), value, SCHEMA)
        rows[record["siteId"], record["requestId"]] = without_nulls(record)
    assert len(rows) == len(found)
    return rows


def put(record: dict[str, Any], path: list[str], value: Any, schema: Config) -> None:
    """Put a value of a flat table back to where it came from."""
    field = schema["properties"][path[0]]
    if value is None:
        return
    if len(path) > 1:
        put(record.setdefault(path[0], {}), path[1:], value, field)
    elif isinstance(value, str) and {"object", "array"} & set(field["type"]):
        record[path[0]] = json.loads(value)
    elif isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        record[path[0]] = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    else:
        record[path[0]] = value


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
    rows = load(tmp_path, JSONL, config)
    columns = {name: duckdb_type(field) for name, field in SCHEMA["properties"].items()}
    source = f"read_json('{tmp_path}/requests.jsonl', format = 'nd', columns = {columns})"
    assert read(source) == rows


def test_target_csv_writes_every_field_of_a_flat_table(tmp_path: Path) -> None:
    config = {"destination_path": str(tmp_path), "file_naming_scheme": "{stream_name}.csv"}
    rows = load(tmp_path, CSV, config, flattening_enabled=True, flattening_max_depth=1)
    file = tmp_path / "requests.csv"
    header = file.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")
    columns = {name: duckdb_type(field_at(name.split("__"))) for name in header}
    source = f"read_csv('{file}', header = true, columns = {columns}, allow_quoted_nulls = false)"
    assert without_empty(read(source)) == without_empty(rows)


def field_at(path: list[str]) -> Config:
    field: Config = SCHEMA
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
        rows = load(tmp_path, S3, config, flattening_enabled=True, flattening_max_depth=1)
        listing = ET.fromstring(requests.get(f"{url}/bucket", timeout=10).content)  # noqa: S314
        for number, key in enumerate(listing.iterfind(".//{*}Key")):
            content = requests.get(f"{url}/bucket/{key.text}", timeout=10).content
            (tmp_path / f"{number}.parquet").write_bytes(content)
    # The target cuts times to seconds.
    wanted = {key: row | {"date": f"{row['date'][:19]}.000+00:00"} for key, row in rows.items()}
    assert without_empty(read(f"'{tmp_path}/*.parquet'")) == without_empty(wanted)


@contextmanager
def s3() -> Iterator[str]:
    """Run a server that stands in for S3, with one bucket."""
    command = [str(install(S3) / "venv" / "bin" / "moto_server"), "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stderr)
            url = next(match.group() for match in found if match)
            requests.put(f"{url}/bucket", timeout=10).raise_for_status()
            yield url
        finally:
            process.terminate()
