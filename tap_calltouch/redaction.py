"""Keeps the token and what the API sent out of log lines, whoever writes them."""

from __future__ import annotations

import json
import logging
import re
from functools import cache
from urllib.parse import quote, quote_plus

from typing_extensions import override

MASK = "***"
_WORD = r"[A-Za-z_][A-Za-z0-9_-]*(\[\])*"
_PLAIN_NAME = re.compile(rf"(?=.{{1,61}}\Z){_WORD}(\.{_WORD})*")


def redact(text: str, token: str) -> str:
    """Write `***` for a token in a text, as it is and in each form that URLs and JSON give it."""
    return _forms(token).sub(MASK, text) if token else text


@cache
def _forms(token: str) -> re.Pattern[str]:
    # A token of another encoding has lone surrogates. It is refused, in a line of the log.
    errors = "surrogatepass"
    forms = {token, quote_plus(token, errors=errors)}
    forms |= {quote(token, errors=errors), quote(token, safe="", errors=errors)}
    forms |= {quote(form, safe="", errors=errors) for form in forms}
    for _ in range(2):  # an escaped text may be quoted once more
        forms |= {escaped for form in forms for escaped in _escape(form)}
    ordered = sorted(forms, reverse=True)  # the longer of two that begin alike comes first
    return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)


def _escape(text: str) -> set[str]:
    as_json = (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return {*as_json, repr(text)[1:-1], text.replace("/", "\\/")}


def printable(text: str) -> str:
    """Return a text in one line, with control and format characters escaped.

    What comes from the API must neither begin a line of the log nor steer a terminal.
    """
    line = " ".join(text.split())
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )


def plain_name(name: str) -> str:
    """Return a name or a path that may be shown, and `...` for another: a key may be data."""
    return name if _PLAIN_NAME.fullmatch(name) else "..."


class RedactingFormatter(logging.Formatter):
    """Formats as another formatter does, tracebacks and extra fields included, and masks."""

    def __init__(self, inner: logging.Formatter, token: str) -> None:
        super().__init__()
        self.inner = inner
        self._token = token

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact(self.inner.format(record), self._token)


def redact_logs(token: str) -> None:
    """Mask a token in what the handlers that exist now write from now on."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        inner = handler.formatter or logging.Formatter()
        if isinstance(inner, RedactingFormatter):
            inner = inner.inner
        handler.setFormatter(RedactingFormatter(inner, token))
    logging.getLogger("urllib3.connection").addFilter(_without_headers)


def _without_headers(record: logging.LogRecord) -> bool:
    """Let urllib3 warn of headers that it cannot read, but not quote them: they may be records."""
    if record.levelno >= logging.WARNING:
        record.msg, record.args = "The headers of an answer cannot be read.", ()
        record.exc_info = record.exc_text = None
    return True
