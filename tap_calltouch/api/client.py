"""The HTTP side: token, pace, retries. No streams, no windows, no records."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from http import HTTPStatus
from math import inf
from random import uniform
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import requests
from singer_sdk import metrics
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from tap_calltouch.api.answers import read_answer
from tap_calltouch.api.bodies import spool, write_body
from tap_calltouch.api.connections import name_proxy, receiving_error, sending_error
from tap_calltouch.api.deadlines import LimitedAdapter
from tap_calltouch.api.errors import (
    BusyError,
    EmptyAnswerError,
    HeavyAnswerError,
    RejectedError,
    SiteError,
    labelled,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from tap_calltouch.api.answers import Answer, Expected
    from tap_calltouch.config.typed import Settings

MAX_TRIES = 5
HEAVY_TRIES = 2
FIRST_WAIT_SECONDS = 1
MAX_WAIT_SECONDS = 300
REJECTION_SECONDS = 600  # of nothing but 429
CHUNK_SIZE = 1 << 18


class Clock(Protocol):
    """What the module `time` can do."""

    def monotonic(self) -> float:
        """Return seconds."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class Pace:
    """Spaces the API calls of all threads, so that no six reach the API within one second."""

    MARGIN = 1.09  # room for jitter on the way
    SLOWEST_SECONDS = 5.0
    RECOVERY = 0.98

    def __init__(self, per_second: int, clock: Clock = time) -> None:
        self._clock = clock
        self._shortest = self._spacing = self.MARGIN / per_second
        self._next = self._held_until = self._slowed_at = -inf
        self._turn = Lock()  # held while a call waits for its turn
        self._change = Lock()  # held while the numbers change, also by who does not wait

    def wait(self) -> float:
        """Wait until an API call may start, and return its start time."""
        with self._turn:
            while (rest := max(self._next, self._held_until) - self._clock.monotonic()) > 0:
                self._clock.sleep(rest)
            now = self._clock.monotonic()
            with self._change:
                self._next = now + self._spacing
            return now

    def slow_down(self, called_at: float, seconds: float) -> None:
        """Hold all API calls for some seconds, and make half as many from then on.

        Args:
            called_at: Start time of the rejected API call. One that started before the last
                slow-down does not slow the pace again.
            seconds: How long nobody may call.
        """
        with self._change:
            now = self._clock.monotonic()
            if called_at > self._slowed_at:
                self._slowed_at = now
                self._spacing = min(2 * self._spacing, self.SLOWEST_SECONDS)
            self._held_until = max(self._held_until, now + seconds)

    def speed_up(self) -> None:
        """Win back some of the pace after an API call that was not rejected."""
        with self._change:
            self._spacing = max(self._shortest, self._spacing * self.RECOVERY)


class Client:
    """A client of the Calltouch API, for all streams and threads.

    Attributes:
        settings: What the user wants.
    """

    def __init__(self, settings: Settings, logger: logging.Logger, clock: Clock = time) -> None:
        """Prepare; nothing is asked yet.

        Args:
            settings: What the user wants.
            logger: Where to say that something is tried again.
            clock: The module `time`, or what stands for it.
        """
        self.settings = settings
        self._token = settings.api_token
        self._logger = logger
        self._clock = clock
        self._pace = Pace(settings.requests_per_second, clock)
        self._session = requests.Session()
        for scheme in [*self._session.adapters]:
            self._session.mount(scheme, LimitedAdapter())
        self._counting = Lock()

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        label: str,
        *,
        expected: Expected,
        id_name: str = "",
        heavy_tries: int = MAX_TRIES,
        is_wanted: Callable[[], bool] = lambda: True,
        on_call: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Ask the API, again if need be, and take the whole answer. Safe to call from threads.

        Args:
            path: Behind the base URL.
            params: Query parameters, without the token.
            label: Stands before every message, to say what was asked for.
            expected: What the answer should be.
            id_name: The column whose values to collect, if any.
            heavy_tries: How often to try if a smaller question may be answered instead.
            is_wanted: Asked before each API call, when its turn has come.
            on_call: Called for each API call, so that it is counted; never by two threads at once.

        Returns:
            The answer.

        Raises:
            HeavyAnswerError: After `heavy_tries`, if that is less than all tries.
            NotFoundError: If the API does not know what was asked for.
            SiteError: If this cannot be had, but something else may be.
            FatalAPIError: If nothing can be had.
            CancelledError: If it is not wanted any more.
        """
        attempt = heavy = rejections = 0
        rejected_at = inf
        while True:
            called_at = self._pace.wait()
            if not is_wanted():
                raise CancelledError
            with self._counting:
                on_call()
            try:
                with labelled(label):
                    answer = self._download(path, params, expected, id_name)
            except RejectedError as error:  # not answered, so it does not count as a try
                rejections += 1
                rejected_at = min(rejected_at, called_at)
                if called_at - rejected_at >= REJECTION_SECONDS:
                    msg = f"{error} It answered nothing else for ten minutes."
                    raise BusyError(msg) from None
                wait = wait_seconds(rejections, error.response)
                self._logger.warning("%s Trying again in %.1f s.", error, wait)
                self._pace.slow_down(called_at, wait)
            except RetriableAPIError as error:
                attempt += 1
                rejections, rejected_at = 0, inf
                heavy += isinstance(error, HeavyAnswerError)
                if heavy == heavy_tries and heavy_tries < MAX_TRIES:
                    raise
                if attempt >= (HEAVY_TRIES if isinstance(error, EmptyAnswerError) else MAX_TRIES):
                    msg = f"{error} Gave up after {attempt} tries."
                    # What was not even answered is not for one site alone.
                    is_answer = isinstance(error, (HeavyAnswerError, EmptyAnswerError))
                    raise (SiteError if is_answer else FatalAPIError)(msg) from None
                wait = wait_seconds(attempt, error.response)
                self._logger.warning("%s Trying again in %.1f s.", error, wait)
                self._clock.sleep(wait)
            else:
                self._pace.speed_up()
                return answer

    def _download(
        self, path: str, params: Mapping[str, str], expected: Expected, id_name: str
    ) -> Answer:
        response = self._send(path, params)
        self._log_duration(path, response)
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            msg = f"{name_proxy(self.settings)} answered 407. Check `HTTP_PROXY`."
            raise FatalAPIError(msg)
        with response, ExitStack() as stack:
            body = stack.enter_context(spool())
            try:
                for chunk in response.iter_content(CHUNK_SIZE):
                    write_body(body, chunk)
            except requests.RequestException as error:
                raise receiving_error(error, self.settings) from None
            answer = read_answer(response, body, self._token, expected, id_name)
            stack.pop_all()
            return answer

    def _send(self, path: str, params: Mapping[str, str]) -> requests.Response:
        """Send one request. Replace connection errors, whose text holds the URL with the token."""
        try:
            return self._session.get(
                f"{self.settings.api_url}{path}",
                params={"clientApiId": self._token, **params},
                stream=True,
                timeout=self.settings.request_timeout,
                allow_redirects=False,  # else the token would travel to the other host
            )
        except (OSError, TypeError, ValueError) as error:  # OSError: all of requests, too
            raise sending_error(error, self.settings) from None

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
    longest = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), MAX_WAIT_SECONDS)
    wait = uniform(0.5, 1) * longest  # noqa: S311 - jitter
    asked = 0.0
    with suppress(InvalidHeader, OverflowError, ValueError):
        if response is not None and (header := response.headers.get("Retry-After")):
            asked = Retry().parse_retry_after(header)
    return float(min(max(wait, asked), MAX_WAIT_SECONDS))
