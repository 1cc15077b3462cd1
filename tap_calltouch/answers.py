"""What an answer of the API means: records, or an error in plain words. No connection, no retries.

Statuses and shapes come from the vendor's page and, for other methods of this API, from what its
clients meet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, NoReturn

import msgspec
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.redaction import redact

if TYPE_CHECKING:
    import requests

ERROR_BODY_SIZE = 1 << 20
MESSAGE_LENGTH = 300

# The real texts are unknown.
_QUOTA = re.compile(r"балл|\bpoints?\b|суточн|в сутки|\bdaily\b|per day|quota|квот", re.IGNORECASE)
_PER_SECOND = re.compile(r"в секунду|per second", re.IGNORECASE)
_NOT_FOUND = re.compile(r"не найден|не существует|not found|^(null|\{\})$", re.IGNORECASE)


class HeavyAnswerError(RetriableAPIError):
    """The API failed in a way that a smaller question may avoid."""


class QuotaExhaustedError(FatalAPIError):
    """The project's daily points are used up."""


class NotFoundError(FatalAPIError):
    """The API does not know what was asked for."""


@dataclass
class Answer:
    """A whole answer, in memory if it is small and in an unnamed file if it is not.

    Attributes:
        body: The body, at its start. The receiver closes it.
        received: When it arrived, in UTC: by this machine's clock or by the server's, whichever
            is earlier.
    """

    body: IO[bytes]
    received: datetime


def check_answer(
    response: requests.Response, body: IO[bytes], what: str, token: str, *, single: bool
) -> None:
    """Raise an error unless a body may hold records.

    Args:
        response: Its status and headers.
        body: The whole body.
        what: Names in messages what was asked for.
        token: The token, which the API may repeat.
        single: Whether one request was asked for, which may come as an object.

    Raises:
        RetriableAPIError: If the same question may be answered later.
        HeavyAnswerError: If a smaller question may be answered.
        NotFoundError: If what was asked for does not exist.
        QuotaExhaustedError: If the daily points are used up.
        FatalAPIError: If another try is of no use.
    """
    status = response.status_code
    body.seek(0)
    if status == HTTPStatus.OK and body.read(64).lstrip()[:1] == b"[":
        body.seek(-min(1024, body.seek(0, 2)), 2)
        if body.read().rstrip()[-1:] == b"]":
            return
        msg = f"{what}: the answer is cut short."
        raise HeavyAnswerError(msg)
    body.seek(0)
    text = body.read(ERROR_BODY_SIZE).decode("utf-8", "replace").strip()
    content = _parse(text)
    if status == HTTPStatus.OK and single and isinstance(content, dict) and "requestId" in content:
        return
    if "html" in response.headers.get("Content-Type", "") or text[:1] == "<":
        text = "an HTML page instead of JSON"
    said = quote_message(_message_in(content) or text or "nothing", token)
    told = f"{what}: the API answered {status}: {said}."
    if status == HTTPStatus.OK:
        if single and not text:
            raise NotFoundError(told)
        # The same error may come with another status: which one was not recorded.
        code = str(content.get("errorCode", "")) if isinstance(content, dict) else ""
        status = HTTPStatus.INTERNAL_SERVER_ERROR if code[:1] == "5" or not text else status
    _raise_error(status, said, told, response)


def _raise_error(status: int, said: str, told: str, response: requests.Response) -> NoReturn:
    if _QUOTA.search(said) and not _PER_SECOND.search(said):
        raise QuotaExhaustedError(told)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        msg = f"{told} It is a redirect, which is not followed. Check `api_url`."
        raise FatalAPIError(msg)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        msg = f"{told} Check `api_token` and `site_ids`."
        raise FatalAPIError(msg)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RetriableAPIError(told, response)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise HeavyAnswerError(told, response)
    if status == HTTPStatus.NOT_FOUND or _NOT_FOUND.search(said):
        raise NotFoundError(told)
    raise FatalAPIError(told)


def quote_message(text: str, token: str) -> str:
    """Make a foreign text fit to be shown: one line, not long, without the token.

    Args:
        text: What the API or a library says.
        token: The token.

    Returns:
        At most 300 characters.
    """
    return redact(" ".join(text.split()), token)[:MESSAGE_LENGTH].rstrip(".")


def _parse(text: str) -> Any:  # noqa: ANN401
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _message_in(error: Any) -> str | None:  # noqa: ANN401
    """Find what the API says in an error body of any known shape."""
    match error:
        case {"data": {"apiErrorData": {"errorMessage": str(message)}}}:
            return message
        case {"data": {"validationErrorData": {"violations": [*violations]}}}:
            return "; ".join(str(_message_in(violation)) for violation in violations)
        case {"message": str(message)}:
            return message
    return None


def received_at(response: requests.Response) -> datetime:
    """Tell when an answer arrived, by this machine's clock or the server's, the earlier one.

    Args:
        response: The answer.

    Returns:
        The instant, in UTC. A clock that is fast must not say that later requests were seen.
    """
    now = datetime.now(timezone.utc)
    try:
        return min(now, parsedate_to_datetime(response.headers["Date"]))
    except (KeyError, TypeError, ValueError):
        return now
