"""What comes out of an answer: clean records that fit the schema, whatever users typed."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sandbox import CallJournal, Journal
from tap_calltouch.instants import format_epoch_ms
from tap_calltouch.lenient import decode_leniently
from tap_calltouch.records import decoding
from tap_calltouch.records.cleaning import Cleaner, UnusableRecordError
from tap_calltouch.records.decoding import KeyColumns, RecordDecoder
from tap_calltouch.records.drift import Drift
from tap_calltouch.records.structs import ANY, Kind, Shape, shape_of, struct_type
from tests.support.blocks import arrays_of
from tests.support.repetitions import times

Record = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS: dict[str, Record] = {
    name: json.loads((ROOT / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("requests", "calls")
}
SCHEMA = SCHEMAS["requests"]
COLUMNS = {
    "requests": KeyColumns("siteId", "requestId", "date"),
    "calls": KeyColumns("siteId", "callId", "timestamp"),
}
UNITS = {"requests": "ms", "calls": "s"}
SAMPLE: Record = json.loads(
    (ROOT / "tests" / "data" / "vendor_sample.json").read_text(encoding="utf-8")
)
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
SITE = 52898
KEYS = '"siteId": 1, "requestId": 2, "date": 0'
EPOCH = "1970-01-01T00:00:00.000+00:00"
STREAMS = pytest.mark.parametrize("stream", ["requests", "calls"])
PROPERTY = settings(max_examples=times(60, 250))


def decoder_for(
    stream: str = "requests",
    catalog: Record | None = None,
    drift: Drift | None = None,
    site: int | None = None,
) -> RecordDecoder:
    """Return a decoder for a stream whose schema a catalog may override."""
    own = SCHEMAS[stream]
    shape = shape_of(catalog or own, own)
    return RecordDecoder(shape, COLUMNS[stream], UNITS[stream], drift or Drift(), site)


def decode(
    body: str | bytes,
    stream: str = "requests",
    catalog: Record | None = None,
    site: int | None = SITE,
) -> tuple[list[Any], Drift]:
    """Return the records of a body, and what had to be changed in them."""
    drift = Drift()
    decoder = decoder_for(stream, catalog, drift, site)
    body = body.encode() if isinstance(body, str) else body
    pairs = list(decoder.records([body]))
    return [msgspec.to_builtins(record) for _, record in pairs], drift


def decode_field(
    path: str, value: str, rest: str = "", stream: str = "requests"
) -> tuple[Any, Drift]:
    """Return what becomes of one field of a record, given as JSON text.

    Args:
        path: Such as `orders[].sum`.
        value: JSON.
        rest: Fields after it.
        stream: Whose record it is.
    """
    names = path.split(".")
    text = value
    for name in reversed(names):
        text = f'{{"{name[:-2]}": [{text}]}}' if name.endswith("[]") else f'{{"{name}": {text}}}'
    keys = KEYS if stream == "requests" else '"siteId": 1, "callId": 2, "timestamp": 0'
    (found,), drift = decode(f"[{{{keys}, {text[1:-1]}{rest}}}]", stream)
    result: Any = found
    for name in names:
        result = result[name[:-2]][0] if name.endswith("[]") else result[name]
    return result, drift


def counts(drift: Drift) -> tuple[Record, Record]:
    """Return how often values were converted and removed, by path; nothing was replaced."""
    converted, replaced, removed = all_counts(drift)
    assert not replaced
    return converted, removed


def all_counts(drift: Drift) -> list[Record]:
    return [
        {path: number for (kind, path), number in drift.changes.items() if kind == verb}
        for verb in ("converted", "replaced", "removed")
    ]


# The vendor's sample.


def test_every_field_of_the_vendors_sample_keeps_its_value() -> None:
    (record,), drift = decode(json.dumps([SAMPLE]))
    created = "2019-04-04T12:57:00.000+00:00"
    expected = json.loads(json.dumps(SAMPLE).replace("1554382620000", f'"{created}"'))
    expected |= {"date": "2019-04-04T12:50:59.240+00:00", "siteId": SITE}
    assert without_nulls(record) == without_nulls(expected)
    assert counts(drift) == ({}, {})


def test_the_vendors_sample_fits_the_schema() -> None:
    (record,), _ = decode(json.dumps([SAMPLE]))
    VALIDATORS["requests"].validate(record)


# Which fields there are.


def test_every_field_of_the_schema_is_there_and_null_where_the_answer_lacks_it() -> None:
    (record,), _ = decode(f"[{{{KEYS}}}]")
    nulls = dict.fromkeys(SCHEMA["properties"])
    assert record == nulls | {"siteId": 1, "requestId": 2, "date": EPOCH}


@pytest.mark.parametrize("value", ["1", '"x"', "{}", '{"a": [1]}', "NaN", '"\\ud800"', "1" * 30])
def test_unknown_fields_are_dropped(value: str) -> None:
    (record,), drift = decode(f'[{{{KEYS}, "news": {value}, "session": {{"news": {value}}}}}]')
    assert ("news" in record, "news" in record["session"]) == (False, False)
    assert counts(drift) == ({}, {})


@pytest.mark.parametrize(
    ("shape", "as_text"),
    [(Shape("object", items=ANY), False), (Shape("object", items=ANY), True), (ANY, False)],
)
def test_what_is_deselected_of_a_free_form_object_is_left_out(
    shape: Shape, *, as_text: bool
) -> None:
    shape = replace(shape, deselected=frozenset({("a",), ("b", "c")}))
    value = {"a": 1, "b": {"a": 2, "c": 3}, "c": {"a": 4, "c": 5}, "d": [{"a": 6}]}
    cleaner = Cleaner("ms")
    cleaned = cleaner.clean(json.dumps(value) if as_text else value, shape, "attrs")
    assert cleaned == {"b": {"a": 2}, "c": {"a": 4, "c": 5}, "d": [{"a": 6}]}
    assert cleaner.take_changes() == ({("converted", "attrs"): 1} if as_text else {})


@pytest.mark.parametrize("kind", ["string", "any"])
@pytest.mark.parametrize("value", ['{"a": 1, "b": 2}', json.dumps('{"a": 1, "b": 2}')])
def test_what_is_deselected_of_an_object_is_not_in_its_text(kind: Kind, value: str) -> None:
    field = Shape(kind, deselected=frozenset({("a",)}))
    shape = Shape("object", {**shape_of(SCHEMA, SCHEMA).fields, "subject": field})
    decoder = RecordDecoder(shape, COLUMNS["requests"], "ms", Drift(), SITE)
    ((_, record),) = decoder.records([f'[{{{KEYS}, "subject": {value}}}]'.encode()])
    found = record["subject"]
    assert (json.loads(found) if kind == "string" else found) == {"b": 2}


@pytest.mark.parametrize("text", ["", "null", "a", "5", '[{"a":1}]'])
def test_other_texts_stay_where_something_is_deselected(text: str) -> None:
    shape = Shape("string", deselected=frozenset({("a",)}))
    assert Cleaner("ms").clean(text, shape, "attrs") == text


@pytest.mark.parametrize("as_text", [False, True])
def test_what_is_deselected_of_one_object_in_place_of_an_array_is_left_out(
    *, as_text: bool
) -> None:
    shape = Shape("array", items=ANY, deselected=frozenset({("a",)}))
    value = {"a": 1, "b": 2}
    cleaned = Cleaner("ms").clean(json.dumps(value) if as_text else value, shape, "attrs")
    assert cleaned == [{"b": 2}]


@pytest.mark.parametrize("value", ["5", '"x"', "true", '[{"a": 1}]'])
def test_a_catalog_may_allow_any_value_where_the_schema_has_an_object(value: str) -> None:
    catalog = {**SCHEMA, "properties": {**SCHEMA["properties"], "order": {}}}
    (record,), drift = decode(f'[{{{KEYS}, "order": {value}}}]', catalog=catalog)
    assert record["order"] == json.loads(value)
    assert counts(drift) == ({}, {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param('[{"dateCreated": 0}]', [{"dateCreated": EPOCH}], id="array"),
        pytest.param('{"dateCreated": 0}', [{"dateCreated": EPOCH}], id="one object"),
        pytest.param("5", [5], id="one value"),
        pytest.param("NaN", None, id="NaN"),
    ],
)
def test_a_catalog_may_allow_any_items_where_the_schema_has_objects(
    value: str, expected: object
) -> None:
    catalog = {**SCHEMA, "properties": {**SCHEMA["properties"], "orders": {"type": "array"}}}
    (record,), _ = decode(f'[{{{KEYS}, "orders": {value}}}]', catalog=catalog)
    assert record["orders"] == expected


# What is put behind a field so that its record is read in one way or the other.
WAYS = {"fast": "", "lenient": ', "x": NaN'}


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        pytest.param("", 52898, id="missing"),
        pytest.param('"siteId": null,', 52898, id="null"),
        pytest.param('"siteId": "somewhere",', 52898, id="unusable"),
        pytest.param('"siteId": 7,', 7, id="another site"),
        pytest.param('"siteId": "7",', 7, id="another site as a text"),
    ],
)
def test_a_record_without_a_site_takes_it_from_its_partition(site: str, expected: int) -> None:
    for way, suffix in WAYS.items():
        (record,), _ = decode(f'[{{{site} "requestId": 2, "date": 0{suffix}}}]')
        assert record["siteId"] == expected, way


@pytest.mark.parametrize(
    ("item", "message"),
    [
        pytest.param('"requestId": 2, "date": 0', "`siteId` (found null)", id="no site"),
        pytest.param('"siteId": 1, "date": 0', "`requestId` (found null)", id="no id"),
        pytest.param('"siteId": 1, "requestId": 2', "`date` (found null)", id="no date"),
        pytest.param(
            '"siteId": 1, "requestId": null, "date": 0', "`requestId` (found null)", id="null id"
        ),
        pytest.param(
            '"siteId": 1, "requestId": "a-1", "date": 0', '`requestId` (found "a-1")', id="text id"
        ),
        pytest.param(
            '"siteId": 1, "requestId": [2], "date": 0',
            "`requestId` (found an array)",
            id="array id",
        ),
        pytest.param(
            '"siteId": 1, "requestId": 9223372036854775808, "date": 0',
            "`requestId` (found 9223372036854775808)",
            id="beyond 64 bits",
        ),
        pytest.param(
            '"siteId": 1, "requestId": 2, "date": "2019-04-04"',
            '`date` (found "2019-04-04")',
            id="a date that is no number",
        ),
        pytest.param(
            '"siteId": 1, "requestId": 2, "date": 0.5',
            "`date` (found 0.5)",
            id="half a millisecond",
        ),
        pytest.param(
            '"siteId": 1, "requestId": 2, "date": 253402300800000',
            "`date` (found 253402300800000)",
            id="the year 10000",
        ),
        pytest.param(
            '"siteId": 1, "requestId": 2, "date": -62135596800001',
            "`date` (found -62135596800001)",
            id="before the year 1",
        ),
        pytest.param(
            '"siteId": 1, "requestId": 2, "date": {"ms": 0}',
            "`date` (found an object)",
            id="object",
        ),
        pytest.param('"siteId": 1, "requestId": 2, "date": NaN', "`date` (found NaN)", id="NaN"),
        pytest.param(
            f'"siteId": 1, "requestId": "{"x" * 1000}", "date": 0',
            f'`requestId` (found "{"x" * 59})',
            id="a long value is cut",
        ),
    ],
)
def test_a_record_without_a_usable_key_or_date_is_an_error(item: str, message: str) -> None:
    with pytest.raises(UnusableRecordError, match=re.escape(f"a record has no usable {message}")):
        decode(f"[{{{item}}}]", site=None)


# Instants.


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        pytest.param(0, EPOCH, id="epoch"),
        pytest.param(1554382259240, "2019-04-04T12:50:59.240+00:00", id="sample"),
        pytest.param(1554382259000, "2019-04-04T12:50:59.000+00:00", id="whole second"),
        pytest.param(1554382259001, "2019-04-04T12:50:59.001+00:00", id="1 ms"),
        pytest.param(-1, "1969-12-31T23:59:59.999+00:00", id="before the epoch"),
        pytest.param(-62135596800000, "0001-01-01T00:00:00.000+00:00", id="the first"),
        pytest.param(253402300799999, "9999-12-31T23:59:59.999+00:00", id="the last"),
        pytest.param(32503680000000, "3000-01-01T00:00:00.000+00:00", id="far future"),
    ],
)
def test_instants_have_one_form(milliseconds: int, text: str) -> None:
    (record,), _ = decode(f'[{{"requestId": 2, "date": {milliseconds}}}]')
    assert record["date"] == text == format_epoch_ms(milliseconds)


def test_instants_are_read_at_every_depth() -> None:
    values = ["1554382259240", '"1554382259240"', "1554382259240.0", "1554382259240e0"]
    for case in product(["date", "orders[].dateCreated", "order.dateCreated"], values):
        found, _ = decode_field(*case)
        assert found == "2019-04-04T12:50:59.240+00:00", case


@pytest.mark.parametrize(
    ("stream", "value", "text"),
    [
        pytest.param("requests", 1554382259240, "2019-04-04T12:50:59.240+00:00", id="ms"),
        pytest.param("calls", 1554382259, "2019-04-04T12:50:59.000+00:00", id="s"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ', "x": NaN'])
def test_instants_are_counted_in_the_unit_of_the_journal(
    stream: str, value: int, text: str, suffix: str
) -> None:
    site, key, instant = COLUMNS[stream]
    (record,), _ = decode(f'[{{"{site}": 1, "{key}": 2, "{instant}": {value}{suffix}}}]', stream)
    assert record[instant] == text


# What the tap itself needs, whatever a catalog says.

OVERRIDES: dict[str, Record] = {
    "site as text": {"siteId": {"type": "string"}},
    "key as text": {"KEY": {"type": ["string", "null"]}},
    "key as number": {"KEY": {"type": "number"}},
    "instant as text": {"INSTANT": {"type": "string"}},
    "instant as integer": {"INSTANT": {"type": "integer"}},
    "instant as number": {"INSTANT": {"type": ["null", "number"]}},
    "instant as anything": {"INSTANT": {}},
    "instant as anyOf": {"INSTANT": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "instant as object": {"INSTANT": {"type": "object", "properties": {}}},
    "instant as array": {"INSTANT": {"type": "array"}},
    "instant as boolean": {"INSTANT": {"type": "boolean"}},
    "all as nothing": {"siteId": {}, "KEY": {}, "INSTANT": {}},
}


# Fields that a catalog leaves, by what is missing.
SELECTIONS = {"no site": "siteId", "no key": "KEY", "no instant": "INSTANT"}
CATALOGS = [*OVERRIDES, *SELECTIONS, "open", "no type", "no fields"]


def catalog_for(stream: str, name: str) -> Record:
    """Return a stream's schema as a catalog changes it."""
    columns, own = COLUMNS[stream], SCHEMAS[stream]["properties"]
    real = {"KEY": columns.key, "INSTANT": columns.instant}
    if name == "no fields":
        return {"type": "object", "properties": {}}
    changed = {real.get(key, key): field for key, field in OVERRIDES.get(name, {}).items()}
    left_out = real.get(SELECTIONS.get(name, ""), SELECTIONS.get(name))
    properties = {key: field for key, field in (own | changed).items() if key != left_out}
    kind = {} if name == "no type" else {"type": "object"}
    return {**kind, "properties": properties, "additionalProperties": name == "open"}


def pairs_of(stream: str, catalog: str, *, site: str, suffix: str = "") -> Any:
    columns = COLUMNS[stream]
    body = f'[{{{site} "{columns.key}": 2, "{columns.instant}": 0{suffix}}}]'
    decoder = decoder_for(stream, catalog_for(stream, catalog), site=7)
    return list(decoder.records([body.encode()]))


@STREAMS
def test_site_key_and_instant_are_known_whatever_the_catalog_says(stream: str) -> None:
    sites = {'"siteId": 1,': 1, "": 7, '"siteId": null,': 7}
    for case in product(CATALOGS, sites, ["", ', "x": NaN']):
        catalog, site, suffix = case
        ((found, record),) = pairs_of(stream, catalog, site=site, suffix=suffix)
        assert found == (sites[site], 2, EPOCH), case
        if catalog in OVERRIDES and sites[site] == 7:  # filled in though a key is changed
            expected = "7" if catalog == "site as text" else 7
            assert msgspec.to_builtins(record)["siteId"] == expected, case


@STREAMS
def test_record_without_a_key_is_an_error_whatever_the_catalog_says(stream: str) -> None:
    columns = COLUMNS[stream]
    array = f'[{{"{columns.instant}": 0}}]'.encode()
    for catalog in CATALOGS:
        decoder = decoder_for(stream, catalog_for(stream, catalog), site=7)
        with pytest.raises(UnusableRecordError) as raised:
            list(decoder.records([array]))
        assert f"no usable `{columns.key}` (found null" in str(raised.value), catalog


def test_values_of_the_tap_itself_are_not_counted_twice() -> None:
    drift = Drift()
    decoder = decoder_for("requests", catalog_for("requests", "no instant"), drift)
    list(decoder.records([b'[{"siteId": "1", "requestId": "2", "date": "0"}]']))
    assert counts(drift) == ({"siteId": 1, "requestId": 1}, {})


@STREAMS
@pytest.mark.parametrize("path", ["additionalTags", "mapVisits[].additionalTags"])
def test_additional_tags_that_are_objects_become_their_text(stream: str, path: str) -> None:
    if path not in SCHEMAS[stream]["properties"] and "[]" not in path:
        path = "session.additionalTags"  # where requests have them
    value = '[{"name": "UTM", "value": 5}, "plain", null]'
    found, drift = decode_field(path, value, stream=stream)
    assert found == ['{"name": "UTM", "value": 5}', "plain", None]
    assert counts(drift) == ({f"{path}[]": 1}, {})


# Values that do not fit.

CONVERTED: list[tuple[str, str, object]] = [
    ("subject", "12", "12"),
    ("subject", "12.5", "12.5"),
    ("subject", "true", "true"),
    ("subject", "false", "false"),
    ("subject", "9" * 30, "9" * 30),
    ("subject", "-0.0", "-0.0"),
    ("ctClientId", '"12"', 12),
    ("ctClientId", '" 12 "', 12),
    ("ctClientId", '"-12"', -12),
    ("ctClientId", "12.0", 12),
    ("ctClientId", "12e2", 1200),
    ("ctClientId", '"9223372036854775807"', 2**63 - 1),
    ("ctClientId", '"-9223372036854775808"', -(2**63)),
    ("order.currentAmount", '"12.5"', 12.5),
    ("order.currentAmount", '"1e3"', 1000.0),
    ("order.currentAmount", '"1E3"', 1000.0),
    ("order.currentAmount", '" -12 "', -12),
    ("order.currentAmount", '"+9007199254740993"', 2**53 + 1),
    ("uniqueRequest", '"true"', True),
    ("uniqueRequest", '" FALSE "', False),
    ("uniqueRequest", "1", True),
    ("uniqueRequest", "0", False),
    ("uniqueRequest", '"0"', False),
    ("orders[].sum", "2800", "2800"),
    ("orders[].session.sessionId", '"5"', 5),
    ("client.phones[].phoneNumber", "79991234567", "79991234567"),
    ("RequestTags[].names[]", "7", "7"),
    ("RequestTags[].names[]", "[]", "[]"),
    ("subject", "[]", "[]"),
    ("subject", '{"а": [1, null, "\\n"]}', '{"а": [1, null, "\\n"]}'),
    (
        "session.additionalTags[]",
        '{"name": "UTM", "value": "x"}',
        '{"name": "UTM", "value": "x"}',
    ),
]


def case(path: str, value: str, *rest: Any) -> Any:
    shown = value if len(value) < 30 else f"{value[:10]}... ({len(value)})"
    return pytest.param(
        path, value, *rest, id=f"{path} {shown}".encode("ascii", "replace").decode()
    )


@pytest.mark.parametrize(("path", "value", "expected"), [case(*row) for row in CONVERTED])
def test_a_value_of_another_type_is_converted_where_nothing_is_lost_and_counted(
    path: str, value: str, expected: object
) -> None:
    found, drift = decode_field(path, value)
    assert (found, type(found)) == (expected, type(expected))
    assert counts(drift) == ({path: 1}, {})


# What stands for an object or an array, and what it is read as. Numbers are counts of `converted`.
NESTED = [
    case("session", '"{}"', {}, 1),
    case("session", '" {\\"city\\": \\"x\\"} "', {"city": "x"}, 1),
    case("session", '"{\\"city\\": 5}"', {"city": "5"}, 2),
    case("session", '""', None, 1),
    case("session", '" "', None, 1),
    case("session", '"null"', None, 1),
    case("session", "[]", None, 1),
    case("session", '"[]"', None, 1),
    case("session.attrs", "[]", None, 1),
    case("session.attrs", '"{\\"a\\": \\"b\\"}"', {"a": "b"}, 1),
    case("orders[].session", '"{\\"city\\": \\"x\\"}"', {"city": "x"}, 1),
    case("order", '"{\\"dateCreated\\": 0}"', {"dateCreated": EPOCH}, 1),
    case("comments", '""', None, 1),
    case("comments", '"null"', None, 1),
    case("comments", "{}", None, 1),
    case("comments", '"[]"', [], 1),
    case("comments", '"[null]"', [None], 1),
    case("comments", '{"comment": "x"}', [{"comment": "x"}], 1),
    case("comments", '"{\\"comment\\": \\"x\\"}"', [{"comment": "x"}], 1),
    case("comments", '"[{\\"comment\\": \\"x\\"}]"', [{"comment": "x"}], 1),
    case("comments[]", '"{\\"comment\\": \\"x\\"}"', {"comment": "x"}, 1),
    case("comments[]", '""', None, 1),
    case("orders", '{"sum": 5}', [{"sum": "5"}], 2),
    case("RequestTags[].names", '""', None, 1),
    case("RequestTags[].names", "{}", None, 1),
    case("RequestTags[].names", '"x"', ["x"], 1),
    case("RequestTags[].names", '" x "', [" x "], 1),
    case("RequestTags[].names", "5", ["5"], 1),
    case("RequestTags[].names", '"[5]"', ["5"], 2),
    case("RequestTags[].names", '"[x"', ["[x"], 1),
    case("RequestTags[].names", '"[\\"x\\", null]"', ["x", None], 1),
    case("session.additionalTags", '{"name": "x"}', ['{"name": "x"}'], 1),
    case("session.additionalTags", '"{\\"name\\": 1}"', ['{"name": 1}'], 1),
    case("session.additionalTags", '"{\\"name\\":1}"', ['{"name":1}'], 1),
]


def without_nulls(value: Any) -> Any:
    """Return a value without what is null in its objects."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("path", "value", "expected", "converted"), NESTED)
def test_what_stands_for_an_object_or_array_is_read_as_one_and_counted(
    path: str, value: str, expected: object, converted: int
) -> None:
    for way, suffix in WAYS.items():
        found, drift = decode_field(path, value, suffix)
        assert without_nulls(found) == expected, way
        once, removed = counts(drift)
        assert (sum(once.values()), once[path]) == (converted, 1), way
        assert not removed, way


ORDER = {"sum": 5, "orderId": "x", "orderNumber": "\x00"}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(json.dumps([ORDER]), id="text of an array"),
        pytest.param(json.dumps(ORDER), id="text of one object"),
        pytest.param(ORDER, id="one object"),
    ],
)
def test_values_within_what_stands_for_an_array_are_counted_by_their_own_path(
    value: object,
) -> None:
    _, drift = decode_field("orders", json.dumps(value))
    assert all_counts(drift) == [
        {"orders": 1, "orders[].sum": 1},
        {"orders[].orderNumber": 1},
        {"orders[].orderId": 1},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        case('{"a": "\\u0000"}', '{"a": "\ufffd"}'),
        case('{"\\u0000": 1}', '{"\ufffd": 1}'),
        case('{"a": [1e999, -Infinity, NaN]}', '{"a": [null, null, null]}'),
        case('["\\ud800"]', '["\ufffd"]'),
    ],
)
def test_what_no_database_takes_is_replaced_within_a_text_of_json_and_counted(
    value: str, expected: str
) -> None:
    found, drift = decode_field("subject", value)
    assert found == expected
    assert all_counts(drift) == [{}, {"subject": 1}, {}]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        case("subject", "[" * 1000 + "]" * 1000),
        case("subject", "NaN"),
        case("subject", "-Infinity"),
        case("ctClientId", '"x"'),
        case("ctClientId", '""'),
        case("ctClientId", '"1_000"'),
        case("ctClientId", '"١٢"'),
        case("ctClientId", "12.5"),
        case("ctClientId", "true"),
        case("ctClientId", "9223372036854775808"),
        case("ctClientId", "-9223372036854775809"),
        case("ctClientId", "9007199254740993.0"),
        case("ctClientId", "1e30"),
        case("ctClientId", '"9223372036854775808"'),
        case("ctClientId", "NaN"),
        case("ctClientId", "1e999"),
        case("ctClientId", '"' + "9" * 5000 + '"'),
        case("order.currentAmount", "NaN"),
        case("order.currentAmount", "Infinity"),
        case("order.currentAmount", "1e999"),
        case("order.currentAmount", "9" * 400),
        case("order.currentAmount", '"1e999"'),
        case("order.currentAmount", '"nan"'),
        case("order.currentAmount", '"١.٥"'),
        case("order.currentAmount", "true"),
        case("order.currentAmount", '"2 800"'),
        case("uniqueRequest", '"yes"'),
        case("uniqueRequest", "2"),
        case("uniqueRequest", "{}"),
        case("order.dateCreated", '"04.04.2019"'),
        case("order.dateCreated", "253402300800000"),
        case("order.dateCreated", "1" + "0" * 30),
        case("orders[].dateCreated", "[]"),
        case("session", '"x"'),
        case("session", "[" * 1000 + "]" * 1000),
        case("comments", '"x"'),
        case("comments", '"[]]"'),
        case("comments", "false"),
        case("comments", "0"),
        case("session", "0"),
        case("session", "false"),
        case("session", '"[1]"'),
        case("session", '"{"'),
        case("session", '"' + "[" * 20_000 + '"'),
        case("session", '[{"city": "x"}]'),
        case("comments[]", "7"),
        case("orders[].session", "[1]"),
    ],
)
def test_a_value_that_cannot_be_converted_becomes_null_and_is_counted(
    path: str, value: str
) -> None:
    found, drift = decode_field(path, value)
    assert found is None
    assert counts(drift) == ({}, {path: 1})


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        case("subject", '""', ""),
        case("subject", '"<не указано>"', "<не указано>"),
        case("subject", '"a\\n\\t\\"b\\\\"', 'a\n\t"b\\'),
        case("subject", '"\\ud83d\\ude00"', "😀"),
        case("subject", '"a\x01\x1fb"', "a\x01\x1fb"),
        case("subject", json.dumps("x" * 3_000_000), "x" * 3_000_000),
        case("ctClientId", "9223372036854775807", 2**63 - 1),
        case("ctClientId", "-9223372036854775808", -(2**63)),
        case("order.currentAmount", "2800", 2800),
        case("order.currentAmount", "-0.5", -0.5),
        case("order.dateCreated", "null", None),
        case("comments", "[]", []),
        case("comments", "[null]", [None]),
        case("orders[]", "null", None),
        case("session.additionalTags", '["a", null]', ["a", None]),
        case("RequestTags[].names", "[null, null]", [None, None]),
        case("attrs", "{}", {}),
        case("attrs", '{"a": "x", "б": null}', {"a": "x", "б": None}),
    ],
)
def test_a_value_that_fits_is_kept(path: str, value: str, expected: object) -> None:
    for way, suffix in WAYS.items():
        found, drift = decode_field(path, value, suffix)
        assert (found, type(found)) == (expected, type(expected)), way
        assert counts(drift) == ({}, {}), way


@pytest.mark.parametrize(
    ("attrs", "expected", "converted", "removed"),
    [
        pytest.param('{"a": 1}', {"a": "1"}, {"attrs": 1}, {}, id="number"),
        pytest.param(
            '{"a": {"b": 1}, "c": [2], "d": "e"}',
            {"a": '{"b": 1}', "c": "[2]", "d": "e"},
            {"attrs": 2},
            {},
            id="nested",
        ),
        pytest.param(
            '{"a": ' * 1000 + "1" + "}" * 1000, {"a": None}, {}, {"attrs": 1}, id="1000 deep"
        ),
    ],
)
def test_free_form_objects_hold_texts(
    attrs: str, expected: Record, converted: Record, removed: Record
) -> None:
    found, drift = decode_field("attrs", attrs)
    assert found == expected
    assert counts(drift) == (converted, removed)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"a\\u0000b", id="escaped NUL"),
        pytest.param(b"a\x00b", id="raw NUL"),
        pytest.param(b"a\\ud800b", id="high surrogate"),
        pytest.param(b"a\\udfffb", id="low surrogate"),
        pytest.param(b"a\xffb", id="invalid UTF-8"),
    ],
)
def test_characters_that_no_database_takes_are_replaced_and_counted(text: bytes) -> None:
    body = b'[{%s, "subject": "%s", "comments": [{"comment": "%s"}]}]' % (KEYS.encode(), text, text)
    (record,), drift = decode(body)
    assert [record["subject"], record["comments"][0]["comment"]] == ["a\ufffdb"] * 2
    assert all_counts(drift) == [{}, {"subject": 1, "comments[].comment": 1}, {}]


def test_what_no_database_takes_does_not_hide_an_array_in_its_text() -> None:
    found, drift = decode_field("RequestTags[].names", json.dumps('["x", "\ud800"]'))
    assert (found[0], {*found[1]}) == ("x", {"\ufffd"})
    assert all_counts(drift) == [
        {"RequestTags[].names": 1},
        {"RequestTags[].names[]": 1},
        {},
    ]


def test_an_escaped_backslash_is_not_a_nul() -> None:
    found, drift = decode_field("subject", '"C:\\\\u0000"')
    assert found == "C:\\u0000"
    assert counts(drift) == ({}, {})


def test_replaced_characters_in_the_names_of_free_form_objects_are_counted() -> None:
    _, drift = decode_field("attrs", '{"a\\u0000": "x"}')
    assert all_counts(drift) == [{}, {"attrs": 1}, {}]


@pytest.mark.parametrize("path", ["ctClientId", "subject", "news"])
def test_a_number_of_5000_digits_does_not_stop_a_load(path: str) -> None:
    records, _ = decode(f'[{{{KEYS}, "{path}": {"9" * 5000}, "x": NaN}}]')
    assert [record["ctClientId"] for record in records] == [None]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param('"a"', '"b"', "b", id="both fit"),
        pytest.param("[]", '"b"', "b", id="the first does not fit"),
        pytest.param('"a"', "null", None, id="the last is null"),
    ],
)
def test_the_last_of_duplicate_keys_wins(first: str, last: str, expected: str | None) -> None:
    (record,), drift = decode(f'[{{{KEYS}, "subject": {first}, "subject": {last}}}]')
    assert record["subject"] == expected
    assert counts(drift) == ({}, {})


def test_changes_are_counted_by_field() -> None:
    orders = '"orders": [{"sum": 1}, {"sum": "1"}, {"orderId": "x"}, {"orderId": "y"}]'
    items = [f'{{{KEYS}, "subject": 1, {orders}}}'] * 3
    _, drift = decode(f"[{','.join(items)}]")
    assert counts(drift) == ({"subject": 3, "orders[].sum": 3}, {"orders[].orderId": 6})


def test_a_change_is_counted_once_though_its_record_is_tried_twice() -> None:
    items = [f'{{{KEYS}, "subject": 5{rest}}}' for rest in ("", ', "ctClientId": "x"')]
    _, drift = decode(f"[{','.join(items)}]")
    assert counts(drift) == ({"subject": 2}, {"ctClientId": 1})


def test_a_record_that_does_not_fit_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lenient = Mock(wraps=decode_leniently)
    monkeypatch.setattr(decoding, "decode_leniently", lenient)
    texts = [f'{{{KEYS}, "ctClientId": {number}}}' for number in ("1", '"x"', "3")]
    records, _ = decode(f"[{','.join(texts)}]")
    assert [record["ctClientId"] for record in records] == [1, None, 3]
    assert lenient.call_count == 1


def test_a_record_that_is_not_quite_json_leaves_the_others_alone() -> None:
    texts = [f'{{{KEYS}, "subject": {subject}}}' for subject in ('"a"', "NaN", '"c"')]
    records, _ = decode(f"[{','.join(texts)}]")
    assert [record["subject"] for record in records] == ["a", None, "c"]


# Items.


@pytest.mark.parametrize(
    "item",
    ["null", "1", '"+79990000000"', "[]", f"{{{KEYS}}}, NaN"],
    ids=["null", "1", "text", "array", "NaN"],
)
def test_an_item_that_is_no_object_is_an_error_which_does_not_quote_it(item: str) -> None:
    with pytest.raises(UnusableRecordError, match=r"^an item of the array is not an object$"):
        decode(f"[{item}]")


@pytest.mark.parametrize("array", ["[]", "[ ]", "[\n]"])
def test_an_empty_array_is_no_records(array: str) -> None:
    assert decode(array)[0] == []


def test_blocks_of_any_size_give_the_same_records() -> None:
    nested = '[{"subject": "},{"}, {"subject": [{}]}]'
    odd = ['"subject": []', '"news": NaN', '"manager": "\\u0000"', f'"news": {nested}']
    items = [f"{{{KEYS}, {field}}}" for field in ['"subject": "a"', *odd, '"orders": [{}, {}]']]
    body = f"[{', '.join(items * 3)}]".encode()
    expected = encode(decode(body)[0])
    assert len(expected) == len(items) * 3
    for size in [*range(1, 201, times(5, 1)), 300, 500, 1000, 10_000]:
        pairs = decoder_for(site=SITE).records(arrays_of(body, size))
        assert encode([record for _, record in pairs]) == expected, f"blocks of {size} bytes"


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        pytest.param(['"subject": []'], 1, id="one field"),
        pytest.param(['"subject": [], "manager": "\\u0000"'], 1, id="beside a NUL"),
        pytest.param(['"subject": []', '"ctClientId": "x"'], 2, id="two, in turn"),
    ],
)
def test_a_field_that_fits_nowhere_is_compiled_for_once(
    monkeypatch: pytest.MonkeyPatch, fields: list[str], number: int
) -> None:
    """Else each record would take a thousand times as long."""
    decoder = decoder_for(site=SITE)
    compiled = Mock(wraps=struct_type)
    monkeypatch.setattr(decoding, "struct_type", compiled)
    items = [f"{{{KEYS}, {field}}}" for field in fields] * 20
    array = f"[{','.join(items)}]".encode()
    assert len([*decoder.records([array, array])]) == len(items) * 2
    assert compiled.call_count == number


@pytest.mark.parametrize(
    ("field", "path"),
    [
        pytest.param('"subject": 5', "subject", id="converted"),
        pytest.param('"ctClientId": "x"', "ctClientId", id="removed"),
        pytest.param('"requestId": "2"', "requestId", id="a key"),
        pytest.param('"order": {"currentAmount": "5"}', "order.currentAmount", id="in an object"),
        pytest.param('"orders": [{"sum": 5}]', "orders[].sum", id="in an array"),
        pytest.param('"session": "{\\"city\\": \\"x\\"}"', "session", id="an object"),
        pytest.param('"comments": {"comment": "x"}', "comments", id="an array"),
    ],
)
def test_fields_that_drifted_before_are_decoded_with_their_block(
    monkeypatch: pytest.MonkeyPatch, field: str, path: str
) -> None:
    drift = Drift()
    decoder = decoder_for(site=SITE, drift=drift)
    item = f"{{{KEYS}, {field}}}"
    array = f"[{', '.join([item] * 20)}]".encode()
    before = [record for _, record in decoder.records([array])]
    monkeypatch.setattr(RecordDecoder, "_decode_singly", None)
    records = [record for _, record in decoder.records([array])]
    assert encode(records) == encode(before)
    assert {name: number for (_, name), number in drift.changes.items()} == {path: 40}
    values = msgspec.structs.astuple(records[0])
    nested = [value[0] if isinstance(value, list) else value for value in values]
    assert not [value for value in nested if isinstance(value, dict)]  # flattening wants structs


def test_records_that_do_not_say_their_site_are_decoded_with_their_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RecordDecoder, "_decode_singly", None)
    records, _ = decode('[{"requestId": 2, "date": 0}, {"requestId": 3, "date": 0}]')
    assert [record["siteId"] for record in records] == [SITE, SITE]


def test_keys_that_are_as_the_schema_has_them_are_not_decoded_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "KeyDecoder", None)
    fields = {name: SCHEMA["properties"][name] for name in COLUMNS["requests"]}
    decoder = decoder_for(catalog={"type": "object", "properties": fields})
    ((key, _),) = decoder.records([f"[{{{KEYS}}}]".encode()])
    assert key == (1, 2, EPOCH)


# Every way to decode.


def encode(records: list[Any]) -> list[bytes]:
    return [msgspec.json.encode(record, order="sorted") for record in records]


JOURNALS = {
    "requests": lambda: Journal(per_day=3).records(),
    "calls": lambda: CallJournal(per_day=3).records(),
}


@STREAMS
def test_whole_journal_of_the_sandbox_is_the_same_by_every_way(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = JOURNALS[stream]()
    with monkeypatch.context() as patch:
        patch.setattr(RecordDecoder, "_fit", None)  # all of it fits, in blocks
        expected, drift = decode(json.dumps(journal), stream)
    assert len(expected) == len(journal) > 300
    assert counts(drift) == ({}, {})

    decoder = decoder_for(stream, site=SITE)
    decode_array = decoder._decode_array  # noqa: SLF001 - blocks of more than one record fail

    def decode_one(array: bytes) -> list[Any]:
        records = decode_array(array)
        if len(records) > 1:
            raise msgspec.DecodeError
        return records

    monkeypatch.setattr(decoder, "_decode_array", decode_one)
    by_record = [record for _, record in decoder.records([json.dumps(journal).encode()])]
    assert encode(by_record) == encode(expected)

    # One value that does not fit, in a field that is not looked at.
    unfitting: Record
    for unfitting in ({"news": math.nan}, {"manager": {"x": "\x00"}}, {"manager": []}):
        found, _ = decode(json.dumps([record | unfitting for record in journal]), stream)
        for record, before in zip(found, journal, strict=True):
            record["manager"] = before["manager"]
        assert encode(found) == encode(expected)


@STREAMS
def test_catalog_that_msgspec_has_no_type_for_gives_the_same_journal(stream: str) -> None:
    journal = JOURNALS[stream]()
    expected, _ = decode(json.dumps(journal), stream)
    open_schema = {**SCHEMAS[stream], "additionalProperties": True}
    found, drift = decode(json.dumps(journal), stream, open_schema)
    assert encode(found) == encode(expected)
    assert counts(drift) == ({}, {})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(json.dumps(SAMPLE)[1:-1], id="sample"),
        pytest.param(KEYS, id="keys only"),
        pytest.param(f'{KEYS}, "comments": [null], "attrs": {{"a": null}}', id="nulls"),
        pytest.param(f'{KEYS}, "order": {{"currentAmount": 2800}}', id="a whole number"),
    ],
)
def test_record_that_fits_is_the_same_by_the_lenient_way(fields: str) -> None:
    fast, _ = decode(f"[{{{fields}}}]")
    lenient, drift = decode(f'[{{{fields}, "news": NaN}}]')
    assert encode(fast) == encode(lenient)
    assert counts(drift) == ({}, {})


# Properties.


def places(schema: Record, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every value that a record may hold, first items of arrays included."""
    found = [path] if path else []
    for name, field in schema.get("properties", {}).items():
        found += places(field, (*path, name))
    if "items" in schema:
        found += places(schema["items"], (*path, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        found += places(schema["additionalProperties"], (*path, "any name"))
    return found


PLACES = [(stream, path) for stream, schema in SCHEMAS.items() for path in places(schema)]
Place = tuple[str, tuple[str | int, ...]]


def put(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return the value wrapped in the objects and arrays of its path."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [value]
    return value


def record_with(value: Any, place: Place) -> Record:
    stream, path = place
    keys: Record = dict(zip(COLUMNS[stream], (1, 2, 0), strict=True))
    keys |= put(value, path)
    return keys


NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats()
TEXTS = (
    st.text(st.characters(exclude_categories=[]), max_size=8)
    | NUMBERS.map(str)
    | st.sampled_from(["true", "0", "", "null", "1554382259240", "\x00", "[]", '[{"a": 1}]'])
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def write(*records: Record, ascii_only: bool) -> bytes:
    return json.dumps(records, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


def instants(value: Any, schema: Record) -> list[Any]:
    """Return the values that a schema says are instants."""
    if schema.get("format") == "date-time":
        return [] if value is None else [value]
    inner: list[tuple[Any, Record]] = []
    if isinstance(value, dict):
        inner = [(value[name], field) for name, field in schema.get("properties", {}).items()]
    if isinstance(value, list):
        inner = [(item, schema.get("items", {})) for item in value]
    return [instant for item, field in inner for instant in instants(item, field)]


@PROPERTY
@given(st.sampled_from(PLACES), ANY_JSON, st.booleans())
def test_any_value_in_any_field_gives_a_record_that_fits_the_schema(
    place: Place,
    value: object,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    stream, path = place
    body = write(record_with(value, place), ascii_only=ascii_only)
    try:
        (record,), _ = decode(body, stream, site=None)
    except UnusableRecordError:
        assert path[0] in COLUMNS[stream]
        return
    written = msgspec.json.decode(msgspec.json.encode(record))
    VALIDATORS[stream].validate(written)
    assert all(TIMESTAMP.fullmatch(instant) for instant in instants(written, SCHEMAS[stream]))


@PROPERTY
@given(st.sampled_from(PLACES), ANY_JSON, st.booleans())
def test_any_value_in_any_field_gives_the_same_by_every_way(
    place: Place,
    value: object,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    record = record_with(value, place)
    ways = [
        [record],
        [record, record],  # the first makes this field one that drifts
        [record | {"manager": []}, record],
        [record | {"news": math.nan}],
    ]

    def last_of(records: list[Record]) -> object:
        try:
            found, _ = decode(write(*records, ascii_only=ascii_only), place[0], site=None)
        except UnusableRecordError as error:
            return str(error)
        return encode(found)[-1]

    assert len({last_of(records) for records in ways}) == 1


@PROPERTY
@given(st.sampled_from(PLACES), ANY_JSON, st.integers(1, 6), st.integers(1, 300))
def test_any_value_in_any_field_is_counted_once_for_each_record(
    place: Place, value: object, number: int, size: int
) -> None:
    """However often blocks and records are tried before they are decoded."""
    record = record_with(value, place)
    counted = []
    for records in ([record], [record] * number):
        drift = Drift()
        decoder = decoder_for(place[0], drift=drift, site=1)
        arrays = arrays_of(write(*records, ascii_only=True), size)
        try:
            assert len(list(decoder.records(arrays))) == len(records)
        except UnusableRecordError:
            return
        counted.append(drift)
    once, often = counted
    assert all_counts(often) == [
        {path: count * number for path, count in kind.items()} for kind in all_counts(once)
    ]
