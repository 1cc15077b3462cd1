"""Reads the table of targets, `docs/targets.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Target(NamedTuple):
    """A row of the table.

    Attributes:
        package: Its name on PyPI.
        version: The version that was tested.
        proof: What the test proves: loaded, types checked or broken.
        test: The file and the name of that test.
        notes: What to know before using the target, its faults included.
    """

    package: str
    version: str
    proof: str
    test: str
    notes: str


TARGETS = [
    Target(**row) for row in yaml.safe_load((ROOT / "docs" / "targets.yml").read_text("utf-8"))
]
