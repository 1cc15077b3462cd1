"""What the real tap does on purpose where a plain one does not, as functions of records. Pure.

Written from what the tap's documentation promises, not from its code.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

Json = dict[str, Any]

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
WORDS = {"true": True, "false": False, "1": True, "0": False}


ANYTHING: Json = {"type": ["string", "number", "boolean", "object", "array", "null"]}


def type_of(schema: Json) -> str:
    """Return the only type beside null; `any` if there are more, or none."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    return types[0] if len(types) == 1 else "any"


def with_keys_of(schema: Json, value: Any) -> Any:
    """Return a value whose objects have the keys of their schema, in its order, null if absent."""
    if isinstance(value, list) and type_of(schema) == "array":
        return [with_keys_of(schema.get("items", {}), item) for item in value]
    is_object = isinstance(value, dict) and type_of(schema) in {"object", "any"}
    if is_object and "properties" in schema:
        known = schema["properties"]
        others = value if schema.get("additionalProperties") else {}
        return {name: with_keys_of(field, value.get(name)) for name, field in known.items()} | {
            name: item for name, item in others.items() if name not in known
        }
    return value


def with_texts_read(schema: Json, value: Any) -> Any:
    """Read texts that are the JSON of an object or array, where one belongs."""
    kind = type_of(schema)
    if kind in {"object", "array"} and isinstance(value, str):
        wanted = dict if kind == "object" else list
        with suppress(ValueError):
            read = json.loads(value)
            if isinstance(
                read, (dict if type_of(schema.get("items", {})) == "object" else wanted, wanted)
            ):
                value = read
    if kind == "array" and isinstance(value, list):
        return [with_texts_read(schema.get("items", {}), item) for item in value]
    if kind == "array" and isinstance(value, dict):
        return with_texts_read(schema.get("items", {}), value)
    if kind == "object" and isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {name: with_texts_read(fields.get(name, others), v) for name, v in value.items()}
    return value


def cleaned(schema: Json, value: Any) -> Any:
    """Fit a value to its schema: in another type if nothing is lost, null otherwise."""
    kind = type_of(schema)
    if value is None:
        return None
    if kind == "array" and value not in ("", {}) and not isinstance(value, list):
        item = cleaned(schema.get("items", {}), value)
        return None if item is None else [item]
    if kind == "any" and "properties" in schema and isinstance(value, dict):
        kind = "object"  # one of several types, and what the schema says of an object holds
    if kind == "object" and isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {
            clean_text(name): cleaned(fields.get(name, others), item)
            for name, item in value.items()
        }
    if kind == "array" and isinstance(value, list):
        return [cleaned(schema.get("items", {}), item) for item in value]
    return _SCALARS[kind](value) if kind in _SCALARS else None


def clean_text(text: str) -> str:
    """Replace the characters that databases refuse."""
    return UNSTORABLE.sub("\ufffd", text)


def _anything(value: Any) -> Any:
    if isinstance(value, dict):
        return {clean_text(name): _anything(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_anything(item) for item in value]
    return clean_text(value) if isinstance(value, str) else value


def _string(value: Any) -> str:
    if isinstance(value, str):
        return clean_text(value)
    return json.dumps(_anything(value), ensure_ascii=False)


def _integer(value: Any) -> int | None:
    is_fraction = isinstance(value, str) and "." in value
    number = None if is_fraction else _number(value)
    return None if number is None or number != int(number) else int(number)


def _number(value: Any) -> float | None:
    """Return a number; null beyond 64 bits."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value) if "." in value else int(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and abs(value) < 2**63 else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else WORDS.get(str(value).strip().lower())


_SCALARS = {
    "any": _anything,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


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


def takes_instant(schema: Json, path: str) -> bool:
    """Return whether a schema allows a text at a path such as `orders.dateCreated`."""
    for name in path.split("."):
        for container in (schema, schema.get("items", {})):
            if type_of(container) == "string":
                return False  # an object or an array as a text is what the API sent
        schema = schema.get("items", schema)
        others = schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        schema = schema.get("properties", {}).get(name, others)
    return type_of(schema) in {"any", "string"}
