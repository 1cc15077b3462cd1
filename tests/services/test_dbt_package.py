"""The models as a dbt package, in a project that is not this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import yaml

from sandbox import Journal
from sandbox.costs import costs_of_days, write_costs
from tests.support.meltano_project import BIN, ROOT, expected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, LAST = date(2024, 2, 1), date(2024, 2, 3)
PROFILE = {"shop": {"target": "dev", "outputs": {"dev": {"type": "duckdb", "path": "shop.duckdb"}}}}
PROJECT = {
    "name": "shop",
    "version": "1.0.0",
    "profile": "shop",
    "flags": {"send_anonymous_usage_stats": False},
    # The project's rules of channels come before those of the package.
    "dispatch": [{"macro_namespace": "calltouch", "search_order": ["shop", "calltouch"]}],
    "vars": {"calltouch": {"calltouch_costs": "costs", "calltouch_metrica_target": "order"}},
}
RULES = """
{% macro default__channel(source, medium, utm_source, utm_medium, is_offline) -%}
    case when {{ source }} = 'yandex' then 'cpc' else 'unknown' end
{%- endmacro %}
"""
MODEL = "select sum(cost) as cost, sum(leads) as leads from {{ ref('calltouch__campaigns') }}"


def make_project(folder: Path, package: dict[str, Any]) -> None:
    """Write a project that has a table of costs, rules of channels and a model of its own."""
    texts = {
        "dbt_project.yml": yaml.safe_dump(PROJECT),
        "profiles.yml": yaml.safe_dump(PROFILE),
        "packages.yml": yaml.safe_dump({"packages": [package]}),
        "macros/channel.sql": RULES,
        "models/totals.sql": MODEL,
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "seeds").mkdir()
    with (folder / "seeds" / "costs.csv").open("w", encoding="utf-8") as file:
        write_costs(file, costs_of_days(1, FIRST, LAST, 12))


def run(folder: Path, *command: str | Path, **variables: str) -> str:
    """Run a command in a folder to its end, and return what it printed."""
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def lines(journal: Any) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) for row in expected(journal).values())


def test_a_project_takes_the_package_from_a_folder_and_changes_its_rules(tmp_path: Path) -> None:
    folder, files = tmp_path / "shop", tmp_path / "files"
    make_project(folder, {"local": os.path.relpath(ROOT / "transform", folder)})
    files.mkdir()
    requests = Journal((101,), FIRST, LAST, per_day=4, sample=False)
    calls = requests.calls(per_day=6)
    for name, journal in (("requests", requests), ("calls", calls)):
        (files / f"{name}.jsonl").write_text("\n".join(lines(journal)), encoding="utf-8")
    run(folder, BIN / "dbt", "deps")
    run(folder, BIN / "dbt", "build", CALLTOUCH_JSONL=str(files))
    with duckdb.connect(folder / "shop.duckdb", read_only=True) as database:
        (totals,) = database.execute("select cost, leads from totals").fetchall()
        leads = len(requests.records()) + len(calls.records())
        (cost,) = database.execute("select sum(cost)::decimal(18, 4) from costs").fetchall()
        assert totals == (*cost, leads)
        found = database.execute("select distinct channel, source from calltouch__leads")
        channels = {channel: source for channel, source in found.fetchall() if channel == "cpc"}
        assert channels == {"cpc": "yandex"}
        targets = database.execute('select distinct "Target" from calltouch__metrica_conversions')
        assert targets.fetchall() in ([], [("order",)])


def test_a_project_takes_the_package_from_a_git_repository(tmp_path: Path) -> None:
    folder, repository = tmp_path / "shop", tmp_path / "repository"
    unwanted = shutil.ignore_patterns("target", "logs", "dbt_packages")
    shutil.copytree(ROOT / "transform", repository / "transform", ignore=unwanted)
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    run(repository, "git", "init", "--quiet", "--initial-branch", "main")
    run(repository, "git", "add", "--all")
    run(repository, "git", *who, "commit", "--quiet", "--message", "Package")
    package = {"git": repository.as_uri(), "subdirectory": "transform", "revision": "main"}
    make_project(folder, package)
    run(folder, BIN / "dbt", "deps")
    listed = run(
        folder, BIN / "dbt", "--quiet", "ls", "--select", "package:calltouch", CALLTOUCH_JSONL="."
    )
    assert "calltouch.marts.calltouch__campaigns" in listed.splitlines()


def test_the_package_explains_its_variables() -> None:
    project = yaml.safe_load((ROOT / "transform" / "dbt_project.yml").read_text("utf-8"))
    readme = (ROOT / "transform" / "README.md").read_text("utf-8")
    assert project["name"] == "calltouch"
    assert {name for name in project["vars"] if f"| `{name}` |" in readme} == project["vars"].keys()
