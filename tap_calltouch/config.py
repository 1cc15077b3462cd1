"""Reads settings from wherever they come, and says in plain words what is wrong with them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_calltouch.settings import API_URL, SETTINGS
from tap_calltouch.windows import parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_Config = dict[str, Any]


def read_environment(schema: dict[str, Any], prefix: str) -> _Config:
    """Read settings from environment variables, dots as underscores (`ani.value`: `ANI_VALUE`).

    Args:
        schema: JSON Schema of the settings, the SDK's own included.
        prefix: What the names of the variables begin with.

    Returns:
        Texts by setting, nested ones with dots; `normalize` converts them.
    """
    parts = {
        f"{name}_{part}": [name, part]
        for name, setting in SETTINGS["properties"].items()
        for part in setting.get("properties", {})
    }
    # The SDK's own reading stops at a bad number with a traceback, and knows neither fractions
    # nor nested settings. As texts it reads them all, `.env` files included.
    names = {"properties": {name: {"type": ["string"]} for name in [*schema["properties"], *parts]}}
    texts = parse_environment_config(names, prefix)
    return {".".join(parts.get(name, [name])): text for name, text in texts.items()}


def normalize(config: _Config, schema: dict[str, Any]) -> _Config:
    """Give values the types of the schema where a text or a number clearly stands for them.

    Args:
        config: Settings as Meltano, a file or the environment gives them: nested or with dots,
            numbers perhaps as texts, empty texts for what is not set.
        schema: JSON Schema of the settings.

    Returns:
        A new dict without empty settings.
    """
    result: _Config = {}
    for name, value in config.items():
        setting, _, part = name.partition(".")
        if part and "properties" in schema["properties"].get(setting, {}):
            known = result.setdefault(setting, {})
            if isinstance(known, dict):
                result[setting] = {**known, part: value}
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] |= value
        else:
            result[name] = value
    for name, value in list(result.items()):
        value = _coerce(value, schema["properties"].get(name, {}))  # noqa: PLW2901
        if name in SETTINGS["properties"] and isinstance(value, dict):
            value = {part: item for part, item in value.items() if not _is_unset(item)}  # noqa: PLW2901
        if value is None or (value == "" and name != "api_token"):
            del result[name]
        else:
            result[name] = value
    return result


def _is_unset(value: Any) -> bool:  # noqa: ANN401
    return value is None or value == ""


def _coerce(value: Any, schema: dict[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(value, Decimal):  # the SDK reads fractions so
        value = float(value)
    types = schema.get("type", [])
    kinds = {types} if isinstance(types, str) else set(types)
    if isinstance(value, str) and value and "string" not in kinds and kinds:
        lowered = value.strip().lower()
        if "boolean" in kinds and lowered in {"yes", "on", "1", "no", "off", "0"}:
            return lowered in {"yes", "on", "1"}
        try:
            parsed = json.loads(lowered if "boolean" in kinds else value, parse_constant=str)
        except ValueError:
            parsed = value
        is_list = "array" in kinds and not isinstance(parsed, list)
        value = [item.strip() for item in value.split(",")] if is_list else parsed
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and "string" in kinds:
        return str(value)
    if isinstance(value, list) and "array" in kinds:
        return [_coerce(item, schema.get("items", {})) for item in value]
    return value


def problems(config: _Config, schema: dict[str, Any]) -> Iterator[str]:
    """Check settings, and fill in defaults.

    Args:
        config: Normalized settings; defaults are put into it.
        schema: JSON Schema of the settings, the SDK's own included.

    Yields:
        One sentence for each mistake, naming the setting and what is allowed.
    """
    found = False
    for error in JSONSchemaValidator(schema).iter_errors(config):
        found = True
        if error.validator == "required":
            missing = error.message.split("'")[1]
            yield f"Setting `{missing}` is required.{_HINTS.get(missing, '')}"
        else:
            path = [str(part) for part in error.absolute_path]
            name = ".".join(part for part in path if not part.isdecimal())
            shown = "" if path[:1] == ["api_token"] else f", not {json.dumps(error.instance)[:80]}"
            yield f"Setting `{name}` must be {_allowed(error.schema, error)}{shown}."
    if not found:
        yield from _problems_of_meaning(config)


_HINTS = {
    "api_token": " Copy it from Integrations > API (Интеграции > API) in your Calltouch account.",
    "start_date": " Give the first date to load, such as 2024-01-31.",
}


def _allowed(schema: dict[str, Any], error: Any) -> str:  # noqa: ANN401
    """Say in words what a schema allows."""
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"] if value is not None)
    types = schema.get("type", "valid")
    kind = next(name for name in ([types] if isinstance(types, str) else types) if name != "null")
    words = {"integer": "a whole number", "boolean": "true or false", "array": "a list"}
    kind = words.get(kind, {"number": "a number", "string": "a text"}.get(kind, f"an {kind}"))
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("exclusiveMinimum", "above"),
            ("minimum", "at least"),
            ("maximum", "at most"),
        )
        if key in schema
    ]
    known = error.validator in {"type", "enum", "minimum", "maximum", "exclusiveMinimum"}
    return " ".join([kind, " and ".join(bounds)]).strip() if known else f"valid: {error.message}"


def _problems_of_meaning(config: _Config) -> Iterator[str]:
    if not config["api_token"].strip():
        yield f"Setting `api_token` must not be empty.{_HINTS['api_token']}"
    try:
        url = urlsplit(config["api_url"])
        is_url = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        yield f"Setting `api_url` must be an http or https URL such as {API_URL}."
    try:
        zone = ZoneInfo(config["timezone"])
    except (LookupError, ValueError, OSError):
        yield (
            "Setting `timezone` must be an IANA time zone such as Europe/Moscow or "
            f"Asia/Yekaterinburg, not {config['timezone']!r}."
        )
        return
    moments = {}
    for name in ("start_date", "end_date"):
        if name in config:
            try:
                moments[name] = parse_moment(config[name], zone, whole_day=name == "end_date")
            except (ValueError, OverflowError):
                yield (
                    f"Setting `{name}` must be a date such as 2024-01-31 or a date-time such as "
                    f"2024-01-31T10:00:00+03:00, not {config[name]!r}."
                )
    if not 0 < config["requests_per_second"] <= 5:  # noqa: PLR2004 - JSON Schema lets NaN pass
        yield "Setting `requests_per_second` must be a number above 0 and at most 5."
    if len(moments) == 2 and moments["start_date"] >= moments["end_date"]:  # noqa: PLR2004
        yield (
            f"Setting `start_date` ({config['start_date']}) must be before `end_date` "
            f"({config['end_date']})."
        )
