"""Environments of packages that cannot be installed beside the tap, each made once for all runs."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from filelock import FileLock

UV = Path(sys.executable).with_name("uv")
ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".pytest_cache" / "environments"


@cache
def interpreter(versions: str) -> str:
    """Return the path of a Python of other versions than this one may have.

    Args:
        versions: Such as `3.13` or `>=3.10,<3.12`.

    Raises:
        RuntimeError: The machine has none, and uv cannot download one.
    """
    find = ("python", "find", "--no-project", "--system", versions)
    found = uv(*find)
    if found.returncode:
        installed = uv("python", "install", versions)
        if installed.returncode:
            message = f"this test needs Python {versions}; uv cannot get it: {installed.stderr}"
            raise RuntimeError(message)
        found = uv(*find)
    return found.stdout.strip()


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run uv with all of pyenv's versions in sight, which its shims hide by default."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    versions = sorted(path.name for path in root.glob("versions/3.*"))
    return subprocess.run(
        [UV, *arguments],
        env={**os.environ, "PYENV_VERSION": ":".join(versions)},
        capture_output=True,
        text=True,
        check=False,
    )


def environment(name: str, python: str, *requirements: str) -> Path:
    """Return the folder of a virtual environment with some packages.

    Args:
        name: Its name.
        python: The versions of Python that it may have; empty for that of this process.
        requirements: Its packages. A folder that was made with others is made anew.
    """
    folder = ENVIRONMENTS / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        done = folder / "done"
        wanted = "\n".join([python, *requirements])
        if not done.exists() or done.read_text(encoding="utf-8") != wanted:
            venv = folder / "venv"
            path = interpreter(python) if python else sys.executable
            for command in (
                ("venv", "--clear", "--python", path, str(venv)),
                ("pip", "install", "--python", str(venv), *requirements),
            ):
                result = uv(*command)
                assert result.returncode == 0, result.stderr
            done.write_text(wanted, encoding="utf-8")
    return folder
