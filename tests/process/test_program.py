"""The program: its two names, and what a newcomer reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.tap import run_tap


def test_module_and_script_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("tap-calltouch")
    arguments = ("--about", "--format", "json")
    by_script, by_module = (
        subprocess.run([*program, *arguments], capture_output=True, check=True).stdout
        for program in ([script], [sys.executable, "-m", "tap_calltouch"])
    )
    assert by_script == by_module


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "Setting `api_token` is required. Copy it from Integrations > API"),
        ({"api_token": "x"}, "Setting `start_date` is required. Set it to the first date to load"),
        (
            {"api_token": "x", "start_date": "31.01.2024"},
            "Setting `start_date` must be a date such as 2024-01-31",
        ),
        (
            {"api_token": "x", "start_date": "2024-01-01", "requests_per_second": 5.5},
            "Setting `requests_per_second` must be a whole number at least 1 and at most 5",
        ),
        (
            {"api_token": "x", "start_date": "2024-01-01", "site_ids": ["my site"]},
            'Setting `site_ids` must be a whole number at least 1, not "my site".',
        ),
    ],
    ids=["nothing", "no date", "a wrong date", "a fraction", "a wrong site"],
)
def test_newcomer_gets_one_sentence(tmp_path: Path, config: dict[str, Any], sentence: str) -> None:
    run = run_tap(config, tmp_path)
    assert run.returncode == 1
    assert run.stdout == b""
    assert "Traceback" not in run.stderr
    errors = [line for line in run.stderr.splitlines() if "| ERROR " in line]
    assert any(sentence in line for line in errors)
    wrong = 1 if config else 2  # token and date
    assert len(errors) == wrong + 1  # the SDK adds "Config validation failed"
