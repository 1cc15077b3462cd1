"""What the real tap does on purpose where a plain one does not: the one table, and a tap of it.

Written from what the tap's documentation promises, not from its code. How a value is converted that
does not fit its schema is not repeated here: `tests/unit/test_records.py` proves that.
"""

from __future__ import annotations

import json
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator
from jsonschema.validators import extend

from tests.reference import ReferenceStream, ReferenceTap
from tests.reference.tap import Calls, Requests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context, Record

Json = dict[str, Any]
# Where something stands in a record: names of properties, and ITEMS for what an array holds.
Place = tuple[str, ...]

ITEMS = "[]"
ANYTHING: Json = {"type": ["string", "number", "boolean", "object", "array", "null"]}

# Each difference that is meant, why it is, and what takes it away before the two are compared.
MEANT = {
    "keys": "An object has each key of its schema, null where the answer lacks it, so that tables "
    "are the same in every run: `with_keys_of`.",
    "values": "A value that is not of the one type of its schema is converted, or null: nothing "
    "that a user of Calltouch typed may stop a load. The plain tap has null there, and of the real "
    "one's value is asked that it fits: `with_values_of`, `blanked`.",
    "instants": "Where a catalog wants a number for an instant it gets what the API sent: "
    "`with_values_of`.",
    "no type": "A schema that names no type is of anything, and so are objects in an array whose "
    "schema lists no properties. A plain tap ends with a traceback when such a value comes: "
    "`with_types`.",
    "dates": "A bookmark moves with windows: no record needs a date, whatever the replication key, "
    "and of bookmarks their names alone are compared: `StreamAsMeant`, `Outcome.bookmarks`.",
    "null objects": "A flat table has no column for an object that is null. The SDK writes one, "
    "which its own SCHEMA lacks: `flat_alike`.",
    "text in flat tables": "What a flat table holds of arrays is JSON text in UTF-8. The SDK's has "
    "escapes for each Cyrillic letter; it is equal as JSON: `flat_alike`.",
    "files": "BATCH files hold what RECORD lines would hold. The SDK's hold records from before "
    "selection and maps, so a plain tap is run without them: `Taps.run_plain`.",
    "empty settings": "An empty text is a setting that is not set, as Meltano has it: "
    "`Taps.run_plain`.",
    "time_extracted": "The instant differs: `Outcome.lines`.",
}

# What the tap refuses although a plain one can do it: a pattern of its sentence, and why.
REFUSALS = {
    "BATCH files hold one stream": "A file is of one stream, and maps make several of this.",
    "is required for BATCH files": "Half a `batch_config` is a mistake. From 0.55 on, a plain tap "
    "ignores one without an encoding, and writes to a temporary folder without a storage.",
    "`stream_maps` names the stream|drops the column|has no option": "A name in `stream_maps` that "
    "matches nothing is a mistake. A plain tap would write what it was meant to change or drop.",
    "There is nothing to load|selects no stream": "A run that can load nothing is a mistake.",
    "LOG_BASED": "There is no log to follow. A plain tap would load everything, each time.",
}


# What fits a schema.


def _type(validator: Any, types: Any, value: Any, schema: Json) -> Iterable[Any]:
    """Take null, which a value becomes that cannot be converted; anything, if types are several."""
    names = {types} if isinstance(types, str) else {*types} - {"null"}
    is_any = value is None or len(names) != 1
    return () if is_any else _VALIDATORS["type"](validator, types, value, schema)


def _others(validator: Any, others: Any, value: Any, schema: Json) -> Iterable[Any]:
    """Leave out `false`: what a schema does not list is dropped."""
    is_schema = isinstance(others, dict)
    check = _VALIDATORS["additionalProperties"]
    return check(validator, others, value, schema) if is_schema else ()


def _nothing(*_: object) -> Iterable[Any]:
    return ()


_VALIDATORS = Draft7Validator.VALIDATORS
_VALIDATOR = extend(  # type: ignore[no-untyped-call]
    Draft7Validator,
    {"type": _type, "additionalProperties": _others, "anyOf": _nothing, "maxLength": _nothing},
)


def fits(schema: Json, value: Any) -> bool:
    """Return whether a value, and what it holds, is null or of the one type that a schema has."""
    return bool(_VALIDATOR(schema).is_valid(value))


def with_values_of(schema: Json, record: Json, sent: Json) -> set[Place]:
    """Put null where a record does not fit its schema, or what the API sent, if that fits.

    Returns:
        The places of these nulls.
    """
    places = set()
    errors = _VALIDATOR(schema).iter_errors(record)
    for error in sorted(errors, key=lambda error: -len(error.absolute_path)):
        *above, name = path = list(error.absolute_path)
        value = reduce(getitem, path, sent) if error.instance is not None else None
        if value == error.instance or not fits(error.schema, value):
            places.add(tuple(ITEMS if isinstance(part, int) else part for part in path))
            value = None
        reduce(getitem, above, record)[name] = value
    return places


def blanked(value: Any, place: Place) -> Any:
    """Return a value with null at a place."""
    if not place:
        return None
    name, *below = place
    if name == ITEMS and isinstance(value, list):
        return [blanked(item, tuple(below)) for item in value]
    if isinstance(value, dict) and name in value:
        return {**value, name: blanked(value[name], tuple(below))}
    return value


def with_keys_of(schema: Json, value: Any) -> Any:
    """Return a value whose objects have the keys of their schema, in its order, null if absent."""
    if isinstance(value, list):
        return [with_keys_of(schema.get("items", {}), item) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        others = value if schema.get("additionalProperties") else {}
        return {name: with_keys_of(field, value.get(name)) for name, field in known.items()} | {
            name: item for name, item in others.items() if name not in known
        }
    return value


def with_types(schema: Json) -> Json:
    """Say of schemas what the SDK cannot guess, which is that they are of anything."""
    schema = dict(schema)
    if "properties" in schema:
        schema["properties"] = {
            name: with_types(field) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        schema["items"] = with_types(schema["items"])
        if "properties" not in schema["items"]:
            schema["items"] |= {"properties": {}, "additionalProperties": True}
    return schema if schema.keys() & {"type", "anyOf", "allOf", "oneOf"} else ANYTHING


def flat_alike(record: Json, columns: Json) -> Json:
    """Return a record of a flat table: JSON texts in one form, no null that is in no SCHEMA."""
    return {k: _as_text(v) for k, v in record.items() if k in columns or v is not None}


def _as_text(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    return value


# The tap.


class StreamAsMeant(ReferenceStream):
    """The plain stream with the differences that are meant.

    Attributes:
        misfits: Where values did not fit the schema.
    """

    misfits: set[Place]

    @property
    def effective_schema(self) -> Json:
        """The catalog's schema, without what the SDK stumbles over."""
        return with_types(super().effective_schema)

    @property
    def is_timestamp_replication_key(self) -> bool:
        """Bookmarks are no records' values, so the SDK need not look for a date."""
        return False

    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        key = str(self.replication_key)
        record = {**latest_record, key: latest_record.get(key) or ""}
        super()._increment_stream_state(record, context=context)

    def post_process(self, row: Record, context: Context | None = None) -> Record | None:
        """Return the record as its schema has it."""
        schema = super().effective_schema
        sent = with_keys_of(schema, {**(context or {}), **deepcopy(row)})
        record = with_keys_of(schema, {**(context or {}), **(super().post_process(row) or {})})
        self.misfits = getattr(self, "misfits", set()) | with_values_of(schema, record, sent)
        return dict(record)


class RequestsAsMeant(StreamAsMeant, Requests):
    """The plain requests."""


class CallsAsMeant(StreamAsMeant, Calls):
    """The plain calls."""


class AsMeant(ReferenceTap):
    """The plain tap with the differences that are meant."""

    journals = (CallsAsMeant, RequestsAsMeant)

    @property
    def misfits(self) -> set[Place]:
        """Where values of any stream did not fit its schema."""
        return {
            place for stream in self.streams.values() for place in getattr(stream, "misfits", ())
        }
