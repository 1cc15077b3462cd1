"""The entry of the program, which ends quietly at a signal from its first import on."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the tap.

    Exit codes: 0 if everything asked for was written, 1 on an error or if nobody reads the
    output, 128 and the signal's number if a signal ended it.
    """
    # Until there is a tap, which ends its output first, and after it.
    _end_at_signals()
    if sys.warnoptions:
        warnings.simplefilter("default")  # a warning of a library is no error of the tap
    from tap_calltouch.cli import run  # noqa: PLC0415 - most of the start

    try:
        run()
    finally:
        _end_at_signals()


def _end_at_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


if __name__ == "__main__":
    main()
