"""How often tests that draw at random repeat themselves: a few times, or all of it."""

from __future__ import annotations

import os
from typing import TypeVar

#: Set by `make test-long`.
IS_LONG = bool(os.environ.get("LONG_TESTS"))


T = TypeVar("T")


def times(few: T, many: T) -> T:
    """Return how often to repeat, or any other measure of it.

    Args:
        few: As a rule.
        many: In `make test-long`.
    """
    return many if IS_LONG else few
