"""The HTTP side: token, pace, retries, errors in plain words. No windows, no records."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from itertools import count
from random import uniform
from typing import IO, TYPE_CHECKING, Any

import msgspec
import requests
from pyrate_limiter import InMemoryBucket, Limiter, Rate
from requests_ratelimiter import LimiterAdapter
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from singer_sdk.streams import RESTStream
from urllib3.util import Retry

from tap_calltouch.prefetch import TooHeavyError
from tap_calltouch.redaction import redact

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from backoff.types import Details
    from singer_sdk.streams.rest import HTTPRequest

MAX_TRIES = 5
HEAVY_TRIES = 2
MAX_WAIT_SECONDS = 300
SPOOL_SIZE = 4 << 20
# Room for jitter on the way: no six calls reach the API within one second.
PACE_MARGIN = 1.1
ERROR_BODY_SIZE = 1 << 20
MESSAGE_LENGTH = 300

_QUOTA = re.compile(r"балл|\bpoints?\b|суточн|в сутки|\bdaily\b|per day|quota|квот", re.IGNORECASE)
_NOT_FOUND = re.compile(r"не найден|не существует|not found|^(null|\{\}|nothing)$", re.IGNORECASE)
_PER_SECOND = re.compile(r"в секунду|per second", re.IGNORECASE)


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


class CalltouchStream(RESTStream[Any]):
    """A stream of the Calltouch API, whose answers are fetched whole by `fetch`."""

    allow_redirects = False  # else the token would travel to the other host

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["api_url"]).rstrip("/")

    @cached_property
    @override
    def authenticator(self) -> APIKeyAuthenticator:
        return APIKeyAuthenticator(
            key="clientApiId", value=self.config["api_token"], location="params"
        )

    @cached_property
    @override
    def requests_session(self) -> requests.Session:
        session = requests.Session()
        spacing = round(1000 * PACE_MARGIN / self.config["requests_per_second"])
        limiter = Limiter(InMemoryBucket([Rate(1, spacing)]), buffer_ms=0)
        # On the adapter, so that retries and all threads together keep the pace. It must not look
        # at statuses: for 429 it would log the URL, token included.
        adapter = LimiterAdapter(limiter=limiter, per_host=False, limit_statuses=())
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    @property
    @override
    def timeout(self) -> int:
        return int(self.config["request_timeout"])

    def fetch(
        self, request: HTTPRequest, what: str, *, divisible: bool = False, single: bool = False
    ) -> Answer:
        """Ask the API, again if need be, and take the whole answer. Safe to call from threads.

        Args:
            request: What to ask.
            what: Names it in messages: stream, site, window.
            divisible: Give up early on an answer that a smaller question may avoid.
            single: Expect one request, as an object or in an array.

        Returns:
            An answer that begins and ends like a JSON array, or is an object if `single`.

        Raises:
            TooHeavyError: If `divisible`, after two tries.
            NotFoundError: If the API says that there is no such thing.
            FatalAPIError: If another try is of no use, or the last one failed.
        """
        prepared = self.build_prepared_request(
            method=request.method,
            url=request.url,
            params=request.encode_params(),
            headers=request.headers,
        )
        heavy = 0

        def attempt(request: requests.PreparedRequest, _context: None) -> Answer:
            nonlocal heavy
            try:
                return self._download(request, what, single=single)
            except HeavyAnswerError as error:
                heavy += 1
                if divisible and heavy == HEAVY_TRIES:
                    self.log("%s Halving the window.", error)
                    raise TooHeavyError(*error.args) from None
                raise

        try:
            return self.request_decorator(attempt)(prepared, None)  # type: ignore[return-value,arg-type]
        except RetriableAPIError as error:
            msg = f"{error} Gave up after {MAX_TRIES} tries."
            raise FatalAPIError(msg) from None

    def _download(self, prepared: requests.PreparedRequest, what: str, *, single: bool) -> Answer:
        with self._in_plain_words(what, RetriableAPIError):
            response = self.requests_session.send(
                prepared, stream=True, timeout=self.timeout, allow_redirects=self.allow_redirects
            )
        with response:
            body = tempfile.SpooledTemporaryFile(max_size=SPOOL_SIZE)  # noqa: SIM115
            try:
                with self._in_plain_words(what, HeavyAnswerError):
                    for chunk in response.iter_content(1 << 16):
                        body.write(chunk)
                self._check(response, body, what, single=single)
            except BaseException:
                body.close()
                raise
        body.seek(0)
        return Answer(body, _received(response))  # type: ignore[arg-type]

    @contextmanager
    def _in_plain_words(self, what: str, kind: type[RetriableAPIError]) -> Iterator[None]:
        """Turn errors of the connection into ours; theirs hold the URL, and so the token."""
        try:
            yield
        except requests.ReadTimeout:
            msg = f"{what}: the API did not answer within {self.timeout} seconds."
            raise HeavyAnswerError(msg) from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            cause = error.args[0] if error.args else error
            reason = self._quote(str(getattr(cause, "reason", cause)))
            raise kind(f"{what}: the connection failed ({reason}).") from None
        except requests.RequestException as error:
            msg = f"{what}: the answer cannot be read ({type(error).__name__})."
            raise kind(msg) from None

    def _check(
        self, response: requests.Response, body: IO[bytes], what: str, *, single: bool
    ) -> None:
        """Raise an error in plain words unless the body may hold records.

        Statuses and shapes: the vendor's page, and the field notes on other methods of this API.
        """
        status = response.status_code
        is_ok = status == HTTPStatus.OK
        size = body.tell()
        body.seek(0)
        if is_ok and body.read(64).lstrip()[:1] == b"[":
            body.seek(max(0, size - 64))
            if body.read().rstrip()[-1:] == b"]":
                return
            msg = f"{what}: the answer is cut short."
            raise HeavyAnswerError(msg)
        body.seek(0)
        text = body.read(ERROR_BODY_SIZE).decode("utf-8", "replace").strip()
        error = _parse(text)
        if is_ok and single and isinstance(error, dict) and "requestId" in error:
            return
        if "html" in response.headers.get("Content-Type", "") or text[:1] == "<":
            text = "an HTML page instead of JSON"
        said = self._quote(_message_in(error) or text or "nothing")
        told = f"{what}: the API answered {status}: {said}"
        if _QUOTA.search(said) and not _PER_SECOND.search(said):
            raise QuotaExhaustedError(told)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            msg = f"{what}: the API redirects ({status}), which is not followed. Check `api_url`."
            raise FatalAPIError(msg)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            msg = f"{told} Check `api_token` and `site_ids`."
            raise FatalAPIError(msg)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise RetriableAPIError(told, response)
        failed_inside = str(_code_in(error)).startswith("5")  # such an error's status is unknown
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or (is_ok and (not text or failed_inside)):
            raise HeavyAnswerError(told, response)
        if status == HTTPStatus.NOT_FOUND or _NOT_FOUND.search(said):
            raise NotFoundError(told)
        raise FatalAPIError(told)

    def _quote(self, text: str) -> str:
        return redact(" ".join(text.split()), self.config["api_token"])[:MESSAGE_LENGTH]

    @override
    def backoff_wait_generator(self) -> Generator[float, Any, None]:
        """Wait as the API tells, or twice as long each time, with jitter."""
        error = yield 0
        for attempt in count():
            response = error.response if isinstance(error, RetriableAPIError) else None
            told = response.headers.get("Retry-After") if response is not None else None
            try:
                wait = Retry().parse_retry_after(told) if told else None
            except ValueError:  # urllib3's InvalidHeader
                wait = None
            wait = uniform(0.5, 1) * 2**attempt if wait is None else wait
            error = yield min(wait, MAX_WAIT_SECONDS)

    @override
    def backoff_jitter(self, value: float) -> float:
        return value  # the generator's waits have it already; what the API tells is not shortened

    @override
    def backoff_max_tries(self) -> int:
        return MAX_TRIES

    @override
    def backoff_handler(self, details: Details) -> None:
        """Say nothing: the backoff library logs the error and the wait."""


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


def _code_in(error: Any) -> Any:  # noqa: ANN401
    return error.get("errorCode") if isinstance(error, dict) else None


def _received(response: requests.Response) -> datetime:
    now = datetime.now(timezone.utc)
    try:
        return min(now, parsedate_to_datetime(response.headers["Date"]))
    except (KeyError, TypeError, ValueError):
        return now
