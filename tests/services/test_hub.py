"""The plugin definition is valid for Meltano, and Meltano can add the tap by it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
        {"option": []},
        {"capabilities": ["discovery"]},
        {"settings": [{"name": "a", "kind": "number"}]},
        {"settings": [{"name": "a", "secret": True}]},
        {"settings_group_validation": ["api_token"]},
    ],
    ids=str,
)
def test_a_wrong_definition_is_not_valid(wrong: dict[str, Any]) -> None:
    assert check({**DEFINITION, **wrong})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a new Meltano project."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "meltano.yml").write_text("version: 1\nsend_anonymous_usage_stats: false\n")
    return folder


def run_meltano(project: Path, *arguments: str, **variables: str) -> str:
    """Run Meltano without its Hub, and return its standard output."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MELTANO")},
        "MELTANO_HUB_URL": "http://127.0.0.1:9",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "NO_COLOR": "1",
        **variables,
    }
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


@pytest.mark.parametrize("kind", ["path", "address"])
def test_meltano_adds_the_definition_as_it_is(project: Path, kind: str) -> None:
    """By the command of README. Meltano 4.4 takes no address that begins with `file:`."""
    (command,) = re.findall(
        r"`meltano (add [^`]* --from-ref\s+ADDRESS [^`]*)`", (ROOT / "README.md").read_text("utf-8")
    )
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(ROOT))
    )
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        addresses = {
            "path": str(ROOT / "plugin.yaml"),
            "address": f"http://127.0.0.1:{server.server_port}/plugin.yaml",
        }
        arguments = [addresses[kind] if word == "ADDRESS" else word for word in command.split()]
        run_meltano(project, *arguments, "--no-install")
        server.shutdown()
    (added,) = yaml.safe_load((project / "meltano.yml").read_text())["plugins"]["extractors"]
    assert added["pip_url"] == DEFINITION["pip_url"]
    names = {setting["name"] for setting in added["settings"]}
    assert names == {setting["name"] for setting in DEFINITION["settings"]}


def test_meltano_adds_the_tap_by_the_definition_without_the_hub(
    wheel: Path, sandbox: Sandbox, tmp_path: Path, project: Path
) -> None:
    reference = tmp_path / "plugin.yaml"
    reference.write_text(plugin.to_yaml({**DEFINITION, "pip_url": str(wheel)}), encoding="utf-8")
    values = config_for(sandbox, requests_per_second=4)
    variables = {
        f"TAP_CALLTOUCH_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    name = DEFINITION["name"]
    run_meltano(project, "add", "--plugin-type", "extractor", "--from-ref", str(reference), name)
    added = yaml.safe_load((project / "meltano.yml").read_text())["plugins"]["extractors"]
    assert [(item["name"], item["variant"]) for item in added] == [
        (DEFINITION["name"], DEFINITION["variant"])
    ]
    lines = map(json.loads, run_meltano(project, "invoke", name, **variables).splitlines())
    records = [line["record"] for line in lines if line["type"] == "RECORD"]
    expected = [item for item in sandbox.journal.records() if "/01/2024" in item["dateStr"]]
    assert keys(records) == keys(expected)
