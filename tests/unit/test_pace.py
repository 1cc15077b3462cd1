"""Calls of all threads are spaced, and a 429 slows everyone down; by a clock that a test sets."""

from __future__ import annotations

import random
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise

import pytest
import requests

from tap_calltouch.api import client
from tap_calltouch.api.client import Pace, wait_seconds


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(client, "monotonic", lambda: self.now)
        monkeypatch.setattr(client, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Stand for `time.sleep`."""
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def calls(pace: Pace, number: int) -> list[float]:
    """Return when so many calls go."""
    return [pace.wait() for _ in range(number)]


def gaps(times: list[float]) -> list[float]:
    return [round(after - before, 6) for before, after in pairwise(times)]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("per_second", [1, 2, 3, 4, 5])
def test_no_window_of_a_second_holds_more_calls_than_allowed(per_second: int) -> None:
    times = calls(Pace(per_second), 50)
    assert times[0] == 1000  # at once
    assert all(times[at + per_second] - times[at] > 1 for at in range(50 - per_second))


@pytest.mark.usefixtures("clock")
def test_jitter_on_the_way_does_not_bunch_six_calls_into_a_second() -> None:
    delays = random.Random(1)
    arrivals = sorted(at + delays.uniform(0, 0.08) for at in calls(Pace(5), 500))
    assert all(late - early > 1 for early, late in zip(arrivals, arrivals[5:], strict=False))


def test_a_call_after_a_pause_goes_at_once_and_saves_nothing_up(clock: Clock) -> None:
    pace = Pace(5)
    pace.wait()
    clock.now += 100
    times = calls(pace, 3)
    assert times[0] == 1100
    assert gaps(times) == [0.218, 0.218]


def test_threads_share_one_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(5)
    times: list[float] = []
    threads = [threading.Thread(target=lambda: times.extend(calls(pace, 20))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(gaps(sorted(times))) == {0.218}
    assert clock.now == pytest.approx(1000 + 99 * 0.218)


@pytest.mark.usefixtures("clock")
def test_after_a_rejection_nobody_calls_before_the_wait_is_over() -> None:
    pace = Pace(5)
    at = pace.wait()
    pace.slow_down(at, 10)
    times = calls(pace, 3)
    assert times[0] == 1010
    assert gaps(times) == [0.436, 0.436]


@pytest.mark.usefixtures("clock")
def test_a_longer_wait_is_not_cut_by_a_shorter_one() -> None:
    pace = Pace(5)
    at = pace.wait()
    pace.slow_down(at, 30)
    pace.slow_down(at, 1)
    assert pace.wait() == 1030


def test_a_wait_that_grows_while_a_call_waits_holds_that_call_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(5)
    at = pace.wait()
    real_sleep = clock.sleep

    def sleep(seconds: float) -> None:
        monkeypatch.setattr(client, "sleep", real_sleep)
        pace.slow_down(at, 10)  # another thread is rejected meanwhile
        real_sleep(seconds)

    monkeypatch.setattr(client, "sleep", sleep)
    assert pace.wait() == 1010


@pytest.mark.usefixtures("clock")
def test_calls_that_were_rejected_together_slow_down_once() -> None:
    """They were all sent before anybody knew."""
    pace = Pace(5)
    sent = calls(pace, 5)
    for at in sent:
        pace.slow_down(at, 1)
    assert gaps(calls(pace, 3)) == [0.436, 0.436]


@pytest.mark.usefixtures("clock")
def test_each_rejection_after_that_halves_the_pace_again_down_to_a_limit() -> None:
    pace = Pace(5)
    spacings = []
    for _ in range(7):
        pace.slow_down(pace.wait(), 0.1)
        spacings.extend(gaps(calls(pace, 2)))
    assert spacings == [0.436, 0.872, 1.744, 3.488, 5.0, 5.0, 5.0]


def test_the_pace_is_won_back_step_by_step_and_never_beyond_the_setting(clock: Clock) -> None:
    pace = Pace(5)
    pace.slow_down(pace.wait(), 1)
    pace.wait()
    found = []
    for _ in range(60):
        pace.speed_up()
        found.extend(gaps([clock.now, pace.wait()]))
    assert found == sorted(found, reverse=True)
    assert 0.42 < found[1] < 0.436
    assert found[-1] == 0.218


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
        pytest.param("", id="empty"),
        pytest.param("Mon, 01 Jan 2024 00:00:00 GMT", id="a date in the past"),
        pytest.param("Mon, 99 Jan 2024 00:00:00 GMT", id="no date"),
        pytest.param("Mon, 01 Jan 99999 00:00:00 GMT", id="beyond the calendar"),
    ],
)
def test_retry_after_never_shortens_the_taps_own_wait(header: str) -> None:
    assert 0.5 <= wait_seconds(1, response(header)) <= 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7, id="seconds"),
        pytest.param(" 7 ", 7, id="blanks"),
        pytest.param("300", 300, id="the longest"),
        pytest.param("86400", 300, id="a day"),
        pytest.param("9" * 30, 300, id="for ever"),
    ],
)
def test_retry_after_is_honoured_up_to_300_seconds(header: str, seconds: float) -> None:
    assert wait_seconds(1, response(header)) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = datetime.now(timezone.utc) + timedelta(seconds=60)
    assert 50 < wait_seconds(1, response(format_datetime(later, usegmt=True))) <= 60
