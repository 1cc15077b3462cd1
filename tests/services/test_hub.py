"""The plugin definition is valid for Meltano, and Meltano can add the tap by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from docs import plugin
from tests.support.pages import ROOT
from tests.support.tap import config_for, keys

if TYPE_CHECKING:
    from sandbox import Sandbox

BIN = Path(sys.executable).parent
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "plugin.yaml").read_text(encoding="utf-8"))
# What the Hub allows beyond what Meltano knows, less what it needs not hold.
HUB_KEYS = {"domain_url", "keywords", "maintenance_status", "quality", "supported_python_versions"}
HUB_TEXTS = {"definition", "hidden", "next_steps", "prereq", "settings_preamble", "usage"}


def check(definition: dict[str, Any]) -> list[str]:
    """Return the errors of a definition by the schema that Meltano brings."""
    text = files("meltano.schemas").joinpath("meltano.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    known = {key: value for key, value in definition.items() if key not in HUB_KEYS | HUB_TEXTS}
    project = {"version": 1, "plugins": {"extractors": [known]}}
    return [error.message for error in Draft202012Validator(schema).iter_errors(project)]


def test_definition_is_valid_for_meltano() -> None:
    assert check(DEFINITION) == []


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
