"""What in answers differs from the schema: counted during a run, reported once at its end. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_BYTES = 1 << 16
_decode_first = json.JSONDecoder().raw_decode
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
        converted: How many values of another type were converted without loss, or texts had
            characters replaced.
        removed: How many values became null.
        unknown: The JSON type of fields that the schema does not have.
    """

    converted: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> frozenset[str]:
        """Where a value did not fit."""
        return frozenset(self.converted) | frozenset(self.removed)

    def move_counts_to(self, other: Drift) -> None:
        """Add the counts to others and begin again."""
        other.converted += self.converted
        other.removed += self.removed
        self.clear_counts()

    def clear_counts(self) -> None:
        """Forget the counts, since what was changed is thrown away."""
        self.converted.clear()
        self.removed.clear()

    def look_for_unknown(self, answer: IO[bytes], schema: dict[str, Any]) -> None:
        """Compare the fields of the first record of an answer with the stream's schema.

        Args:
            answer: A JSON array, from the file's position on, which is kept.
            schema: JSON Schema of a record.
        """
        start = answer.tell()
        text = answer.read(_FIRST_BYTES).decode("utf-8", "replace")[1:].lstrip()
        answer.seek(start)
        try:
            record, _ = _decode_first(text)
        except (ValueError, RecursionError):
            return  # cut off, empty or broken; the decoder says so if it matters
        self.unknown |= dict(_unknown_fields(record, schema, ""))

    def report(self) -> Iterator[str]:
        """Yield a line for each kind of difference that there was. No line holds a value."""
        for verb, counts in (("converted", self.converted), ("removed", self.removed)):
            if counts:
                listed = ", ".join(f"{name} {number}" for name, number in counts.most_common())
                yield f"Values {verb} since they do not fit the schema: {listed}"
        if self.unknown:
            listed = ", ".join(f"{name} ({kind})" for name, kind in sorted(self.unknown.items()))
            yield f"Fields that the schema does not know, please report them: {listed}"


def _unknown_fields(value: Any, schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
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
