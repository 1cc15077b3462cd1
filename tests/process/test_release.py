"""CI and releases fit the project; `make lint` sees whether the workflows are sound."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    for path in sorted((GITHUB / "workflows").glob("*.yml"))
}
VERSIONS = [
    line.rpartition(" ")[2]
    for line in metadata("tap-calltouch").get_all("Classifier") or []
    if ":: Python :: 3." in line
]


def test_an_action_has_one_version_everywhere_and_names_its_tag() -> None:
    pins: dict[str, set[str]] = {}
    for path in (GITHUB / "workflows").glob("*.yml"):
        for action, pin in re.findall(r"uses: ([\w./-]+)@(.*)", path.read_text(encoding="utf-8")):
            pins.setdefault(action, set()).add(pin)
    assert {action: len(pin) for action, pin in pins.items()} == dict.fromkeys(pins, 1)
    for (pin,) in pins.values():
        assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), pin


def test_a_job_may_read_only_and_runs_no_text_from_outside() -> None:
    """More strictly than zizmor sees it, which `make lint` runs."""
    for job in (job for workflow in WORKFLOWS.values() for job in workflow["jobs"].values()):
        publishes = job.get("environment") == "release"
        assert job["permissions"] == ({"id-token": "write"} if publishes else {"contents": "read"})
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), "an expression in a script can be code"
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] == "false"


def test_only_tags_are_published_after_all_tests() -> None:
    release = WORKFLOWS["release"]
    assert release["on"] == {"push": {"tags": ["v*"]}}
    jobs = release["jobs"]
    assert [job for job in jobs.values() if "id-token" in job["permissions"]] == [jobs["publish"]]
    assert (jobs["publish"]["needs"], jobs["build"]["needs"]) == ("build", "test")
    assert jobs["test"]["uses"] == "$/.github/workflows/ci.yml"


def test_every_python_is_tested_and_the_oldest_and_newest_with_all_tests() -> None:
    jobs = WORKFLOWS["ci"]["jobs"]
    assert jobs["all"]["strategy"]["matrix"]["python"] == [VERSIONS[0], VERSIONS[-1]]
    assert {"make lint", "make test"} <= {step.get("run") for step in jobs["all"]["steps"]}
    unit = jobs["unit"]["strategy"]["matrix"]["include"]
    assert [job["python"] for job in unit if job["resolution"] == "highest"][:3] == VERSIONS[1:-1]
    assert {job["python"] for job in unit if job["resolution"] == "lowest-direct"} == {
        VERSIONS[0],
        VERSIONS[-1],
    }
    assert {job["os"] for job in unit} == {"ubuntu-latest", "macos-latest", "windows-latest"}


def test_scripts_run() -> None:
    for path in (ROOT / "scripts").glob("*.sh"):
        assert os.access(path, os.X_OK), path
        subprocess.run(["bash", "-n", path], check=True)


def test_dependabot_looks_after_actions_and_packages() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert [item["package-ecosystem"] for item in updates] == ["github-actions", "pip"]


def test_every_requirement_has_a_lower_bound() -> None:
    """So that `lowest-direct` means something."""
    needed = [line for line in requires("tap-calltouch") or [] if "extra ==" not in line]
    assert needed
    for line in needed:
        operators = {bound.operator for bound in Requirement(line).specifier}
        assert operators & {">=", "~="}, line


def test_only_the_sdk_has_an_upper_bound() -> None:
    """Its next minor version may change what the tap overrides."""
    needed = [Requirement(line) for line in requires("tap-calltouch") or []]
    bounded = {it.name for it in needed if {b.operator for b in it.specifier} - {">="}}
    assert bounded == {"singer-sdk"}


def test_changelog_has_a_section_for_what_comes_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    for heading in headings[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", heading)
    versions = [tuple(map(int, heading.split()[0].split("."))) for heading in headings[1:]]
    assert versions == sorted(versions, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_contributing_names_every_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    modules = {path.name for path in (ROOT / "tap_calltouch").rglob("*.py")} - {"__init__.py"}
    named = set(re.findall(r"`(\w+\.py)`", text.partition("## Add")[0]))
    assert named - {"__init__.py"} == modules
