"""The plugin definition for Meltano and its Hub, from `--about` and the package metadata."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stdout
from importlib.metadata import metadata
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from tap_calltouch.config.settings import SETTINGS
from tap_calltouch.tap import TapCalltouch

VARIANT = "tap-calltouch"
LOGO = "/assets/logos/extractors/calltouch.svg"
_LABELS = {"startwith": "Starts with", "0": "Last visit", "1": "Last non-direct visit"}

_PREREQ = """\
You need two things from your Calltouch account:

- the token for the statistics API, under Integrations > API (Интеграции > API), or in newer
  accounts under Integrations > Sending data to external systems > API
- the site id (ID личного кабинета), on the same page or in the site's settings
"""
_USAGE = """\
`meltano invoke tap-calltouch --test > /dev/null` checks the token and the site ids with one API
call for each site and journal.
"""


def about() -> dict[str, Any]:
    """Return what `tap-calltouch --about --format json` prints."""
    with redirect_stdout(StringIO()) as output:
        TapCalltouch.print_about("json")
    return dict(json.loads(output.getvalue()))


def settings() -> list[dict[str, Any]]:
    """Return all settings in the Hub's form, nested ones with dots, in the order of the tap."""
    properties = about()["settings"]["properties"]
    return [item for name, schema in properties.items() for item in _setting(name, schema)]


def own_names() -> set[str]:
    """Return the names of the settings that are not the SDK's."""
    return set(SETTINGS["properties"])


def required() -> list[str]:
    """Return the names of the settings that must be set."""
    return list(about()["settings"]["required"])


def definition() -> dict[str, Any]:
    """Return the whole definition."""
    repository = _repository()
    information = about()
    return {
        "capabilities": sorted(information["capabilities"]),
        "description": "Call log and requests journal (коллтрекинг: звонки и заявки)",
        "domain_url": "https://www.calltouch.ru/",
        "executable": information["name"],
        "keywords": ["api", "call-tracking", "calltouch", "leads", "marketing", "meltano_sdk"],
        "label": "Calltouch",
        "logo_url": LOGO,
        "log_parser": "singer-sdk",
        "maintenance_status": "beta",
        "name": information["name"],
        "namespace": information["name"].replace("-", "_"),
        "pip_url": f"git+{repository}.git",
        "prereq": _PREREQ,
        "quality": "unknown",
        "repo": repository,
        "settings": sorted(settings(), key=lambda setting: str(setting["name"])),
        "settings_group_validation": [required()],
        "supported_python_versions": information["supported_python_versions"],
        "usage": _USAGE,
        "variant": VARIANT,
    }


def write_to_hub(hub: Path) -> None:
    """Write everything that the Hub needs to list the plugin.

    Args:
        hub: A checkout of the Hub's repository. Entries that it has already stay as they are.
    """
    plugin = definition()
    name = plugin["name"]
    path = hub / "_data" / "meltano" / "extractors" / name / f"{VARIANT}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_yaml(plugin), encoding="utf-8")
    logo = hub / "static" / LOGO.lstrip("/")
    logo.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).parent / "hub" / logo.name, logo)
    maintainer = {
        "label": metadata("tap-calltouch")["Author"],
        "name": VARIANT,
        "url": _repository().rpartition("/")[0],
    }
    _append(hub / "_data" / "maintainers.yml", to_yaml({VARIANT: maintainer}))
    _append(hub / "_data" / "default_variants.yml", f"  {name}: {VARIANT}\n", below="extractors:\n")


def to_yaml(value: Any, *, sort_keys: bool = True) -> str:
    """Return YAML as the Hub writes it: keys sorted, letters unescaped, long lines whole."""
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=sort_keys, width=10_000)


def _repository() -> str:
    return str(metadata("tap-calltouch")["Project-URL"].partition(", ")[2])


def _append(path: Path, entry: str, below: str = "") -> None:
    """Add an entry at the end of a file or below a line, unless it is there."""
    text = path.read_text(encoding="utf-8")
    if entry not in text:
        before, after = text.split(below, 1) if below else (text, "")
        path.write_text(f"{before}{below}{entry}{after}", encoding="utf-8")


def _setting(name: str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    parts = schema.get("properties", {})
    if parts and name != "stream_maps":
        return [item for part in parts for item in _setting(f"{name}.{part}", parts[part])]
    types = schema.get("type", ["string"])
    kind = next(item for item in types if item != "null")
    setting: dict[str, Any] = {
        "name": name,
        "label": schema["title"],
        "description": " ".join(schema["description"].split()),
        "kind": "date_iso8601" if schema.get("format") == "date-time" else kind,
    }
    if "enum" in schema:
        setting["kind"] = "options"
        setting["options"] = [
            {"label": _LABELS.get(value, value.capitalize()), "value": value}
            for value in schema["enum"]
            if value
        ]
    if schema.get("secret"):
        setting["sensitive"] = True
    if "default" in schema:
        setting["value"] = schema["default"]
    return [setting]
