"""README runs as it is printed, in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from docs import plugin
from sandbox import Fault, Journal, Sandbox
from tests.support.environments import UV
from tests.support.meltano_project import BIN, JSONL, install
from tests.support.pages import ROOT, blocks
from tests.support.repetitions import IS_LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


SITE = 12345
#: The id of the records of each stream.
IDS = {"calls": "callId", "requests": "requestId"}
State = dict[str, Any]
#: In the place of python3: `-m venv FOLDER` makes an environment whose pip is uv.
VENV_BY_UV = """#!/bin/sh -e
test "$1 $2" = "-m venv" || exec {python} "$@"
{uv} venv --quiet --python {python} "$3"
bin=$(cd "$3/bin" && pwd)
printf '#!/bin/sh\\nexec {uv} pip "$@" --python %s/python\\n' "$bin" > "$bin/pip"
chmod +x "$bin/pip"
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An API that knows the token and the site that the README prints."""
    today = datetime.now(timezone.utc).date()
    first_day = max(date(2024, 1, 1), today - timedelta(days=20))
    journal = Journal((SITE,), first_day, today - timedelta(days=1), per_day=3, sample=False)
    with Sandbox(journal, journal.calls(per_day=3), token="your-token") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds this tree as it is."""
    folder = tmp_path_factory.mktemp("repository")
    options = ["-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(["git", "-C", ROOT, "ls-files", *options], text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-C", str(folder), "-c", "user.name=Test", "-c", "user.email=test@site.example"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=The tree"], check=True)
    return folder


@pytest.fixture
def newcomer(repository: Path, sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The environment of a fresh machine that finds the repository, and the local API."""
    programs = tmp_path / "programs"
    programs.mkdir()
    if not IS_LONG:  # uv in the place of venv and pip installs Meltano in a tenth of the time
        python = programs / "python3"
        python.write_text(VENV_BY_UV.format(uv=UV, python=sys.executable), encoding="utf-8")
        python.chmod(0o700)
    own = {name: value for name, value in os.environ.items() if not name.startswith("VIRTUAL_ENV")}
    return own | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": plugin.definition()["repo"] + ".git",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "TAP_CALLTOUCH_API_URL": sandbox.url,
    }


def run(script: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a script as a shell would, but stop at the first error; return status and output."""
    result = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout[-5000:]


def succeed(script: str, folder: Path, environment: dict[str, str]) -> None:
    status, output = run(script, folder, environment)
    assert status == 0, output


def keys(stream: str, records: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return sorted((record["siteId"], record[IDS[stream]]) for record in records)


def loaded(folder: Path) -> dict[str, list[tuple[int, int]]]:
    """Return the keys of what target-jsonl wrote into a folder, by stream."""
    return {
        stream: keys(
            stream,
            [
                json.loads(line)
                for path in folder.glob(f"{stream}*.jsonl")
                for line in path.read_text(encoding="utf-8").splitlines()
            ],
        )
        for stream in IDS
    }


def expected(sandbox: Sandbox) -> dict[str, list[tuple[int, int]]]:
    return {
        "calls": keys("calls", sandbox.call_journal.records()),
        "requests": keys("requests", sandbox.journal.records()),
    }


@pytest.mark.parametrize(
    ("page", "heading"), [("README.md", "With Meltano"), ("README.ru.md", "С Meltano")]
)
def test_meltano_quick_start(
    newcomer: dict[str, str], sandbox: Sandbox, tmp_path: Path, page: str, heading: str
) -> None:
    installation, project, secrets, load = blocks(page, heading)
    succeed(installation.text, tmp_path, newcomer)
    folder = tmp_path / "my-calltouch"
    (folder / "meltano.yml").write_text(project.text, encoding="utf-8")
    activated = newcomer | {"PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{newcomer['PATH']}"}
    succeed(secrets.text, folder, activated)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    check, run_it = load.text.splitlines()
    succeed(check, folder, activated)
    assert sorted(call.journal for call in sandbox.calls) == ["calls", "requests"]
    succeed(run_it, folder, activated)
    assert loaded(folder / "output") == expected(sandbox)
    assert {call.params.get("withOrders") for call in sandbox.calls} == {"true", None}

    status, output = run(run_it, folder, activated | {"TAP_CALLTOUCH_API_TOKEN": "wrong"})
    assert status == 1
    (cause,) = [line for line in output.splitlines() if "answered 403" in line]
    assert "[error " in cause


def test_pipe_quick_start(newcomer: dict[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    """As printed, but for the address of the API."""
    installation, config, load = blocks("README.md", "With a plain pipe")
    succeed(installation.text, tmp_path, newcomer)
    settings = json.loads(config.text) | {"api_url": sandbox.url}
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (tmp_path / "load.sh").write_text(load.text, encoding="utf-8")
    succeed("bash load.sh", tmp_path, newcomer)
    assert loaded(tmp_path) == expected(sandbox)
    first_run = len(sandbox.calls)
    succeed("bash load.sh", tmp_path, newcomer)
    assert 0 < len(sandbox.calls) - first_run < first_run  # the look-back only


@pytest.fixture
def load(sandbox: Sandbox, tmp_path: Path) -> Callable[..., tuple[int, State]]:
    """The script of the pipe; returns its status and the state that it leaves behind."""
    _, config, script = blocks("README.md", "With a plain pipe")
    first = sandbox.journal.records()[0]["dateStr"]
    settings = json.loads(config.text) | {
        "api_url": sandbox.url,
        "start_date": f"{first[6:10]}-{first[3:5]}-{first[:2]}",
        "window_days": 5,
        "lookback_days": 0,
    }
    (tmp_path / "tap").symlink_to(BIN.parent)
    (tmp_path / "load.sh").write_text(script.text, encoding="utf-8")
    installed = install(JSONL) / "venv"

    def load(target: Path = installed, **changes: Any) -> tuple[int, State]:
        (tmp_path / "target").unlink(missing_ok=True)
        (tmp_path / "target").symlink_to(target)
        (tmp_path / "config.json").write_text(json.dumps(settings | changes), encoding="utf-8")
        status, _ = run("bash load.sh", tmp_path, dict(os.environ))
        return status, json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))

    return load


def test_pipe_never_loses_the_state(
    load: Callable[..., tuple[int, State]], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Not with a tap that fails to start or fails half-way, nor with a target that fails."""
    assert load(window_days="many") == (1, {})  # before there is a state

    sandbox.faults.append(Fault("html", lambda _: len(sandbox.calls) > 2))
    status, half = load()
    assert status == 1
    assert bookmarks(half).keys() == {"calls"}
    sandbox.faults.clear()

    assert load(window_days="many") == (1, half)
    assert load(target=tmp_path / "nowhere") == (127, half)
    broken = tmp_path / "broken" / "bin" / "target-jsonl"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\ncat > /dev/null\nexit 3\n")
    broken.chmod(0o700)
    assert load(target=tmp_path / "broken") == (3, half)

    status, whole = load()
    assert status == 0
    assert bookmarks(whole).keys() == {"calls", "requests"}
    assert bookmarks(whole)["calls"] > bookmarks(half)["calls"]
    found = loaded(tmp_path)
    assert {stream: sorted(set(rows)) for stream, rows in found.items()} == expected(sandbox)


def bookmarks(state: State) -> dict[str, str]:
    """Return the bookmark of each stream of the one site, where there is one."""
    return {
        stream: partition["replication_key_value"]
        for stream, bookmark in state["bookmarks"].items()
        for partition in bookmark.get("partitions", [])
        if "replication_key_value" in partition
    }


def test_dbt_makes_tables_and_the_report_of_what_was_loaded(
    load: Callable[..., tuple[int, State]], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Of files in the folder that the quick start with Meltano leaves behind."""
    assert load()[0] == 0
    output = tmp_path / "my-calltouch" / "output"
    output.mkdir(parents=True)
    for path in tmp_path.glob("*.jsonl"):
        path.rename(output / path.name)
    checkout = tmp_path / "tap-calltouch"
    shutil.copytree(ROOT / "transform", checkout / "transform")
    (checkout / "demo").symlink_to(ROOT / "demo")
    (checkout / ".venv").symlink_to(BIN.parent)
    (commands,) = blocks("docs/dbt.md", "Tables with dbt")
    succeed(commands.text, checkout, dict(os.environ))
    with duckdb.connect(checkout / "calltouch.duckdb", read_only=True) as database:
        query = "select sum(calls), sum(requests) from calltouch__leads_by_day"
        assert database.execute(query).fetchall() == [tuple(map(len, expected(sandbox).values()))]
    assert (checkout / "leads.html").read_text(encoding="utf-8").startswith("<!doctype html>")
