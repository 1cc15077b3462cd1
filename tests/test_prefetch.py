"""Pages are fetched ahead and given out in order; what cannot be had is an error, never a gap."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tap_calltouch import prefetch as prefetch_room
from tap_calltouch.prefetch import FixedPlan, Prefetch, TooHeavyError
from tap_calltouch.windows import HOUR, DateWindow, DateWindowPaginator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = tuple[int, str]


class FetchError(Exception):
    """What a fetch of these tests fails with."""


def prefetch(fetch: Callable[[int, Item], str], *plans: str, width: int = 4) -> Prefetch[Item, str]:
    """Pages are letters; each plan is a text."""
    return Prefetch([FixedPlan(plan) for plan in plans], fetch, width)


def letters(answers: Iterable[tuple[Item, str]]) -> str:
    return "".join(answer for _, answer in answers)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true soon."""
    deadline = time.monotonic() + 5
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


class Api:
    """Answers for the pages that a test lets go, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def __getitem__(self, letter: str) -> Future[str]:
        with self._lock:
            return self._answers.setdefault(letter, Future())

    def fetch(self, _index: int, page: Item) -> str:
        self.asked.append(page[1])
        return self[page[1]].result(timeout=5)

    def answer(self, pages: str) -> None:
        for letter in pages:
            self[letter].set_result(letter)

    def was_asked_for(self, pages: str) -> bool:
        """Whether exactly these pages are asked for, soon."""
        if not wait_for(lambda: len(self.asked) >= len(pages)):
            return False
        time.sleep(0.02)  # for one too many
        return sorted(self.asked) == sorted(pages)


def shuffle_delays(seed: int) -> Callable[[], None]:
    random_delays = random.Random(seed)
    return lambda: time.sleep(random_delays.random() * 0.002)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_pages_are_given_out_in_the_order_of_the_plans(width: int) -> None:
    delay = shuffle_delays(width)

    def fetch(index: int, page: Item) -> str:
        delay()
        return f"{index}{page[1]}"

    fetched = prefetch(fetch, "abcdef", "", "ghi", width=width)
    assert [letters(fetched.answers(index)) for index in range(3)] == [
        "0a0b0c0d0e0f",
        "",
        "2g2h2i",
    ]


def test_a_page_comes_with_its_answer_and_its_place() -> None:
    fetched = prefetch(lambda _, page: page[1].upper(), "ab")
    assert list(fetched.answers(0)) == [((0, "a"), "A"), ((1, "b"), "B")]


def test_nothing_is_fetched_before_it_is_asked_for() -> None:
    api = Api()
    prefetch(api.fetch, "abc")
    assert api.was_asked_for("")


def test_the_first_page_is_fetched_alone() -> None:
    api = Api()
    answers = prefetch(api.fetch, "abc").answers(0)
    reader = threading.Thread(target=lambda: next(answers), daemon=True)
    reader.start()
    alone = api.was_asked_for("a")
    api.answer("a")
    reader.join(5)
    assert alone


@pytest.mark.parametrize(
    ("width", "asked"),
    [
        pytest.param(1, "ab", id="1"),
        pytest.param(2, "abc", id="2"),
        pytest.param(4, "abcde", id="4"),
    ],
)
def test_at_most_so_many_pages_are_in_flight_or_wait(width: int, asked: str) -> None:
    api = Api()
    api.answer("abcdefgh")
    answers = prefetch(api.fetch, "abcdefgh", width=width).answers(0)
    next(answers)
    assert api.was_asked_for(asked)  # the one that was given out, and those


def test_pages_of_later_plans_are_fetched_while_an_earlier_one_is_written() -> None:
    api = Api()
    api.answer("abcd")
    fetched = prefetch(api.fetch, "a", "b", "cd")
    next(fetched.answers(0))
    assert api.was_asked_for("abcd")


def test_no_page_is_fetched_twice() -> None:
    api = Api()
    api.answer("abcdef")
    fetched = prefetch(api.fetch, "abc", "def")
    assert [letters(fetched.answers(0)), letters(fetched.answers(1))] == ["abc", "def"]
    assert sorted(api.asked) == list("abcdef")


def test_a_failure_is_raised_where_the_turn_of_its_page_comes() -> None:
    def fetch(_: int, page: Item) -> str:
        if page[1] == "c":
            raise FetchError
        return page[1]

    answers = prefetch(fetch, "abcdef").answers(0)
    assert [next(answers)[1], next(answers)[1]] == ["a", "b"]
    with pytest.raises(FetchError):
        next(answers)


def test_after_a_failure_nothing_more_is_asked_for_and_what_was_asked_for_is_given_out() -> None:
    api = Api()
    api.answer("aefgh")
    answers = prefetch(api.fetch, "abcdefgh").answers(0)
    assert next(answers)[1] == "a"
    assert api.was_asked_for("abcde")
    api["d"].set_exception(FetchError())
    time.sleep(0.02)  # until it is known
    api.answer("bc")
    assert [next(answers)[1], next(answers)[1]] == ["b", "c"]
    with pytest.raises(FetchError):
        next(answers)
    assert api.was_asked_for("abcde")


def test_a_failure_in_a_later_plan_leaves_the_earlier_one_whole() -> None:
    def fetch(_: int, page: Item) -> str:
        if page[1] == "c":
            raise FetchError
        return page[1]

    fetched = prefetch(fetch, "ab", "c", width=2)
    assert letters(fetched.answers(0)) == "ab"
    with pytest.raises(FetchError):
        next(fetched.answers(1))


def test_a_page_that_is_too_heavy_and_cannot_be_halved_is_an_error() -> None:
    def fetch(_: int, page: Item) -> str:
        raise TooHeavyError(page[1])

    with pytest.raises(TooHeavyError, match="a"):
        next(prefetch(fetch, "ab").answers(0))


# Windows that can be halved.

START = datetime(2024, 1, 1)  # noqa: DTZ001 - wall time


def windows(days: int) -> DateWindowPaginator:
    return DateWindowPaginator(START, START.replace(day=1 + days), 8)


def hours(window: DateWindow) -> tuple[int, int]:
    return (window.start - START) // HOUR, (window.end - START) // HOUR


@pytest.mark.parametrize(
    ("days", "limit", "expected"),
    [
        pytest.param(8, 96, [(0, 96), (96, 192)], id="once"),
        pytest.param(8, 50, [(0, 48), (48, 96), (96, 144), (144, 192)], id="twice"),
        pytest.param(1, 6, [(0, 6), (6, 12), (12, 18), (18, 24)], id="within a day"),
    ],
)
def test_a_page_that_is_too_heavy_is_halved_in_its_place(
    days: int, limit: int, expected: list[tuple[int, int]]
) -> None:
    def fetch(_: int, window: DateWindow) -> tuple[int, int]:
        start, end = hours(window)
        if end - start > limit:
            raise TooHeavyError
        return start, end

    fetched: Prefetch[DateWindow, tuple[int, int]] = Prefetch([windows(days)], fetch, 4)
    found = [answer for _, answer in fetched.answers(0)]
    assert [found[0], found[-1]] == [expected[0], expected[-1]]
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]


def test_a_failure_does_not_skip_the_second_half_of_a_page() -> None:
    """Of the pages 0-8, 8-16, 16-24 days the second is halved, the third waits, the last fails."""
    first_half = threading.Event()
    failed = threading.Event()

    def fetch(_: int, window: DateWindow) -> tuple[int, int]:
        start, end = hours(window)
        if (start, end) == (8 * 24, 16 * 24):
            raise TooHeavyError
        if start == 8 * 24:
            first_half.set()
            failed.wait(5)  # the failure comes while the first half is on its way
            time.sleep(0.02)
        if start == 24 * 24:
            first_half.wait(5)
            failed.set()
            raise FetchError
        return start // 24, end // 24

    given: list[tuple[int, int]] = []
    fetched: Prefetch[DateWindow, tuple[int, int]] = Prefetch([windows(30)], fetch, 3)
    with pytest.raises(FetchError):
        given.extend(answer for _, answer in fetched.answers(0))
    assert [start for start, _ in given] == [0, *(end for _, end in given[:-1])]


class Scheduler:
    """Runs fetches in a random order of its own, in place of threads: each seed is one order."""

    def __init__(self, numbers: random.Random) -> None:
        self._numbers = numbers
        self._started: list[Callable[[], None]] = []

    def thread(self, target: Callable[..., None], args: tuple[Any, ...], *, daemon: bool) -> Any:
        """What stands for `Thread`."""
        assert daemon
        return SimpleNamespace(start=lambda: self._started.append(lambda: target(*args)))

    def future(self) -> Future[Any]:
        """What stands for `Future`: others may be done before it is."""
        future: Future[Any] = Future()
        wait = future.result

        def result() -> Any:
            while not future.done() or (self._started and self._numbers.random() < 0.3):
                self._started.pop(self._numbers.randrange(len(self._started)))()
            return wait()

        future.result = result  # type: ignore[assignment, method-assign]
        return future


def test_pages_come_without_a_gap_and_then_the_error_whatever_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Random faults: what is given out is the plan's beginning, in order, then the error."""
    for seed in range(1000):
        numbers = random.Random(seed)
        scheduler = Scheduler(numbers)
        monkeypatch.setattr(prefetch_room, "Thread", scheduler.thread)
        monkeypatch.setattr(prefetch_room, "Future", scheduler.future)
        expect_no_gap(numbers)


def expect_no_gap(numbers: random.Random) -> None:
    """Run two plans on an API with some heavy days and some hours that it fails for."""
    lengths = [numbers.randrange(31), numbers.randrange(31)]
    heavy = numbers.sample(range(60 * 24), 4)
    bad = numbers.sample(range(60 * 24), numbers.choice([0, 1, 3]))
    limit = numbers.choice([6, 24, 96])

    def fetch(index: int, window: DateWindow) -> tuple[int, int]:
        start, end = hours(window)
        asked = range(index * 30 * 24 + start, index * 30 * 24 + end)
        if end - start > limit and any(hour in asked for hour in heavy):
            raise TooHeavyError
        if any(hour in asked for hour in bad):
            raise FetchError
        return start, end

    fetched: Prefetch[DateWindow, tuple[int, int]] = Prefetch(
        [windows(days) for days in lengths], fetch, numbers.randrange(1, 6)
    )
    for index, days in enumerate(lengths):
        reached = 0
        try:
            for _, (start, end) in fetched.answers(index):
                assert start == reached, "hours are skipped"
                reached = end
        except FetchError:
            assert bad
            return
        assert reached == days * 24, "a silent end"


def test_an_interrupt_within_a_fetch_is_not_lost() -> None:
    def fetch(_: int, _page: Item) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(prefetch(fetch, "a").answers(0))
