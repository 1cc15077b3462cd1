"""The plugin definition is as Meltano and its Hub want it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import yaml

from tests.support.pages import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "plugin.yaml").read_text(encoding="utf-8"))
REQUIRED = {"name", "namespace", "variant", "quality"}
# What the Hub's page shows.
WANTED = {"capabilities", "description", "domain_url", "keywords", "label", "logo_url"}
WANTED |= {"maintenance_status", "pip_url", "repo", "settings", "supported_python_versions"}
WANTED |= {"settings_group_validation"}


def test_definition_has_what_the_hub_asks_for() -> None:
    assert set(DEFINITION) >= REQUIRED | WANTED
    assert DEFINITION["quality"] in {"gold", "silver", "bronze", "unknown"}
    statuses = {"active", "beta", "development", "inactive", "unknown"}
    assert DEFINITION["maintenance_status"] in statuses
    assert DEFINITION["variant"] == DEFINITION["variant"].lower()
    texts = [DEFINITION[key] for key in ("domain_url", "pip_url", "repo", *REQUIRED)]
    assert all(isinstance(text, str) and text for text in [*texts, *DEFINITION["keywords"]])


def test_keys_capabilities_and_settings_are_sorted() -> None:
    names = [setting["name"] for setting in DEFINITION["settings"]]
    for items in (DEFINITION, DEFINITION["capabilities"], names):
        assert list(items) == sorted(items)
    for setting in DEFINITION["settings"]:
        assert list(setting) == sorted(setting)
        assert {"name", "label", "description", "kind"} <= set(setting)
        for option in setting.get("options", []):
            assert list(option) == ["label", "value"]
    for group in DEFINITION["settings_group_validation"]:
        assert group == sorted(group)
        assert set(group) <= set(names)


def test_kinds_are_not_deprecated_and_defaults_are_of_their_kind() -> None:
    """Meltano 4 says `sensitive` for `password`, and 4.4 cannot take a `decimal` from outside."""
    kinds: dict[str, type] = {
        "array": list,
        "boolean": bool,
        "date_iso8601": str,
        "integer": int,
        "object": dict,
        "options": str,
        "string": str,
    }
    for setting in DEFINITION["settings"]:
        assert setting["kind"] in kinds, setting["name"]
        if "value" in setting:
            assert isinstance(setting["value"], kinds[setting["kind"]]), setting["name"]
        if "options" in setting and "value" in setting:
            assert setting["value"] in {option["value"] for option in setting["options"]}


def test_python_versions_are_those_of_the_classifiers() -> None:
    classifiers = metadata("tap-calltouch").get_all("Classifier") or []
    versions = [line.rpartition(" ")[2] for line in classifiers if ":: Python :: 3." in line]
    assert DEFINITION["supported_python_versions"] == versions
    assert all(re.fullmatch(r"3\.\d+", version) for version in versions)


def test_logo_is_a_plain_picture() -> None:
    path = ROOT / "docs" / "hub" / DEFINITION["logo_url"].rpartition("/")[2]
    text = path.read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - a file of our own
    assert root.get("width") == root.get("height") == root.get("viewBox", "").split()[2]
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "g", "path", "rect", "circle"}
    assert "href" not in text


def test_one_command_writes_the_pull_request(tmp_path: Path) -> None:
    """Written again, it changes nothing."""
    data = tmp_path / "_data"
    data.mkdir()
    (data / "default_variants.yml").write_text("extractors:\n  tap-a: b\nloaders:\n  target-a: b\n")
    (data / "maintainers.yml").write_text("b:\n  label: B\n  name: b\n  url: https://b.example\n")
    command = blocks("docs/hub/README.md", "Listing on Meltano Hub")[0].text
    command = command.replace(".venv/bin/python", sys.executable)
    environment = {**os.environ, "HUB": str(tmp_path)}
    name, variant = DEFINITION["name"], DEFINITION["variant"]
    for _ in range(2):
        subprocess.run(["bash", "-e", "-c", command], cwd=ROOT, env=environment, check=True)
        variants = yaml.safe_load((data / "default_variants.yml").read_text())
        assert variants == {
            "extractors": {"tap-a": "b", name: variant},
            "loaders": {"target-a": "b"},
        }
        maintainers = yaml.safe_load((data / "maintainers.yml").read_text())
        assert set(maintainers) == {"b", variant}
        assert set(maintainers[variant]) == {"label", "name", "url"}
        assert DEFINITION["repo"].startswith(maintainers[variant]["url"])
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) == 4
        definition = data / "meltano" / "extractors" / name / f"{variant}.yml"
        assert yaml.safe_load(definition.read_text(encoding="utf-8")) == DEFINITION
        assert (tmp_path / "static" / DEFINITION["logo_url"].lstrip("/")) in files


def test_author_is_written_once_and_the_url_where_people_clone_or_install() -> None:
    author = str(metadata("tap-calltouch")["Author"])
    pages = {"README.md", "README.ru.md", "examples/meltano.yml", "transform/README.md"}
    for text, expected in ((DEFINITION["repo"], pages), (author, set())):
        found = subprocess.run(
            ["git", "grep", "--fixed-strings", "--files-with-matches", "--untracked", text],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert set(found) - {"plugin.yaml"} == {"pyproject.toml"} | expected
