"""What a JSON Schema means: shapes of values, whatever a catalog makes of the stream's own."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.singerlib.catalog import SelectionMask

from tap_calltouch.instants import format_epoch_ms, format_instant
from tap_calltouch.records.cleaning import Cleaner
from tap_calltouch.records.structs import ANY, Shape, shape_of, struct_type

if TYPE_CHECKING:
    from collections.abc import Mapping


INSTANT = {"type": ["string", "null"], "format": "date-time"}
OWN = {
    "type": "object",
    "properties": {
        "when": INSTANT,
        "order": {"type": ["object", "null"], "properties": {"created": INSTANT}},
        "orders": {
            "type": "array",
            "items": {"type": ["object", "null"], "properties": {"created": INSTANT}},
        },
        "plain": {"type": ["object", "null"], "properties": {"text": {"type": "string"}}},
    },
}
TEXT, NUMBER, INTEGER, BOOLEAN = (
    Shape("string"),
    Shape("number"),
    Shape("integer"),
    Shape("boolean"),
)
WHEN = Shape("instant")


def record(fields: Mapping[str, Shape], others: Shape | None = None) -> Shape:
    return Shape("object", dict(fields), others)


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        pytest.param({"type": "string"}, TEXT, id="string"),
        pytest.param({"type": ["integer", "null"]}, INTEGER, id="integer or null"),
        pytest.param({"type": ["null", "number"]}, NUMBER, id="null or number"),
        pytest.param({"type": "boolean"}, BOOLEAN, id="boolean"),
        pytest.param({"type": ["string", "integer", "null"]}, ANY, id="two types"),
        pytest.param({"type": "null"}, ANY, id="null"),
        pytest.param({"type": ["null"]}, ANY, id="only null"),
        pytest.param({"type": []}, ANY, id="no types"),
        pytest.param({"type": "date"}, ANY, id="unknown type"),
        pytest.param({}, ANY, id="empty"),
        pytest.param({"anyOf": [{"type": "string"}, {"type": "null"}]}, ANY, id="anyOf"),
        pytest.param({"const": 1}, ANY, id="const"),
        pytest.param({"type": "array"}, Shape("array", items=ANY), id="array of anything"),
        pytest.param(
            {"type": "array", "items": {"type": "string"}}, Shape("array", items=TEXT), id="array"
        ),
        pytest.param({"type": "array", "items": {}}, Shape("array", items=ANY), id="empty items"),
        pytest.param(
            {"type": "object", "properties": {"a": {"type": "string"}}},
            record({"a": TEXT}),
            id="obj",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": True,
            },
            record({"a": TEXT}, ANY),
            id="open object",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": {"type": "string"},
            },
            record({"a": TEXT}, TEXT),
            id="object with others of a type",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": False,
            },
            record({"a": TEXT}),
            id="closed object",
        ),
        pytest.param({"type": "object", "properties": {}}, record({}), id="all deselected"),
        pytest.param({"properties": {"a": {"type": "string"}}}, record({"a": TEXT}), id="no type"),
        pytest.param(
            {"type": ["object", "array"], "properties": {"a": {"type": "string"}}},
            Shape("any", items=record({"a": TEXT})),
            id="an object or an array",
        ),
        pytest.param({"type": "object"}, Shape("object", items=ANY), id="free-form object"),
        pytest.param(
            {"type": "object", "additionalProperties": True},
            Shape("object", items=ANY),
            id="any map",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            Shape("object", items=TEXT),
            id="map of texts",
        ),
    ],
)
def test_shape_of_a_schema_without_instants(schema: Any, shape: Shape) -> None:
    assert shape_of(schema, {}) == shape


@pytest.mark.parametrize(
    ("name", "override", "shape"),
    [
        pytest.param("when", INSTANT, WHEN, id="as it is"),
        pytest.param("when", {"type": "string"}, WHEN, id="text: a timestamp all the same"),
        pytest.param("when", {}, WHEN, id="anything"),
        pytest.param("when", {"anyOf": [INSTANT, {"type": "null"}]}, WHEN, id="anyOf"),
        pytest.param("when", {"type": ["string", "integer"]}, WHEN, id="two types"),
        pytest.param("when", {"type": "integer"}, INTEGER, id="the number as it comes"),
        pytest.param("when", {"type": "number"}, NUMBER, id="as a number"),
        pytest.param("when", {"type": "boolean"}, BOOLEAN, id="as it was asked for"),
        pytest.param(
            "order",
            {},
            replace(record({"created": WHEN}, ANY), is_open=True),
            id="an object as anything keeps its instants",
        ),
        pytest.param(
            "orders",
            {"anyOf": [{"type": "array"}, {"type": "null"}]},
            Shape(
                "array", items=replace(record({"created": WHEN}, ANY), is_open=True), is_open=True
            ),
            id="an array as anything keeps its instants",
        ),
        pytest.param("order", {"type": "object", "properties": {}}, record({}), id="deselected"),
        pytest.param(
            "order",
            {"type": "object", "properties": {"created": {"type": "integer"}}},
            record({"created": INTEGER}),
            id="an inner override",
        ),
        pytest.param(
            "order",
            {"properties": {"sum": {"type": "number"}}},
            record({"sum": NUMBER}),
            id="no type",
        ),
        pytest.param("order", {"type": "string"}, TEXT, id="an object as text"),
        pytest.param(
            "order",
            {"type": "object"},
            record({"created": WHEN}, ANY),
            id="a free-form object keeps its instants",
        ),
        pytest.param(
            "order",
            {"properties": {"sum": {"type": "number"}}, "additionalProperties": True},
            record({"sum": NUMBER, "created": WHEN}, ANY),
            id="an open object keeps its instants",
        ),
        pytest.param(
            "order",
            {
                "properties": {"created": {"type": "integer"}},
                "additionalProperties": True,
            },
            record({"created": INTEGER}, ANY),
            id="an inner override of an open object",
        ),
        pytest.param(
            "order",
            {"additionalProperties": {"type": "integer"}},
            ANY,
            id="an object of integers, or anything else",
        ),
        pytest.param("plain", {"type": "object"}, Shape("object", items=ANY), id="a map"),
        pytest.param(
            "order",
            {"type": ["object", "string"], "properties": {"sum": {"type": "number"}}},
            Shape("any", items=record({"sum": NUMBER})),
            id="an object or a text without what is deselected",
        ),
        pytest.param("plain", {}, ANY, id="an object without instants as anything"),
    ],
)
def test_own_schema_decides_what_is_an_instant_and_the_catalog_what_becomes_of_it(
    name: str, override: Any, shape: Shape
) -> None:
    catalog = {"type": "object", "properties": {name: override}}
    assert shape_of(catalog, OWN) == record({name: shape})


def test_unlisted_fields_keep_their_order() -> None:
    names = [f"field {number}" for number in (3, 9, 1, 7, 0, 8, 2, 6, 5, 4)]
    own = {"properties": dict.fromkeys(names, INSTANT)}
    assert list(shape_of({"type": "object"}, own).fields) == names
    value = dict.fromkeys(names, "a")
    assert list(Cleaner("ms").clean_object(value, record({}, ANY))) == names


def test_msgspec_has_no_type_for_an_array_that_may_be_anything_else() -> None:
    shape = shape_of({}, {"type": "array", "items": INSTANT})
    assert shape == Shape("array", items=WHEN, is_open=True)
    assert not shape.is_typed


def test_the_garbage_collector_does_not_look_at_records() -> None:
    """There are many, and none refers to itself."""
    shape = record({"tags": Shape("array", items=TEXT), "order": record({"sum": NUMBER})})
    decoded = msgspec.json.decode(b'{"tags": ["a"], "order": {"sum": 5}}', type=struct_type(shape))
    assert not gc.is_tracked(decoded)


# Selection.

TREE = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "client": {
            "type": "object",
            "properties": {"fio": {"type": "string"}, "phone": {"type": "string"}},
        },
        "attrs": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def mask(*deselected: str) -> SelectionMask:
    """Return a selection mask with every field but those."""
    return SelectionMask(
        {
            tuple(step for part in name.split(".") for step in ("properties", part)): False
            for name in deselected
        }
    )


@pytest.mark.parametrize(
    ("deselected", "fields"),
    [
        pytest.param([], ["id", "client", "attrs"], id="all selected"),
        pytest.param(["id"], ["client", "attrs"], id="a field"),
        pytest.param(["client", "client.fio", "client.phone"], ["id", "attrs"], id="an object"),
    ],
)
def test_deselected_fields_are_not_in_the_shape(deselected: list[str], fields: list[str]) -> None:
    assert list(shape_of(TREE, {}, mask(*deselected)).fields) == fields


def test_object_whose_fields_are_all_deselected_has_none() -> None:
    shape = shape_of(TREE, TREE, mask("client.fio", "client.phone"))
    assert shape.fields["client"] == record({})


def test_deselected_fields_of_a_free_form_object_are_known_by_their_paths() -> None:
    shape = shape_of(TREE, TREE, mask("attrs.a.b")).fields["attrs"]
    assert shape == Shape("object", items=TEXT, deselected=frozenset({("a", "b")}))


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"type": "object"}, Shape("object", items=ANY)),
        ({}, ANY),
        ({"type": "string"}, TEXT),
        ({"type": "string", "properties": {"a": {"type": "string"}}}, TEXT),
    ],
    ids=["a free-form object", "anything", "an object as a text", "one of known fields as a text"],
)
def test_deselected_fields_that_no_shape_lists_are_known_by_their_paths(
    schema: dict[str, Any], shape: Shape
) -> None:
    catalog = {"type": "object", "properties": {"x": schema}}
    found = shape_of(catalog, {}, mask("x.a", "x.b.c", "y.d")).fields["x"]
    assert found == replace(shape, deselected=frozenset({("a",), ("b", "c")}))


def test_free_form_object_can_be_without_its_instants() -> None:
    catalog = {"type": "object", "properties": {"order": {"type": "object"}}}
    shape = shape_of(catalog, OWN, mask("order.created", "order.sum")).fields["order"]
    assert shape == Shape("object", items=ANY, deselected=frozenset({("created",), ("sum",)}))


def test_free_form_object_can_be_without_the_instants_of_its_objects() -> None:
    order = shape_of({"type": "object"}, OWN, mask("order.created")).fields["order"]
    expected = Shape("object", items=ANY, deselected=frozenset({("created",)}))
    assert order == replace(expected, is_open=True)


@pytest.mark.parametrize("kind", [{}, {"type": ["object", "string"]}, {"type": "object"}])
def test_no_type_of_a_catalog_brings_back_what_is_deselected(kind: dict[str, Any]) -> None:
    """Not even with instants, for which the stream's own schema is looked at."""
    fields = {"phone": {"type": "string"}, "fio": {"type": "string"}, "created": INSTANT}
    own = {"type": "object", "properties": {"order": {"type": "object", "properties": fields}}}
    catalog = {"properties": {"order": {**kind, "properties": {"phone": {"type": "string"}}}}}
    order = shape_of(catalog, own).fields["order"]
    assert (order.items or order).fields == {"phone": TEXT}


# Names.

ODD_NAMES = [
    "UTM source",
    "my-key",
    "Дата заявки",
    "1st",
    "class",
    "f0",
    "__class__",
    "",
    "😀",
    "a.b",
    "$ref",
    "'quoted'",
    "back\\slash",
    '"double"',
    "tab\t",
    "nul\x00",
    "\u2028",
]


def test_field_may_have_any_name() -> None:
    for name in ODD_NAMES:
        shape = record({name: TEXT, "other": record({name: INTEGER})})
        if not shape.is_typed:
            assert set(name) & set('"\\\t\x00'), name  # only these are left to the lenient way
            continue
        expected = {name: "x", "other": {name: 5}}
        body = json.dumps(expected, ensure_ascii=False).encode()
        decoded = msgspec.json.decode(body, type=struct_type(shape))
        assert msgspec.to_builtins(decoded) == expected, name
        assert json.loads(msgspec.json.encode(decoded)) == expected, name


@pytest.mark.parametrize(
    "milliseconds",
    [-62135596800000, -86_400_001, -1, 0, 1, 86_399_999, 951_782_400_000, 253402300799999],
)
def test_epoch_number_is_written_as_its_instant_is(milliseconds: int) -> None:
    instant = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)
    assert format_epoch_ms(milliseconds) == format_instant(instant)


@pytest.mark.parametrize("milliseconds", [-62135596800001, 253402300800000, 10**30, -(10**30)])
def test_epoch_number_outside_the_calendar_is_an_error(milliseconds: int) -> None:
    with pytest.raises(OverflowError):
        format_epoch_ms(milliseconds)
