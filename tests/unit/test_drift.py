"""What differs from the schema is counted and reported once, by name and type, without a value."""

from __future__ import annotations

import json
from logging import INFO, WARNING
from pathlib import Path
from typing import Any

import pytest

from sandbox import CallJournal, Journal
from tap_calltouch.records.drift import Drift

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "client": {
            "type": ["object", "null"],
            "properties": {
                "fio": {"type": "string"},
                "phones": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"number": {"type": "string"}}},
                },
            },
        },
        "attrs": {"type": "object", "additionalProperties": {"type": "string"}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
CONVERTED = "Values converted without loss, since they do not fit the schema: "
FIELDS = "Unknown fields (please report them): "


def unknown(*answers: str) -> dict[str, str]:
    drift = Drift()
    for answer in answers:
        drift.look_for_unknown(answer.encode(), SCHEMA)
    return drift.unknown


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param('{"id": 1}', {}, id="known"),
        pytest.param('{"id": "text"}', {}, id="known, of another type"),
        pytest.param("{}", {}, id="empty"),
        pytest.param('{"poolType": "x"}', {"poolType": "string"}, id="string"),
        pytest.param('{"poolType": 5}', {"poolType": "integer"}, id="integer"),
        pytest.param('{"poolType": 5.5}', {"poolType": "number"}, id="number"),
        pytest.param('{"poolType": true}', {"poolType": "boolean"}, id="boolean"),
        pytest.param('{"poolType": null}', {"poolType": "null"}, id="null"),
        pytest.param('{"poolType": {"a": 1}}', {"poolType": "object"}, id="object"),
        pytest.param('{"poolType": [1]}', {"poolType": "array"}, id="array"),
        pytest.param('{"client": {"age": 5}}', {"client.age": "integer"}, id="in an object"),
        pytest.param(
            '{"client": {"phones": [{"kind": "x"}]}}',
            {"client.phones[].kind": "string"},
            id="in an array",
        ),
        pytest.param('{"client": {"phones": []}}', {}, id="empty array"),
        pytest.param('{"client": null}', {}, id="null for an object"),
        pytest.param('{"client": []}', {}, id="an array for an object"),
        pytest.param('{"client": {"fio": {"first": "x"}}}', {}, id="an object for a text"),
        pytest.param('{"attrs": {"anything": 5}}', {}, id="free-form objects know every name"),
        pytest.param(
            '{"client": "{\\"age\\": 5}"}', {"client.age": "integer"}, id="an object as its text"
        ),
        pytest.param(
            '{"client": {"phones": {"kind": "x"}}}',
            {"client.phones.kind": "string"},
            id="one object where an array of such belongs",
        ),
        pytest.param('{"client": "x"}', {}, id="a text for an object"),
        pytest.param('{"tags": [{"a": 1}]}', {}, id="an object among texts"),
        pytest.param('{"новое поле": "x"}', {"новое поле": "string"}, id="any name"),
        pytest.param('{"x": NaN}', {"x": "number"}, id="NaN"),
    ],
)
def test_unknown_fields_are_known_by_path_and_type(record: str, expected: dict[str, str]) -> None:
    assert unknown(f"[{record}]") == expected


def test_only_the_first_record_of_an_answer_is_looked_at() -> None:
    assert unknown('[{"id": 1}, {"new": 1}]') == {}
    assert unknown('[{"new": 1}, {"newer": 1}]', ' [ {"newest": "x"}]'.strip()) == {
        "new": "integer",
        "newest": "string",
    }
    assert unknown('[{"client": {"phones": [{}, {"kind": "x"}]}}]') == {}  # nor others of an array


def test_a_long_answer_is_looked_at_though_a_character_is_cut_in_two() -> None:
    for blank in ("", " "):
        answer = f'[{{"new": 1}},{blank}"{"я" * 100_000}"]'
        assert unknown(answer) == {"new": "integer"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("[]", id="empty"),
        pytest.param("[ ]", id="blank"),
        pytest.param("[5]", id="no object"),
        pytest.param('[{"new": ', id="cut off"),
        pytest.param("[" + '{"a":' * 100_000, id="nested deeply"),
        pytest.param('[{"id": "' + "x" * 100_000 + '", "new": 1}]', id="a long record"),
    ],
)
def test_answer_without_a_readable_record_says_nothing(answer: str) -> None:
    assert unknown(answer) == {}


@pytest.mark.parametrize("name", ["requests", "calls"])
def test_journal_of_the_sandbox_has_no_unknown_field(name: str) -> None:
    schema = json.loads((ROOT / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    journal = CallJournal if name == "calls" else Journal
    drift = Drift()
    for record in journal(per_day=3).records():
        drift.look_for_unknown(json.dumps([record]).encode(), schema)
    assert drift.unknown == {}


# The report.


def test_without_differences_there_is_nothing_to_report() -> None:
    assert list(Drift().report()) == []


def test_report_has_a_line_for_each_kind_of_difference_and_no_value() -> None:
    drift = Drift()
    drift.changes["converted", "subject"] += 2
    drift.changes["converted", "orders[].sum"] += 30
    drift.changes["removed", "ctClientId"] += 1
    drift.changes["replaced", "subject"] += 1
    drift.look_for_unknown(b'[{"new": "+79990000000", "client": {"age": 5}}]', SCHEMA)
    assert list(drift.report()) == [
        (
            INFO,
            f"{CONVERTED}orders[].sum 30, subject 2",
        ),
        (WARNING, "Values in which was replaced what no database takes: subject 1"),
        (WARNING, "Values removed since they do not fit the schema: ctClientId 1"),
        (WARNING, f"{FIELDS}client.age (integer), new (string)"),
    ]
