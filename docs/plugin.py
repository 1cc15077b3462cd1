"""The plugin definition in Meltano Hub form, from `--about` and the package's metadata."""

from __future__ import annotations

import json
from importlib.metadata import metadata
from typing import Any

import yaml
from singer_sdk.about import AboutFormatter

from tap_calltouch.settings import SETTINGS
from tap_calltouch.tap import TapCalltouch

VARIANT = "tap-calltouch"
LOGO = "/assets/logos/extractors/calltouch.svg"
# Meltano 4.4 stops with a traceback when a setting of kind `decimal` comes from the environment;
# the tap takes a number that comes as a text.
KINDS = {"number": "string"}


def about() -> dict[str, Any]:
    """Give what `tap-calltouch --about --format json` prints."""
    formatter = AboutFormatter.get_formatter("json")
    return dict(json.loads(formatter.format_about(TapCalltouch._get_about_info())))  # noqa: SLF001


def settings() -> list[dict[str, Any]]:
    """Give all settings in Hub form, nested ones with dots, in the order of the tap."""
    return [item for name, schema in _properties() for item in _setting(name, schema)]


def own_names() -> set[str]:
    """Give the names of the settings that are not the SDK's."""
    return set(SETTINGS["properties"])


def required() -> list[str]:
    """Give the names of the settings that must be set."""
    return list(about()["settings"]["required"])


def definition() -> dict[str, Any]:
    """Give the whole definition."""
    repository = _repository()
    information = about()
    return {
        "capabilities": sorted(information["capabilities"]),
        "description": "Call tracking and lead attribution (коллтрекинг и заявки)",
        "domain_url": "https://www.calltouch.ru/",
        "executable": information["name"],
        "keywords": ["api", "meltano_sdk"],
        "label": "Calltouch",
        "logo_url": LOGO,
        "maintenance_status": "active",
        "name": information["name"],
        "namespace": information["name"].replace("-", "_"),
        "pip_url": f"git+{repository}.git",
        "quality": "silver",
        "repo": repository,
        "settings": sorted(settings(), key=lambda setting: str(setting["name"])),
        "settings_group_validation": [required()],
        "supported_python_versions": information["supported_python_versions"],
        "variant": VARIANT,
    }


def hub_files() -> dict[str, str]:
    """Give what a pull request to the Hub adds to its files, by path below `docs/hub`."""
    plugin = definition()
    name = plugin["name"]
    maintainer = {
        "label": metadata("tap-calltouch")["Author"],
        "name": VARIANT,
        "url": _repository().rpartition("/")[0],
    }
    return {
        f"_data/meltano/extractors/{name}/{VARIANT}.yml": to_yaml(plugin),
        "default_variants.yml": f"  {to_yaml({name: VARIANT})}",  # a line below `extractors:`
        "maintainers.yml": to_yaml({VARIANT: maintainer}),
    }


def to_yaml(value: Any, *, sort_keys: bool = True) -> str:
    """Write YAML as the Hub does: keys sorted, text as it is."""
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=sort_keys, width=10_000)


def _repository() -> str:
    return str(metadata("tap-calltouch")["Project-URL"].partition(", ")[2])


def _properties() -> list[tuple[str, dict[str, Any]]]:
    return list(about()["settings"]["properties"].items())


def _setting(name: str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    parts = schema.get("properties", {})
    if parts and name != "stream_maps":
        return [item for part in parts for item in _setting(f"{name}.{part}", parts[part])]
    types = schema.get("type", ["string"])
    kind = next(item for item in types if item != "null")
    kind = KINDS.get(kind, kind)
    setting: dict[str, Any] = {
        "name": name,
        "label": schema["title"],
        "description": " ".join(schema["description"].split()),
        "kind": "date_iso8601" if schema.get("format") == "date-time" else kind,
    }
    if "enum" in schema:
        setting["kind"] = "options"
        setting["options"] = [
            {"label": value.capitalize(), "value": value} for value in schema["enum"] if value
        ]
    if schema.get("secret"):
        setting["sensitive"] = True
    if "default" in schema:
        setting["value"] = schema["default"]
    return [setting]
