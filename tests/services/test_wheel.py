"""The package builds, and its wheel works in an empty environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.tap import config_for, keys

if TYPE_CHECKING:
    from sandbox import Sandbox

UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload]
    assert result.returncode == 0, result.stderr
    return result  # type: ignore[no-any-return]


def test_package_builds_and_passes_inspection(package: Path, wheel: Path) -> None:
    (sdist,) = package.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "tap_calltouch/schemas/requests.json" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if name.count("/")}
    wanted = {"tap_calltouch", "schemas", "README.md", "README.ru.md", "LICENSE", "CHANGELOG.md"}
    assert tops == wanted | {"pyproject.toml", "PKG-INFO", ".gitignore"}


def test_wheel_holds_the_package_and_the_schema_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "tap_calltouch/schemas/requests.json" in names
    assert "tap_calltouch/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tap_calltouch"}


def test_page_on_the_index_has_links_that_lead_somewhere(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    repository = re.findall("Homepage, (.+)", metadata)[0]
    links = re.findall(r"\]\((.*?)\)", metadata)
    assert f"{repository}/blob/main/docs/targets.md" in links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_wheel_loads_into_a_target_without_meltano(
    wheel: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """`tap-calltouch --config c.json --state s.json | target-jsonl`, in a new environment."""
    environment = tmp_path / "venv"
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    run(UV, "pip", "install", "--quiet", "--python", environment, wheel)
    target = tmp_path / "target"
    run(UV, "venv", "--quiet", "--python", sys.executable, target)
    run(UV, "pip", "install", "--quiet", "--python", target, "target-jsonl==0.1.4")
    (tmp_path / "c.json").write_text(json.dumps(config_for(sandbox, lookback_days=5)))
    bookmark = {"replication_key": "date", "replication_key_value": "2024-01-20T21:00:00+00:00"}
    partitions = [{"context": {"siteId": site}, **bookmark} for site in (101, 202)]
    state = {"bookmarks": {"requests": {"partitions": partitions}}}
    (tmp_path / "s.json").write_text(json.dumps(state))
    settings = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    (tmp_path / "t.json").write_text(json.dumps(settings))
    pipe = (
        f"{scripts}/tap-calltouch --config c.json --state s.json"
        f" | {target}/{scripts.name}/target-jsonl --config t.json > state.json"
    )
    run("bash", "-o", "pipefail", "-c", pipe, cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    expected = [
        record
        for record in sandbox.journal.records()
        if "/01/2024" in record["dateStr"] and int(record["dateStr"][:2]) >= 16
    ]
    assert keys(rows) == keys(expected)
    last = json.loads((tmp_path / "state.json").read_text().splitlines()[-1])
    for partition in last["bookmarks"]["requests"]["partitions"]:
        assert partition["replication_key_value"] == "2024-01-31T21:00:00.000+00:00"
