"""The program: its two names, and what a newcomer reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock, PropertyMock

import pytest

from tap_calltouch import cli
from tests.support.tap import run_tap

SCRIPT = Path(sys.executable).with_name("tap-calltouch")


def test_module_and_script_are_the_same_program() -> None:
    arguments = ("--about", "--format", "json")
    by_script, by_module = (
        subprocess.run([*program, *arguments], capture_output=True, check=True).stdout
        for program in ([SCRIPT], [sys.executable, "-m", "tap_calltouch"])
    )
    assert by_script == by_module


def test_help_names_what_the_options_take() -> None:
    command = [sys.executable, "-m", "tap_calltouch", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for option in ("--catalog", "--state"):
        assert f"{option} FILENAME " in text


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


def test_a_reader_that_goes_before_the_last_words_ends_the_program_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1 << 20) as stdout:
        monkeypatch.setattr(sys, "argv", ["tap-calltouch", "--about"])
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as ended:
            cli.run()
        stdout.flush()  # as the interpreter does when it ends
    assert ended.value.code == 1


def test_output_of_the_program_may_be_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["tap-calltouch", "--version"])
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert not ended.value.code
    assert stdout.getvalue().startswith("tap-calltouch v")


def test_captured_output_that_nobody_reads_ends_the_program_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no descriptor, such as a notebook's."""
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["tap-calltouch", "--version"])
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(stdout, "flush", Mock(side_effect=BrokenPipeError))
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 1


def test_file_that_the_sdk_cannot_use_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    error = PermissionError(13, "Permission denied", "/folder/.env")
    monkeypatch.setattr(cli, "_run", Mock(side_effect=error))
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 1
    assert caplog.messages == ["/folder/.env cannot be used: Permission denied."]


def test_program_looks_for_garbage_again_once_it_has_started() -> None:
    code = "import gc, tap_calltouch.cli; assert gc.isenabled()"
    found = run_script(code=code)
    assert found.returncode == 0, found.stderr


# What the SDK does before there is a tap.


def run_script(
    *arguments: str, code: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program, or a line of Python with its arguments."""
    own = {name: value for name, value in os.environ.items() if not name.endswith("LOGLEVEL")}
    return subprocess.run(
        [*([str(SCRIPT)] if code is None else [sys.executable, "-c", code]), *arguments],
        env={**own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
        encoding="utf-8",
        errors="replace",
    )


@pytest.mark.parametrize(
    ("option", "variable", "level", "is_debug", "is_told"),
    [
        ("--discover", "LOGLEVEL", "trace", False, True),
        ("--about", "TAP_CALLTOUCH_LOGLEVEL", "trace", False, True),
        ("--discover", "TAP_CALLTOUCH_LOGLEVEL", "15", False, True),
        ("--about", "LOGLEVEL", "9" * 30, False, True),
        ("--discover", "LOGLEVEL", "", False, False),
        ("--about", "TAP_CALLTOUCH_LOGLEVEL", " ", False, False),
        ("--discover", "LOGLEVEL", "10", True, False),
        ("--discover", "TAP_CALLTOUCH_LOGLEVEL", " Debug ", True, False),
        ("--about", "LOGLEVEL", " Debug ", False, False),
        ("--discover", "TAP_CALLTOUCH_LOGLEVEL", "warn", False, False),
    ],
)
def test_any_level_of_the_log_is_taken_or_told(
    option: str, variable: str, level: str, *, is_debug: bool, is_told: bool
) -> None:
    found = run_script(option, **{variable: level})
    assert found.returncode == 0, found.stderr
    assert found.stdout
    levels = "DEBUG, INFO, WARNING, ERROR, CRITICAL"
    sentence = f"{variable} names no level of the log; it is ignored. Levels are {levels}."
    assert (sentence in found.stderr) == is_told
    assert found.stderr.count("names no level") == is_told
    if option == "--discover":
        assert ("| DEBUG " in found.stderr) == is_debug


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("a: [b", "while parsing a flow sequence", id="no YAML"),
        pytest.param("", "", id="empty"),
        pytest.param("5", "", id="a number"),
        pytest.param(
            "{version: 1, handlers: {f: {class: logging.FileHandler, filename: /dev/null/x}}}",
            "Unable to configure handler 'f'.",
            id="a handler that cannot open its file",
        ),
        pytest.param(None, "Is a directory", id="a folder"),
    ],
)
@pytest.mark.parametrize("option", ["--discover", "--about"])
def test_a_broken_configuration_of_the_log_is_one_sentence(
    option: str, text: str | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.yml"
    if text is None:
        path.mkdir()
    else:
        path.write_text(text, encoding="utf-8")
    found = run_script(option, SINGER_SDK_LOG_CONFIG=str(path))
    assert (found.returncode, found.stdout) == (1, "")
    (line,) = found.stderr.splitlines()
    assert line.startswith("The log cannot be set up by the file that SINGER_SDK_LOG_CONFIG names:")
    assert reason in line
    assert line.endswith(".")
    assert not line.endswith("..")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp866"])
@pytest.mark.parametrize("arguments", [["--about"], ["--about", "--format", "markdown"]])
def test_about_is_printed_in_any_encoding(encoding: str, arguments: list[str]) -> None:
    found = run_script(*arguments, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    assert "site_ids" in found.stdout
    assert ("\\u0437" in found.stdout) == (encoding != "cp866")


# What the SDK does on a Python near its end of life, as 3.10 is.
OLD_PYTHON = """
import warnings
import singer_sdk.plugin_base
singer_sdk.plugin_base.warn_python_eol = lambda: warnings.warn("near its end", FutureWarning)
from tap_calltouch.__main__ import main
main()
"""


@pytest.mark.parametrize("code", [None, OLD_PYTHON], ids=["this Python", "an old Python"])
def test_warnings_of_libraries_are_no_errors_of_the_tap(code: str | None) -> None:
    found = run_script("--discover", code=code, PYTHONWARNINGS="error")
    assert found.returncode == 0, found.stderr
    assert '"streams"' in found.stdout
    assert ("near its end" in found.stderr) == bool(code)


def test_another_error_at_the_start_is_not_blamed_on_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tap = Mock()
    type(tap).cli = PropertyMock(side_effect=ValueError("of the SDK"))
    monkeypatch.setattr(cli, "TapCalltouch", tap)
    monkeypatch.delenv("SINGER_SDK_LOG_CONFIG", raising=False)
    with pytest.raises(ValueError, match=r"^of the SDK$"):
        cli.run()
