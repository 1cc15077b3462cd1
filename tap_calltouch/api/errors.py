"""What an answer of the API that holds no records means, in plain words.

Statuses and shapes come from the vendor's page and, for other methods of this API, from what its
clients meet.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.api.blocks import find_break
from tap_calltouch.lenient import decode_leniently
from tap_calltouch.redaction import plain_name, printable, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

MESSAGE_LENGTH = 300
_ERROR_KEYS = {"data", "error", "errorCode", "message", "path", "status", "timestamp"}
# Statuses that say "later" or "too slow", not "wrong": of the standards, nginx and others.
_LATER = {408, 420, 423, 425, 449, 460, 499}
# The real texts are unknown.
_QUOTA = re.compile(r"балл|\bpoints?\b|суточн|в сутки|\bdaily\b|per day|quota|квот", re.IGNORECASE)
_TOKEN = re.compile(r"токен|\btoken\b|clientApiId", re.IGNORECASE)
_PER_SECOND = re.compile(r"в секунду|per second", re.IGNORECASE)
_NOT_FOUND = re.compile(r"не найден|не существует|not found|^(null|\{\})$", re.IGNORECASE)


class HeavyAnswerError(RetriableAPIError):
    """The API failed in a way that a smaller question may avoid."""


class RejectedError(RetriableAPIError):
    """The API call was one too many at this time (429)."""


class EmptyAnswerError(RetriableAPIError):
    """The API answered with nothing, which a smaller question would not avoid."""


class SiteError(FatalAPIError):
    """What was asked for cannot be had, while other sites may be answered."""


class ForbiddenError(SiteError):
    """The API refuses (403): the token or the site is wrong, and it does not say which."""


class BusyError(SiteError):
    """The API rejected all calls for too long (429)."""


class QuotaExhaustedError(SiteError):
    """The project's daily points are used up."""


class NotFoundError(SiteError):
    """The API does not know what was asked for."""


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Put a label before the message of an error that is raised within."""
    try:
        yield
    except (FatalAPIError, RetriableAPIError) as error:
        error.args = (f"{label}: {error}",)
        raise


def answer_error(
    response: requests.Response, body: bytes, token: str, *, is_single: bool
) -> Exception:
    """Build the exception for an answer that holds no records."""
    status = response.status_code
    is_success = status < HTTPStatus.MULTIPLE_CHOICES
    text = body.decode(errors="replace").strip()
    content = parse(body)
    is_html = "html" in read_header(response, "Content-Type") or text[:1] == "<"
    shown = _describe(text, content, is_html=is_html, is_success=is_success)
    message = f"the API answered {status}: {quote_message(shown, token)}."
    if is_success and not text:
        return NotFoundError(message) if is_single else EmptyAnswerError(message)
    if is_success and is_html:  # such as calls of a site that does not exist
        return SiteError(f"{message} Check `site_ids` and `api_url`.")
    if is_success and _is_server_error(text, content):
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    # What it means is decided from the whole text, also where that is not shown.
    is_text = not is_html and not (isinstance(content, (dict, list)) and content)
    kind, advice = _meaning(status, _message_in(content) or (text if is_text else ""))
    message = f"{message} {advice}".rstrip()
    return kind(message, response) if issubclass(kind, RetriableAPIError) else kind(message)


def _is_server_error(text: str, content: Any) -> bool:
    """Return whether an answer with a success status is what comes with 500 elsewhere.

    Which status the real error came with was not recorded.
    """
    code = content.get("errorCode") if isinstance(content, dict) else None
    return str(code)[:1] == "5" or (content is None and text[:1] in {"{", "["})


def _meaning(status: int, said: str) -> tuple[type[Exception], str]:
    """Return the kind of error that a status and a text are, and what to do about it."""
    is_quota = _QUOTA.search(said) and not _PER_SECOND.search(said)
    is_unknown = status == HTTPStatus.NOT_FOUND or _NOT_FOUND.search(said)
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    rows: list[tuple[object, type[Exception], str]] = [  # the first that holds
        (is_quota, QuotaExhaustedError, ""),
        (status == HTTPStatus.TOO_MANY_REQUESTS, RejectedError, ""),
        (status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER, HeavyAnswerError, ""),
        (status == HTTPStatus.UNAUTHORIZED, FatalAPIError, "Check `api_token`."),
        (_TOKEN.search(said), FatalAPIError, "Check `api_token`."),
        (status == HTTPStatus.FORBIDDEN, ForbiddenError, "Check `api_token` and `site_ids`."),
        (is_unknown, NotFoundError, ""),
        (is_redirect, SiteError, "It is a redirect, which is not followed. Check `api_url`."),
        (True, SiteError, ""),
    ]
    return next((kind, advice) for holds, kind, advice in rows if holds)


def _describe(text: str, content: Any, *, is_html: bool, is_success: bool) -> str:
    """Return what an error says, but nothing of a body that may hold records."""
    if is_html:
        return "an HTML page instead of JSON"
    if (message := _message_in(content)) and not (is_success and content.keys() - _ERROR_KEYS):
        return message
    if isinstance(content, (dict, list)) and content != {}:
        names = (
            ", ".join(dict.fromkeys(map(plain_name, content))) if isinstance(content, dict) else ""
        )
        return f"an object with the keys {names}" if names else "an array"
    if text in {"", "{}", "null"}:
        return text or "nothing"
    if text[:1] in {"{", "["}:
        return f"broken JSON{_place(text)}"
    return "a text with JSON in it" if "{" in text else "a text" if is_success else text


def read_header(response: requests.Response, name: str) -> str:
    """Return a header of an answer; nothing if it has none."""
    return response.headers.get(name) or ""


def quote_message(text: str, token: str) -> str:
    """Return what the API or a library says in a form that can be shown.

    Returns:
        One line of at most 300 characters, without the token.
    """
    return redact(printable(text), token)[:MESSAGE_LENGTH].rstrip(".")


def _place(text: str) -> str:
    """Return where the records of a broken answer break."""
    array = re.search(r'^\[|"records"\s*:\s*\[', text)
    place = array and find_break(text[array.end() - 1 :].encode())
    return f" (record {place.item})" if place else ""


def parse(body: bytes) -> Any:
    """Decode a body; None if it is not JSON."""
    try:
        return decode_leniently(body)
    except ValueError:
        return None


def _message_in(error: Any) -> str | None:
    """Return what the API says in an error body of any known shape."""
    match error:
        case {"data": {"apiErrorData": {"errorMessage": str(message)}}}:
            return message
        case {"data": {"validationErrorData": {"violations": [*violations]}}}:
            return "; ".join(str(_message_in(violation)) for violation in violations)
        case {"message": str(message)}:
            return message
    return None
