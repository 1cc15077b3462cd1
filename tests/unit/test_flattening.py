"""A flat record made from a struct is the one that the SDK makes of a dict."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.mapper import SameRecordTransform

from tap_calltouch.output.flattening import Flattener, UnknownColumnError
from tap_calltouch.output.maps import RecordMapper
from tap_calltouch.records.structs import shape_of
from tests.support.decoded import (
    GENERATED_SCHEMAS,
    SCHEMA_OF,
    SHAPE_OF,
    TEXT,
    builtins,
    lifelike,
    records_of,
    struct,
    structs,
)
from tests.support.repetitions import times

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject


Json = dict[str, Any]

PROPERTY = settings(max_examples=times(60, 400))
SEPARATORS = st.sampled_from(["__", "", ".", "_", "Ж"])


def sdk_map(schema: Json, depth: int, separator: str = "__", length: int = 255) -> Any:
    options = FlatteningOptions(
        enabled=True, max_level=depth, separator=separator, max_key_length=length
    )
    return SameRecordTransform("requests", schema, (), options)


def as_the_sdk_has_it(stream_map: Any, record: Any) -> Json:
    """Return the SDK's flat record, without columns that its own schema lacks."""
    columns = stream_map.transformed_schema["properties"]
    flat = stream_map.transform(builtins(record))
    return {name: value for name, value in flat.items() if value is not None or name in columns}


def comparable(record: Any) -> Json:
    """Return a record with each JSON text decoded, marked as one, and with true apart from 1."""
    return {name: _comparable(value) for name, value in builtins(record).items()}


def _comparable(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        with suppress(ValueError):
            return "JSON", json.dumps(json.loads(value), sort_keys=True)
    return type(value), value


@PROPERTY
@given(
    GENERATED_SCHEMAS, st.integers(0, 3), SEPARATORS, st.integers(3, 12) | st.just(255), st.data()
)
def test_any_record_is_flattened_as_the_sdk_does(
    schema: Json, depth: int, separator: str, length: int, data: DataObject
) -> None:
    try:
        stream_map = sdk_map(schema, depth, separator, length)
    except ValueError:  # two columns of one name, which the SDK refuses
        assume(False)  # noqa: FBT003 - hypothesis has it so
    shape = shape_of(schema, {})
    assume(shape.is_typed)
    record = struct(shape, data.draw(records_of(shape)))
    ((stream, flat),) = RecordMapper([stream_map], shape, {})([record])
    assert stream == "requests"
    assert comparable(flat) == comparable(as_the_sdk_has_it(stream_map, record))


@pytest.mark.parametrize("stream", SCHEMA_OF)
def test_lifelike_records_are_flattened_from_structs(stream: str) -> None:
    records = structs(stream, lifelike(stream))
    assert records
    for case in product([1, 2, 3], [("__", 255), ("", 255), (".", 20)]):
        depth, (separator, length) = case
        stream_map = sdk_map(SCHEMA_OF[stream], depth, separator, length)
        flatten = Flattener(SHAPE_OF[stream], stream_map)
        for record in records:
            flat = flatten(record)
            assert comparable(flat) == comparable(as_the_sdk_has_it(stream_map, record)), case
            assert flat.keys() <= stream_map.transformed_schema["properties"].keys(), case


@pytest.mark.parametrize("stream", SCHEMA_OF)
def test_the_sdk_is_not_asked_to_flatten_a_plain_table(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes several times as long."""
    stream_map = sdk_map(SCHEMA_OF[stream], 2)
    mapper = RecordMapper([stream_map], SHAPE_OF[stream], None)
    monkeypatch.setattr(stream_map, "transform", None)
    records = structs(stream, lifelike(stream))
    assert len([*mapper(records)]) == len(records)


def test_an_object_that_is_null_leaves_no_column() -> None:
    flatten = Flattener(SHAPE_OF["requests"], sdk_map(SCHEMA_OF["requests"], 2))
    (bare,) = structs("requests", lifelike("requests")[-1:])
    flat = flatten(bare)
    assert not [name for name in flat if name.startswith("session")]
    assert flat["requestNumber"] is None


def test_json_texts_have_no_escapes_for_cyrillic() -> None:
    flatten = Flattener(SHAPE_OF["requests"], sdk_map(SCHEMA_OF["requests"], 1))
    tags = [{"category": "", "type": "MANUAL", "names": ["Ипотека"]}]
    (record,) = structs("requests", [lifelike("requests")[-1] | {"RequestTags": tags}])
    assert "Ипотека" in flatten(record)["RequestTags"]


def test_records_after_one_whose_object_was_none_are_flattened() -> None:
    first, second, third, *_ = (record for record in lifelike("requests") if record.get("session"))
    second["session"], second["orders"] = "none", [{"session": 5}]
    records = structs("requests", [first, second, third])
    stream_map = sdk_map(SCHEMA_OF["requests"], 2)
    flat = [record for _, record in RecordMapper([stream_map], SHAPE_OF["requests"], {})(records)]
    assert len(flat) == 3
    for record, mine in zip(records, flat, strict=True):
        assert comparable(mine) == comparable(as_the_sdk_has_it(stream_map, record))
    assert flat[2]["session__sessionId"] == third["session"]["sessionId"]


def test_a_cleaned_record_is_flattened_like_those_beside_it() -> None:
    first, second, *_ = lifelike("requests")
    second["session"] |= {"sessionId": "16441053", "city": ["Москва"]}
    second["manager"] = 5
    records = structs("requests", [first, second])
    stream_map = sdk_map(SCHEMA_OF["requests"], 2)
    flat = [record for _, record in RecordMapper([stream_map], SHAPE_OF["requests"], {})(records)]
    for record, mine in zip(records, flat, strict=True):
        assert comparable(mine) == comparable(as_the_sdk_has_it(stream_map, record))
    assert (flat[1]["session__city"], flat[1]["manager"]) == ('["Москва"]', "5")


@pytest.mark.parametrize("value", [["й"], {"a": "й"}, "й", 5, None])
def test_a_value_of_any_type_is_flattened_as_the_sdk_does(value: object) -> None:
    anything = {"type": ["string", "integer", "array", "object", "null"]}
    schema: Json = {"type": "object", "properties": {"a": anything, "b": TEXT, "c": TEXT}}
    stream_map = sdk_map(schema, 2)
    shape = shape_of(schema, {})
    record = struct(shape, {"a": value, "b": "x", "c": "y"})
    flat = Flattener(shape, stream_map)(record)
    assert comparable(flat) == comparable(as_the_sdk_has_it(stream_map, record))


# Where the SDK must do it.


@pytest.mark.parametrize(
    "properties",
    [
        {"a": {"type": ["object", "null"], "properties": {"": TEXT}}},
        {
            "a": {"type": ["object", "null"], "properties": {"b": TEXT}},
            "ab": {"type": ["object", "null"], "properties": {"c": TEXT}},
        },
    ],
    ids=["a child without a name", "another object's column"],
)
def test_an_object_whose_name_is_a_column_is_left_to_the_sdk(properties: Json) -> None:
    schema = {"type": "object", "properties": properties}
    shape = shape_of(schema, {})
    stream_map = sdk_map(schema, 2, separator="")
    with pytest.raises(UnknownColumnError):
        Flattener(shape, stream_map)
    record = struct(
        shape, {name: dict.fromkeys(properties[name]["properties"], "x") for name in properties}
    )
    ((_, flat),) = RecordMapper([stream_map], shape, {})([record])
    assert comparable(flat) == comparable(as_the_sdk_has_it(stream_map, record))


def test_a_column_that_the_flat_schema_lacks_is_left_to_the_sdk() -> None:
    schema: Json = {"type": "object", "properties": {"a": TEXT}}
    other = {"type": "object", "properties": {"a": TEXT, "b": TEXT}}
    with pytest.raises(UnknownColumnError):
        Flattener(shape_of(other, {}), sdk_map(schema, 2))
