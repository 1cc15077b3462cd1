"""Hypothesis strategies for what users may ask of a stream: catalogs, maps, flattening, files."""

from __future__ import annotations

from datetime import date
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from sandbox import CallJournal, Journal
from sandbox.journal import vendor_sample
from tests.support.catalogs import (
    ITEMS,
    REMOVED,
    Changes,
    childless,
    objects,
    paths,
    selected_schema,
)
from tests.support.differential import DISCOVERED, Case
from tests.support.meant import fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn, SearchStrategy

    from tests.support.catalogs import Path

Json = dict[str, Any]

DAYS = date(2024, 1, 9), date(2024, 1, 10)


def _requests() -> Journal:
    """Six lifelike requests, the vendor's sample, and one that lacks nearly everything."""
    journal = Journal((101,), *DAYS, per_day=3, seed=18, sample=False)
    journal.add(vendor_sample(101) | {"date": 1704790000123})
    journal.add({"requestId": 8, "date": 1704790000000, "requestNumber": "8"})
    return journal


def _calls() -> CallJournal:
    """Lifelike calls, some with orders, and one that lacks nearly everything."""
    journal = CallJournal((101,), *DAYS, per_day=4, seed=1)
    journal.add({"callId": 8, "timestamp": 1704790000})
    return journal


# What both taps are shown. No case changes it.
REQUESTS, CALLS = _requests(), _calls()
RECORDS = {"requests": REQUESTS.records(), "calls": CALLS.records()}

STRANGE_NAMES = ["UTM source", "my-key", "Дата заявки", "1st", "class", "a.b", "x'y\"z", "self"]
NEW_NAMES = ["phone_hash", "created_at", *STRANGE_NAMES]

METADATA: list[Json] = [
    *[{"selected": False}] * 4,
    {"selected": True},
    {"inclusion": "unsupported"},
    {"selected-by-default": False},
]
TEXT = {"type": ["string", "null"]}
TYPES: list[Any] = [
    {"type": "string"},
    TEXT,
    {"type": ["null", "string"], "maxLength": 5},
    {"type": "integer"},
    {"type": ["integer", "null"]},
    {"type": ["number", "null"]},
    {"type": ["boolean", "null"]},
    {"type": ["string", "integer", "null"]},
    {"type": ["string", "object", "array", "null"]},
    {"type": ["array", "null"]},
    {"type": ["array", "null"], "items": TEXT},
    {"type": ["array", "null"], "items": {"type": ["object", "null"]}},
    {"type": ["object", "null"]},
    {"type": ["object", "null"], "properties": {}},
    {"type": ["object", "null"], "properties": {"city": TEXT, "Дата заявки": TEXT}},
    {"type": ["object", "null"], "additionalProperties": {"type": ["integer", "null"]}},
    {"type": ["object", "null"], "additionalProperties": True},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"anyOf": [{"type": "object"}, {"type": "array"}, {"type": "null"}]},
    {},
    REMOVED,
]
KEY_TYPES: list[Any] = [
    {"type": "string"},
    {"type": "integer"},
    {"type": ["integer", "null"]},
    {"type": "number"},
    {"anyOf": [{"type": "string"}, {"type": "integer"}]},
]
INSTANTS: dict[str, set[Path]] = {
    "requests": {("date",), ("order", "dateCreated"), ("orders", ITEMS, "dateCreated")},
    "calls": {("timestamp",)},
}
INSTANT_TYPES: list[Any] = [
    {"type": "string"},
    {"type": "string", "format": "date-time"},
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
    {"type": "integer"},
    {"type": ["number", "null"]},
]


# Catalogs.


@st.composite
def selections(draw: DrawFn, schema: Json) -> dict[Path, Json]:
    """Select some fields, at any depth, by any of the ways that metadata has."""
    places = [*paths(schema), ("attrs", "utm_id")]
    metadata: dict[Path, Json] = {}
    if draw(st.booleans()):  # as `select` does in Meltano: whatever is not named is deselected
        metadata = {path: {"selected": False} for path in places}
        for path in draw(st.lists(st.sampled_from(places), max_size=12)):
            above = (path[:end] for end in range(1, len(path) + 1))
            metadata |= {part: {"selected": True} for part in above}
    metadata |= childless(schema, draw(st.lists(st.sampled_from(objects(schema)), max_size=3)))
    change = st.sampled_from(METADATA)
    return metadata | draw(st.dictionaries(st.sampled_from(places), change, max_size=6))


def values(value: Any, path: Path) -> Iterator[Any]:
    """Yield what stands at a path of a record."""
    if not path:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from values(item, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from values(value[path[0]], path[1:])


@st.composite
def overridden_schemas(
    draw: DrawFn, stream: str, keys: set[Path], *, must_fit: bool
) -> dict[Path, Any]:
    """Override some schemas, add columns, remove some.

    Args:
        draw: Of Hypothesis.
        stream: The stream.
        keys: The keys, which have types of their own.
        must_fit: Whether each value of the journal must be of its new type. What maps and
            flattening make of a converted value cannot be told without a converter.
    """
    schema, instants = DISCOVERED[stream]["schema"], INSTANTS[stream]
    schemas: dict[Path, Any] = {}
    columns = st.sampled_from([(name,) for name in schema["properties"]])
    for path in draw(st.lists(columns | st.sampled_from([*paths(schema)]), max_size=4)):
        types = KEY_TYPES if path in keys else INSTANT_TYPES if path in instants else TYPES
        type_ = draw(st.sampled_from(types))
        records = RECORDS[stream] if must_fit and type_ != REMOVED else []
        if all(fits(type_, value) for record in records for value in values(record, path)):
            schemas[path] = type_
    new_columns = st.dictionaries(
        st.sampled_from(NEW_NAMES).map(lambda name: (name,)), st.sampled_from(TYPES), max_size=2
    )
    return schemas | draw(new_columns)


@st.composite
def changes(draw: DrawFn, stream: str, kinds: set[str]) -> Changes:
    """Change what the catalog says of a stream: `selection`, `types`, `replication`."""
    discovered = DISCOVERED[stream]
    schema, keys = discovered["schema"], discovered["key_properties"]
    made = Changes()
    if "types" in kinds:
        must_fit = not kinds.isdisjoint({"maps", "flattening"})
        named: set[Path] = {(name,) for name in keys}
        made.schemas.update(draw(overridden_schemas(stream, named, must_fit=must_fit)))
        places = st.sampled_from([(), *objects(schema)])
        keyword = st.builds(lambda value: {"additionalProperties": value}, st.booleans())
        made.keywords.update(draw(st.dictionaries(places, keyword, max_size=2)))
    if "selection" in kinds:
        made.metadata.update(draw(selections(schema)))
    if "replication" in kinds:
        methods = st.sampled_from(["INCREMENTAL", "FULL_TABLE", None])
        columns = st.sampled_from([keys, keys[1:], keys[::-1], []])
        made.entry.update(replication_method=draw(methods), key_properties=draw(columns))
    return made


# Maps.


def operands(schema: Json) -> list[str]:
    """Return expressions for the fields of a record: columns, children, first items of arrays."""
    found = []
    for name, field in schema.get("properties", {}).items():
        column = name if name.isidentifier() and not iskeyword(name) else f"_[{name!r}]"
        found.append(column)
        items = field.get("items", {})
        for place, children in ((column, field), (f"{column}[0]", items)):
            names = children.get("properties", {})
            found += [f"({place}[{child!r}] if {column} else None)" for child in names]
    return found


def expressions(schema: Json) -> SearchStrategy[str]:
    """Return a strategy of what a column may be mapped to."""
    operand = st.sampled_from(operands(schema) or ["None"])
    patterns = st.sampled_from(
        [
            "OPERAND",
            "str(OPERAND)",
            "bool(OPERAND)",
            "json.dumps(OPERAND)",
            "md5(str(OPERAND))",
            "sha256(OPERAND) if OPERAND else None",
            "OPERAND is None",
            "'есть' if OPERAND else 'нет'",
            "config['salt'] + str(OPERAND)",
        ]
    )
    of_operand = st.builds(
        lambda pattern, name: pattern.replace("OPERAND", name), patterns, operand
    )
    constants = st.sampled_from(["'x'", "__stream_name__", "record", "1", "None", "[]", "{}"])
    return st.one_of(of_operand, of_operand, of_operand, constants)


@st.composite
def mappings(draw: DrawFn, schema: Json, keys: list[str]) -> Json:
    """Map some columns of a stream: to expressions, other names, nothing."""
    there = [*schema.get("properties", {})]
    columns = [*there, *NEW_NAMES]
    mapping: Json = draw(st.dictionaries(st.sampled_from(columns), expressions(schema), max_size=5))
    # Mostly columns that there are: a name that matches nothing is refused.
    dropped = st.sampled_from(columns if draw(st.integers(0, 9)) == 0 else there or columns)
    for column in draw(st.lists(dropped, max_size=2)):
        mapping[column] = draw(st.sampled_from([None, "__NULL__"]))
    if draw(st.integers(0, 3)) == 0:
        mapping = {**dict(zip(keys, keys, strict=True)), **mapping}  # else the SDK refuses it
        mapping["__else__"] = draw(st.sampled_from([None, "__NULL__"]))
    if draw(st.integers(0, 3)) == 0:
        operand = draw(st.sampled_from(operands(schema) or ["None"]))
        mapping["__filter__"] = draw(st.sampled_from(["OPERAND", "not OPERAND"])).replace(
            "OPERAND", operand
        )
    if draw(st.integers(0, 2)) == 0:
        new_keys = st.lists(st.sampled_from(columns), max_size=2)
        mapping["__key_properties__"] = draw(st.one_of(st.none(), new_keys))
    return mapping


@st.composite
def stream_maps(draw: DrawFn, schema: Json, stream: str, keys: list[str]) -> Json:
    """Map a stream: to itself, under another name, to several streams, to none."""
    maps: Json = {}
    for name in draw(
        st.lists(st.sampled_from([stream, stream[:3] + "*", "one", "two"]), max_size=3)
    ):
        mapping = draw(mappings(schema, keys))
        if name in {"one", "two"}:
            mapping["__source__"] = stream
        elif draw(st.booleans()):
            mapping["__alias__"] = draw(st.sampled_from(["other", "заявки"]))
        maps[name] = mapping
    if draw(st.integers(0, 5)) == 0:
        maps[draw(st.sampled_from([stream, "__else__"]))] = draw(
            st.sampled_from([None, "__NULL__"])
        )
    return maps


# Settings.


@st.composite
def flattenings(draw: DrawFn) -> Json:
    """Flatten, or not, at some depth and with any separator."""
    separator = st.one_of(
        st.sampled_from(["__", ".", "_", "", "-", " → "]), st.text(min_size=1, max_size=3)
    )
    settings: Json = {
        "flattening_enabled": True,
        "flattening_max_depth": draw(st.integers(0, 3)),
        "flattening_separator": draw(separator),
    }
    if draw(st.integers(0, 5)) == 0:
        settings["flattening_max_key_length"] = draw(st.integers(10, 40))
    return settings


KINDS = ("selection", "types", "replication", "maps", "flattening")
THEMES = ("selection", "types", "maps", "flattening", "files", "everything")


@st.composite
def cases(draw: DrawFn, stream: str, theme: str) -> Case:
    """Return a case of one theme, or one that mixes them all."""
    kinds = draw(st.sets(st.sampled_from(KINDS))) if theme in {"files", "everything"} else {theme}
    made = draw(changes(stream, kinds))
    settings: Json = {}
    if "maps" in kinds:
        catalog = made.catalog(DISCOVERED[stream])
        keys = catalog["streams"][0]["key_properties"]
        maps = stream_maps(selected_schema(catalog, stream), stream, keys)
        settings |= {"stream_maps": draw(maps), "stream_map_config": {"salt": "соль"}}
    if "flattening" in kinds:
        settings |= draw(flattenings())
    batch_size = draw(st.integers(1, 20)) if theme == "files" else None
    return Case(settings, made, stream=stream, batch_size=batch_size)
