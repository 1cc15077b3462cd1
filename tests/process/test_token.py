"""The token is in no byte of output, whatever goes wrong, at any log level, in any log form."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from sandbox import Fault, Journal, Sandbox
from tests.process.test_faults import run_case
from tests.support.fault_cases import Case
from tests.support.streams import STREAMS
from tests.support.tap import TOKEN, config_for, run_tap
from tests.support.token_leaks import is_hidden

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streams import Stream

SUCCESS = Case("success", exit_code=0)
ECHO = Case(
    "the API repeats the token",
    lambda _: [
        Fault(
            "status", status=400, body=json.dumps({"message": f"{TOKEN} {quote(TOKEN, safe='')}"})
        )
    ],
)


@pytest.mark.parametrize("case", [SUCCESS, ECHO], ids=lambda case: case.name)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_token_is_in_no_byte_of_output(case: Case, stream: Stream, tmp_path: Path) -> None:
    """As text and as JSON, at DEBUG. `run_case` looks for it, in each case of the table too."""
    run, sandbox = run_case(case, stream, tmp_path)
    assert {call.params["clientApiId"] for call in sandbox.calls} == {TOKEN}
    assert run.returncode == case.exit_code


@pytest.mark.parametrize("token", ["a/b+c.d=e", "токен=", 'quote"back\\slash', "50%", 12345678])
def test_token_of_any_characters_arrives_and_stays_hidden(
    journal: Journal, tmp_path: Path, token: str | int
) -> None:
    with Sandbox(journal, token=str(token)) as sandbox:
        config = config_for(sandbox, api_token=token, end_date="2024-01-03")
        environment = {"TAP_CALLTOUCH_LOGLEVEL": "DEBUG"}
        run = run_tap(config, tmp_path, environment=environment)
    assert run.returncode == 0, run.stderr
    assert run.records
    assert is_hidden(str(token), run.stdout + run.stderr.encode())


@pytest.mark.parametrize("blanks", [("", "\n"), ("  ", "\t "), ("", "\r\n")], ids=repr)
def test_token_with_blanks_around_it_arrives_and_stays_hidden(
    sandbox: Sandbox, tmp_path: Path, blanks: tuple[str, str]
) -> None:
    config = config_for(sandbox, api_token=TOKEN.join(blanks), end_date="2024-01-03")
    run = run_tap(config, tmp_path, environment={"TAP_CALLTOUCH_LOGLEVEL": "DEBUG"})
    assert run.returncode == 0, run.stderr
    assert {call.params["clientApiId"] for call in sandbox.calls} == {TOKEN}
    assert is_hidden(TOKEN, run.stdout + run.stderr.encode())


@pytest.mark.parametrize("token", [["secret-token"], {"secret-token": 1}], ids=["list", "object"])
def test_token_of_a_wrong_type_is_not_shown(
    sandbox: Sandbox, tmp_path: Path, token: object
) -> None:
    run = run_tap(config_for(sandbox, api_token=token), tmp_path)
    assert run.returncode == 1
    assert "`api_token` must be a text" in run.stderr
    assert "secret-token" not in run.stderr


FAILING = """
from tap_calltouch.__main__ import main
from tap_calltouch.api.client import Client
def get(self, *_, **__):
    raise RuntimeError(f"It met {self._token}")
Client.get = get
main()
"""


def test_unexpected_error_shows_a_traceback_without_the_token(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config_for(sandbox)), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", FAILING, "--config", str(path)], capture_output=True, check=False
    )
    assert run.returncode == 1
    assert b"Traceback (most recent call last)" in run.stderr
    assert b"RuntimeError: It met ***" in run.stderr
    assert is_hidden(TOKEN, run.stdout + run.stderr)
