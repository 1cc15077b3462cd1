"""Paths into a catalog's schemas, and the changes that users make there. Pure."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.singerlib import Catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]
# Names of properties from the record down; ITEMS stands for what an array holds.
Path = tuple[str, ...]

ITEMS = "[]"
REMOVED = "removed"


@dataclass(frozen=True)
class Changes:
    """What is changed in the discovered entry of a stream.

    Attributes:
        schemas: Schemas to override, or REMOVED; the empty path is the record itself.
        keywords: Keywords to add to schemas.
        metadata: Metadata to add, such as `selected`; the empty path is the stream.
        entry: Keys of the entry, such as `replication_method`.
    """

    schemas: dict[Path, Any] = field(default_factory=dict)
    keywords: dict[Path, Json] = field(default_factory=dict)
    metadata: dict[Path, Json] = field(default_factory=dict)
    entry: Json = field(default_factory=dict)

    def catalog(self, discovered: Json) -> Json:
        """Return a catalog of one stream, changed.

        Args:
            discovered: The stream's entry in the catalog that a tap discovers.
        """
        entry = json.loads(json.dumps(discovered))  # a copy, much faster than by deepcopy
        # From the outside in: an object that is overridden has none of its children any more.
        for path, schema in sorted(self.schemas.items()):
            _override(entry, path, deepcopy(schema))
        for path, keywords in self.keywords.items():
            at(entry["schema"], path).update(deepcopy(keywords))
        known = {tuple(item["breadcrumb"]): item["metadata"] for item in entry["metadata"]}
        for path, metadata in self.metadata.items():
            known.setdefault(breadcrumb(path), {}).update(metadata)
        entry["metadata"] = [{"breadcrumb": [*k], "metadata": v} for k, v in known.items()]
        return {"streams": [{**entry, **deepcopy(self.entry)}]}


def _override(entry: Json, path: Path, schema: Any) -> None:
    if not path:
        entry["schema"] = schema
        return
    parent = at(entry["schema"], path[:-1])
    if path[-1] == ITEMS:
        parent["items"] = {} if schema == REMOVED else schema
    elif schema == REMOVED:
        parent.get("properties", {}).pop(path[-1], None)
    elif "object" in parent.get("type", []):
        parent.setdefault("properties", {})[path[-1]] = schema


def paths(schema: Json, above: Path = ()) -> Iterator[Path]:
    """Yield the path of each property and of each array's items, at every depth."""
    for name, inner in schema.get("properties", {}).items():
        yield (*above, name)
        yield from paths(inner, (*above, name))
    if "items" in schema:
        yield (*above, ITEMS)
        yield from paths(schema["items"], (*above, ITEMS))


def objects(schema: Json) -> list[Path]:
    """Return the paths of objects with properties that are in no array."""
    return [p for p in paths(schema) if at(schema, p).get("properties") and ITEMS not in p]


def at(schema: Json, path: Path) -> Json:
    """Return the schema at a path; a new one where there is none."""
    for name in path:
        inner = schema.get("items") if name == ITEMS else schema.get("properties", {}).get(name)
        schema = {} if inner is None else inner
    return schema


def breadcrumb(path: Path) -> Path:
    """Return what names a path in metadata."""
    parts = (("items",) if name == ITEMS else ("properties", name) for name in path)
    return tuple(part for pair in parts for part in pair)


def childless(schema: Json, above: Iterable[Path]) -> dict[Path, Json]:
    """Return metadata that deselects what objects hold, as `!requests.session.*` does."""
    names = {(*path, name) for path in above for name in at(schema, path)["properties"]}
    return {path: {"selected": False} for path in sorted(names)}


def selected_schema(catalog: Json, stream: str) -> Json:
    """Return the schema of what is selected."""
    entry = Catalog.from_dict(deepcopy(catalog))[stream]
    mask = entry.metadata.resolve_selection()
    schema: Json = get_selected_schema(stream, entry.schema.to_dict(), mask)
    return schema
