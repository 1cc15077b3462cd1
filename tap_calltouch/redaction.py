"""Keeps the token out of every log line, whoever writes it."""

from __future__ import annotations

import json
import logging
import re
from functools import cache
from urllib.parse import quote, quote_plus

from typing_extensions import override

MASK = "***"


def redact(text: str, token: str) -> str:
    """Write `***` for a token in a text, as it is and in each form that URLs and JSON give it."""
    return _forms(token).sub(MASK, text) if token else text


@cache
def _forms(token: str) -> re.Pattern[str]:
    # A token of another encoding has lone surrogates. It is refused, in a line of the log.
    errors = "surrogatepass"
    forms = {token, quote_plus(token, errors=errors)}
    forms |= {quote(token, safe, errors=errors) for safe in ("/", "")}
    forms |= {quote(form, safe="", errors=errors) for form in forms}
    for _ in range(2):  # an escaped text may be quoted once more
        forms |= {escaped for form in forms for escaped in _escape(form)}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _escape(text: str) -> set[str]:
    as_json = (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return {*as_json, repr(text)[1:-1], text.replace("/", "\\/")}


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
