"""A body is UTF-8 in the end, whatever its header says of it."""

from __future__ import annotations

import io
from errno import ENOSPC
from typing import Any

import pytest
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.bodies import find_opening, recode, spool, write_body

TEXT = '[{"subject": "Окна №1"}]'
LONG = f'["{"окна " * 40_000}"]'  # larger than what is read at a time
CYRILLIC = "application/json; charset=windows-1251"


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        pytest.param(TEXT.encode(), "application/json", TEXT, id="UTF-8"),
        pytest.param(TEXT.encode(), CYRILLIC, TEXT, id="UTF-8 that is called cp1251"),
        pytest.param(LONG.encode(), CYRILLIC, LONG, id="long UTF-8 that is called cp1251"),
        pytest.param(
            TEXT.encode(), "text/plain; charset=ISO-8859-1", TEXT, id="UTF-8 called Latin-1"
        ),
        pytest.param(TEXT.encode("cp1251"), CYRILLIC, TEXT, id="cp1251"),
        pytest.param(
            TEXT.encode("cp1251"), 'text/json; Charset="CP1251"', TEXT, id="cp1251 in quotes"
        ),
        pytest.param(LONG.encode("cp1251"), CYRILLIC, LONG, id="long cp1251"),
        pytest.param(LONG.encode("koi8-r"), "x/y; charset=koi8-r", LONG, id="KOI8-R"),
        pytest.param(TEXT.encode("utf-16"), "x/y; charset=utf-16", TEXT, id="UTF-16"),
        pytest.param(
            b'["\xcf\xff\x98"]', CYRILLIC, '["Пя\ufffd"]', id="a byte that cp1251 does not have"
        ),
        pytest.param(b"\xd0", CYRILLIC, "Р", id="cp1251 that ends like UTF-8 that is cut"),
        pytest.param(
            b'["\xff\\ud800"]',
            "x/y; charset=raw_unicode_escape",
            '["ÿ\ud800"]',
            id="half a character",
        ),
        pytest.param(b"", CYRILLIC, "", id="nothing"),
    ],
)
def test_body_becomes_utf_8(content: bytes, content_type: str, expected: str) -> None:
    body = io.BytesIO(content)
    body.seek(0, io.SEEK_END)
    recode(body, content_type)
    assert body.getvalue() == expected.encode(errors="surrogatepass")


@pytest.mark.parametrize(
    "charset",
    [
        "",
        "utf-8",
        "us-ascii",
        "none-such",
        "base64",
        "hex",
        "zip",
        "rot13",
        "a\0b",
        "idna",
        "undefined",
    ],
)
def test_charset_that_says_nothing_leaves_the_body_alone(charset: str) -> None:
    content = b'["\xff\xfe"]'
    body = io.BytesIO(content)
    recode(body, f"application/json; charset={charset}")
    assert body.getvalue() == content


@pytest.mark.parametrize(("size", "in_file"), [(4 << 20, False), ((4 << 20) + 1, True)])
def test_large_body_goes_into_a_file(size: int, *, in_file: bool) -> None:
    with spool() as body:
        write_body(body, b"x" * size)
        assert (body.name is not None) is in_file


class Parts(io.BytesIO):
    """A body that knows how much of it was read at most at a time."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.largest = max(self.largest, len(part))
        return part


def test_large_body_is_looked_at_part_by_part() -> None:
    body = Parts(b" " * 1_000_000 + b"[]")
    recode(body, CYRILLIC)
    assert find_opening(body) == (1_000_000, b"[")
    assert body.largest < 500_000


# A full disk.

NO_SPACE = OSError(ENOSPC, "No space left on device")


class FullBody(io.BytesIO):
    """A body that takes nothing more, and fails once more when it is closed."""

    def write(self, _: Any) -> int:
        raise NO_SPACE

    def close(self) -> None:
        super().close()
        raise NO_SPACE


class SlowBody(io.BytesIO):
    """A body that notices only afterwards that there is no room."""

    def flush(self) -> None:
        raise NO_SPACE


def test_full_disk_is_said_in_words_and_the_body_closed() -> None:
    body = FullBody(b"[1,")
    body.seek(0, io.SEEK_END)
    with pytest.raises(FatalAPIError) as raised:
        write_body(body, b"234]")
    assert str(raised.value) == (
        "the temporary folder cannot hold the answer, 7 bytes so far (No space left on device). "
        "Set TMPDIR to a folder with more room."
    )
    assert body.closed


def test_full_disk_is_noticed_with_each_part() -> None:
    with pytest.raises(FatalAPIError, match="the temporary folder cannot hold the answer"):
        write_body(SlowBody(), b"[1]")
