"""Runs a server that stands in for ClickHouse, by ClickHouse's own engine."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from tests.support.meltano_project import CLICKHOUSE, ROOT, install

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).with_name("clickhouse_server.py")


class ClickHouse(NamedTuple):
    """A running server."""

    port: int

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of a statement; integers beyond 2**53 are exact."""
        response = requests.post(
            f"http://127.0.0.1:{self.port}/",
            params={
                "default_format": "JSONEachRow",
                "output_format_json_quote_64bit_integers": "0",
            },
            data=statement.encode(),
            timeout=60,
        )
        assert response.ok, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def make_tables(self, database: str) -> None:
        """Make a database and the tables of `docs/clickhouse.sql` in it."""
        script = (ROOT / "docs" / "clickhouse.sql").read_text(encoding="utf-8")
        for statement in script.replace("tap_calltouch", database).split(";")[:-1]:
            self.query(statement)

    def target(self, database: str) -> dict[str, Any]:
        """Return settings of the target that say where the server is."""
        place = {"host": "127.0.0.1", "port": self.port, "database": database}
        return {**place, "password": "any"}


@contextmanager
def clickhouse(folder: Path) -> Iterator[ClickHouse]:
    """Run a server in the zone in which Russian ones run, with its databases in a folder."""
    python = install(CLICKHOUSE) / "venv" / "bin" / "python"
    with subprocess.Popen(
        [python, SERVER, folder],
        env={**os.environ, "TZ": "Europe/Moscow"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            yield ClickHouse(int(process.stdout.readline()))
        finally:
            process.terminate()
