"""Bodies of answers: where they wait, and where the array in one begins and ends."""

from __future__ import annotations

import codecs
import tempfile
from contextlib import suppress
from email.message import Message
from typing import IO, TYPE_CHECKING

from singer_sdk.exceptions import FatalAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPOOL_SIZE = 4 << 20
# Read from a file at a time. Each read lets other threads run, and to take turns costs time.
READ_SIZE = 1 << 17
_BOM = b"\xef\xbb\xbf"
_PEEK_SIZE = 1 << 16


def spool() -> IO[bytes]:
    """Return a new body, which goes from memory into an unnamed file when it gets large."""
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_SIZE, buffering=READ_SIZE)


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


def recode(body: IO[bytes], content_type: str) -> None:
    """Convert a body to UTF-8 from the charset of its header, unless it is UTF-8 already.

    Args:
        body: The body.
        content_type: The header `Content-Type`.
    """
    header = Message()
    header["Content-Type"] = content_type
    charset = str(header.get_content_charset())  # "None" is a charset that nobody knows
    try:
        is_utf8 = codecs.lookup(charset).name in {"utf-8", "ascii"}
        b"-".decode(charset, "replace")
    except (LookupError, ValueError):  # unknown, or not of texts: `base64` has a decoder, too
        return
    if is_utf8 or _is_text(body, "utf-8"):
        return
    decoder = codecs.getincrementaldecoder(charset)("replace")
    with spool() as copy:
        for chunk in _chunks(body):
            write_body(copy, decoder.decode(chunk).encode(errors="surrogatepass"))
        body.seek(0)
        body.truncate()
        for chunk in _chunks(copy):
            write_body(body, chunk)


def _is_text(body: IO[bytes], charset: str) -> bool:
    decoder = codecs.getincrementaldecoder(charset)()
    try:
        for chunk in _chunks(body):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _chunks(body: IO[bytes]) -> Iterator[bytes]:
    body.seek(0)
    return iter(lambda: body.read(_PEEK_SIZE), b"")


def find_opening(body: IO[bytes]) -> tuple[int, bytes]:
    """Return the position of the first byte that is not a blank or a BOM, and that byte."""
    body.seek(0)
    position = len(_BOM) if body.read(len(_BOM)) == _BOM else 0
    body.seek(position)
    while chunk := body.read(_PEEK_SIZE):
        if rest := chunk.lstrip():
            return position + len(chunk) - len(rest), rest[:1]
        position += len(chunk)
    return position, b""
