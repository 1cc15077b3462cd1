"""Fixtures of all tests."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from sandbox import Journal, Sandbox
from tests.support.guard import pytest_configure  # noqa: F401 - a hook
from tests.support.tap import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is slow, and a test that fails must fail again.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


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
