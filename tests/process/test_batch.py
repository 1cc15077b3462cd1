"""BATCH files hold what RECORD lines would hold."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pytest

from tests.support.streams import STREAMS, last_error
from tests.support.tap import FLAGS, config_for, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streams import Stream
    from tests.support.tap import Run

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
#: What a catalog leaves out.
NOT_SELECTED = {"requests": "properties/session/properties/ip", "calls": "properties/ip"}
NUMBERS = {"requests": "requestNumber", "calls": "callerNumber"}


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


@each_stream
@pytest.mark.parametrize("form", ["plain", "stream map", "flattened"])
def test_files_hold_what_lines_would_hold(stream: Stream, form: str, tmp_path: Path) -> None:
    catalog = stream.catalog
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if "/".join(item["breadcrumb"]) == NOT_SELECTED[entry["tap_stream_id"]]:
                item["metadata"]["selected"] = False
    hashed = {"attrs": None, "phone": f"md5({NUMBERS[stream.name]})", "manager": "__NULL__"}
    settings: dict[str, dict[str, Any]] = {
        "plain": {},
        "stream map": {"stream_maps": {stream.name: hashed}},
        "flattened": {"flattening_enabled": True, "flattening_max_depth": 2},
    }
    with stream.sandbox() as sandbox:
        config = config_for(sandbox, site_ids=[101], **dict.fromkeys(FLAGS, True), **settings[form])
        lines = run_tap(config, tmp_path, catalog=catalog)
        config["batch_config"] = batch_config(tmp_path)
        files = run_tap(config, tmp_path, catalog=catalog)
    assert files.returncode == 0, files.stderr
    assert lines.records
    assert files.records == []
    assert records_in_files(files) == lines.records
    assert files.states[-1] == lines.states[-1]


@each_stream
def test_state_covers_only_files_that_were_announced(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox() as sandbox:
        run = stream.run(sandbox, tmp_path, batch_config=batch_config(tmp_path))
        full = stream.run(sandbox, tmp_path)
    announced = 0
    for message in run.messages:
        if message["type"] == "BATCH":
            announced += 1
        if message["type"] == "STATE" and stream.bookmark(message["value"]):
            assert announced > 0
    assert stream.keys(records_in_files(run)) == stream.keys(full.records)
    kinds = [message["type"] for message in run.messages]
    assert ("STATE", "STATE") not in pairwise(kinds[:-1])  # one for each file


@each_stream
def test_several_streams_of_one_are_refused(stream: Stream, tmp_path: Path) -> None:
    maps = {stream.name: {"attrs": None}, "phones": {"__source__": stream.name}}
    with stream.sandbox() as sandbox:
        config = batch_config(tmp_path)
        run = stream.run(sandbox, tmp_path, batch_config=config, stream_maps=maps)
    assert run.returncode == 1
    assert "BATCH files hold one stream" in last_error(run)


@each_stream
@pytest.mark.parametrize("is_batch", [False, True], ids=["lines", "files"])
def test_value_that_json_cannot_hold_is_one_sentence(
    stream: Stream, tmp_path: Path, *, is_batch: bool
) -> None:
    maps = {stream.name: {"manager": "manager", "half": "'\\ud800' if record else ''"}}
    settings: dict[str, Any] = {"batch_config": batch_config(tmp_path)} if is_batch else {}
    with stream.sandbox() as sandbox:
        run = stream.run(sandbox, tmp_path, stream_maps=maps, **settings)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    error = last_error(run)
    assert error.endswith(
        f"A record of stream {stream.name} cannot be written as JSON (UnicodeEncodeError). "
        "Check `stream_maps`."
    )
    assert run.records == []
    assert all(message["type"] == "SCHEMA" for message in run.messages)  # no half line
