"""What all of pytest's workers share, made by the first that needs it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made once in a run of pytest.

    Args:
        factory: Pytest's fixture `tmp_path_factory`.
        name: The name of the folder.
        make: Fills an empty folder, which then gets the name.
    """
    run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    folder, new = run / name, run / "new" / name
    with FileLock(run / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            make(new)
            new.rename(folder)
    return folder
