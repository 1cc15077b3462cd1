"""Reads the files that the command line names, and says in plain words what is wrong with one."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tap_calltouch.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import PurePath

    import click
    from singer_sdk.singerlib.catalog import CatalogEntry


class InputError(ValueError):
    """A file, a state or a catalog cannot be used as it is."""


def read_object(path: str | PurePath, label: str) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file; `-` for standard input.
        label: What it is: config, state or catalog.

    Returns:
        The object.

    Raises:
        InputError: If there is no such object.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
        content = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is not text in UTF-8"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    except RecursionError:
        problem = "is nested too deeply"
    else:
        if isinstance(content, dict):
            return content
        problem = "does not hold a JSON object"
    msg = f"The {label} file {path} {problem}."
    raise InputError(msg)


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a number of JSON"
    raise ValueError(msg)


def read_objects(source: Any, label: str) -> dict[str, Any]:
    """Read what the SDK takes for a config, a state or a catalog.

    Args:
        source: An object, a file that holds one, or a list of files, later ones of which overrule;
            None for nothing.
        label: What it is: config, state or catalog.

    Returns:
        A new object.
    """
    if isinstance(source, Mapping):
        return dict(source)
    paths = source if isinstance(source, list) else [source] if source else []
    merged: dict[str, Any] = {}
    for path in paths:
        merged |= read_object(path, label)
    return merged


def read_option(
    _context: click.Context, option: click.Parameter, path: str | None
) -> io.StringIO | None:
    """Read the file that an option names, in place of click, which may end in a traceback."""
    if path is None:
        return None
    return io.StringIO(json.dumps(read_object(path, str(option.name))))


def check_catalog(catalog: dict[str, Any]) -> dict[str, Any]:
    """Return a catalog that the SDK can read.

    Raises:
        InputError: If it is none.
    """
    match catalog:
        case {"streams": [*streams]}:
            for stream in streams:
                match stream:
                    case {"tap_stream_id": str(name), "schema": dict(schema)}:
                        _check_schema(schema, name)
                        _check_entry(stream, name)
                    case _:
                        msg = "Each stream of a catalog needs a `tap_stream_id` and a `schema`."
                        raise InputError(msg)
            return catalog
    msg = "The catalog has no list of `streams`."
    raise InputError(msg)


def unmatched_names(
    entries: Iterable[CatalogEntry], schemas: Mapping[str, dict[str, Any]]
) -> Iterator[str]:
    """Look for names in a catalog that match nothing, so that less is selected or left out.

    Args:
        entries: The catalog's streams.
        schemas: JSON Schema of each stream of the tap.

    Yields:
        One sentence for each stream that is not the tap's, and for each field that is selected or
        deselected but does not exist.
    """
    for entry in entries:
        name = entry.tap_stream_id
        if name not in schemas:
            hint = did_you_mean(name, schemas)
            yield f"The catalog has a stream `{name}`, which the tap has not; it is ignored.{hint}"
            continue
        own, given = schemas[name], entry.schema.to_dict()
        for breadcrumb, metadata in entry.metadata.items():
            known = _known_instead(breadcrumb, own)
            if metadata.selected is None or not known or not _known_instead(breadcrumb, given):
                continue
            path = ".".join(part for part in breadcrumb if part not in {"properties", "items"})
            yield (
                f"The catalog's metadata of stream {name} names the field `{path}`, which does not "
                f"exist; it is ignored.{did_you_mean(breadcrumb[-1], known)}"
            )


def _known_instead(breadcrumb: tuple[str, ...], schema: dict[str, Any]) -> list[str]:
    """Return the fields beside one that a schema does not know; none if it may know the field."""
    steps = iter(breadcrumb)
    for step in steps:
        if step == "items":
            schema = schema.get("items") or {}
            continue
        fields, name = schema.get("properties"), next(steps, "")
        if not fields or schema.get("additionalProperties"):
            return []
        if name not in fields:
            return list(fields)
        schema = fields[name]
    return []


def _check_entry(entry: dict[str, Any], name: str) -> None:
    if (other := entry.get("stream") or name) != name:
        msg = (
            f"The catalog calls stream {name} {_show(other)}. "
            "Use `__alias__` in `stream_maps` to rename it."
        )
        raise InputError(msg)
    metadata = entry.get("metadata", [])
    for item in metadata if isinstance(metadata, list) else [metadata]:
        match item:
            case {"breadcrumb": [*names], "metadata": {}} if all(isinstance(n, str) for n in names):
                continue
        msg = (
            f"The catalog's metadata of stream {name} must be a list of objects, each with a "
            f"`breadcrumb` and `metadata`, and holds {_show(item)}."
        )
        raise InputError(msg)


def _check_schema(schema: Any, path: str) -> None:
    types = _expect_object(schema, f"schema of {path}").get("type") or []
    if not all(isinstance(name, str) for name in (types if isinstance(types, list) else [types])):
        msg = f"The catalog's type of {path} is {_show(types)}, not a text or a list of texts."
        raise InputError(msg)
    properties = _expect_object(schema.get("properties", {}), f"properties of {path}")
    for name, field in properties.items():
        _check_schema(field, f"{path}.{name}")
    if schema.get("items") is not None:
        _check_schema(schema["items"], f"{path}[]")
    if not isinstance(others := schema.get("additionalProperties", True), bool):
        _check_schema(others, f"{path}.*")


def _expect_object(value: Any, label: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"The catalog holds {_show(value)} as {label}, not an object."
        raise InputError(msg)
    return value


def _show(value: Any) -> str:
    # The SDK reads numbers that are not integers as Decimal.
    return json.dumps(value, ensure_ascii=False, default=str)[:80]
