"""Other libraries read the output: two parsers of Singer messages, and another JSON Schema."""

from __future__ import annotations

import json
import subprocess
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support.environments import environment
from tests.support.tap import FLAGS, Run, config_for, run_tap

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

CALL_FLAGS = ("with_call_tags", "with_orders", "with_comments", "with_text", "with_callback_info")
# Both are called `singer`, and pin old libraries.
PARSERS = {
    "singer-python": ("", "singer-python==6.8.0"),
    "pipelinewise-singer-python": ("3.12", "pipelinewise-singer-python==3.0.2"),
}
PARSE = """
import json, sys, singer
for line in sys.stdin:
    print(json.dumps(singer.parse_message(line).asdict(), default=float))
"""
VALIDATE = """
import json, sys, jsonschema_rs
validators, records = {}, {}
for message in map(json.loads, sys.stdin):
    stream = message.get("stream")
    if message["type"] == "SCHEMA":
        schema = message["schema"]
        jsonschema_rs.meta.validate({"$schema": sys.argv[1], **schema})
        validators[stream] = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    if message["type"] == "RECORD":
        validators[stream].validate(message["record"])
        records[stream] = records.get(stream, 0) + 1
print(json.dumps(records))
"""
DRAFT = "https://json-schema.org/draft/2020-12/schema"


@pytest.fixture(
    scope="module", params=[{}, {"flattening_enabled": True, "flattening_max_depth": 2}]
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with each record of the sandbox, nested or flat, and with all their parts."""
    journal = Journal((101, 202), date(2024, 1, 1), date(2024, 1, 31), per_day=10)
    everything = dict.fromkeys([*FLAGS, *CALL_FLAGS], True)
    with Sandbox(journal, journal.calls(per_day=10), per_second=100_000) as sandbox:
        config = config_for(
            sandbox, start_date="2019-01-01", window_days=90, **everything, **request.param
        )
        found = run_tap(config, tmp_path_factory.mktemp("run"))
        written = {item["stream"] for item in found.messages if item["type"] == "RECORD"}
        number = sum(len(each.records()) for each in (sandbox.journal, sandbox.call_journal))
    assert found.returncode == 0, found.stderr
    assert written == {"calls", "requests"}
    assert len(found.records) == number
    return found


def read(folder: Path, code: str, text: bytes, *arguments: str) -> list[Json]:
    """Return what a line of Python in another environment makes of messages."""
    process = subprocess.run(
        [folder / "venv" / "bin" / "python", "-c", code, *arguments],
        input=text,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr.decode()
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.mark.parametrize("parser", PARSERS)
def test_parsers_of_others_read_each_message_as_it_is(run: Run, parser: str) -> None:
    python, requirement = PARSERS[parser]
    folder = environment(parser, python, requirement)
    found = read(folder, PARSE, run.stdout)
    assert len(found) == len(run.messages)
    for message, expected in zip(found, run.messages, strict=True):
        times = [each.get("time_extracted") for each in (message, expected)]
        if all(times):  # they write it in another form
            assert (
                len({datetime.fromisoformat(str(time).replace("Z", "+00:00")) for time in times})
                == 1
            )
            message["time_extracted"] = expected["time_extracted"]
        kept = {name: value for name, value in message.items() if value is not None}
        assert kept == {name: value for name, value in expected.items() if name in kept}
        assert expected.keys() - kept.keys() <= {"bookmark_properties"}


def test_another_validator_finds_each_record_valid(run: Run) -> None:
    folder = environment("jsonschema-rs", "", "jsonschema-rs==0.60.3")
    (counted,) = read(folder, VALIDATE, run.stdout, DRAFT)
    assert sum(counted.values()) == len(run.records)
    assert counted.keys() == {"calls", "requests"}


def test_another_validator_would_find_a_record_that_is_not(run: Run) -> None:
    folder = environment("jsonschema-rs", "", "jsonschema-rs==0.60.3")
    lines = [json.dumps(message) for message in run.messages if message["type"] == "SCHEMA"]
    wrong = next(message for message in run.messages if message["type"] == "RECORD")
    for change in ({"siteId": "x"}, {"timestamp": "yesterday", "date": "yesterday"}):
        record = {**wrong, "record": {**wrong["record"], **change}}
        text = "\n".join([*lines, json.dumps(record)]).encode()
        with pytest.raises(AssertionError, match="ValidationError"):
            read(folder, VALIDATE, text, DRAFT)
