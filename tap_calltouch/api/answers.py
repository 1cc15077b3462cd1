"""What an answer of the API means: records, or an error in plain words. No connection, no retries.

Statuses and shapes come from the vendor's page and, for other methods of this API, from what its
clients meet.
"""

from __future__ import annotations

import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.records.cleaning import decode_leniently
from tap_calltouch.redaction import redact

if TYPE_CHECKING:
    import requests

Expected = Literal["array", "page", "single"]

ERROR_BODY_SIZE = 1 << 20
MESSAGE_LENGTH = 300
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_PEEK_SIZE = 1 << 16

# The real texts are unknown.
_QUOTA = re.compile(r"балл|\bpoints?\b|суточн|в сутки|\bdaily\b|per day|quota|квот", re.IGNORECASE)
_PER_SECOND = re.compile(r"в секунду|per second", re.IGNORECASE)
_NOT_FOUND = re.compile(r"не найден|не существует|not found|^(null|\{\})$", re.IGNORECASE)


class HeavyAnswerError(RetriableAPIError):
    """The API failed in a way that a smaller question may avoid."""


class QuotaExhaustedError(FatalAPIError):
    """The project's daily points are used up.

    Attributes:
        site: The site that was asked for; None if none was.
    """

    site: int | None = None


class NotFoundError(FatalAPIError):
    """The API does not know what was asked for."""


class Page(msgspec.Struct, rename="camel"):
    """Records and what surrounds them; a lone array or record is one, too, without totals.

    The totals may be of any type, or missing.
    """

    page_total: Any = None
    records_total: Any = None
    records: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def array(self) -> bytes | None:
        """The array of records: empty if a total is 0, None if there is neither array nor total."""
        records = bytes(self.records)
        if records[:1] == b"[":
            return records
        is_empty = 0 in {
            number for number in (self.page_total, self.records_total) if type(number) is int
        }
        return b"[]" if is_empty else None


@dataclass
class Answer:
    """A whole answer that holds records.

    Attributes:
        body: Stands at the beginning of a JSON array; in memory if it is small and in an unnamed
            file if it is not. The receiver closes it.
        received: When it arrived, in UTC: by this machine's clock or by the server's, whichever
            is earlier.
        page: What the API says of a page; nothing if the answer is an array.
    """

    body: IO[bytes]
    received: datetime
    page: Page = field(default_factory=Page)


def read_answer(
    response: requests.Response, body: IO[bytes], label: str, token: str, expected: Expected
) -> Answer:
    """Return an answer that holds records, or raise what it means instead.

    Args:
        response: Its status and headers.
        body: The whole body. Where an array is expected, it is only looked at from both ends.
        label: Names in messages what was asked for.
        token: The token, which the API may repeat.
        expected: An array; a page of calls, for which an array is taken too; or one request, as an
            object or in an array.

    Returns:
        The answer.

    Raises:
        RetriableAPIError: If the same question may be answered later.
        HeavyAnswerError: If a smaller question may be answered.
        NotFoundError: If what was asked for does not exist.
        QuotaExhaustedError: If the daily points are used up.
        FatalAPIError: If another try is of no use.
    """
    status = response.status_code
    is_success = status in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PARTIAL_CONTENT}
    start, opening = _find_opening(body)
    if is_success and opening == b"[" and expected == "array":
        if _last_byte(body) != b"]":
            msg = f"{label}: the answer is cut short."
            raise HeavyAnswerError(msg)
        body.seek(start)
        return Answer(body, received_at(response))
    body.seek(start)
    text = body.read(-1 if is_success else ERROR_BODY_SIZE)
    if is_success and opening in {b"[", b"{"} and expected != "array":
        is_record = expected == "single" and opening == b"{"
        page = _read_record(text) if is_record else _read_page(text)
        if array := page.array:
            return Answer(io.BytesIO(array), received_at(response), page)
    raise _error(response, text, label, token, is_single=expected == "single")


def _read_record(text: bytes) -> Page:
    """Return the one record that an object is, nothing if it is something else."""
    is_record = "requestId" in (_parse(text) or {})
    return Page(records=msgspec.Raw(b"[%b]" % text)) if is_record else Page()


def _read_page(text: bytes) -> Page:
    """Return a page, or an array as the only page; nothing if the text is broken."""
    if text[:1] == b"[":
        text = b'{"records":%b}' % text
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(text, type=Page)
    # What msgspec refuses may be within the records, whose decoder takes it.
    with suppress(ValueError, RecursionError):
        page = decode_leniently(text)
        records = msgspec.Raw(json.dumps(page.get("records")).encode())
        return Page(page.get("pageTotal"), page.get("recordsTotal"), records)
    return Page()


def _find_opening(body: IO[bytes]) -> tuple[int, bytes]:
    """Return where the first byte stands that is no blank and no byte order mark, and that byte."""
    body.seek(0)
    position = len(_BOM) if body.read(len(_BOM)) == _BOM else 0
    body.seek(position)
    while chunk := body.read(_PEEK_SIZE):
        if rest := chunk.lstrip(_BLANK):
            return position + len(chunk) - len(rest), rest[:1]
        position += len(chunk)
    return position, b""


def _last_byte(body: IO[bytes]) -> bytes:
    """Return the last byte that is no blank, of a body that has one."""
    end = body.seek(0, 2)
    while True:
        start = max(0, end - _PEEK_SIZE)
        body.seek(start)
        if rest := body.read(end - start).rstrip(_BLANK):
            return rest[-1:]
        end = start


def _error(
    response: requests.Response, body: bytes, label: str, token: str, *, is_single: bool
) -> Exception:
    """Return the error that an answer without records is."""
    status = response.status_code
    text = body.decode("utf-8", "replace").strip()
    content = _parse(body)
    is_html = "html" in response.headers.get("Content-Type", "") or text[:1] == "<"
    quoted = quote_message(_describe(text, content, is_html=is_html), token)
    message = f"{label}: the API answered {status}: {quoted}."
    if status < HTTPStatus.MULTIPLE_CHOICES:
        if is_html:  # such as calls of a site that does not exist
            message += " Check `site_ids` and `api_url`."
        if is_single and not text:
            return NotFoundError(message)
        # The same error may come with another status: which one was not recorded.
        code = str(content.get("errorCode", "")) if isinstance(content, dict) else ""
        is_broken = not text or (content is None and text[0] in "{[")
        status = HTTPStatus.INTERNAL_SERVER_ERROR if code[:1] == "5" or is_broken else status
    if _QUOTA.search(quoted) and not _PER_SECOND.search(quoted):
        return QuotaExhaustedError(message)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        message += " It is a redirect, which is not followed. Check `api_url`."
    elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        message += " Check `api_token` and `site_ids`."
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        return RetriableAPIError(message, response)
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HeavyAnswerError(message, response)
    elif status == HTTPStatus.NOT_FOUND or _NOT_FOUND.search(quoted):
        return NotFoundError(message)
    return FatalAPIError(message)


def _describe(text: str, content: Any, *, is_html: bool) -> str:
    """Return what an error says, but nothing of a body that may hold records."""
    if is_html:
        return "an HTML page instead of JSON"
    if message := _message_in(content):
        return message
    if isinstance(content, dict) and content:
        return f"an object with the keys {', '.join(map(str, content))}"
    if isinstance(content, list):
        return "an array"
    if text[:1] in {"{", "["} and text != "{}":
        return "broken JSON"
    return "a text with JSON in it" if "{" in text[1:] else text or "nothing"


def quote_message(text: str, token: str) -> str:
    """Return what the API or a library says in a form that can be shown.

    Returns:
        One line of at most 300 characters, without the token.
    """
    return redact(" ".join(text.split()), token)[:MESSAGE_LENGTH].rstrip(".")


def _parse(body: bytes) -> Any:
    try:
        return decode_leniently(body)
    except (ValueError, RecursionError):
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


def received_at(response: requests.Response) -> datetime:
    """Return when an answer arrived, by this machine's clock or the server's, the earlier one.

    A clock that is fast must not say that later records were seen.
    """
    now = datetime.now(timezone.utc)
    try:
        return min(now, parsedate_to_datetime(response.headers["Date"]))
    except (KeyError, OverflowError, TypeError, ValueError):
        return now
