"""A body is UTF-8 in the end, whatever its header says of it."""

from __future__ import annotations

import io

import pytest

from tap_calltouch.api.bodies import recode, spool, write_body

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
        pytest.param(b"", CYRILLIC, "", id="nothing"),
    ],
)
def test_body_becomes_utf_8(content: bytes, content_type: str, expected: str) -> None:
    body = io.BytesIO(content)
    body.seek(0, io.SEEK_END)
    recode(body, content_type)
    assert body.getvalue().decode() == expected


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
