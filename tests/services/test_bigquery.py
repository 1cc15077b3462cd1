"""BigQuery: a local server, a real target and a real Meltano, from the API to SQL."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support.bigquery import bigquery
from tests.support.meltano_project import (
    BIGQUERY,
    BIN,
    Project,
    expected,
    install,
    stream_of,
    tap_config,
)
from tests.support.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.bigquery import BigQuery
    from tests.support.meltano_project import Config


SITES = [101, 202]
LAST_DAY = date(2024, 2, 3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQuery]:
    with bigquery(tmp_path_factory.mktemp("bigquery")) as running:
        yield running


def target(server: BigQuery, **config: Any) -> Config:
    """Return settings of the target."""
    place = {"credentials_path": str(server.key), "project": "local", "dataset": "calltouch"}
    return {**place, "method": "batch_job", **config}


def test_loads_twice_without_doubling(tmp_path: Path, server: BigQuery) -> None:
    requests = Journal(SITES, date(2024, 2, 1), LAST_DAY, per_day=4, sample=False)
    journals = requests, requests.calls(per_day=4)
    with Sandbox(*journals) as sandbox:
        settings = {"site_ids": SITES, "end_date": str(LAST_DAY)}
        project = Project(tmp_path, sandbox, BIGQUERY, {}, **settings)
        project.use_printed_loader("BigQuery", project="local")
        project.content["plugins"]["loaders"][0]["executable"] = str(impatient(tmp_path))
        project.write()
        variables = {
            "BIGQUERY_EMULATOR_HOST": server.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(server.key),
        }
        changed = requests.records()[1]
        manager, changed["manager"] = changed["manager"], "Прежний"
        project.run(**variables)
        changed["manager"] = manager
        project.run(**variables)
    for journal in journals:
        stream = stream_of(journal)
        assert rows_of(server.rows("row", f"calltouch.{stream}"), stream) == expected(journal)


def test_loads_one_json_column(tmp_path: Path, server: BigQuery) -> None:
    requests = Journal(SITES, date(2024, 2, 1), LAST_DAY, per_day=4, sample=False)
    journals = requests, requests.calls(per_day=4)
    with Sandbox(*journals) as sandbox:
        settings = tap_config(sandbox, site_ids=SITES, end_date=str(LAST_DAY))
        result = load(tmp_path, server, target(server, dataset="fixed"), settings)
    assert result.returncode == 0, result.stderr
    for journal in journals:
        stream = stream_of(journal)
        assert rows_of(server.rows("row.data", f"fixed.{stream}"), stream) == expected(journal)


@pytest.mark.parametrize("method", ["batch_job", "streaming_insert"])
def test_the_target_does_not_notice_that_its_last_rows_were_refused(
    tmp_path: Path, server: BigQuery, method: str
) -> None:
    """When this fails, the target has been mended: tell its users."""
    requests = Journal([101], date(2024, 2, 1), date(2024, 2, 1), per_day=2, sample=False)
    with Sandbox(requests) as sandbox:
        settings = tap_config(sandbox, site_ids=[101], end_date="2024-02-01")
        config = target(server, project="refused", method=method, denormalized=True)
        result = load(tmp_path, server, config, settings)
    assert result.returncode == 0
    assert "2024-02-01T21:00:00" in result.stdout  # the bookmark
    assert server.query("select count(*) from `refused`.calltouch.requests") == [["0"]]


def load(
    path: Path, server: BigQuery, config: Config, tap_settings: Config
) -> subprocess.CompletedProcess[str]:
    """Run tap and target without Meltano, and return what became of the target."""
    for name, values in {"tap": tap_settings, "target": config}.items():
        (path / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    tap = subprocess.run(
        [BIN / "tap-calltouch", "--config", path / "tap.json"], stdout=subprocess.PIPE, check=True
    )
    return subprocess.run(
        [impatient(path), "--config", path / "target.json"],
        input=tap.stdout.decode(),
        env={**os.environ, "BIGQUERY_EMULATOR_HOST": server.url},
        capture_output=True,
        text=True,
        check=False,
    )


def impatient(path: Path) -> Path:
    """Write a script that runs the target without its waits for all of Google to see a table."""
    script = path / "target"
    script.write_text(
        f"#!{install(BIGQUERY)}/venv/bin/python\n"
        "import time\n"
        "time.sleep = lambda seconds: None\n"
        "from target_bigquery.target import TargetBigQuery\n"
        "TargetBigQuery.cli()\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script
