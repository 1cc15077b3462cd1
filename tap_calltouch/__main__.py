"""The command line: errors that a user can act on are one sentence, not a traceback."""

from __future__ import annotations

import gc
import os
import sys

gc.disable()  # what imports make stays: to look for garbage in it takes a quarter of the start

from singer_sdk.exceptions import (  # noqa: E402
    ConfigValidationError,
    FatalAPIError,
)

from tap_calltouch.config.files import InputError  # noqa: E402
from tap_calltouch.output.messages import OutputError  # noqa: E402
from tap_calltouch.tap import TapCalltouch  # noqa: E402

gc.freeze()
gc.enable()


def main() -> None:
    """Run the tap.

    Exit codes: 0 if everything asked for was written, 1 on an error or if nobody reads the
    output, 128 and the signal's number if a signal ended it.
    """
    try:
        _run()
    except BrokenPipeError:
        _discard_output()  # nobody reads it
        sys.exit(1)
    except (ConfigValidationError, FatalAPIError, InputError, OutputError) as error:
        TapCalltouch.logger.error("%s", error)
        sys.exit(1)
    except OSError as error:
        # Of what the SDK prints, and of the files of BATCH.
        _discard_output()
        place = f"{error.filename} cannot be used" if error.filename else "Output cannot be written"
        TapCalltouch.logger.error("%s: %s.", place, error.strerror or error)
        sys.exit(1)


def _run() -> None:
    if sys.stdout is None:
        msg = "Standard output cannot be written to: it is closed."
        raise OutputError(msg)
    try:
        TapCalltouch.cli()
    finally:
        sys.stdout.flush()


def _discard_output() -> None:
    """Keep the interpreter from writing once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
