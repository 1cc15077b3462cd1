"""Other shapes of the same values: what typed clients declare, and no answer that we saw has.

A client that reads both loses nothing, whichever of them is right.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.leads import Record

_AMOUNTS = {"plannedAmount", "completedAmount"}


def vary(record: Record) -> Record:
    """Return every tenth record in other shapes, and the others as they are.

    Orders of calls have integers for amounts, `additionalTags` of calls pairs of name and value,
    comments on calls a `requestId`. `ctGlobalId` is an integer, and `attrs` are JSON text.
    """
    number = record.get("callId", record.get("requestId"))
    if not isinstance(number, int) or number % 10:
        return record
    varied: Record = _vary("", record)
    if "callId" in record:
        varied["comments"] = record["comments"] and [
            {("requestId" if key == "callId" else key): value for key, value in comment.items()}
            for comment in record["comments"]
        ]
        varied["additionalTags"] = [
            dict(zip(("name", "value"), text.split("=", 1), strict=True))
            for text in record["additionalTags"]
        ]
    return varied


def _vary(name: str, value: Any) -> Any:
    """Return a value of a key in another shape, if it has one."""
    if name == "attrs" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return {key: _vary(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_vary("", item) for item in value]
    if isinstance(value, str) and (name == "ctGlobalId" or name in _AMOUNTS):
        return int(value.removesuffix(".0000"))
    return value
