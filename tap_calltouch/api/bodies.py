"""Bodies of answers: where they wait, and where the array in one begins and ends."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from typing import IO

from singer_sdk.exceptions import FatalAPIError

SPOOL_SIZE = 4 << 20
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_PEEK_SIZE = 1 << 16


def spool() -> IO[bytes]:
    """Return a new body, which goes from memory into an unnamed file when it gets large."""
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_SIZE)


def write_body(body: IO[bytes], chunk: bytes) -> None:
    """Add to a body.

    Raises:
        FatalAPIError: If the temporary folder has no room for it.
    """
    try:
        body.write(chunk)
        body.flush()  # now, since a later error would come from anywhere
    except OSError as error:
        size = body.tell() + len(chunk)
        with suppress(OSError):
            body.close()  # which writes once more
        msg = (
            f"the temporary folder cannot hold the answer, {size} bytes so far "
            f"({error.strerror or error}). Set TMPDIR to a folder with more room."
        )
        raise FatalAPIError(msg) from None


def find_opening(body: IO[bytes]) -> tuple[int, bytes]:
    """Return the position of the first byte that is not a blank or a BOM, and that byte."""
    body.seek(0)
    position = len(_BOM) if body.read(len(_BOM)) == _BOM else 0
    body.seek(position)
    while chunk := body.read(_PEEK_SIZE):
        if rest := chunk.lstrip(_BLANK):
            return position + len(chunk) - len(rest), rest[:1]
        position += len(chunk)
    return position, b""
