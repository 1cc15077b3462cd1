"""Items are fetched ahead and come in order; one that cannot be had is an error, never a gap."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tap_calltouch.api import prefetch as prefetch_module
from tap_calltouch.api.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FetchError(Exception):
    """The failure of a fetch in these tests."""


class Items:
    """Letters that remember which of them have been taken."""

    def __init__(self, letters: str) -> None:
        self._letters = letters
        self.taken = ""

    def __iter__(self) -> Iterator[str]:
        for letter in self._letters:
            self.taken += letter
            yield letter


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads run when they are started, so that all that is in flight is done."""

    def thread(target: Callable[..., None], args: tuple[Any, ...], *, daemon: bool) -> Any:
        assert daemon
        return SimpleNamespace(start=lambda: target(*args))

    monkeypatch.setattr(prefetch_module, "Thread", thread)


def fail_at(bad: str) -> Callable[[str], str]:
    def fetch(letter: str) -> str:
        if letter in bad:
            raise FetchError(letter)
        return letter.upper()

    return fetch


@pytest.mark.parametrize("width", [2, 5])
def test_results_come_in_the_order_of_the_items_whichever_is_there_first(width: int) -> None:
    letters = "abcdefg"
    done = {letter: threading.Event() for letter in letters}

    def fetch(letter: str) -> str:
        if letter in "bdf":
            done[letters[letters.index(letter) + 1]].wait(5)  # the one behind it
        done[letter].set()
        return letter.upper()

    found = list(prefetch(fetch, letters, width))
    assert found == [(letter, letter.upper()) for letter in letters]


def test_no_items_have_no_results() -> None:
    assert list(prefetch(fail_at(""), "", 4)) == []


def test_nothing_is_fetched_before_a_result_is_asked_for() -> None:
    items = Items("abc")
    prefetch(fail_at(""), items, 4)
    assert items.taken == ""


def test_the_first_item_is_fetched_alone() -> None:
    items = Items("abc")
    beside = {}

    def fetch(letter: str) -> None:
        beside[letter] = items.taken

    list(prefetch(fetch, items, 4))
    assert beside["a"] == "a"


def test_if_the_first_item_fails_no_other_is_fetched() -> None:
    items = Items("abc")
    with pytest.raises(FetchError, match="a"):
        next(prefetch(fail_at("a"), items, 4))
    assert items.taken == "a"


@pytest.mark.parametrize(
    ("width", "taken"),
    [
        pytest.param(1, "ab", id="1"),
        pytest.param(2, "abc", id="2"),
        pytest.param(4, "abcde", id="4"),
    ],
)
def test_at_most_so_many_items_are_in_flight_or_wait(width: int, taken: str) -> None:
    items = Items("abcdefgh")
    results = prefetch(fail_at(""), items, width)
    next(results)
    assert items.taken == taken  # the one that was yielded, and those
    next(results)
    assert items.taken == taken + "abcdefgh"[len(taken)]


def test_items_are_taken_in_the_thread_of_the_caller() -> None:
    takers = set()

    def items() -> Iterator[int]:
        for number in range(5):
            takers.add(threading.current_thread())
            yield number

    fetchers = [
        fetcher for _, fetcher in prefetch(lambda _: threading.current_thread(), items(), 3)
    ]
    assert takers == {threading.current_thread()}
    assert threading.current_thread() not in fetchers


def test_no_item_is_fetched_twice() -> None:
    fetched: list[str] = []
    list(prefetch(fetched.append, "abcdef", 3))
    assert sorted(fetched) == list("abcdef")


def test_a_failure_is_raised_at_the_turn_of_its_item() -> None:
    results = prefetch(fail_at("c"), "abcdef", 4)
    assert [next(results), next(results)] == [("a", "A"), ("b", "B")]
    with pytest.raises(FetchError, match="c"):
        next(results)


@pytest.mark.usefixtures("at_once")
def test_after_a_failure_nothing_more_is_fetched_and_earlier_results_still_come() -> None:
    items = Items("abcdefgh")
    results = prefetch(fail_at("d"), items, 4)
    assert [next(results)[0] for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(FetchError, match="d"):
        next(results)
    assert items.taken == "abcde"


def test_an_interrupt_within_a_fetch_is_not_lost() -> None:
    def fetch(_: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(prefetch(fetch, "a", 4))


class Scheduler:
    """Runs fetches in a random order of its own, in place of threads: each seed is one order."""

    def __init__(self, numbers: random.Random) -> None:
        self._numbers = numbers
        self._started: list[Callable[[], None]] = []

    def thread(self, target: Callable[..., None], args: tuple[Any, ...], *, daemon: bool) -> Any:
        """Stand for `Thread`."""
        assert daemon
        return SimpleNamespace(start=lambda: self._started.append(lambda: target(*args)))

    def future(self) -> Future[Any]:
        """Stand for `Future`: others may be done before it is."""
        future: Future[Any] = Future()
        wait = future.result

        def result() -> Any:
            while not future.done() or (self._started and self._numbers.random() < 0.3):
                self._started.pop(self._numbers.randrange(len(self._started)))()
            return wait()

        future.result = result  # type: ignore[assignment, method-assign]
        return future


@pytest.mark.parametrize("seed", range(300))
def test_whatever_fails_results_come_without_a_gap_and_then_the_error(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    numbers = random.Random(seed)
    scheduler = Scheduler(numbers)
    monkeypatch.setattr(prefetch_module, "Thread", scheduler.thread)
    monkeypatch.setattr(prefetch_module, "Future", scheduler.future)
    length = numbers.randrange(40)
    bad = set(numbers.sample(range(40), numbers.choice([0, 1, 3])))
    width = numbers.randrange(1, 6)
    fetched = []

    def fetch(item: int) -> int:
        fetched.append(item)
        if item in bad:
            raise FetchError(item)
        return -item

    found: list[tuple[int, int]] = []
    first_bad = min((item for item in bad if item < length), default=None)
    if first_bad is None:
        found.extend(prefetch(fetch, range(length), width))
    else:
        with pytest.raises(FetchError, match=f"^{first_bad}$"):
            found.extend(prefetch(fetch, range(length), width))
    end = length if first_bad is None else first_bad
    assert found == [(item, -item) for item in range(end)]
    assert len(set(fetched)) == len(fetched) <= min(end + width, length)
