"""The HTTP side: token, pace, retries. No streams, no windows, no records."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from http import HTTPStatus
from http.client import BadStatusLine
from random import uniform
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import requests
from singer_sdk import metrics
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from urllib3.exceptions import InvalidChunkLength, InvalidHeader
from urllib3.util import Retry

from tap_calltouch.api.answers import HeavyAnswerError, quote_message, read_answer

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from typing import IO

    from tap_calltouch.api.answers import Answer, Expected

# Errors that quote what was read, which may be records.
_QUOTING = {BadStatusLine, InvalidChunkLength}

MAX_TRIES = 5
HEAVY_TRIES = 2
FIRST_WAIT_SECONDS = 1
MAX_WAIT_SECONDS = 300
CHUNK_SIZE = 1 << 18
SPOOL_SIZE = 4 << 20


class Pace:
    """Spaces the calls of all threads, so that no six reach the API within one second."""

    MARGIN = 1.09  # room for jitter on the way
    SLOWEST_SECONDS = 5.0
    RECOVERY = 0.98

    def __init__(self, per_second: int) -> None:
        self._shortest = self._spacing = self.MARGIN / per_second
        self._next = self._held_until = self._slowed_at = 0.0
        self._turn = Lock()

    def wait(self) -> float:
        """Wait for the turn of a call, and return when it goes."""
        with self._turn:
            while (rest := max(self._next, self._held_until) - monotonic()) > 0:
                sleep(rest)
            now = monotonic()
            self._next = now + self._spacing
            return now

    def slow_down(self, called_at: float, seconds: float) -> None:
        """Hold all calls for some seconds, and make half as many from then on.

        Args:
            called_at: When the call went that was one too many. Those that went before the last
                slowing down do not slow down again.
            seconds: How long nobody may call.
        """
        now = monotonic()
        if called_at > self._slowed_at:
            self._slowed_at = now
            self._spacing = min(2 * self._spacing, self.SLOWEST_SECONDS)
        self._held_until = max(self._held_until, now + seconds)

    def speed_up(self) -> None:
        """Win back some of the pace after a call that was not rejected."""
        self._spacing = max(self._shortest, self._spacing * self.RECOVERY)


class Client:
    """A client of the Calltouch API, for all streams and threads."""

    def __init__(self, config: Mapping[str, Any], logger: logging.Logger) -> None:
        """Prepare; nothing is asked yet."""
        self._base = str(config["api_url"]).rstrip("/")
        self._token = str(config["api_token"])
        self._timeout = int(config["request_timeout"])
        self._logger = logger
        self._pace = Pace(config["requests_per_second"])
        self._session = requests.Session()

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        label: str,
        *,
        expected: Expected = "array",
        heavy_tries: int = MAX_TRIES,
        on_call: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Ask the API, again if need be, and take the whole answer. Safe to call from threads.

        Args:
            path: Behind the base URL.
            params: Query parameters, without the token.
            label: Names in messages what is asked for.
            expected: What the answer should be.
            heavy_tries: How often to try if a smaller question may be answered instead.
            on_call: Called for each call, so that it is counted.

        Returns:
            The answer.

        Raises:
            HeavyAnswerError: After `heavy_tries`, if that is less than all tries.
            NotFoundError: If the API says that there is no such thing.
            QuotaExhaustedError: If the daily points are used up.
            FatalAPIError: If another try is of no use, or the last one failed.
        """
        attempt = heavy = 0
        while True:
            attempt += 1
            called_at = self._pace.wait()
            on_call()
            try:
                answer = self._download(path, params, label, expected)
            except RetriableAPIError as error:
                heavy += isinstance(error, HeavyAnswerError)
                if heavy == heavy_tries and heavy_tries < MAX_TRIES:
                    raise
                if attempt == MAX_TRIES:
                    msg = f"{error} Gave up after {MAX_TRIES} tries."
                    raise FatalAPIError(msg) from None
                wait = wait_seconds(attempt, error.response)
                self._logger.warning("%s Trying again in %.1f s.", error, wait)
                if getattr(error.response, "status_code", None) == HTTPStatus.TOO_MANY_REQUESTS:
                    self._pace.slow_down(called_at, wait)
                else:
                    sleep(wait)
            else:
                self._pace.speed_up()
                return answer

    def _download(
        self, path: str, params: Mapping[str, str], label: str, expected: Expected
    ) -> Answer:
        response = self._send(path, params, label)
        self._log_duration(path, response)
        with response, ExitStack() as stack:
            body = stack.enter_context(spool())
            try:
                for chunk in response.iter_content(CHUNK_SIZE):
                    write_body(body, chunk, label)
            except requests.RequestException as error:
                msg = f"{label}: the connection failed ({self._reason(error)})."
                raise HeavyAnswerError(msg) from None
            answer = read_answer(response, body, label, self._token, expected)
            if answer.body is body:
                stack.pop_all()
            return answer

    def _send(self, path: str, params: Mapping[str, str], label: str) -> requests.Response:
        """Make a call. Errors of the connection become ours; theirs hold the URL with the token."""
        try:
            return self._session.get(
                f"{self._base}{path}",
                params={"clientApiId": self._token, **params},
                stream=True,
                timeout=self._timeout,
                allow_redirects=False,  # else the token would travel to the other host
            )
        except requests.ReadTimeout:
            msg = f"{label}: the API did not answer within {self._timeout} seconds."
            raise HeavyAnswerError(msg) from None
        except (requests.RequestException, TypeError, ValueError) as error:
            if advice := self._advice(error):
                msg = f"{label}: {advice}."
                raise FatalAPIError(msg) from None
            where = "to the proxy " if isinstance(error, requests.exceptions.ProxyError) else ""
            msg = f"{label}: the connection {where}failed ({self._reason(error)})."
            raise RetriableAPIError(msg) from None
        except OSError as error:
            msg = f"{label}: {error}. Check `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE`."
            raise FatalAPIError(msg) from None

    def _advice(self, error: Exception) -> str:
        """Return what is wrong if another try would not avoid it, else nothing.

        The address of a proxy is left out, since it may hold a password.
        """
        if isinstance(error, requests.exceptions.SSLError):
            reason = self._reason(error)
            if "CERTIFICATE" not in reason:
                return f"there is no common TLS version with the server ({reason}); check `api_url`"
            return f"the certificate is not trusted ({reason}); check `REQUESTS_CA_BUNDLE`"
        if isinstance(error, requests.exceptions.InvalidSchema):
            return "a SOCKS proxy needs the library PySocks"
        is_address = isinstance(error, requests.exceptions.InvalidURL)
        if isinstance(error, requests.RequestException) and not is_address:
            return ""
        # Also what is not of requests: TypeError for a proxy with a user but without a host,
        # ValueError for an address that cannot be encoded, or for that of a redirect, which
        # requests reads even if it does not follow.
        return (
            "the address of the API, of the proxy or of a redirect is malformed; check `api_url` "
            "and `HTTPS_PROXY`"
        )

    def _reason(self, error: Exception) -> str:
        cause = error.args[0] if error.args else error
        for part in getattr(cause, "args", ()):
            if type(part) in _QUOTING:
                return type(part).__name__
        return quote_message(str(getattr(cause, "reason", cause)), self._token)

    def _log_duration(self, path: str, response: requests.Response) -> None:
        point = metrics.Point(
            "timer",
            metric=metrics.Metric.HTTP_REQUEST_DURATION,
            value=response.elapsed.total_seconds(),
            tags={
                metrics.Tag.ENDPOINT: path,
                metrics.Tag.HTTP_STATUS_CODE: response.status_code,
                metrics.Tag.STATUS: (
                    metrics.Status.SUCCEEDED if response.ok else metrics.Status.FAILED
                ),
            },
        )
        # Not at INFO: a line a call would hide the lines of progress.
        metrics.get_metrics_logger().debug("METRIC: %s", point)


def wait_seconds(attempt: int, response: requests.Response | None) -> float:
    """Return how long to wait before the next try.

    Args:
        attempt: The number of the try that failed, from 1.
        response: What it was answered, if anything.

    Returns:
        Seconds: a second, twice as long each time, with jitter; longer if `Retry-After` says so,
        but at most 300.
    """
    wait = uniform(0.5, 1) * FIRST_WAIT_SECONDS * 2 ** (attempt - 1)  # noqa: S311 - jitter
    header = response.headers.get("Retry-After") if response is not None else None
    try:
        asked = Retry().parse_retry_after(header) if header else 0
    except (InvalidHeader, OverflowError, ValueError):
        asked = 0
    return float(min(max(wait, asked), MAX_WAIT_SECONDS))


def spool() -> IO[bytes]:
    """Return a new body, which goes from memory into an unnamed file when it gets large."""
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_SIZE)


def write_body(body: IO[bytes], chunk: bytes, label: str) -> None:
    """Add to a body.

    Raises:
        FatalAPIError: If the temporary folder has no room for it.
    """
    try:
        body.write(chunk)
        body.flush()  # now, since a later error would come from anywhere
    except OSError as error:
        size = body.tell() + len(chunk)
        with suppress(OSError):
            body.close()  # which writes once more
        msg = (
            f"{label}: the temporary folder cannot hold the answer, {size} bytes so far "
            f"({error.strerror or error}). Set TMPDIR to a folder with more room."
        )
        raise FatalAPIError(msg) from None
