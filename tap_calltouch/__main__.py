"""The command line: errors that a user can act on are one sentence, not a traceback."""

from __future__ import annotations

import gc
import os
import sys

gc.disable()  # what imports make stays: to look for garbage in it takes a quarter of the start

from singer_sdk.exceptions import ConfigValidationError, FatalAPIError  # noqa: E402

from tap_calltouch.tap import InvalidStateError, TapCalltouch  # noqa: E402

gc.freeze()
gc.enable()


def main() -> None:
    """Run the tap.

    Exit codes: 0 if everything asked for was written, 1 on an error or if nobody reads the
    output, 128 and the signal's number if a signal ended it.
    """
    try:
        TapCalltouch.cli()
    except BrokenPipeError:
        # Nobody reads: keep the interpreter from writing once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ConfigValidationError, FatalAPIError, InvalidStateError) as error:
        TapCalltouch.logger.error("%s", error)
        sys.exit(1)
    except ValueError as error:
        if type(error).__name__ != "JSONDecodeError":  # the SDK's is simplejson's
            raise
        TapCalltouch.logger.error("A config, state or catalog file is not JSON: %s.", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
