"""Leaves out what only an SDK newer than the pinned one has.

The committed pages are generated with the pinned SDK, so they cannot name what a newer one adds.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import yaml
from packaging.version import Version

from tap_calltouch.config.settings import SETTINGS
from tests.support.pages import ROOT

Json = dict[str, Any]


def pinned() -> Version:
    """Return the version of the SDK in requirements-dev.txt."""
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    (found,) = re.findall(r"^singer-sdk==(\S+)", text, re.MULTILINE)
    return Version(found)


IS_NEWER = Version(version("singer-sdk")) > pinned()


def without_additions(about: Json, *, is_newer: bool = IS_NEWER) -> Json:
    """Return what `--about` prints, without what a newer SDK adds to the committed definition.

    Args:
        about: What `--about --format json` prints.
        is_newer: Whether the SDK is newer than the pinned one. If not, nothing is left out.
    """
    if not is_newer:
        return about
    committed = yaml.safe_load((ROOT / "plugin.yaml").read_text(encoding="utf-8"))
    names = {setting["name"] for setting in committed["settings"]}
    return {
        **about,
        "capabilities": [
            name for name in about["capabilities"] if name in committed["capabilities"]
        ],
        "settings": _only(about["settings"], names | SETTINGS["properties"].keys()),
    }


def _only(schema: Json, names: set[str], above: str = "") -> Json:
    """Keep the settings of some names, which have dots where settings are nested."""
    kept = {}
    for part, setting in schema["properties"].items():
        name = above + part
        if name in names:
            kept[part] = setting
        elif any(other.startswith(f"{name}.") for other in names):
            kept[part] = _only(setting, names, f"{name}.")
    return {**schema, "properties": kept}
