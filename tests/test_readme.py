"""The README's quick start, run as printed by a newcomer in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
import yaml

from docs.render import ROOT, tables
from sandbox import Journal, Sandbox
from tests.support.tap import keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = 12345


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An API that knows the token and the site that the README prints."""
    today = datetime.now(timezone.utc).date()
    first_day = max(date(2024, 1, 1), today - timedelta(days=20))
    journal = Journal((SITE,), first_day, today - timedelta(days=1), per_day=3, sample=False)
    with Sandbox(journal, token="your-token") as sandbox:
        yield sandbox


@pytest.fixture
def newcomer(wheel: Path, sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The environment of a fresh machine that can find the wheel, and the local API."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("VIRTUAL_ENV")}
    return own | {
        "PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(wheel.parent),
        "UV_FIND_LINKS": str(wheel.parent),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "TAP_CALLTOUCH_API_URL": sandbox.url,
    }


def section(title: str) -> list[tuple[str, str]]:
    """Give the code blocks of a section: language and text."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"\n### {title}\n")
    body = re.split(r"\n##+ ", rest)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", body, re.DOTALL | re.MULTILINE)


def run(script: str, folder: Path, environment: dict[str, str]) -> None:
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def loaded(path: Path) -> list[tuple[int, int]]:
    return keys([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])


def test_meltano_quick_start(newcomer: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    (_, install), (_, project), (_, load) = section("With Meltano")
    folder = tmp_path / "empty"
    folder.mkdir()
    run(install, folder, newcomer)
    (folder / "my-calltouch" / "meltano.yml").write_text(project, encoding="utf-8")
    run(load, folder / "my-calltouch", newcomer)
    found = loaded(folder / "my-calltouch" / "output" / "requests.jsonl")
    assert found == keys(sandbox.journal.records())
    settings = {"TAP_CALLTOUCH_API_TOKEN": "your-token", "TAP_CALLTOUCH_SITE_IDS": f"[{SITE}]"}
    run("meltano config test tap-calltouch", folder / "my-calltouch", newcomer | settings)
    calls = len(sandbox.calls)
    run("meltano invoke tap-calltouch --test", folder / "my-calltouch", newcomer | settings)
    assert len(sandbox.calls) == calls + 1


def test_pipe_quick_start(newcomer: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    """As printed, but for the address of the API."""
    (_, install), (_, config), (_, load) = section("With a plain pipe")
    folder = tmp_path / "empty"
    folder.mkdir()
    run(install, folder, newcomer)
    settings = json.loads(config) | {"api_url": sandbox.url}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    run(load, folder, newcomer)
    found = [key for output in folder.glob("requests*.jsonl") for key in loaded(output)]
    assert set(found) == set(keys(sandbox.journal.records()))
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    assert state["bookmarks"]["requests"]["partitions"][0]["context"] == {"siteId": SITE}


def test_russian_words_are_complete_and_no_more() -> None:
    """Else a new setting or field would be told in English, or an old one still."""
    words = yaml.safe_load((ROOT / "docs" / "ru.yml").read_text(encoding="utf-8"))
    english, russian = tables("en"), tables("ru")
    for name, part in (("fields", "fields"), ("settings", "settings"), ("targets", "targets")):
        rows = russian[name].splitlines()
        assert len(rows) == len(english[name].splitlines())
        same = set(rows[2:]) & set(english[name].splitlines()[2:])
        assert not same
        assert words[part]


def test_both_readmes_have_the_same_blocks_and_headings() -> None:
    shapes = []
    for name in ("README.md", "README.ru.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        shapes.append(
            (
                blocks,
                re.findall(
                    r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
                ),
            )
        )
    assert shapes[0] == shapes[1]
