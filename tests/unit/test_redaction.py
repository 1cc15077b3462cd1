"""The token is in no log line, in whatever form something writes it."""

from __future__ import annotations

import io
import json
import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
import requests
from singer_sdk.logging import StructuredFormatter

from tap_calltouch.redaction import RedactingFormatter, plain_name, printable, redact, redact_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


TOKENS = [
    pytest.param("abcDEF123", id="letters"),
    pytest.param("a/b+c.d=e==", id="base64"),
    pytest.param("a b&c#d%e?f", id="URL characters"),
    pytest.param("Ключ/Ёж", id="Cyrillic"),
    pytest.param("a\"b'c", id="quotes"),
    pytest.param("a\\b\\\\n", id="backslashes"),
    pytest.param("ab/cd\\ef", id="a slash and a backslash"),
    pytest.param("a.*[b](c|d)$", id="regular expression"),
    pytest.param("%2F%25", id="looks encoded"),
    pytest.param("😀key", id="beyond the BMP"),
]


def lower_hex(text: str) -> str:
    return quote(text, safe="").replace("%2F", "%2f").replace("%D0", "%d0").replace("%3D", "%3d")


FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "upper case": str.upper,
    "percent-encoded": lambda token: quote(token, safe=""),
    "percent-encoded, slashes kept": quote,
    "percent-encoded, lower hex": lower_hex,
    "plus for a space": quote_plus,
    "encoded twice": lambda token: quote(quote(token, safe=""), safe=""),
    "a URL of requests": lambda token: str(
        requests.Request("GET", "http://x/", params={"clientApiId": token}).prepare().url
    ),
    "JSON": json.dumps,
    "repr": repr,
    "repr of a dict": lambda token: repr({"clientApiId": token}),
    "bytes repr of ASCII": lambda token: repr(quote(token).encode()),
}
# One within the other, for tokens of the characters that base64 has.
NESTED_FORMS: dict[str, Callable[[str], str]] = {
    "JSON in UTF-8": lambda token: json.dumps(token, ensure_ascii=False),
    "JSON in JSON": lambda token: json.dumps(json.dumps(token)),
    "repr in JSON": lambda token: json.dumps(repr(token)),
}


def leaves(text: str, token: str) -> bool:
    """Whether a piece of the token that is long enough to tell is left."""
    return any(token[start : start + 3] in text for start in range(max(len(token) - 2, 1)))


@pytest.mark.parametrize("token", TOKENS)
def test_the_token_is_masked_in_every_form(token: str) -> None:
    for form, write in FORMS.items():
        text = redact(f"before {write(token)} after", token)
        assert "***" in text, form
        assert not leaves(text, token), form
        assert text.startswith("before "), form
        assert text.endswith(" after"), form


@pytest.mark.parametrize("token", ["abcDEF123", "a/b+c.d=e=="])
def test_a_token_without_quotes_is_masked_in_nested_json_too(token: str) -> None:
    for form, write in NESTED_FORMS.items():
        assert "***" in redact(write(token), token), form


@pytest.mark.parametrize(
    ("token", "written"),
    [
        pytest.param('Ключ"Ёж', 'Ключ\\"Ёж', id="JSON in UTF-8"),
        pytest.param(
            "Ключ/Ёж", "\\\\u041a\\\\u043b\\\\u044e\\\\u0447/\\\\u0401\\\\u0436", id="JSON in JSON"
        ),
        pytest.param("abc/def", "abc\\/def", id="JSON of PHP"),
        pytest.param("a/b+c", "a%2Fb%252Bc", id="encoded twice, at first without slashes"),
        pytest.param("a\"b'cd", "a\\\"b\\\\'cd", id="repr in JSON"),
    ],
)
def test_rare_forms_are_masked(token: str, written: str) -> None:
    assert redact(written, token) == "***"


def test_form_that_begins_with_another_is_masked_whole() -> None:
    assert redact(json.dumps("key\\"), "key\\") == '"***"'


def test_all_occurrences_are_masked_and_nothing_else() -> None:
    assert redact("to tok token tokens", "tok") == "to *** ***en ***ens"


@pytest.mark.parametrize("form", [str, json.dumps, repr])
def test_token_of_another_encoding_is_masked_too(form: Callable[[str], str]) -> None:
    token = "tok\udcc6en"
    assert not leaves(redact(form(token), token), token)


def test_no_token_masks_nothing() -> None:
    assert redact("text", "") == "text"


# Logs.

TOKEN = "a/b+c=.Ж"


@pytest.fixture
def handler() -> Iterator[tuple[logging.Logger, logging.StreamHandler[io.StringIO]]]:
    """A logger of its own, with a handler that keeps what it writes."""
    logger = logging.getLogger("tests.redaction")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = logging.StreamHandler(io.StringIO())
    logger.addHandler(handler)
    formatters = [(other, other.formatter) for other in logging.getLogger().handlers]
    yield logger, handler
    logger.removeHandler(handler)
    for other, formatter in formatters:
        other.setFormatter(formatter)


Handler = tuple[logging.Logger, "logging.StreamHandler[io.StringIO]"]


def log_in_every_way(logger: logging.Logger) -> None:
    logger.debug("url %s", f"http://x/?clientApiId={quote(TOKEN, safe='')}")
    logger.info("token", extra={"url": TOKEN, "nested": {"token": [TOKEN]}})
    try:
        int(TOKEN)
    except ValueError:
        try:
            os.environ[TOKEN]
        except KeyError:
            logger.exception("failed with %r", TOKEN)


@pytest.mark.parametrize(
    "formatter",
    [
        pytest.param(None, id="none"),
        pytest.param(logging.Formatter("%(name)s %(message)s"), id="plain"),
        pytest.param(StructuredFormatter(), id="JSON"),
        pytest.param(StructuredFormatter(defaults={"token": TOKEN}), id="JSON with defaults"),
    ],
)
def test_messages_tracebacks_and_extra_fields_are_masked(
    handler: Handler, formatter: logging.Formatter | None
) -> None:
    logger, stream = handler
    stream.setFormatter(formatter)
    redact_logs(TOKEN)
    log_in_every_way(logger)
    text = stream.stream.getvalue()
    assert "KeyError" in text
    assert "***" in text
    forms = [TOKEN, quote(TOKEN), quote(TOKEN, safe=""), json.dumps(TOKEN)[1:-1]]
    assert [form for form in forms if form.lower() in text.lower()] == []


def test_json_logs_stay_json(handler: Handler) -> None:
    logger, stream = handler
    stream.setFormatter(StructuredFormatter())
    redact_logs(TOKEN)
    logger.info("token %s", TOKEN)
    assert json.loads(stream.stream.getvalue())["message"] == "token ***"


def test_masking_twice_does_not_stack(handler: Handler) -> None:
    _, stream = handler
    inner = logging.Formatter("%(message)s")
    stream.setFormatter(inner)
    redact_logs("old")
    redact_logs("new")
    formatter = stream.formatter
    assert isinstance(formatter, RedactingFormatter)
    assert formatter.inner is inner


def test_the_last_token_is_the_one_that_is_masked(handler: Handler) -> None:
    logger, stream = handler
    redact_logs("first")
    redact_logs("second")
    logger.info("second")
    assert stream.stream.getvalue() == "***\n"


def test_a_handler_of_the_root_logger_is_masked_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    others = [(other, other.formatter) for other in root.handlers]
    root.addHandler(handler)
    try:
        redact_logs(TOKEN)
        root.error(TOKEN)
    finally:
        root.removeHandler(handler)
        for other, formatter in others:
            other.setFormatter(formatter)
    assert stream.getvalue() == "***\n"


# What the API sends.


@pytest.mark.parametrize(
    ("level", "text"),
    [
        pytest.param(logging.DEBUG, "Starting 5", id="other lines"),
        pytest.param(logging.WARNING, "The headers of an answer cannot be read.", id="warnings"),
    ],
)
def test_warnings_of_headers_do_not_quote_them(level: int, text: str) -> None:
    redact_logs("token")
    found = (ValueError, ValueError("Иван"), None)
    record = logging.LogRecord("urllib3", level, "", 0, "Starting %d", (5,), found)
    assert logging.getLogger("urllib3.connection").filter(record)
    assert record.getMessage() == text
    assert bool(record.exc_info) is (level == logging.DEBUG)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Сайт не найден: №7", "Сайт не найден: №7", id="plain"),
        pytest.param("one\ntwo\r\nthree", "one two three", id="line breaks"),
        pytest.param("a\x85b\u2028c\u2029d\x0be", "a b c d e", id="other line breaks"),
        pytest.param("  much\t\xa0 room ", "much room", id="blanks"),
        pytest.param("\x1b[2Jcleared\x07", "\\x1b[2Jcleared\\x07", id="ESC"),
        pytest.param("a\x9bb\x00", "a\\x9bb\\x00", id="C1 and NUL"),
        pytest.param("\u202edrawkcab\u200b", "\\u202edrawkcab\\u200b", id="format characters"),
        pytest.param("\ud800", "\\ud800", id="lone surrogate"),
        pytest.param("😀", "😀", id="beyond the BMP"),
    ],
)
def test_text_of_the_api_is_one_line_that_steers_nothing(text: str, shown: str) -> None:
    assert printable(text) == shown


PLAIN_NAMES = ["client", "siteId", "orders[].sum", "utm-source", "_x1", "a.b[].c-d"]
OTHER_NAMES = [
    *("", "two words", "name\n", "a\nERROR b", "\x1b[2J", "ivan@mail.example", "79990001122"),
    *("+79990001122", "Иван", "x" * 62, "session.79990001122", "session..a"),
]


def test_name_that_may_be_data_is_not_shown() -> None:
    assert [plain_name(name) for name in PLAIN_NAMES] == PLAIN_NAMES
    assert [name for name in OTHER_NAMES if plain_name(name) != "..."] == []
