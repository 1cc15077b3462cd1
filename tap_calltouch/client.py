"""The HTTP side: token, pace, retries. No windows, no records."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from random import uniform
from typing import TYPE_CHECKING, Any

import requests
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from singer_sdk.streams import RESTStream
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from tap_calltouch.answers import (
    Answer,
    HeavyAnswerError,
    check_answer,
    quote_message,
    received_at,
)
from tap_calltouch.prefetch import TooHeavyError

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
FIRST_WAIT_SECONDS = 1
MAX_WAIT_SECONDS = 300
CHUNK_SIZE = 1 << 18
SPOOL_SIZE = 4 << 20


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
        from tap_calltouch.pace import paced_adapter  # noqa: PLC0415 - see there

        session = requests.Session()
        adapter = paced_adapter(self.config["requests_per_second"])
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
                    for chunk in response.iter_content(CHUNK_SIZE):
                        body.write(chunk)
                check_answer(response, body, what, self.config["api_token"], single=single)
            except BaseException:
                body.close()
                raise
        body.seek(0)
        return Answer(body, received_at(response))

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
            reason = quote_message(str(getattr(cause, "reason", cause)), self.config["api_token"])
            msg = f"{what}: the connection failed ({reason})."
            raise kind(msg) from None
        except requests.RequestException as error:
            msg = f"{what}: the answer cannot be read ({type(error).__name__})."
            raise kind(msg) from None

    @override
    def backoff_wait_generator(self) -> Generator[float, Any, None]:
        """Wait as long as the API says, or twice as long each time, with jitter."""
        error = yield 0
        for attempt in count():
            response = error.response if isinstance(error, RetriableAPIError) else None
            told = response.headers.get("Retry-After") if response is not None else None
            try:
                wait = Retry().parse_retry_after(told) if told else None
            except InvalidHeader:
                wait = None
            if wait is None:
                jitter = uniform(0.5, 1)  # noqa: S311 - not cryptography
                wait = jitter * FIRST_WAIT_SECONDS * 2**attempt
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
