"""Runs a server that stands in for BigQuery: local-bigquery, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from tests.support.environments import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).with_name("bigquery_server.py")
#: local-bigquery runs on Python 3.13 alone, and DuckDB's extensions have wheels for this version.
PACKAGES = (
    "local-bigquery==0.3.2",
    *(
        f"{name}==1.5.5"
        for name in (
            "duckdb",
            "duckdb-extensions",
            "duckdb-extension-ducklake",
            "duckdb-extension-icu",
            "duckdb-extension-json",
            "duckdb-extension-spatial",
        )
    ),
)


class BigQuery(NamedTuple):
    """A running server."""

    url: str
    key: Path

    def query(self, statement: str) -> list[list[Any]]:
        """Return the rows of a statement, all values as texts."""
        response = requests.post(
            f"{self.url}/bigquery/v2/projects/local/queries",
            json={"query": statement, "useLegacySql": False, "timeoutMs": 60_000},
            timeout=60,
        )
        assert response.ok, response.text
        rows = response.json().get("rows", [])
        return [[value["v"] for value in row["f"]] for row in rows]

    def rows(self, expression: str, table: str) -> list[dict[str, Any]]:
        """Return an expression of each row `row` of a table, read as JSON."""
        found = self.query(f"select to_json_string({expression}) from {table} as row")
        return [json.loads(text) for (text,) in found]


@contextmanager
def bigquery(folder: Path) -> Iterator[BigQuery]:
    """Run a server with its tables in a folder."""
    home = environment("bigquery", "3.13", *PACKAGES)
    with subprocess.Popen(
        [home / "venv" / "bin" / "python", SERVER, folder],
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            yield BigQuery(process.stdout.readline().strip(), folder / "key.json")
        finally:
            process.terminate()
