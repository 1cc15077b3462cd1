"""The script that shows the shape of an answer: nothing of what is in the answer."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Journal, Sandbox
from sandbox.call_contract import FLAGS as CALL_FLAGS
from sandbox.request_contract import FLAGS as REQUEST_FLAGS
from tests.unit.test_schema import CONTRACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parents[2] / "examples" / "shape.py"
TOKEN = "secret/token+of=mine"
CALLS = ("/101/calls-diary/calls", "dateFrom=04/03/2024", "dateTo=04/03/2024")
REQUESTS = ("requests", "dateFrom=03/04/2024", "dateTo=03/04/2024", "siteId=101")
TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    journal = Journal((101,), date(2024, 3, 4), date(2024, 3, 4), per_day=30)
    with Sandbox(journal, journal.calls(30), token=TOKEN) as running:
        yield running


def shape(url: str, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Run the script; what it prints holds no token."""
    environment = {"TAP_CALLTOUCH_API_TOKEN": token, "TAP_CALLTOUCH_API_URL": url}
    run = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "secret" not in run.stdout + run.stderr
    return run


@pytest.mark.parametrize(
    ("stream", "start", "arguments"),
    [
        ("requests", "answer[]", (*REQUESTS, *(f"{flag}=true" for flag in REQUEST_FLAGS))),
        ("calls", "answer.records[]", (*CALLS, "page=1", *(f"{flag}=true" for flag in CALL_FLAGS))),
    ],
)
def test_names_and_types_of_a_journal_are_shown_and_nothing_else(
    sandbox: Sandbox, stream: str, start: str, arguments: tuple[str, ...]
) -> None:
    run = shape(sandbox.url, *arguments)
    assert (run.returncode, run.stderr) == (0, "")
    first, *lines = run.stdout.splitlines()
    assert first == "HTTP 200, application/json"
    known = {f"{start}.{path}" for path in CONTRACTS[stream].fields}
    known |= {f"{path}[]" for path in known}
    known |= {f"{path}.*" for path in known if path.endswith(".attrs")}
    known |= {"answer", "answer[]"}
    known |= {f"answer.{key}" for key in ("page", "pageTotal", "pageSize", "recordsTotal")}
    known |= {"answer.records", "answer.records[]"}
    shown = dict(line.split(": ") for line in lines)
    assert shown.keys() <= known
    assert {kind for kinds in shown.values() for kind in kinds.split(", ")} <= TYPES
    assert f"{start}.attrs.*" in shown
    assert f"{start}.siteId: integer" in lines
    assert f"{start}.manager: null, string" in lines


def test_names_that_may_be_data_are_masked(sandbox: Sandbox) -> None:
    names = ("79990000001", "ivan@example.ru", "Иван Петров", "call79990000001", "a b", "x" * 41)
    row: dict[str, Any] = dict.fromkeys(names, 1)
    attrs = {"IvanPetrov": {"Ivan": "x"}}
    sandbox.faults.append(
        Fault("change", apply=[{**row, "attrs": attrs, "session": {"attrs": [attrs]}, "utm2": 2.5}])
    )
    run = shape(sandbox.url, *REQUESTS)
    assert run.stdout.splitlines() == [
        "HTTP 200, application/json",
        "answer: array",
        "answer[]: object",
        "answer[].*: integer",
        "answer[].attrs: object",
        "answer[].attrs.*: object",
        "answer[].attrs.*.*: string",
        "answer[].session: object",
        "answer[].session.attrs: array",
        "answer[].session.attrs[]: object",
        "answer[].session.attrs[].*: object",
        "answer[].session.attrs[].*.*: string",
        "answer[].utm2: number",
    ]


def test_errors_hold_no_token(sandbox: Sandbox) -> None:
    wrong = shape(sandbox.url, *REQUESTS, token="secret")
    assert wrong.stdout == "HTTP 403, application/json\nanswer: object\nanswer.message: string\n"
    html = shape(sandbox.url, "/101/orders-diary/orders")
    assert html.stdout == "HTTP 302, text/html\nnot JSON\n"
    deep = Fault("body", times=1, body=b"[" * 100_000)
    sandbox.faults += [Fault("reset", times=1), deep]
    runs = [shape(sandbox.url, *REQUESTS) for _ in range(2)]
    assert [run.stderr for run in runs] == [
        "no answer: ConnectionError\n",
        "no answer: RecursionError\n",
    ]
    assert {run.returncode for run in (wrong, html, *runs)} == {1}


@pytest.mark.parametrize(
    ("arguments", "token"), [((), TOKEN), (CALLS, " "), ((*CALLS, "page"), TOKEN)]
)
def test_wrong_use_shows_how_to_use_it(arguments: tuple[str, ...], token: str) -> None:
    run = shape("http://127.0.0.1:1", *arguments, token=token)
    assert run.returncode == 2
    assert "python shape.py /101/orders-diary/orders" in run.stdout


def test_the_script_is_short() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 80
