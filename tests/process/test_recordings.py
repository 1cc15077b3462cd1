"""The example that saves recordings of calls, against the local API."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Call, Fault, Journal, Sandbox
from sandbox.recordings import recording
from tests.support.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = 101


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    journal = Journal((SITE,), date(2024, 3, 1), date(2024, 3, 2), per_day=1, sample=False)
    with Sandbox(journal, journal.calls(per_day=8)) as sandbox:
        yield sandbox


def answered(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the calls that have a recording."""
    calls: list[dict[str, Any]] = sandbox.call_journal.records(SITE)
    return [call for call in calls if recording(call)]


def save(
    folder: Path, sandbox: Sandbox, lines: list[str], *options: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the example with lines on its standard input."""
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / "recordings.py", "--out", folder, *options],
        env={
            **os.environ,
            "TAP_CALLTOUCH_API_URL": sandbox.url,
            "TAP_CALLTOUCH_API_TOKEN": sandbox.token,
        },
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == status, result.stderr
    assert sandbox.token not in result.stdout + result.stderr
    return result


def lines_of(calls: list[dict[str, Any]]) -> list[str]:
    return [f"{call['siteId']},{call['callId']}" for call in calls]


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def expected(calls: list[dict[str, Any]]) -> dict[str, bytes | None]:
    return {f"{call['siteId']}_{call['callId']}.mp3": recording(call) for call in calls}


def is_of(call: dict[str, Any]) -> Any:
    def matches(asked: Call) -> bool:
        return f"/{call['callId']}/" in asked.path

    return matches


def test_recordings_are_saved_once_and_calls_without_one_are_passed_over(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    calls = answered(sandbox)[:3]
    missing = f"{SITE} 1"
    asked = tmp_path / "calls.csv"
    asked.write_text("\n".join(["site_id,call_id", *lines_of(calls), missing]), encoding="utf-8")
    folder = tmp_path / "recordings"
    result = save(folder, sandbox, [], str(asked))
    assert result.stdout == "3 saved, 1 without a recording\n"
    assert files_in(folder) == expected(calls)
    starts = [call.started for call in sandbox.calls]
    assert min(after - before for before, after in pairwise(starts)) > 0.2
    assert sandbox.rejected == 0

    sandbox.calls.clear()
    result = save(folder, sandbox, lines_of(calls))
    assert result.stdout == "3 there already\n"
    assert not sandbox.calls


def test_a_failure_keeps_no_other_from_being_saved(sandbox: Sandbox, tmp_path: Path) -> None:
    first, busy, page, last = calls = answered(sandbox)[:4]
    later = {"status": 429, "headers": {"Retry-After": "1"}}
    sandbox.faults += [
        Fault("status", is_of(first), times=1, status=403),
        Fault("status", is_of(busy), times=1, **later),
        Fault("html", is_of(page), times=1),
        Fault("truncate", is_of(last), times=1),
    ]
    result = save(tmp_path, sandbox, lines_of(calls), status=1)
    assert result.stdout == "2 failed, 2 saved\n"
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        f"{SITE} {call['callId']}" for call in (first, page)
    ]
    assert files_in(tmp_path) == expected([busy, last])
    times = [call.started for call in sandbox.calls if is_of(busy)(call)]
    assert times[1] - times[0] > 1

    save(tmp_path, sandbox, lines_of(calls))
    assert files_in(tmp_path) == expected(calls)


def test_a_line_without_two_ids_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    result = save(tmp_path, sandbox, ["site_id,call_id", f"{SITE}"], status=1)
    assert result.stderr == "Line 2 is not a site id and a call id.\n"
