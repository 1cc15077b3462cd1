"""The recipes of docs/recipes.md, each run as it is printed there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from datetime import date, datetime, timedelta, timezone
from itertools import product
from string import Template
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from sandbox import Call, Journal, Sandbox
from tests.support.meltano_project import (
    BIN,
    JSONL,
    POSTGRES,
    ROOT,
    Project,
    expected,
    finish,
    pipe,
    tap_config,
)
from tests.support.pages import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.meltano_project import Config, Loader
    from tests.support.postgres import Database


Row = dict[str, Any]
SETTINGS = {"end_date": "2024-03-05", "window_days": 90, "site_ids": [101, 202]}

RECIPES: dict[str, str] = yaml.safe_load((ROOT / "docs" / "recipes.yml").read_text("utf-8"))
# As the page says below the block.
RECIPES["hash_pii with md5"] = (
    RECIPES["hash_pii"]
    .replace("  stream_map_config:\n    salt: $PII_SALT\n", "")
    .replace("sha256(config['salt'] + ", "md5(")
)


@pytest.fixture
def journal() -> Journal:
    return Journal((101, 202), date(2024, 2, 1), date(2024, 3, 5), per_day=2, sample=False)


@pytest.fixture
def sandbox(journal: Journal) -> Iterator[Sandbox]:
    with Sandbox(journal, journal.calls(per_day=2)) as sandbox:
        yield sandbox


def files_in(folder: Path) -> Config:
    """Return settings of target-jsonl."""
    return {"destination_path": str(folder), "do_timestamp_file": False}


@pytest.fixture
def project(tmp_path: Path, sandbox: Sandbox) -> Project:
    return Project(tmp_path, sandbox, JSONL, files_in(tmp_path), **SETTINGS)


def sha256_with_salt(text: str) -> str:
    return hashlib.sha256(f"соль{text}".encode()).hexdigest()


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - it is what Yandex takes


def follow(project: Project, recipe: str) -> None:
    """Put a recipe into `meltano.yml`."""
    changes = yaml.safe_load(RECIPES[recipe])
    if "plugins" in changes:
        project.content["plugins"]["extractors"] += changes["plugins"]["extractors"]
    else:
        project.tap["config"] |= changes.pop("config", {})
        project.tap.update(changes)
    project.write()


def follow_without_meltano(
    recipe: str, sandbox: Sandbox, path: Path, loader: Loader, config: Config, **variables: str
) -> None:
    """Load by a recipe that is a matter of the tap's settings alone, and cheaper without Meltano.

    Args:
        recipe: Its name.
        sandbox: The API.
        path: A folder for the configs.
        loader: The target.
        config: The target's settings.
        variables: What Meltano would put in the place of the recipe's variables.
    """
    changes = yaml.safe_load(Template(RECIPES[recipe]).substitute(variables))
    assert changes.keys() == {"config"}
    pipe(path, loader, config, tap_config(sandbox, **SETTINGS) | changes["config"])


def run_command(project: Project, heading: str, status: int = 0, **variables: str) -> None:
    """Run the command below a heading of the page in the project's folder.

    Args:
        project: The project.
        heading: The heading.
        status: What the command must end with.
        variables: Environment variables to add.
    """
    (command,) = [
        block.text for block in blocks("docs/recipes.md", heading) if block.language == "sh"
    ]
    environment = {name: value for name, value in os.environ.items() if name[:7] != "MELTANO"}
    environment["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-e", "-c", command], cwd=project.path, env=environment | variables, check=False
    )
    assert result.returncode == status


def site_of(call: Call) -> str:
    return call.params.get("siteId") or call.path.split("/")[-3]


def lines(folder: Path, table: str = "requests") -> list[Row]:
    text = (folder / f"{table}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def key_of(row: Row) -> tuple[int, int]:
    return row["siteId"], row.get("requestId") or row["callId"]


def keys(rows: list[Row], name: str = "requestId") -> set[tuple[int, int]]:
    found = {(row["siteId"], row[name]) for row in rows}
    assert len(found) == len(rows)
    return found


def call_keys(rows: list[Row]) -> set[tuple[int, int]]:
    return keys(rows, "callId")


def test_token_and_sites_are_checked_by_one_call_for_each_site_and_stream(
    project: Project, sandbox: Sandbox
) -> None:
    run_command(project, "Check token and sites")
    asked = [(call.journal, site_of(call)) for call in sandbox.calls]
    assert sorted(asked) == list(product(("calls", "requests"), ("101", "202")))
    with project.start("config", "test", "tap-calltouch") as process:
        assert "configuration is valid" in finish(process)


@pytest.mark.parametrize(
    ("recipe", "hashed"), [("hash_pii", sha256_with_salt), ("hash_pii with md5", md5)]
)
def test_phones_and_addresses_leave_the_machine_only_as_hashes(
    recipe: str, hashed: Callable[[str], str], tmp_path: Path, journal: Journal, sandbox: Sandbox
) -> None:
    calls = sandbox.call_journal.records()
    spell(journal.records(), calls)
    config = files_in(tmp_path)
    follow_without_meltano(recipe, sandbox, tmp_path, JSONL, config, PII_SALT="соль")
    rows = {(row["siteId"], row["requestId"]): row for row in lines(tmp_path)}
    assert rows.keys() == expected(journal).keys()
    for record in journal.records():
        row = rows[record["siteId"], record["requestId"]]
        phones = [hashed(digits(item["phoneNumber"]) or "") for item in record["client"]["phones"]]
        assert [item["phoneNumber"] for item in row["client"]["phones"]] == phones
        addresses = [item["contactValue"].strip().lower() for item in record["client"]["contacts"]]
        contacts = [item["contactValue"] for item in row["client"]["contacts"]]
        assert contacts == list(map(hashed, addresses))
        assert row["client"]["clientId"] == record["client"]["clientId"]
    written = (tmp_path / "requests.jsonl").read_text(encoding="utf-8")
    for client in (record["client"] for record in journal.records()):
        secrets = [item["phoneNumber"] for item in client["phones"]]
        secrets += [item["contactValue"] for item in client["contacts"]]
        assert not [secret for secret in secrets if secret in written]

    found = {(row["siteId"], row["callId"]): row for row in lines(tmp_path, "calls")}
    assert found.keys() == call_keys(calls)
    written = (tmp_path / "calls.jsonl").read_text(encoding="utf-8")
    # The sandbox's id of a caller is the MD5 of the number, which stands in every call of theirs.
    without_numbers = re.sub(r'"callerNumber": "\w+"', "", written)
    gone = {"ctCallerId", "phonesInText", "phrases", "callbackInfo", "customFields", "comments"}
    for call in calls:
        row = found[call["siteId"], call["callId"]]
        number = digits(call["callerNumber"])
        assert row["callerNumber"] == (number and hashed(number))
        assert not gone & row.keys()
        assert f'"{call["callerNumber"]}"' not in written
        assert call["ctCallerId"] not in without_numbers
    assert found[key_of(calls[0])]["callerNumber"] == found[key_of(calls[1])]["callerNumber"]


def spell(requests: list[Row], calls: list[Row]) -> None:
    """Write some numbers and an address in other ways."""
    calls[0]["callerNumber"], calls[1]["callerNumber"] = "8 (900) 000-01-42", "+79000000142"
    calls[2]["callerNumber"], calls[3]["callerNumber"] = "9000000142", "anonymous"
    calls[4]["callerNumber"], calls[5]["callerNumber"] = "sip:79000000142@pbx.example", "112"
    calls[6]["callerNumber"] = "+49 30 1234567-89"
    client = next(row["client"] for row in requests if row["client"]["contacts"])
    client["contacts"][0]["contactValue"] = "  Ivan.Test@Example.com "
    client["phones"] = [{"phoneNumber": "8-900-000-01-42", "phoneType": "MOBILE"}]


def digits(text: str) -> str | None:
    """Return a phone number with its country code; None if it is not one."""
    number = re.sub(r"[-+(). ]", "", text)
    if not number.isdecimal() or not 10 <= len(number) <= 15:
        return None
    return re.sub(r"^8?(\d{10})$", r"7\1", number)


def test_md5_is_that_of_yandex() -> None:
    # The vendor's own examples.
    assert md5("79995551111") == "f09f2c3d48f31e2a802944ade2e5aec5"
    assert md5("mail@yandex.ru") == "3c56ff8fef0f6c65b36b2d25720fe276"


def test_columns_that_are_not_selected_are_not_written(
    project: Project, journal: Journal, sandbox: Sandbox
) -> None:
    follow(project, "drop_columns")
    project.run()
    rows = lines(project.path)
    assert keys(rows) == expected(journal).keys()
    assert not [row for row in rows if {"client", "mapVisits"} & row.keys()]
    sessions = [row["session"] for row in rows if row["session"]]
    assert sessions
    assert not [session for session in sessions if "ip" in session]
    assert all(session["city"] for session in sessions)
    calls = lines(project.path, "calls")
    assert call_keys(calls) == call_keys(sandbox.call_journal.records())
    assert not [row for row in calls if {"callerNumber", "mapVisits", "ip"} & row.keys()]
    assert [row for row in calls if row["city"]]


def test_the_tables_can_have_other_names(
    tmp_path: Path, journal: Journal, sandbox: Sandbox
) -> None:
    follow_without_meltano("rename", sandbox, tmp_path, JSONL, files_in(tmp_path))
    assert keys(lines(tmp_path, "calltouch_requests")) == expected(journal).keys()
    calls = lines(tmp_path, "calltouch_calls")
    assert call_keys(calls) == call_keys(sandbox.call_journal.records())
    tables = {path.stem for path in tmp_path.glob("*.jsonl")}
    assert tables == {"calltouch_calls", "calltouch_requests"}


def test_an_account_that_fails_does_not_keep_another_from_being_loaded(
    project: Project, journal: Journal, sandbox: Sandbox
) -> None:
    follow(project, "accounts")
    with Sandbox(journal, sandbox.call_journal, token="south") as south:
        # Only for the test: each account is a server of its own.
        project.content["plugins"]["extractors"][2]["config"]["api_url"] = south.url
        project.write()
        heading = "Load several accounts"
        run_command(project, heading, 1, NORTH_API_TOKEN="expired", SOUTH_API_TOKEN="south")
        assert {site for site, _ in keys(lines(project.path))} == {202}
        run_command(project, heading, NORTH_API_TOKEN=Sandbox.token, SOUTH_API_TOKEN="south")
        assert {site_of(call) for call in south.calls} == {"202"}
    assert {site_of(call) for call in sandbox.calls} == {"101"}
    loaded = {key_of(row) for row in lines(project.path)}
    assert loaded == expected(journal).keys()
    loaded = {key_of(row) for row in lines(project.path, "calls")}
    assert loaded == call_keys(sandbox.call_journal.records())


def test_a_weekly_run_looks_back_farther_with_the_state_of_the_nightly_ones(tmp_path: Path) -> None:
    today = datetime.now(timezone.utc).date()
    # At night in Moscow the day there is the next one, which has no leads here.
    first, changed = today - timedelta(days=100), today - timedelta(days=60)
    journal = Journal((101, 202), first, today, per_day=1, sample=False)
    with Sandbox(journal, journal.calls(per_day=1)) as sandbox:
        settings = {"start_date": f"{first}", "site_ids": [101, 202], "window_days": 30}
        project = Project(tmp_path, sandbox, JSONL, files_in(tmp_path), **settings)
        project.run()
        record = next(
            row for row in journal.records(202) if row["dateStr"].startswith(f"{changed:%d/%m/%Y}")
        )
        record["status"] = "SUCCESSFUL"

        def status() -> str:
            rows = [row for row in lines(tmp_path) if key_of(row) == key_of(record)]
            return str(rows[-1].get("status"))

        def answered() -> int:
            calls = [call for call in sandbox.calls if call.status == 200]
            sandbox.calls.clear()
            return len(calls)

        # The numbers of calls that the page names, for two sites and two journals.
        sandbox.calls.clear()
        project.run()
        assert answered() == 4
        assert status() != "SUCCESSFUL"
        run_command(project, "Look back farther once a week")
        assert answered() == 16
        assert status() == "SUCCESSFUL"
        project.run()
        assert answered() == 4


def test_one_month_is_reloaded_beside_the_usual_state(
    project: Project, journal: Journal, sandbox: Sandbox
) -> None:
    project.run(TAP_CALLTOUCH_START_DATE="2024-03-01")
    (project.path / "requests.jsonl").unlink()
    (project.path / "calls.jsonl").unlink()
    run_command(project, "Load one month again")  # February, while the usual runs are in March
    february = [key for key, row in expected(journal).items() if row["date"] < "2024-02-29T21"]
    assert keys(lines(project.path)) == set(february)
    end = datetime(2024, 2, 29, 21, tzinfo=timezone.utc).timestamp()
    calls = [call for call in sandbox.call_journal.records() if call["timestamp"] < end]
    assert call_keys(lines(project.path, "calls")) == call_keys(calls)
    sandbox.calls.clear()
    project.run(TAP_CALLTOUCH_START_DATE="2024-02-01")
    # The usual state still says 6 March; the look-back is ten days.
    asked = {(call.journal, call.params["dateFrom"]) for call in sandbox.calls}
    assert asked == {("calls", "25/02/2024"), ("requests", "02/25/2024")}


def test_single_requests_are_reloaded_by_number(
    project: Project, journal: Journal, sandbox: Sandbox
) -> None:
    journal.records(101)[5]["requestNumber"] = "145507"
    run_command(project, "Load single requests again")
    assert [row["requestNumber"] for row in lines(project.path)] == ["145507"]
    assert len(sandbox.calls) == 1


def test_batch_files_are_loaded(
    tmp_path: Path, sandbox: Sandbox, journal: Journal, database: Database
) -> None:
    config = {
        "sqlalchemy_url": database.get_uri(driver="psycopg2"),
        "default_target_schema": "batch",
    }
    (tmp_path / "batches").mkdir()
    root = {"MELTANO_PROJECT_ROOT": str(tmp_path)}
    follow_without_meltano("batch", sandbox, tmp_path, POSTGRES, config, **root)
    assert list((tmp_path / "batches").iterdir())
    with psycopg.connect(database.get_uri(), row_factory=dict_row) as connection:
        rows = connection.execute('select "siteId", "requestId" from batch.requests').fetchall()
        calls = connection.execute('select "siteId", "callId" from batch.calls').fetchall()
    assert keys(rows) == expected(journal).keys()
    assert call_keys(calls) == call_keys(sandbox.call_journal.records())
