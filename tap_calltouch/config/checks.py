"""Reads settings from the environment, converts and checks them, wherever they come from."""

from __future__ import annotations

import json
import os
import re
from copy import deepcopy
from decimal import Decimal
from importlib.util import find_spec
from logging import INFO, WARNING
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from dotenv import dotenv_values, find_dotenv
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_calltouch.config.files import InputError
from tap_calltouch.config.settings import API_URL
from tap_calltouch.instants import parse_instant
from tap_calltouch.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

Config = dict[str, Any]

_PREFIX = "TAP_CALLTOUCH_"
# Meltano reads those for extras, such as `..._SELECT`, and for plugins that inherit from this one.
_MELTANO_PREFIX = f"{_PREFIX}_"
_LOG_LEVEL = f"{_PREFIX}LOGLEVEL"  # the SDK reads it
_HINTS = {
    "api_token": " Copy it from Integrations > API (Интеграции > API) in your Calltouch account; "
    "in newer ones from Sending data to external systems (Отправка данных во внешние системы).",
    "start_date": " Set it to the first date to load, such as 2024-01-31.",
}
# No earlier than a state may be, no later than dates can be reckoned with.
_YEARS = range(1900, 9999)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # what a byte of another encoding becomes
_WITHOUT_BLANKS = ("api_token", "api_url", "timezone")
# Blanks may belong to what the API compares with.
_FREE_TEXTS = (
    "subject",
    "keywords",
    "city",
    "source",
    "medium",
    "manager",
    "ani_value",
    "email_value",
)
_MAX_INTEGER = 2**63
_BATCH_PARTS = {"encoding": ("format", {"compression"}), "storage": ("root", {"prefix", "params"})}


def read_environment(schema: Config, log: Callable[[int, str], None]) -> Config:
    """Read settings from environment variables and a `.env` file, which they overrule.

    Args:
        schema: JSON Schema of the settings.
        log: Called with the level and the text of what the user should know.

    Returns:
        Texts by setting; `normalize` converts them.

    Raises:
        InputError: If the file is not text.
    """
    settings = {f"{_PREFIX}{name.upper()}": name for name in schema["properties"]}
    path = find_dotenv(usecwd=True)
    in_file = _read_dotenv(path, log) if path else {}
    if used := [name for name in in_file if name in settings and name not in os.environ]:
        log(INFO, f"Read from {path}: {', '.join(used)}.")
    variables = {**in_file, **os.environ}
    for variable in sorted(variables):
        if _is_ours(variable) and variable not in settings:
            nearest = did_you_mean(variable[len(_PREFIX) :], schema["properties"], _PREFIX)
            log(WARNING, f"The tap has no setting for {variable}; it is ignored.{nearest}")
    found = {name: variables.get(variable) for variable, name in settings.items()}
    return {name: _as_utf8(text) for name, text in found.items() if text is not None}


def _read_dotenv(path: str, log: Callable[[int, str], None]) -> dict[str, str | None]:
    if not Path(path).is_file():  # a pipe would be waited for
        log(WARNING, f"{path} is not a regular file, so it is not read.")
        return {}
    try:
        return dotenv_values(path)
    except UnicodeDecodeError:
        msg = f"The file {path} is not text in UTF-8."
        raise InputError(msg) from None


def _is_ours(variable: str) -> bool:
    """Return whether only this tap would read a variable, in whatever case it is written."""
    name = variable.upper()
    is_meltanos = name.startswith(_MELTANO_PREFIX)
    return name.startswith(_PREFIX) and not is_meltanos and variable != _LOG_LEVEL


def _as_utf8(text: str) -> str:
    """Return a text from the environment as it was typed, in any locale."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def normalize(config: Config, schema: Config) -> Config:
    """Convert values where a text or a number clearly stands for another type.

    Args:
        config: Settings from Meltano, a file or the environment: numbers perhaps as texts, empty
            texts for what is not set.
        schema: JSON Schema of the settings.

    Returns:
        A new dict without empty settings.
    """
    converted = {
        name: _convert(value, schema["properties"].get(name, {})) for name, value in config.items()
    }
    for name in _WITHOUT_BLANKS:
        if isinstance(converted.get(name), str):
            converted[name] = converted[name].strip()
    return {
        name: value
        for name, value in converted.items()
        if value is not None and (value != "" or name == "api_token")
    }


def _convert(value: Any, schema: Config) -> Any:
    kinds = set(schema.get("type", []))
    if isinstance(value, str) and value and kinds and "string" not in kinds:
        value = _parse(value, kinds)
    if isinstance(value, str) and schema.keys() & {"enum", "format"}:
        return value.strip()
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _convert_number(value, kinds, schema)
    if isinstance(value, list) and "array" in kinds:
        return _convert_items(value, schema)
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {name: _convert(part, parts.get(name, {})) for name, part in value.items()}
    return value


def _convert_items(value: list[Any], schema: Config) -> list[Any]:
    """Convert the items of a list, and leave out empty ones unless all are."""
    items = [_convert(item, schema["items"]) for item in value]
    items = [item.strip() if isinstance(item, str) else item for item in items]
    return [item for item in items if item not in ("", None)] or items


def _convert_number(value: Any, kinds: set[str], schema: Config) -> Any:
    # The SDK reads numbers that are no integers as Decimal, 1.0 too.
    if abs(value) < _MAX_INTEGER and value == int(value):
        value = int(value)
    if "string" in kinds:
        return str(value)
    if "boolean" in kinds and value in (0, 1):
        return bool(value)
    return [_convert(value, schema["items"])] if "array" in kinds else value


def _parse(text: str, kinds: set[str]) -> Any:
    lowered = text.strip().lower()
    if "boolean" in kinds and lowered in {"yes", "on", "no", "off"}:
        return lowered in {"yes", "on"}
    try:
        parsed = json.loads(lowered if "boolean" in kinds else text)
    except (ValueError, RecursionError):
        parsed = text
    if "array" in kinds and not isinstance(parsed, list):
        return [item.strip() for item in text.split(",")]
    return parsed


def fill_defaults(config: Config, schema: Config) -> Config:
    """Return settings with the defaults of those that are not set."""
    defaults = {
        name: deepcopy(setting["default"])
        for name, setting in schema["properties"].items()
        if "default" in setting
    }
    return defaults | config


def doubts(config: Config, schema: Config) -> Iterator[str]:
    """Yield a sentence for each setting that may not have the effect that the user expects.

    These are settings that the tap does not know, each with the nearest that it knows, and texts
    with blanks at their ends.
    """
    known = schema["properties"]
    for name in sorted(config.keys() - known.keys()):
        yield f"The tap has no setting `{name}`; it is ignored.{did_you_mean(name, known)}"
    for name in _FREE_TEXTS:
        text = str(config.get(name))
        if text != text.strip():
            yield f"Setting `{name}` has blanks at its ends, with which the API compares."


def problems(config: Config, schema: Config) -> Iterator[str]:
    """Check settings.

    Args:
        config: Normalized settings, with defaults.
        schema: JSON Schema of the settings, the SDK's own included.

    Yields:
        One sentence for each mistake, naming the setting and what is allowed.
    """
    try:
        errors = [*DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)]
    except AttributeError:  # the SDK's schema of stream maps is malformed there
        yield (
            "Setting `stream_maps` must hold an object or null for each stream, with a text or "
            "null for each column and null for `__else__`."
        )
        return
    found: dict[str, str] = {}  # one sentence for a setting that is wrong in two ways
    for error in errors:
        name, sentence = _format_error(error)
        found.setdefault(name, sentence)
    for name, value in config.items():
        if _LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False, default=str)):
            found[name] = f"Setting `{name}` is not text in UTF-8."
        if isinstance(value, list) and value and all(item in ("", None) for item in value):
            found[name] = f"Setting `{name}` is a list of nothing but blanks."
    yield from found.values()
    if not found:
        yield from _problems_of_meaning(config)
        yield from _problems_of_batches(config.get("batch_config"))
        yield from _problems_of_maps(config)


def _problems_of_maps(config: Config) -> Iterator[str]:
    if config.get("flattening_enabled") and config.get("flattening_max_depth") is None:
        yield "Setting `flattening_max_depth` is required where `flattening_enabled` is true."
    uses_faker = re.search(r"\bfake\.", str(config.get("stream_maps")))
    if uses_faker and not find_spec("faker"):
        yield (
            "Setting `stream_maps` uses `fake`, which needs the library Faker: install "
            "`singer-sdk[faker]` beside the tap."
        )


def _format_error(error: Any) -> tuple[str, str]:
    """Return the setting that does not fit the schema, and a sentence about it."""
    if error.validator == "required":
        name = error.message.split("'")[1]
        return name, f"Setting `{name}` is required.{_HINTS.get(name, '')}"
    path = [str(part) for part in error.absolute_path]
    name = ".".join(part for part in path if not part.isdecimal())
    value = json.dumps(error.instance, ensure_ascii=False, default=float)[:80]
    shown = "" if path == ["api_token"] else f", not {value}"
    return name, f"Setting `{name}` must be {_allowed(error)}{shown}."


def _allowed(error: Any) -> str:
    """Return in words what the schema allows that a value does not fit."""
    schema = error.schema
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"] if value is not None)
    if error.validator not in {"type", "minimum", "maximum"}:
        return f"valid: {error.message}"
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "a text",
        "array": "a list",
        "object": "an object",
    }
    kind = next(words[name] for name in schema["type"] if name in words)
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "at least"), ("maximum", "at most"))
        if key in schema
    ]
    return " ".join([kind, " and ".join(bounds)]).strip()


def _problems_of_meaning(config: Config) -> Iterator[str]:
    if not config["api_token"]:
        yield f"Setting `api_token` must not be empty.{_HINTS['api_token']}"
    try:
        url = urlsplit(config["api_url"])
        is_url = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        yield f"Setting `api_url` must be an http or https URL such as {API_URL}."
    elif re.search(r"[?#\s]", config["api_url"]):
        yield "Setting `api_url` must be a URL without a query, a fragment or blanks."
    try:
        zone = ZoneInfo(config["timezone"])
    except (LookupError, ValueError, OSError):
        yield (
            "Setting `timezone` must be an IANA time zone such as Europe/Moscow or "
            f"Asia/Yekaterinburg, not {config['timezone']!r}."
        )
        return
    dates = {}
    for name in ("start_date", "end_date"):
        if name in config:
            if instant := _usable_instant(config[name], zone, whole_day=name == "end_date"):
                dates[name] = instant
            else:
                yield (
                    f"Setting `{name}` must be a date such as 2024-01-31 or a date-time such as "
                    f"2024-01-31T10:00:00+03:00, not {config[name]!r}."
                )
    if len(dates) == 2 and dates["start_date"] >= dates["end_date"]:  # noqa: PLR2004
        yield (
            f"Setting `start_date` ({config['start_date']}) must be before `end_date` "
            f"({config['end_date']})."
        )


def _usable_instant(value: str, zone: ZoneInfo, *, whole_day: bool) -> datetime | None:
    try:
        instant = parse_instant(value, zone, whole_day=whole_day)
        return instant if instant.astimezone(zone).year in _YEARS else None
    except (ValueError, OverflowError):
        return None


def _problems_of_batches(batch_config: Config | None) -> Iterator[str]:
    """Check what the SDK takes for granted."""
    if not batch_config:
        return
    for part, (needed, optional) in _BATCH_PARTS.items():
        value = batch_config.get(part)
        if not isinstance(value, dict) or not value.get(needed):
            yield f"Setting `batch_config.{part}.{needed}` is required for BATCH files."
        else:
            for name in sorted(value.keys() - {needed, *optional}):
                yield f"Setting `batch_config.{part}` has no part `{name}`."
    for name in sorted(batch_config.keys() - {*_BATCH_PARTS, "batch_size"}):
        yield f"Setting `batch_config` has no part `{name}`."
    encoding = batch_config.get("encoding")
    if encoding and encoding.get("format") == "parquet" and not find_spec("pyarrow"):
        yield (
            "Setting `batch_config.encoding.format` is parquet, which needs the library pyarrow: "
            "install `tap-calltouch[parquet]`."
        )
    yield from _problems_of_storage(batch_config.get("storage") or {})


def _problems_of_storage(storage: Config) -> Iterator[str]:
    if root := storage.get("root"):
        from fsspec import get_filesystem_class  # noqa: PLC0415 - slow, and seldom needed
        from fsspec.utils import get_protocol  # noqa: PLC0415

        protocol = get_protocol(root)
        if protocol == "memory":  # gone when the tap ends, before anybody reads it
            yield "Setting `batch_config.storage.root` must be a place that the target can read."
        try:
            get_filesystem_class(protocol)
        except (ImportError, ValueError) as error:
            yield f"Setting `batch_config.storage.root` cannot be used: {error}."
