"""Reads rows of tables that targets made back as the records that were sent."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tests.support.meltano_project import SCHEMAS, key_of, without_nulls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.meltano_project import Config, Rows


def rows_of(found: Sequence[Config], stream: str) -> Rows:
    """Return the rows of a table as a journal would have them, by key.

    Columns of the target's own are left out, and so is what is null.

    Args:
        found: The rows. Columns may be named in lower case, nested columns `session__city`, and
            objects and arrays may be JSON texts.
        stream: The stream's name.
    """
    rows = {}
    for row in found:
        record: Config = {}
        for name, value in row.items():
            if not name.startswith("_sdc"):
                put(record, name.split("__"), value, SCHEMAS[stream])
        rows[key_of(record, stream)] = without_nulls(record)
    assert len(rows) == len(found)
    return rows


def put(record: Config, path: list[str], value: Any, schema: Config) -> None:
    """Put a value of a table back to where it came from."""
    names = {name.lower(): name for name in schema["properties"]}
    name = names[path[0].lower()]
    field = schema["properties"][name]
    if value is None:
        return
    if len(path) > 1:
        put(record.setdefault(name, {}), path[1:], value, field)
    else:
        record[name] = restore(value, field)


def restore(value: Any, schema: Config) -> Any:
    """Return a value as it was before a target changed its form."""
    if isinstance(value, str) and {"object", "array"} & set(schema["type"]):
        return restore(json.loads(value), schema) if value else None
    if isinstance(value, dict) and schema.get("properties"):
        return {name: restore(item, schema["properties"][name]) for name, item in value.items()}
    if isinstance(value, list):
        return [restore(item, schema["items"]) for item in value]
    if value is not None and schema.get("format") == "date-time":
        # Before Python 3.11 an offset must have minutes.
        text = re.sub(r"[+]00$", "+00:00", str(value))
        instant = datetime.fromisoformat(text)
        instant = instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
        return instant.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return value
