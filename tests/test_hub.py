"""The plugin definition is as Meltano and its Hub want it, and Meltano can add the tap by it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from jsonschema import Draft202012Validator

from docs import plugin
from tests.support.pages import ROOT, blocks
from tests.support.tap import config_for, keys

if TYPE_CHECKING:
    from sandbox import Sandbox

BIN = Path(sys.executable).parent
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "plugin.yaml").read_text(encoding="utf-8"))
# What the Hub allows beyond what Meltano knows, less what it needs not hold.
HUB_KEYS = {"domain_url", "keywords", "maintenance_status", "quality", "supported_python_versions"}
HUB_TEXTS = {"definition", "hidden", "next_steps", "prereq", "settings_preamble", "usage"}
REQUIRED = {"name", "namespace", "variant", "quality"}
# What the Hub's page shows.
WANTED = {"capabilities", "description", "domain_url", "keywords", "label", "logo_url"}
WANTED |= {"maintenance_status", "pip_url", "repo", "settings", "supported_python_versions"}
WANTED |= {"settings_group_validation"}


def check(definition: dict[str, Any]) -> list[str]:
    """Return the errors of a definition by the schema that Meltano brings."""
    text = files("meltano.schemas").joinpath("meltano.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    known = {key: value for key, value in definition.items() if key not in HUB_KEYS | HUB_TEXTS}
    project = {"version": 1, "plugins": {"extractors": [known]}}
    return [error.message for error in Draft202012Validator(schema).iter_errors(project)]


@pytest.mark.integration
def test_definition_is_valid_for_meltano() -> None:
    assert check(DEFINITION) == []


@pytest.mark.integration
@pytest.mark.parametrize(
    "wrong",
    [
        {"setings": []},
        {"capabilities": ["discovery"]},
        {"settings": [{"name": "a", "kind": "number"}]},
        {"settings": [{"name": "a", "secret": True}]},
        {"settings_group_validation": ["api_token"]},
    ],
    ids=str,
)
def test_a_wrong_definition_is_not_valid(wrong: dict[str, Any]) -> None:
    assert check({**DEFINITION, **wrong})


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
        assert yaml.safe_load(definition.read_text(encoding="utf-8")) == plugin.definition()
        assert (tmp_path / "static" / DEFINITION["logo_url"].lstrip("/")) in files


def test_url_and_author_are_written_once() -> None:
    author = str(metadata("tap-calltouch")["Author"])
    for text in (DEFINITION["repo"], author):
        found = subprocess.run(
            ["git", "grep", "--fixed-strings", "--files-with-matches", "--untracked", text],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert set(found) - {"plugin.yaml"} == {"pyproject.toml"}


@pytest.mark.integration
def test_meltano_adds_the_tap_by_the_definition_without_the_hub(
    wheel: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    reference = tmp_path / "plugin.yaml"
    reference.write_text(plugin.to_yaml({**DEFINITION, "pip_url": str(wheel)}), encoding="utf-8")
    (project / "meltano.yml").write_text("version: 1\nsend_anonymous_usage_stats: false\n")
    values = config_for(sandbox, requests_per_second=4)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MELTANO")},
        "MELTANO_HUB_URL": "http://127.0.0.1:9",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "NO_COLOR": "1",
        **{
            f"TAP_CALLTOUCH_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
        },
    }

    def run(*arguments: str) -> str:
        result = subprocess.run(
            [BIN / "meltano", *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    run("add", "--plugin-type", "extractor", "--from-ref", str(reference), DEFINITION["name"])
    added = yaml.safe_load((project / "meltano.yml").read_text())["plugins"]["extractors"]
    assert [(item["name"], item["variant"]) for item in added] == [
        (DEFINITION["name"], DEFINITION["variant"])
    ]
    lines = map(json.loads, run("invoke", DEFINITION["name"]).splitlines())
    records = [line["record"] for line in lines if line["type"] == "RECORD"]
    expected = [item for item in sandbox.journal.records() if "/01/2024" in item["dateStr"]]
    assert keys(records) == keys(expected)
