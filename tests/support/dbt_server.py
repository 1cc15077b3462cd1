"""Runs dbt in forks of a process that has imported it: imports are a third of what a run costs.

Run as `python -m tests.support.dbt_server` in the folder in which dbt is to be. Each line of its
input is a run: a JSON object with the command line after `dbt`, all environment variables and the
file that gets the output. Each line that it prints is the exit code of one.
"""

from __future__ import annotations

import json
import os
import sys

import dbt.adapters.clickhouse
import dbt.adapters.duckdb
import dbt.adapters.postgres  # noqa: F401 - imported once for all forks, as the two above
from dbt.cli.main import cli


def serve() -> None:
    """Run what the lines of the input say, one after the other, until it ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become_dbt(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become_dbt(arguments: list[str], environment: dict[str, str], output: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)
    cli(arguments, prog_name="dbt")


if __name__ == "__main__":
    serve()
