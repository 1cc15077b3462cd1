"""BATCH files hold what RECORD lines would hold."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pytest

from tests.support.tap import FLAGS, config_for, keys, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox
    from tests.support.tap import Run

HASHED = {"requests": {"client": None, "phone": "md5(requestNumber)", "manager": "__NULL__"}}


def batch_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "batch_size": 20,
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri(), "prefix": "batch-"},
    }


def records_in_files(run: Run) -> list[dict[str, Any]]:
    records = []
    for message in run.messages:
        if message["type"] == "BATCH":
            for url in message["manifest"]:
                with gzip.open(urlparse(url).path) as file:
                    records += [json.loads(line) for line in file]
    return records


@pytest.mark.parametrize(
    "settings",
    [{}, {"stream_maps": HASHED}, {"flattening_enabled": True, "flattening_max_depth": 2}],
    ids=["plain", "stream map", "flattened"],
)
def test_files_hold_what_lines_would_hold(
    sandbox: Sandbox, tmp_path: Path, settings: dict[str, Any]
) -> None:
    catalog = json.loads(run_tap({}, tmp_path, arguments=["--discover"]).stdout)
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] in (["properties", "session", "properties", "ip"], []):
            entry["metadata"]["selected"] = not entry["breadcrumb"]
    config = config_for(sandbox, **dict.fromkeys(FLAGS, True), **settings)
    lines = run_tap(config, tmp_path, catalog=catalog)
    files = run_tap(config | {"batch_config": batch_config(tmp_path)}, tmp_path, catalog=catalog)
    assert files.returncode == 0, files.stderr
    assert lines.records
    assert files.records == []
    assert records_in_files(files) == lines.records
    assert files.states[-1] == lines.states[-1]


def test_state_covers_only_files_that_were_announced(sandbox: Sandbox, tmp_path: Path) -> None:
    run = run_tap(config_for(sandbox, batch_config=batch_config(tmp_path)), tmp_path)
    announced = 0
    for message in run.messages:
        if message["type"] == "BATCH":
            announced += 1
        if message["type"] == "STATE" and "replication_key_value" in json.dumps(message):
            assert announced > 0
    full = run_tap(config_for(sandbox), tmp_path)
    assert keys(records_in_files(run)) == keys(full.records)


def test_several_streams_of_one_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    maps = {"requests": {"client": None}, "phones": {"__source__": "requests"}}
    config = config_for(sandbox, batch_config=batch_config(tmp_path), stream_maps=maps)
    run = run_tap(config, tmp_path)
    assert run.returncode == 1
    assert "BATCH files can hold one stream" in run.stderr.splitlines()[-1]
