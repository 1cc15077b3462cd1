"""Calls of all threads are spaced, and a 429 slows everyone down; by a clock that a test sets."""

from __future__ import annotations

import io
import logging
import random
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api import client as client_module
from tap_calltouch.api.client import Client, Pace, wait_seconds
from tap_calltouch.api.errors import BusyError, QuotaExhaustedError, SiteError
from tap_calltouch.api.failures import Failures
from tap_calltouch.api.query import Site
from tap_calltouch.config.checks import fill_defaults
from tap_calltouch.config.settings import SETTINGS
from tap_calltouch.config.typed import Settings
from tests.support.threads import THREADS, hammer


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Stand for `time.monotonic`."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Stand for `time.sleep`."""
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def calls(pace: Pace, number: int) -> list[float]:
    """Return when so many calls go."""
    return [pace.wait() for _ in range(number)]


def gaps(times: list[float]) -> list[float]:
    return [round(after - before, 6) for before, after in pairwise(times)]


@pytest.mark.parametrize("per_second", [1, 2, 3, 4, 5])
def test_no_window_of_a_second_holds_more_calls_than_allowed(clock: Clock, per_second: int) -> None:
    times = calls(Pace(per_second, clock), 50)
    assert times[0] == 1000  # at once
    assert all(times[at + per_second] - times[at] > 1 for at in range(50 - per_second))


def test_jitter_on_the_way_does_not_bunch_six_calls_into_a_second(clock: Clock) -> None:
    delays = random.Random(1)
    arrivals = sorted(at + delays.uniform(0, 0.08) for at in calls(Pace(5, clock), 500))
    assert all(late - early > 1 for early, late in zip(arrivals, arrivals[5:], strict=False))


def test_a_call_after_a_pause_goes_at_once_and_saves_nothing_up(clock: Clock) -> None:
    pace = Pace(5, clock)
    pace.wait()
    clock.now += 100
    times = calls(pace, 3)
    assert times[0] == 1100
    assert gaps(times) == [0.218, 0.218]


def test_threads_share_one_pace(clock: Clock) -> None:
    pace = Pace(5, clock)
    times: list[float] = []
    threads = [threading.Thread(target=lambda: times.extend(calls(pace, 20))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(gaps(sorted(times))) == {0.218}
    assert clock.now == pytest.approx(1000 + 99 * 0.218)


def test_after_a_rejection_nobody_calls_before_the_wait_is_over(clock: Clock) -> None:
    pace = Pace(5, clock)
    at = pace.wait()
    pace.slow_down(at, 10)
    times = calls(pace, 3)
    assert times[0] == 1010
    assert gaps(times) == [0.436, 0.436]


def test_a_longer_wait_is_not_cut_by_a_shorter_one(clock: Clock) -> None:
    pace = Pace(5, clock)
    at = pace.wait()
    pace.slow_down(at, 30)
    pace.slow_down(at, 1)
    assert pace.wait() == 1030


def test_a_wait_that_grows_while_a_call_waits_holds_that_call_too(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace(5, clock)
    at = pace.wait()
    real_sleep = clock.sleep

    def sleep(seconds: float) -> None:
        monkeypatch.setattr(clock, "sleep", real_sleep)
        pace.slow_down(at, 10)  # another thread is rejected meanwhile
        real_sleep(seconds)

    monkeypatch.setattr(clock, "sleep", sleep)
    assert pace.wait() == 1010


def test_calls_that_were_rejected_together_slow_down_once(clock: Clock) -> None:
    """They were all sent before anybody knew."""
    pace = Pace(5, clock)
    sent = calls(pace, 5)
    for at in sent:
        pace.slow_down(at, 1)
    assert gaps(calls(pace, 3)) == [0.436, 0.436]


def test_each_rejection_after_that_halves_the_pace_again_down_to_a_limit(clock: Clock) -> None:
    pace = Pace(5, clock)
    spacings = []
    for _ in range(7):
        pace.slow_down(pace.wait(), 0.1)
        spacings.extend(gaps(calls(pace, 2)))
    assert spacings == [0.436, 0.872, 1.744, 3.488, 5.0, 5.0, 5.0]


def test_the_pace_is_won_back_step_by_step_and_never_beyond_the_setting(clock: Clock) -> None:
    pace = Pace(5, clock)
    pace.slow_down(pace.wait(), 1)
    pace.wait()
    found = []
    for _ in range(60):
        pace.speed_up()
        found.extend(gaps([clock.now, pace.wait()]))
    assert found == sorted(found, reverse=True)
    assert 0.42 < found[1] < 0.436
    assert found[-1] == 0.218


def test_no_change_of_the_pace_is_lost_between_threads(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread reads the spacing and writes it after another one did."""
    monkeypatch.setattr(Pace, "SLOWEST_SECONDS", 1e300)
    monkeypatch.setattr(Pace, "RECOVERY", 0.9999)
    pace = Pace(5, clock)
    turns, slower = 2000, 20
    for _ in range(slower):  # so that it never gets as fast as it may be
        pace.slow_down(float("inf"), 0)

    def change(turn: int) -> None:
        pace.speed_up()
        if turn % 100 == 0:
            pace.slow_down(float("inf"), 0)

    hammer(change, turns)
    total = THREADS * turns
    (spacing,) = gaps(calls(pace, 2))
    assert spacing == pytest.approx(0.218 * 2 ** (slower + total // 100) * 0.9999**total, rel=1e-9)


def test_longest_wait_of_all_threads_holds(clock: Clock) -> None:
    for _ in range(20):
        pace = Pace(5, clock)
        began = clock.now
        hammer(lambda turn, pace=pace: pace.slow_down(0.0, turn), 100)  # type: ignore[misc]
        assert pace.wait() == began + 100 * THREADS - 1


# How long to wait before the next try.


def response(header: str | None) -> requests.Response:
    answer = requests.Response()
    if header is not None:
        answer.headers["Retry-After"] = header
    return answer


@pytest.mark.parametrize(
    "answer", [pytest.param(None, id="no answer"), pytest.param(response(None), id="no header")]
)
def test_wait_doubles_with_each_try_with_jitter(answer: requests.Response | None) -> None:
    for attempt, longest in enumerate([1, 2, 4, 8], start=1):
        waits = {wait_seconds(attempt, answer) for _ in range(50)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("0", id="nothing"),
        pytest.param("-5", id="negative"),
        pytest.param("soon", id="no number"),
        pytest.param("1.5", id="a fraction"),
        pytest.param("NaN", id="NaN"),
        pytest.param("", id="empty"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", id="1970"),
        pytest.param("Fri, 01 Jan 0001 00:00:00 GMT", id="the year 1"),
        pytest.param("Mon, 01 Jan 2024 00:00:00 GMT", id="a date in the past"),
        pytest.param("Mon, 99 Jan 2024 00:00:00 GMT", id="no date"),
        pytest.param("Mon, 01 Jan 99999 00:00:00 GMT", id="beyond the calendar"),
        pytest.param(f"Mon, 01 Jan {10**20} 00:00:00 GMT", id="beyond any calendar"),
    ],
)
def test_retry_after_never_shortens_the_taps_own_wait(header: str) -> None:
    for attempt, longest in enumerate([1, 2, 4, 8], start=1):
        for _ in range(20):
            assert longest / 2 <= wait_seconds(attempt, response(header)) <= longest, attempt


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7, id="seconds"),
        pytest.param(" 7 ", 7, id="blanks"),
        pytest.param("017", 17, id="a zero before"),
        pytest.param("300", 300, id="the longest"),
        pytest.param(" 301 ", 300, id="a second more"),
        pytest.param("86400", 300, id="a day"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 300, id="the last day"),
        pytest.param("9" * 30, 300, id="for ever"),
    ],
)
def test_retry_after_is_honoured_up_to_300_seconds(header: str, seconds: float) -> None:
    assert wait_seconds(1, response(header)) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = datetime.now(timezone.utc) + timedelta(seconds=60)
    assert 50 < wait_seconds(1, response(format_datetime(later, usegmt=True))) <= 60


# What 429 costs.


class Rejecting(BaseAdapter):
    """An API that rejects so many calls before it answers; each takes a second of the clock."""

    def __init__(self, clock: Clock, rejections: float) -> None:
        super().__init__()
        self.calls = 0
        self._clock = clock
        self._rejections = rejections

    def send(self, *_: Any, **__: Any) -> requests.Response:
        """Answer without a network."""
        self.calls += 1
        self._clock.now += 1
        answer = requests.Response()
        answer.status_code = 429 if self.calls <= self._rejections else 200
        answer.raw = io.BytesIO(b"[{}]")
        return answer

    def close(self) -> None:
        """Close nothing."""


def client_of(clock: Clock, adapter: BaseAdapter, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: adapter)
    config = {"api_token": "t", "start_date": "2024-01-01"}
    settings = Settings.of(fill_defaults(config, SETTINGS))
    return Client(settings, logging.getLogger(__name__), clock)


def test_rejections_use_up_no_tries(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Rejecting(clock, 8)
    answer = client_of(clock, api, monkeypatch).get("/x", {}, "Site", expected="array")
    answer.close()
    assert (answer.count, answer.ids, api.calls) == (1, [], 9)


def test_ten_minutes_of_rejections_end_that_site(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Rejecting(clock, float("inf"))
    with pytest.raises(BusyError, match="answered nothing else for ten minutes"):
        client_of(clock, api, monkeypatch).get("/x", {}, "Site", expected="array")
    assert 1600 <= clock.now < 2000


class Scripted(BaseAdapter):
    """An API that gives one answer after the other, each at once.

    Attributes:
        times: When it was called.
    """

    def __init__(self, clock: Clock, *statuses: int, retry_after: str = "") -> None:
        super().__init__()
        self.times: list[float] = []
        self._clock = clock
        self._statuses = iter(statuses)
        self._retry_after = retry_after

    def send(self, *_: Any, **__: Any) -> requests.Response:
        """Answer without a network."""
        self.times.append(self._clock.now)
        answer = response(self._retry_after)
        answer.status_code = next(self._statuses)
        answer.raw = io.BytesIO(b"[]")
        return answer

    def close(self) -> None:
        """Close nothing."""


def test_the_ten_minutes_begin_with_the_first_rejected_call(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Scripted(clock, *[429] * 9, retry_after="300")
    with pytest.raises(BusyError):
        client_of(clock, api, monkeypatch).get("/x", {}, "Site", expected="array")
    assert api.times == [1000, 1300, 1600]


def test_another_answer_lets_the_rejections_begin_anew(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Their waits and their ten minutes."""
    tries: list[int] = []

    def wait(attempt: int, _: object) -> float:
        tries.append(attempt)
        return 250.0

    monkeypatch.setattr(client_module, "wait_seconds", wait)
    api = Scripted(clock, 429, 429, 429, 500, 429, 429, 429, 200)
    client_of(clock, api, monkeypatch).get("/x", {}, "Site", expected="array").close()
    assert tries == [1, 2, 3, 1, 1, 2, 3]
    assert api.times == [1000 + 250 * number for number in range(8)]
    said = "Site: the API answered %d: an array. Trying again in 250.0 s."
    assert caplog.messages == [said % status for status in (429, 429, 429, 500, 429, 429, 429)]


def test_calls_that_are_answered_win_the_pace_back(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Scripted(clock, 429, *[200] * 5, retry_after="1")
    client = client_of(clock, api, monkeypatch)
    for _ in range(5):
        client.get("/x", {}, "Site", expected="array").close()
    found = gaps(api.times[2:])
    assert found == sorted(set(found), reverse=True)


def test_failed_call_is_tried_again_when_the_api_asks_for_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Scripted(clock, 503, 200, retry_after="7")
    client_of(clock, api, monkeypatch).get("/x", {}, "Site", expected="array").close()
    assert api.times == [1000, 1007]


def test_two_sites_in_turn_that_are_rejected_so_long_end_the_run() -> None:
    sites = [Site(number, f"site {number}") for number in range(4)]
    failures = Failures()
    for site, error in zip(sites, (BusyError("a"), SiteError("b"), BusyError("c")), strict=False):
        failures.add(site, error)
    with pytest.raises(FatalAPIError, match=r"^d$"):
        failures.add(sites[3], BusyError("d"))


def test_points_are_used_up_for_one_site_alone() -> None:
    failures = Failures()
    failures.add(Site(1, "calls of 1"), QuotaExhaustedError("a"))
    failures.add(Site(2, "calls of 2"), SiteError("b"))
    sites = [Site(number, f"requests of {number}") for number in (1, 2, 3)]
    assert [failures.is_exhausted(site) for site in sites] == [True, False, False]
