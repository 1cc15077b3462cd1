"""Reads the files that the command line names, and says in plain words what is wrong with one."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

if TYPE_CHECKING:
    from pathlib import PurePath


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
        content = json.loads(data.decode("utf-8-sig"))
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
                    case _:
                        msg = "Each stream of a catalog needs a `tap_stream_id` and a `schema`."
                        raise InputError(msg)
            return catalog
    msg = "The catalog has no list of `streams`."
    raise InputError(msg)


def _check_schema(schema: Any, path: str) -> None:
    properties = _expect_object(schema, f"schema of {path}").get("properties", {})
    for name, field in _expect_object(properties, f"properties of {path}").items():
        _check_schema(field, f"{path}.{name}")
    if schema.get("items") is not None:
        _check_schema(schema["items"], f"{path}[]")


def _expect_object(value: Any, label: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"The catalog holds {json.dumps(value)} as {label}, not an object."
        raise InputError(msg)
    return value


class InputFile(click.ParamType):  # type: ignore[type-arg]
    """A JSON file on the command line, in place of click's own, which may end in a traceback."""

    name = "filename"

    def __init__(self, label: str) -> None:
        self._label = label

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> io.StringIO:
        return io.StringIO(json.dumps(read_object(value, self._label)))
