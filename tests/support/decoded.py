"""Records as the tap has them between an answer and what goes out: structs."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

from sandbox import CallJournal, Journal
from sandbox.journal import vendor_sample
from tap_calltouch.journal import SCHEMAS
from tap_calltouch.records.decoding import KeyColumns, RecordDecoder
from tap_calltouch.records.drift import Drift
from tap_calltouch.records.structs import shape_of, struct_type
from tap_calltouch.streams import STREAMS

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tap_calltouch.records.structs import Shape

Json = dict[str, Any]

SCHEMA_OF: dict[str, Json] = {stream.name: SCHEMAS.get_schema(stream.name) for stream in STREAMS}
SHAPE_OF: dict[str, Shape] = {name: shape_of(schema, schema) for name, schema in SCHEMA_OF.items()}


def lifelike(stream: str) -> list[Json]:
    """Return records of a journal as the API sends them, objects that are null among them."""
    day = date(2024, 1, 9)
    if stream == "calls":
        return CallJournal((101,), day, day, per_day=30).records()
    records = Journal((101,), day, day, per_day=30, sample=False).records()
    bare = {"siteId": 101, "requestId": 1, "date": 1704790000000}
    return [*records, vendor_sample(101) | {"date": 1704790000123}, bare]


def structs(stream: str, records: list[Json]) -> list[Any]:
    """Return records as the tap decodes and cleans them, in one block."""
    (table,) = [table for table in STREAMS if table.name == stream]
    site, key = map(str, table.primary_keys)
    columns = KeyColumns(site, key, str(table.replication_key))
    decoder = RecordDecoder(SHAPE_OF[stream], columns, table.journal.epoch_unit, Drift())
    array = json.dumps(records, ensure_ascii=False).encode()
    return [record for _, record in decoder.records([array])]


def struct(shape: Shape, record: Json) -> Any:
    """Return a record of any shape that msgspec has a type for."""
    return msgspec.convert(record, struct_type(shape))


def builtins(record: Any) -> Any:
    """Return a record as the SDK has it."""
    return msgspec.to_builtins(record)


TEXT: Json = {"type": ["string", "null"]}
NAMES = st.text("abcАZ_ .9'", max_size=4) | st.sampled_from(["siteId", "utmSource", "a__b", "self"])
LEAVES: SearchStrategy[Json] = st.sampled_from(
    [
        TEXT,
        {"type": "string"},
        {"type": ["integer", "null"]},
        {"type": ["number", "null"]},
        {"type": ["boolean", "null"]},
        {"type": ["array", "null"], "items": TEXT},
        {"type": ["object", "null"]},
        {"type": ["object", "null"], "additionalProperties": {"type": ["integer", "null"]}},
        {"type": ["string", "integer", "array", "object", "null"]},
    ]
)


def objects_of(properties: SearchStrategy[Json], **options: Any) -> SearchStrategy[Json]:
    """Generate schemas of objects."""
    return st.dictionaries(NAMES, properties, max_size=4, **options).map(
        lambda found: {"type": ["object", "null"], "properties": found}
    )


def _containers(inner: SearchStrategy[Json]) -> SearchStrategy[Json]:
    arrays = inner.map(lambda items: {"type": ["array", "null"], "items": items})
    return objects_of(inner) | arrays


#: Schemas of streams.
GENERATED_SCHEMAS = objects_of(st.recursive(LEAVES, _containers, max_leaves=8), min_size=1)
#: Larger ones do not get as far as a struct.
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def values_of(shape: Shape) -> SearchStrategy[Any]:
    """Generate values of a shape, null among them."""
    simple: dict[str, SearchStrategy[Any]] = {
        "string": st.text(max_size=5),
        "boolean": st.booleans(),
        "number": INTEGERS | st.floats(allow_nan=False, allow_infinity=False),
        "integer": INTEGERS,
    }
    anything = st.text(max_size=5) | INTEGERS | st.lists(st.booleans()) | st.just({"a": "б"})
    items = values_of(shape.items) if shape.items else anything
    if shape.kind == "object" and shape.items:
        values: SearchStrategy[Any] = st.dictionaries(st.text(max_size=3), items, max_size=2)
    elif shape.kind == "object":
        values = records_of(shape)
    elif shape.kind == "array":
        values = st.lists(items, max_size=2)
    else:
        values = simple.get(shape.kind, anything)
    return st.none() | values


def records_of(shape: Shape) -> SearchStrategy[Json]:
    """Generate objects of a shape, some without some fields."""
    fields = {name: values_of(field) for name, field in shape.fields.items()}
    return st.fixed_dictionaries({}, optional=fields)
