"""CI and releases: the workflows fit the project, and the package builds."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FILES = [*sorted(GITHUB.rglob("*.yml")), ROOT / ".pre-commit-config.yaml"]
WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    for path in sorted((GITHUB / "workflows").glob("*.yml"))
}
JOBS = [
    pytest.param(job, id=f"{name}-{key}")
    for name, workflow in WORKFLOWS.items()
    for key, job in workflow["jobs"].items()
]
VERSIONS = [
    line.rpartition(" ")[2]
    for line in metadata("tap-calltouch").get_all("Classifier") or []
    if ":: Python :: 3." in line
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_by_its_hash_and_names_its_tag(name: str) -> None:
    text = (GITHUB / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    for action in uses:
        pinned = re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
        assert pinned or action.startswith("./.github/workflows/"), action


def test_an_action_has_one_version_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in (GITHUB / "workflows").glob("*.yml"):
        for action, pin in re.findall(r"uses: ([\w./-]+)@(.*)", path.read_text(encoding="utf-8")):
            pins.setdefault(action, set()).add(pin)
    assert {action: len(pin) for action, pin in pins.items()} == dict.fromkeys(pins, 1)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_permission_of_its_own(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_may_read_only_and_does_not_run_for_ever(job: dict[str, Any]) -> None:
    publishes = job.get("environment") == "release"
    permission = {"id-token": "write"} if publishes else {"contents": "read"}
    assert job["permissions"] == permission
    assert "uses" in job or int(job["timeout-minutes"]) <= 90
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
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"


def test_matrix_is_that_of_the_classifiers_and_systems() -> None:
    jobs = WORKFLOWS["ci"]["jobs"]
    for name in ("all", "unit"):
        assert jobs[name]["strategy"]["matrix"]["python"] == VERSIONS
    matrix = jobs["unit"]["strategy"]["matrix"]
    assert [system.partition("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["resolution"] == ["lowest-direct", "highest"]
    lines = [step.get("run") for step in jobs["all"]["steps"]]
    assert {"make lint", "make test"} <= set(lines)


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
    assert set(re.findall(r"`(\w+\.py)`", text.partition("## Add")[0])) == modules
