"""The command line: errors that a user can act on are one sentence, not a traceback."""

from __future__ import annotations

import gc
import io
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

gc.disable()  # what imports make stays: to look for garbage in it takes a quarter of the start

from singer_sdk.exceptions import ConfigValidationError  # noqa: E402

from tap_calltouch.tap import EXPECTED_ERRORS, TapCalltouch  # noqa: E402

gc.freeze()
gc.enable()

if TYPE_CHECKING:
    import click

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVEL_VARIABLES = ("TAP_CALLTOUCH_LOGLEVEL", "LOGLEVEL")  # the SDK prefers the first
_LOG_CONFIG = "SINGER_SDK_LOG_CONFIG"


def run() -> None:
    """Run the tap, and exit with code 1 on an error or if nobody reads the output."""
    try:
        _run()
    except BrokenPipeError:
        _discard_output()  # nobody reads it
        sys.exit(1)
    except EXPECTED_ERRORS as error:
        TapCalltouch.logger.error(str(error))
        sys.exit(1)
    except OSError as error:
        # Of what the SDK prints.
        file = error.filename
        place = f"{file} cannot be used" if file else "Standard output cannot be written to"
        TapCalltouch.logger.error("%s: %s.", place, error.strerror or error)
        sys.exit(1)


def _run() -> None:
    if sys.stdout is None:
        msg = "it is closed"
        raise OSError(msg)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The texts of `--about` hold letters that not every encoding has.
        with suppress(OSError):  # it was opened for another file, and looks for its place there
            sys.stdout.reconfigure(errors="backslashreplace")
    wrong_levels = _correct_levels()
    command = _command()
    for sentence in wrong_levels:
        TapCalltouch.logger.warning(sentence)
    try:
        command()
    finally:
        sys.stdout.flush()


def _correct_levels() -> list[str]:
    """Correct the levels of the log in the environment, which the SDK takes as they are.

    Returns:
        One sentence for each that means none.
    """
    sentences = []
    for variable in _LEVEL_VARIABLES:
        asked = os.environ.pop(variable, "").strip().upper()
        level = logging.getLevelName(int(asked) if asked.isdecimal() else asked)
        if isinstance(level, int):
            os.environ[variable] = asked
        elif level in _LEVELS:
            os.environ[variable] = level
        elif asked:
            levels = ", ".join(_LEVELS)
            sentences.append(
                f"{variable} names no level of the log; it is ignored. Levels are {levels}."
            )
    return sentences


def _command() -> click.Command:
    """Set up the log and return the command, which the SDK makes at once."""
    try:
        return TapCalltouch.cli
    except Exception as error:
        if _LOG_CONFIG not in os.environ:
            raise
        # The file has taken away some handlers, or all.
        logging.root.handlers[:] = [logging.StreamHandler()]
        reason = " ".join(str(error).split()).removesuffix(".")
        msg = f"The log cannot be set up by the file that {_LOG_CONFIG} names: {reason}."
        raise ConfigValidationError(msg) from None


def _discard_output() -> None:
    """Keep the interpreter from writing once more when it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
