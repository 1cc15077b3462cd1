"""What users make of the SDK, one by one: the cases that both taps are run with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.catalogs import REMOVED, Changes, Path, childless
from tests.support.differential import DISCOVERED, Case
from tests.support.generated_cases import INSTANT_TYPES, STRANGE_NAMES

Json = dict[str, Any]

SCHEMA: Json = DISCOVERED["requests"]["schema"]
CALLS: Json = DISCOVERED["calls"]["schema"]

OBJECTS = [("session",), ("client",), ("widgetInfo",), ("order", "session"), ("order",)]
UNION: Json = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
STATE: Json = {
    "bookmarks": {
        "requests": {
            "partitions": [
                {
                    "context": {"siteId": 101},
                    "replication_key": "date",
                    "replication_key_value": "2024-01-20T00:00:00.000+00:00",
                }
            ]
        }
    }
}


def emptied(*paths: Path) -> Changes:
    return Changes(metadata=childless(SCHEMA, paths))


def only_child(path: Path, child: str) -> Changes:
    return Changes(metadata={**childless(SCHEMA, [path]), (*path, child): {"selected": True}})


def schemas(**columns: Any) -> Changes:
    return Changes(schemas={(name,): schema for name, schema in columns.items()})


def hidden(name: str) -> dict[Path, Json]:
    """Deselect a column that discovery says is always there."""
    return {(name,): {"inclusion": "available", "selected": False}}


def entry(**keys: Any) -> Changes:
    return Changes(entry=keys)


SELECTIONS = {
    **{f"no child of {'.'.join(path)}": emptied(path) for path in OBJECTS},
    "no child of any": emptied(*OBJECTS),
    "one child": only_child(("session",), "ip"),
    "one child of a child": only_child(("order", "session"), "city"),
    "a child of what is deselected": Changes(
        metadata={("session",): {"selected": False}, ("session", "ip"): {"selected": True}}
    ),
    "a field of an array's items": Changes(metadata={("orders", "[]", "sum"): {"selected": False}}),
    "a name in a free-form object": Changes(metadata={("attrs", "param1"): {"selected": False}}),
    "unsupported": Changes(metadata={("client",): {"inclusion": "unsupported"}}),
    "not by default": Changes(metadata={("client",): {"selected-by-default": False}}),
    "keys alone": Changes(metadata={(name,): {"selected": False} for name in SCHEMA["properties"]}),
}
MAPS: dict[str, Json] = {
    "a key as a text": {"requests": {"siteId": "str(siteId)"}},
    "the date as a text": {"requests": {"date": "str(date)"}},
    "the date as a day": {
        "requests": {"date": "datetime.date.fromisoformat(date[:10]).isoformat()"}
    },
    "json of an array": {"requests": {"orders": "json.dumps(orders)"}},
    "a text as a boolean": {"requests": {"manager": "bool(manager)"}},
    "a hash instead of a column": {
        "requests": {"subject_hash": "md5(subject) if subject else None", "subject": "__NULL__"}
    },
    "a child instead of an object": {
        "requests": {
            "utm_source": "session['utmSource'] if session else None",
            "session": "__NULL__",
        }
    },
    "the date under another name": {"requests": {"created_at": "date", "date": "__NULL__"}},
    "keys under other names": {
        "requests": {
            "site": "siteId",
            "request": "requestId",
            "siteId": None,
            "requestId": None,
            "__key_properties__": ["site", "request"],
        }
    },
    "no keys": {"requests": {"siteId": None, "__key_properties__": None}},
    "two of one, the first mapped": {
        "one": {"__source__": "requests", "orders": "json.dumps(orders)"},
        "two": {"__source__": "requests"},
    },
    "two of one, the second mapped": {
        "one": {"__source__": "requests"},
        "two": {"__source__": "requests", "orders": "'x'", "client": None},
    },
    "one of one, the stream itself mapped": {
        "requests": {"orders": "__NULL__"},
        "one": {"__source__": "requests"},
    },
    "one of one, not the stream itself": {
        "requests": None,
        "phones": {"__source__": "requests", "client": "client['phones'] if client else []"},
    },
    "an alias": {"requests": {"__alias__": "заявки", "client": None}},
    "a pattern": {"req*": {"client": None}},
    "a pattern for both streams": {"*": {"client": None, "callerNumber": None}},
    "another stream dropped": {"calls": None},
    "two maps of one": {"requests": {"client": None}, "req*": {"manager": None}},
    "a filter": {"requests": {"__filter__": "requestId % 2 == 0 and session is not None"}},
    "a filter that nothing passes": {"requests": {"__filter__": "False"}},
    "only what is named": {
        "requests": {
            "siteId": "siteId",
            "requestId": "requestId",
            "city": "session['city'] if session else None",
            "__else__": None,
        }
    },
    "no other streams": {"requests": {"client": None}, "__else__": None},
    "the record": {"requests": {"all": "record", "again": "_"}},
    "what it was": {"requests": {"manager": "self if self else ''"}},
    "values of other types": {
        "requests": {"manager": "siteId", "session": "[]", "orders": "1.5", "subject": "{}"}
    },
    **{f"a column named {name}": {"requests": {name: "str(requestId)"}} for name in STRANGE_NAMES},
}
SCHEMAS: dict[str, Changes] = {
    **{f"date as {schema}": schemas(date=schema) for schema in INSTANT_TYPES},
    "a nested instant as a text": Changes(
        schemas={("orders", "[]", "dateCreated"): {"type": ["string", "null"]}}
    ),
    "a nested instant as a union": Changes(schemas={("order", "dateCreated"): UNION}),
    "keys as texts": schemas(siteId={"type": "string"}, requestId={"type": "string"}),
    "keys that may be null": schemas(
        siteId={"type": ["integer", "null"]}, requestId={"type": ["integer", "null"]}
    ),
    "a key as a union": schemas(requestId={"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    "a text that must not be null": schemas(manager={"type": "string"}),
    "an object that must not be null": schemas(
        session={"type": "object", "properties": {"ip": {"type": "string"}}}
    ),
    **{
        f"additionalProperties: true in {'.'.join(path) or 'the record'}": Changes(
            keywords={path: {"additionalProperties": True}}
        )
        for path in [(), ("session",), ("attrs",), ("order", "session"), ("orders", "[]")]
    },
    "a text without a type": schemas(manager={}),
    "an array without a type": schemas(comments={}, mapVisits={"description": "visits"}),
    "the date without a type": schemas(date={}),
    "an array of objects of any keys": schemas(
        orders={"type": ["array", "null"], "items": {"type": "object"}}
    ),
    "an object without a type": schemas(session={}),
    "an object as a union": schemas(session={"anyOf": [{"type": "object"}, {"type": "null"}]}),
    "an object of any keys": schemas(session={"type": ["object", "null"]}),
    "an object of no keys": schemas(session={"type": ["object", "null"], "properties": {}}),
    "an object as a text": schemas(session={"type": ["string", "null"]}),
    "an object of any keys, with one that is not selected": Changes(
        schemas={("client",): {"type": ["object", "null"]}},
        metadata={("client", "fio"): {"selected": False}},
    ),
    "an object without a type, with a key that is not selected": Changes(
        schemas={("client",): {}}, metadata={("client", "fio"): {"selected": False}}
    ),
    "a union with an object of some keys": schemas(
        client={"type": ["object", "string", "null"], "properties": {"fio": {"type": "string"}}}
    ),
    "an item of an array as a union, with an object as a text": Changes(
        schemas={
            ("orders", "[]", "session"): {"type": "string"},
            ("orders", "[]"): {"type": ["string", "object", "array", "null"]},
        }
    ),
    "an item of an array whose other fields are integers": Changes(
        schemas={
            ("orders", "[]", "orderId"): {"type": "string"},
            ("orders", "[]"): {
                "type": ["object", "null"],
                "additionalProperties": {"type": ["integer", "null"]},
            },
        }
    ),
    "an instant that an open object does not list": Changes(
        schemas={
            ("orders", "[]"): {
                "type": ["object", "null"],
                "properties": {"orderId": {"type": "string"}},
                "additionalProperties": True,
            }
        }
    ),
    **{
        f"an object of instants as {schema}, with additionalProperties: true": Changes(
            schemas={("order",): schema}, keywords={("order",): {"additionalProperties": True}}
        )
        for schema in ({}, {"type": ["string", "integer", "null"]}, {"type": ["object", "null"]})
    },
    "a free-form object with instants, without what is not selected": Changes(
        schemas={("order",): {"type": ["object", "null"]}},
        metadata={("order", "sum"): {"selected": False}},
    ),
    "an array as a text, with items of another type": schemas(
        orders={"type": "string", "items": {"type": "integer"}}
    ),
    "an object as a text, without what is not selected": Changes(
        schemas={("client",): {"type": "string"}},
        metadata={("client", "fio"): {"selected": False}},
    ),
    "additionalProperties: true beside what is not selected": Changes(
        keywords={(): {"additionalProperties": True}, ("session",): {"additionalProperties": True}},
        metadata={("client",): {"selected": False}, ("session", "ip"): {"selected": False}},
    ),
    "additionalProperties: true beside an array whose items are not selected": Changes(
        keywords={(): {"additionalProperties": True}},
        metadata={("customFields", "[]"): {"selected": False}},
    ),
    "an object without a type, with an array whose items are not selected": Changes(
        schemas={("client",): {}}, metadata={("client", "phones", "[]"): {"selected": False}}
    ),
    "an object of any integers": schemas(
        order={"type": ["object", "null"], "additionalProperties": {"type": ["integer", "null"]}}
    ),
    "an integer as a number": schemas(ctClientId={"type": "number"}),
    "digits as a number": schemas(ctGlobalId={"type": ["number", "null"]}),
    "an array as an object": schemas(orders={"type": ["object", "null"]}),
    "a decimal text as a number": Changes(schemas={("order", "sum"): {"type": ["number", "null"]}}),
    "an array of anything": schemas(orders={"type": ["array", "null"]}),
    "a text as a number": schemas(requestNumber={"type": ["integer", "null"]}),
    "two types": schemas(requestNumber={"type": ["integer", "string", "null"]}),
    "a column that is removed": schemas(client=REMOVED),
    "no site": schemas(siteId=REMOVED),
    "no number": schemas(requestId=REMOVED),
    "no date": schemas(date=REMOVED),
    **{f"a column named {name}": schemas(**{name: {"type": "string"}}) for name in STRANGE_NAMES},
    "a child with a strange name": Changes(
        schemas={("session", "UTM source"): {"type": ["string", "null"]}}
    ),
}
ENTRIES: dict[str, Changes] = {
    "another replication key": Changes(
        entry={"replication_key": "dateStr"},
        metadata={(): {"replication-key": "dateStr"}},
    ),
    "FULL_TABLE": entry(replication_method="FULL_TABLE"),
    "FULL_TABLE in metadata": Changes(
        entry={"replication_method": None},
        metadata={(): {"forced-replication-method": "FULL_TABLE"}},
    ),
    "no date": Changes(metadata=hidden("date")),
    "FULL_TABLE without a date": Changes(
        metadata=hidden("date"), entry={"replication_method": "FULL_TABLE"}
    ),
    "other keys": entry(key_properties=["requestNumber"]),
    "no keys": entry(key_properties=[]),
    "a key that is not selected": Changes(metadata=hidden("siteId")),
    "other keys in metadata": Changes(
        entry={"key_properties": None}, metadata={(): {"table-key-properties": ["requestId"]}}
    ),
}


def mapped(maps: Json) -> Case:
    return Case({"stream_maps": maps, "stream_map_config": {"a": 1}})


def flat(**options: Any) -> Case:
    return Case({"flattening_enabled": True, **options})


_TABLES = {
    "selection": {name: Case({}, changes) for name, changes in SELECTIONS.items()},
    "selection in files": {n: Case({}, changes, batch_size=5) for n, changes in SELECTIONS.items()},
    "map": {name: mapped(maps) for name, maps in MAPS.items()},
    "schema": {name: Case({}, changes) for name, changes in SCHEMAS.items()},
    "entry": {name: Case({}, changes) for name, changes in ENTRIES.items()},
    "entry with a state": {
        name: Case({}, changes, STATE)
        for name, changes in ENTRIES.items()
        # The bookmark of the tap is of its windows, whatever column a catalog names.
        if name != "another replication key"
    },
    "flat": {str(depth): flat(flattening_max_depth=depth) for depth in range(4)},
    "calls": {
        "as they are": Case(stream="calls"),
        "flat": replace(flat(flattening_max_depth=2), stream="calls"),
        "in files": Case(stream="calls", batch_size=5),
        "the instant as a text": replace(
            mapped({"calls": {"timestamp": "str(timestamp)"}}), stream="calls"
        ),
        "keys under other names": replace(
            mapped({"calls": {"id": "callId", "callId": None, "__key_properties__": ["id"]}}),
            stream="calls",
        ),
        "no child of callbackInfo": Case(
            {}, Changes(metadata=childless(CALLS, [("callbackInfo",)])), stream="calls"
        ),
        "twenty digits as a number": Case(
            {}, schemas(yaClientId={"type": ["number", "null"]}), stream="calls"
        ),
    },
    "other": {
        "no catalog": Case({}, None),
        "a state": Case({}, None, STATE),
        "full_table": Case({}, entry(replication_method="full_table")),
        "a dropped column that only the catalog has": Case(
            {"stream_maps": {"requests": {"new": None}}}, schemas(new={"type": "string"})
        ),
        "a dropped column of a catalog that allows any": Case(
            {"stream_maps": {"requests": {"anything": None}}},
            Changes(keywords={(): {"additionalProperties": True}}),
        ),
        "a dropped column that is not selected": Case(
            {"stream_maps": {"requests": {"client": None}}},
            Changes(metadata={("client",): {"selected": False}}),
        ),
        "an empty separator": flat(flattening_max_depth=2, flattening_separator=""),
        "a dot as the separator": flat(flattening_max_depth=2, flattening_separator="."),
        "a flat table without what is not selected": replace(
            flat(flattening_max_depth=2), changes=SELECTIONS["one child of a child"]
        ),
    },
}
HAND_MADE = {
    f"{table}: {name}": case for table, rows in _TABLES.items() for name, case in rows.items()
}


BATCH: Json = {
    "encoding": {"format": "jsonl", "compression": "gzip"},
    "storage": {"root": "file:///nowhere"},
}
PARQUET: Json = {**BATCH, "encoding": {"format": "parquet"}}


def without(name: str) -> Case:
    return Case({"batch_config": {key: value for key, value in BATCH.items() if key != name}})


# What must be refused, and the word that its sentence must hold.
REFUSED: dict[str, tuple[Case, str]] = {
    "LOG_BASED": (Case({}, entry(replication_method="LOG_BASED")), "LOG_BASED"),
    "a property that is null": (Case({}, schemas(manager=None)), "manager"),
    "a property that is true": (Case({}, schemas(manager=True)), "manager"),
    "items that are a text": (
        Case({}, schemas(orders={"type": "array", "items": "object"})),
        "orders",
    ),
    "a child that is null": (
        Case({}, Changes(schemas={("session", "ip"): None})),
        "ip",
    ),
    "a schema of nothing": (Case({}, Changes(schemas={(): {}})), "properties"),
    "a schema without properties": (
        Case({}, Changes(schemas={(): {"type": "object"}})),
        "properties",
    ),
    "properties that are null": (
        Case({}, Changes(schemas={(): {"type": "object", "properties": None}})),
        "properties",
    ),
    "files without an encoding": (without("encoding"), "batch_config|encoding"),
    "files without a storage": (without("storage"), "batch_config|storage"),
    "files of no known format": (
        Case({"batch_config": {**BATCH, "encoding": {"format": "csv"}}}),
        "batch_config|format",
    ),
    "files in no folder": (Case({"batch_config": {**BATCH, "storage": {}}}), "batch_config|root"),
    "Parquet without its library": (Case({"batch_config": PARQUET}), "pyarrow|parquet"),
    "files of two streams": (
        Case({"stream_maps": {"one": {"__source__": "requests"}}}, batch_size=5),
        "BATCH",
    ),
    "no depth": (flat(), "flattening_max_depth"),
    "one name for two columns": (
        Case(
            {"flattening_enabled": True, "flattening_max_depth": 1},
            schemas(session__ip={"type": "string"}),
        ),
        "session__ip",
    ),
    "bad syntax": (mapped({"requests": {"x": "md5("}}), r"md5\("),
    "an empty expression": (mapped({"requests": {"x": ""}}), "requests|x"),
    "bad syntax of a filter": (mapped({"requests": {"__filter__": "a b"}}), "a b"),
    "bad syntax of an alias": (mapped({"requests": {"__alias__": "a b"}}), "a b"),
    "a key that is removed": (mapped({"requests": {"siteId": None}}), "siteId"),
    "a key that does not exist": (
        mapped({"requests": {"__key_properties__": ["nothing"]}}),
        "nothing",
    ),
    "a number as an expression": (mapped({"requests": {"x": 5}}), "requests|x"),
    "a text as a map": (mapped({"requests": "client"}), "client|requests"),
    "a list as a map": (mapped({"requests": ["client"]}), "stream_maps|requests"),
    "another __else__": (mapped({"__else__": "x"}), "__else__"),
    "another __else__ of columns": (mapped({"requests": {"__else__": "x"}}), "__else__"),
    "an unknown option": (mapped({"__all__": None}), "__all__"),
    "an unknown option of a stream": (mapped({"requests": {"__fliter__": "False"}}), "__filter__"),
    "an unknown stream": (mapped({"request": {"client": None}}), "`requests`"),
    "an unknown stream, dropped": (mapped({"request": None}), "`requests`"),
    "an unknown stream as a source": (mapped({"x": {"__source__": "request"}}), "`requests`"),
    "a pattern that matches no stream": (mapped({"reqests*": {"client": None}}), r"reqests\*"),
    "an unknown column, dropped": (mapped({"requests": {"cilent": None}}), "`client`"),
    "an unknown column of a pattern": (mapped({"req*": {"cilent": "__NULL__"}}), "`client`"),
    "a column of the other stream": (mapped({"requests": {"callerNumber": None}}), "callerNumber"),
    "a flattened name without flattening": (mapped({"requests": {"session__ip": None}}), "session"),
    "a flattened name": (
        flat(flattening_max_depth=2, stream_maps={"requests": {"session__ip": None}}),
        "before flattening",
    ),
    "no stream": (mapped({"requests": None}), "nothing to load"),
    "no stream, as a text": (mapped({"requests": "__NULL__"}), "nothing to load"),
    "no stream, by `__else__`": (mapped({"calls": {}, "__else__": None}), "nothing to load"),
    "no stream selected": (
        Case({}, Changes(metadata={(): {"selected": False}})),
        "selects no stream",
    ),
    "calls without sites": (Case({"site_ids": []}, stream="calls"), "`site_ids`"),
    "calls by the number of a request": (
        Case({"request_numbers": ["1"]}, stream="calls"),
        "`request_numbers`",
    ),
}

# What only a record shows ends the run in the same way, after the first call. The expression is
# named where the SDK names it.
ENDED: dict[str, tuple[Case, str]] = {
    "an unknown name": (mapped({"requests": {"x": "nothing"}}), "nothing"),
    "an unknown function": (mapped({"requests": {"x": "exec(manager)"}}), "exec"),
    "a hash of null": (mapped({"requests": {"x": "md5(manager)"}}), "map of stream requests"),
    "a number of a text": (mapped({"requests": {"x": "int(dateStr)"}}), "map of stream requests"),
    "a child of null": (mapped({"one": {"__source__": "requests", "x": "session['ip']"}}), "one"),
}
