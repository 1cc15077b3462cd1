"""What in answers differs from the schema: counted during a run, reported once at its end. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from logging import INFO, WARNING
from typing import TYPE_CHECKING, Any

from tap_calltouch.records.cleaning import Changes, read_nested
from tap_calltouch.redaction import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_BYTES = 1 << 16
_decode_first = json.JSONDecoder().raw_decode
# What became of values: how that is reported, and how important it is.
_REPORTS = {
    "converted": (INFO, "Values converted without loss, since they do not fit the schema"),
    "replaced": (WARNING, "Values in which was replaced what no database takes"),
    "removed": (WARNING, "Values removed since they do not fit the schema"),
}
_TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


@dataclass
class Drift:
    """Differences by field path, such as `orders[].sum`.

    Attributes:
        changes: How many values were changed, by what became of them and by path: `converted`
            are values of another type of which nothing was lost, `replaced` those in which
            something was that cannot be stored, `removed` those that became null.
        unknown: The JSON type of fields that the schema does not have.
    """

    changes: Changes = field(default_factory=Counter)
    unknown: dict[str, str] = field(default_factory=dict)

    def look_for_unknown(self, array: bytes, schema: dict[str, Any]) -> None:
        """Compare the fields of the first record of an answer with the stream's schema.

        Args:
            array: A JSON array that begins with the record.
            schema: JSON Schema of a record.
        """
        text = array[:_FIRST_BYTES].decode(errors="replace")[1:].lstrip()
        try:
            record, _ = _decode_first(text)
        except (ValueError, RecursionError):
            return  # cut off, empty or broken; the decoder says so if it matters
        self.unknown |= dict(_unknown_fields(record, schema))

    def report(self) -> Iterator[tuple[int, str]]:
        """Yield a line, with its level, for each kind of difference. No line holds a value."""
        counts = self.changes.most_common()
        for verb, (level, text) in _REPORTS.items():
            listed = ", ".join(
                f"{path} {number}" for (kind, path), number in counts if kind == verb
            )
            if listed:
                yield level, f"{text}: {listed}"
        if self.unknown:
            fields = sorted((plain_name(name), kind) for name, kind in self.unknown.items())
            listed = ", ".join(dict.fromkeys(f"{name} ({kind})" for name, kind in fields))
            yield WARNING, f"Unknown fields (please report them): {listed}"


def _unknown_fields(
    value: Any, schema: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, str]]:
    is_array = "items" in schema
    if is_array or "properties" in schema:
        value = read_nested(value)
    if is_array and isinstance(value, dict):
        value = [value]
    if isinstance(value, list):
        for item in value[:1]:
            yield from _unknown_fields(item, schema.get("items") or {}, path)
        return
    known = schema.get("properties")
    if not isinstance(value, dict) or known is None:
        return
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        if name in known:
            suffix = "[]" if isinstance(item, list) else ""
            yield from _unknown_fields(item, known[name], here + suffix)
        else:
            yield here, _TYPES[type(item)]
