"""State in storage that speaks S3 is shared by workers that have only Airflow's environment."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import requests

from sandbox import Fault, Journal, Sandbox
from tests.services.airflow.deployment import HOST, Component, free_port, postgres, uri
from tests.support.examples import meltano_project, requests_in
from tests.support.meltano_project import S3, expected, install

if TYPE_CHECKING:
    from pathlib import Path


def test_another_worker_goes_on_from_the_state_in_s3(tmp_path: Path) -> None:
    journal = Journal((101,), date(2024, 1, 1), date(2024, 1, 31), per_day=3, sample=False)
    port = free_port()
    storage = f"http://{HOST}:{port}"
    server = install(S3) / "venv" / "bin" / "moto_server"
    s3 = Component(tmp_path / "s3", [str(server), "-H", HOST, "-p", str(port)], {})
    try:
        with Sandbox(journal) as sandbox, postgres("warehouse") as database:
            s3.wait_for(port)
            assert requests.put(f"{storage}/states", timeout=60).ok
            variables = {
                "MELTANO_STATE_BACKEND_URI": "s3://states/calltouch",
                "MELTANO_STATE_BACKEND_S3_ENDPOINT_URL": storage,
                "MELTANO_STATE_BACKEND_S3_AWS_ACCESS_KEY_ID": "key",
                "MELTANO_STATE_BACKEND_S3_AWS_SECRET_ACCESS_KEY": "secret",
                "TARGET_POSTGRES_SQLALCHEMY_URL": uri(database, "warehouse", "+psycopg2"),
                "TAP_CALLTOUCH__SELECT": '["requests.*"]',
                "TAP_CALLTOUCH_API_URL": sandbox.url,
                "TAP_CALLTOUCH_API_TOKEN": sandbox.token,
                "TAP_CALLTOUCH_SITE_IDS": "[101]",
                "TAP_CALLTOUCH_START_DATE": "2024-01-01",
                "TAP_CALLTOUCH_END_DATE": "2024-01-31",
                "TAP_CALLTOUCH_WINDOW_DAYS": "10",
                "TAP_CALLTOUCH_LOOKBACK_DAYS": "0",
            }
            fault = Fault("html", lambda call: call.params["dateFrom"] == "01/21/2024", times=1)
            sandbox.faults.append(fault)
            assert "an HTML page instead of JSON" in load(tmp_path / "first", variables, 1)
            assert 0 < len(requests_in(uri(database, "warehouse"))) < len(expected(journal))

            sandbox.calls.clear()
            load(tmp_path / "second", variables, 0)
            asked = sorted(call.params["dateFrom"] for call in sandbox.calls)
            assert asked == ["01/21/2024", "01/31/2024"]
            assert requests_in(uri(database, "warehouse")) == expected(journal)
    finally:
        s3.kill()


def load(folder: Path, variables: dict[str, str], exit_code: int) -> str:
    """Run one slice in a folder of its own, and return what Meltano printed."""
    folder.mkdir()
    project = meltano_project(folder / "project")
    command = ["meltano", "el", "--state-id=slice", "tap-calltouch", "target-postgres"]
    worker = Component(folder, command, variables | {"MELTANO_PROJECT_ROOT": str(project)})
    assert worker.wait() == exit_code, worker.output
    return worker.output
