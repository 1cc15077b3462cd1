"""What repeats the settings and the schema agrees with them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import yaml

from docs import plugin
from docs.render import ROOT, render, tables
from tap_calltouch.config.settings import SETTINGS
from tests.support.sdk import without_additions

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = without_additions(plugin.about())
with patch.object(plugin, "about", lambda: ABOUT):
    RENDERED = render()
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]


@pytest.fixture(autouse=True)
def _about() -> Iterator[None]:
    with patch.object(plugin, "about", lambda: ABOUT):
        yield


@pytest.mark.parametrize("name", RENDERED)
def test_generated_parts_are_up_to_date(name: str) -> None:
    """If this fails, run `make docs`."""
    assert (ROOT / name).read_text(encoding="utf-8") == RENDERED[name]


def test_every_generated_part_has_a_page() -> None:
    text = "".join(RENDERED.values())
    for part in tables("en"):
        assert f"generated: {part} (`make docs`)" in text


def test_every_setting_and_field_has_russian_words() -> None:
    """Else a new setting or field would be described in English."""
    english, russian = tables("en"), tables("ru")
    for part in ("settings", "sdk-settings", "fields"):
        rows = [
            re.findall(r"^\| (`.*?`.*?) \|(.*)$", text[part], re.MULTILINE)
            for text in (english, russian)
        ]
        assert rows[0]
        for (name, described), (russian_name, russian_described) in zip(*rows, strict=True):
            assert name == russian_name
            assert described != russian_described, name


def test_no_russian_words_are_left_over() -> None:
    words = yaml.safe_load((ROOT / "docs" / "ru.yml").read_text(encoding="utf-8"))
    schemas = [path.stem for path in ROOT.glob("schemas/*.json")]
    assert sorted(words["streams"]) == sorted(words["fields"]) == sorted(schemas)
    assert set(words["settings"]) == {setting["name"] for setting in plugin.settings()}
    rows = re.findall(r"^\| `(.+?)` \|", tables("en")["fields"], re.MULTILINE)
    assert sorted(rows) == sorted(name for stream in words["fields"].values() for name in stream)


def test_docs_import_nothing_of_the_tests() -> None:
    for path in (ROOT / "docs").glob("*.py"):
        assert not re.search(r"^\s*(from|import) tests\b", path.read_text("utf-8"), re.MULTILINE)


def anchor(heading: str) -> str:
    """Return what a link says of a heading."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def in_pages(pattern: str) -> Iterator[tuple[Path, str]]:
    """Yield each page with what a pattern finds there."""
    for page in PAGES:
        for found in re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE):
            yield page, found


def test_links_lead_somewhere() -> None:
    for page, link in in_pages(r"\]\(([^)\s]+)\)"):
        if link.startswith("https:"):
            continue
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), (page, link)
        if section:
            headings = re.findall(r"^#+ (.+)", target.read_text("utf-8"), re.MULTILINE)
            assert section in {anchor(heading) for heading in headings}, (page, link)


def test_pages_name_commands_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page, target in in_pages(r"(?:^|`)make ([\w-]+)"):
        assert f"\n{target}:" in makefile, (page, target)


def leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    names: set[str] = set()
    for name, part in schema["properties"].items():
        is_map = name == "stream_maps" or not part.get("properties")
        names |= {path + name} if is_map else leaves(part, f"{path}{name}.")
    return names


def test_meltano_and_plugin_know_every_setting_of_about() -> None:
    about = subprocess.run(
        [sys.executable, "-m", "tap_calltouch", "--about", "--format", "json"],
        capture_output=True,
        check=True,
    )
    names = leaves(without_additions(json.loads(about.stdout))["settings"])
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    extractor = project["plugins"]["extractors"][0]
    definition = yaml.safe_load((ROOT / "plugin.yaml").read_text(encoding="utf-8"))
    for settings in (extractor["settings"], definition["settings"]):
        assert {setting["name"] for setting in settings} == names
    assert sorted(extractor["capabilities"]) == definition["capabilities"]
    assert definition["settings_group_validation"] == [["api_token", "start_date"]]


def test_only_additions_of_a_newer_sdk_are_left_out() -> None:
    """Neither a setting of the tap nor one that the pinned SDK has."""
    newer = deepcopy(ABOUT)
    newer["capabilities"].append("new")
    settings = newer["settings"]["properties"]
    settings["new"] = {"type": ["string"]}
    settings["batch_config"]["properties"]["storage"]["properties"]["new"] = {"type": ["string"]}
    assert without_additions(newer, is_newer=False) is newer
    assert without_additions(newer, is_newer=True) == ABOUT
    del settings["flattening_enabled"]
    del settings["batch_config"]["properties"]["storage"]["properties"]["root"]
    gone = {"flattening_enabled", "batch_config.storage.root"}
    names = leaves(without_additions(newer, is_newer=True)["settings"])
    assert names == leaves(ABOUT["settings"]) - gone
    with patch.dict(SETTINGS["properties"], new={}):
        assert "new" in without_additions(newer, is_newer=True)["settings"]["properties"]


def test_each_setting_has_type_title_and_description_with_the_parameter() -> None:
    own = leaves(SETTINGS)
    no_parameter = {"timezone", "window_days", "lookback_days", "max_concurrent_requests"}
    no_parameter |= {"requests_per_second", "request_timeout", "api_url"}
    for setting in plugin.settings():
        if setting["name"] in own:
            assert setting["label"]
            assert ("API: `" in setting["description"]) != (setting["name"] in no_parameter)


def test_hub_kinds_are_right() -> None:
    kinds = {setting["name"]: setting for setting in plugin.settings()}
    assert kinds["site_ids"]["kind"] == "array"
    assert kinds["api_token"] == {**kinds["api_token"], "kind": "string", "sensitive": True}
    assert [name for name, setting in kinds.items() if setting.get("sensitive")] == ["api_token"]
    assert kinds["start_date"]["kind"] == "date_iso8601"
    assert {option["value"] for option in kinds["bind_to"]["options"]} == {"request", "session"}


def test_no_host_of_an_index_and_no_path_of_a_machine_is_in_the_project() -> None:
    """Nor in the pinned requirements."""
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    pattern = re.compile(
        r"files\.pythonhosted|pypi\.(org|io)|artifactory|/(home|root|work|Users)/\w"
    )
    for name in filter(None, files.split("\0")):
        path = Path(ROOT, name)
        if path == Path(__file__) or path.suffix == ".png":
            continue
        found = pattern.search(path.read_text(encoding="utf-8"))
        assert not found, f"{name}: {found and found.group()}"


def test_every_printed_project_lets_meltano_tell_errors_from_other_lines() -> None:
    """Without `structured-logging`, it prints all lines of the tap as `[info]`."""
    paths = [*PAGES, *ROOT.glob("*.yml"), *ROOT.glob("examples/*.yml")]
    found = [
        (path, names)
        for path in paths
        for names in re.findall(
            r"^ +capabilities:((?: .+\n)|(?:\n +- .+)+)", path.read_text("utf-8"), re.MULTILINE
        )
    ]
    assert len(found) >= 4
    for path, names in found:
        assert "structured-logging" in names, path
