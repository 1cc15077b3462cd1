"""Environments of peers and targets: made once by uv below `.bench`, which git ignores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".bench"
PACKAGES = {
    "peers": ["dlt[duckdb,parquet,postgres]==1.31.0", "airbyte-cdk==7.39.1"],
    "target-postgres": ["meltanolabs-target-postgres==0.8.1"],
    "tap-parquet": ["--editable", f"{ROOT}[parquet]"],
    "target-jsonl": ["target-jsonl==0.1.4"],
}


def executable(environment: str, name: str = "python") -> str:
    """Return the path of an executable of an environment, which is made if need be.

    Args:
        environment: A key of `PACKAGES`.
        name: The executable.
    """
    folder = FOLDER / environment
    done = folder / "installed"
    wanted = "\n".join([sys.version, *PACKAGES[environment]])
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        uv = [str(Path(sys.executable).with_name("uv"))]
        python = [str(folder / "bin" / "python")]
        subprocess.run(
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True
        )
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", *python]
        subprocess.run([*install, *PACKAGES[environment]], check=True)
        done.write_text(wanted, encoding="utf-8")
    return str(folder / "bin" / name)
