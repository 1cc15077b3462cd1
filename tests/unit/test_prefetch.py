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


def result(pair: tuple[str, Future[Any]]) -> tuple[str, Any]:
    """Return an item with what was fetched; raise what went wrong."""
    item, future = pair
    return item, future.result()


def results_of(
    fetch: Callable[[Any], Any], groups: list[Any], width: int, *discard: Callable[[Any], None]
) -> list[tuple[Any, Any]]:
    return [result(pair) for pair in prefetch(fetch, groups, width, *discard)]


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

    assert results_of(fetch, [letters], width) == [(letter, letter.upper()) for letter in letters]


def test_no_items_have_no_results() -> None:
    assert results_of(fail_at(""), [], 4) == []
    assert results_of(fail_at(""), ["", ""], 4) == []


def test_nothing_is_fetched_before_a_result_is_asked_for() -> None:
    items = Items("abc")
    prefetch(fail_at(""), [items], 4)
    assert items.taken == ""


def test_the_first_item_is_fetched_alone() -> None:
    items = Items("abc")
    beside = {}

    def fetch(letter: str) -> None:
        beside[letter] = items.taken

    list(prefetch(fetch, [items, "xyz"], 4))
    assert beside["a"] == "a"


def test_if_the_first_item_fails_no_other_is_fetched() -> None:
    items = Items("abc")
    ((item, future),) = prefetch(fail_at("a"), [items], 4)
    assert (item, items.taken) == ("a", "a")
    with pytest.raises(FetchError, match="a"):
        future.result()


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
    results = prefetch(fail_at(""), [items], width)
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

    found = results_of(lambda _: threading.current_thread(), [items()], 3)
    fetchers = [fetcher for _, fetcher in found]
    assert takers == {threading.current_thread()}
    assert threading.current_thread() not in fetchers


def test_no_item_is_fetched_twice() -> None:
    fetched: list[str] = []
    list(prefetch(fetched.append, ["abc", "def"], 3))
    assert sorted(fetched) == list("abcdef")


def test_a_failure_is_the_result_of_its_item() -> None:
    results = prefetch(fail_at("c"), ["abcdef"], 4)
    assert [result(next(results)), result(next(results))] == [("a", "A"), ("b", "B")]
    with pytest.raises(FetchError, match="c"):
        result(next(results))


def test_results_are_there_when_they_are_yielded() -> None:
    assert all(future.done() for _, future in prefetch(fail_at("cf"), ["abcd", "efgh"], 3))


@pytest.mark.usefixtures("at_once")
def test_after_a_failure_no_more_of_its_group_is_fetched_and_earlier_results_still_come() -> None:
    items, others = Items("abcdefgh"), Items("xyz")
    results = prefetch(fail_at("d"), [items, others], 4)
    assert [result(next(results))[0] for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(FetchError, match="d"):
        result(next(results))
    assert [result(pair) for pair in results] == [("x", "X"), ("y", "Y"), ("z", "Z")]
    assert items.taken == "abcd"


@pytest.mark.usefixtures("at_once")
def test_after_a_failure_nothing_is_fetched_before_the_caller_goes_on() -> None:
    """Each API call costs points, and the caller may know that all others would fail, too."""
    others = Items("xyz")
    results = prefetch(fail_at("a"), ["abc", others], 4)
    next(results)
    assert others.taken == ""
    assert result(next(results)) == ("x", "X")


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_failure_in_each_group_leaves_the_other_groups_alone(width: int) -> None:
    found = []
    for item, future in prefetch(fail_at("bf"), ["abc", "def", "gh"], width):
        found.append((item, future.exception() is None))
    assert [item for item, is_there in found if not is_there] == ["b", "f"]
    assert [item for item, is_there in found if is_there and item != "c"] == list("adegh")


def test_the_first_item_of_a_group_is_fetched_before_its_others() -> None:
    """While it is under way, nothing behind it is begun."""
    groups = [Items("ab"), Items("defg"), Items("x")]
    beside = {}
    asked = threading.Event()

    def fetch(letter: str) -> str:
        if letter == "d":
            asked.wait(5)
        beside[letter] = "".join(group.taken for group in groups)
        return letter

    results = prefetch(fetch, groups, 4)
    assert [next(results)[0], next(results)[0]] == ["a", "b"]
    asked.set()
    assert [item for item, _ in results] == list("defgx")
    assert list(beside["d"]) == ["a", "b", "d"]


def test_if_the_first_item_of_a_group_fails_the_others_cost_nothing() -> None:
    groups = [Items("ab"), Items("def"), Items("xy")]
    found = [(item, bool(future.exception())) for item, future in prefetch(fail_at("d"), groups, 4)]
    assert found == [("a", False), ("b", False), ("d", True), ("x", False), ("y", False)]
    assert [group.taken for group in groups] == ["ab", "d", "xy"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_within_a_fetch_is_not_lost(error: type[BaseException]) -> None:
    def fetch(_: str) -> str:
        raise error

    with pytest.raises(error):
        result(next(prefetch(fetch, ["a"], 4)))


# Results that nobody takes.


@pytest.mark.usefixtures("at_once")
def test_results_that_nobody_takes_are_discarded() -> None:
    dropped: list[str] = []
    results = prefetch(fail_at("d"), ["abcdefgh", "xyz"], 4, dropped.append)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert dropped == ["B", "C", "X"]


def test_results_that_come_after_the_caller_has_gone_are_discarded() -> None:
    dropped: list[str] = []
    is_closed, is_dropped = threading.Event(), threading.Semaphore(0)

    def fetch(letter: str) -> str:
        if letter != "a":
            is_closed.wait(5)
        return letter

    def discard(letter: str) -> None:
        dropped.append(letter)
        is_dropped.release()

    results = prefetch(fetch, ["abcdefgh"], 3, discard)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert dropped == []
    is_closed.set()
    assert all(is_dropped.acquire(timeout=5) for _ in range(3))
    assert sorted(dropped) == ["b", "c", "d"]


def test_results_that_were_taken_are_not_discarded() -> None:
    dropped: list[str] = []
    assert len(results_of(fail_at(""), ["abc", "def"], 3, dropped.append)) == 6
    assert dropped == []


def test_an_interrupt_while_the_caller_waits_loses_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The item that is waited for is discarded, too, when it comes."""
    futures: list[Future[str]] = []

    class Interrupted(Future[str]):
        def exception(self, timeout: float | None = None) -> BaseException | None:
            futures.append(self)
            if len(futures) == 1:
                raise KeyboardInterrupt
            return super().exception(timeout)

    monkeypatch.setattr(prefetch_module, "Future", Interrupted)
    dropped: list[str] = []
    is_dropped = threading.Event()

    def discard(letter: str) -> None:
        dropped.append(letter)
        is_dropped.set()

    with pytest.raises(KeyboardInterrupt):
        next(prefetch(fail_at(""), ["abc"], 3, discard))
    assert is_dropped.wait(5)
    assert dropped == ["A"]


# Any order.


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
        wait = future.exception

        def exception() -> Any:
            while not future.done() or (self._started and self._numbers.random() < 0.3):
                self._started.pop(self._numbers.randrange(len(self._started)))()
            return wait()

        future.exception = exception  # type: ignore[assignment, method-assign]
        return future


def test_whatever_fails_each_group_comes_without_a_gap_up_to_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(300):
        check_groups(monkeypatch, seed)


def check_groups(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    numbers = random.Random(seed)
    scheduler = Scheduler(numbers)
    monkeypatch.setattr(prefetch_module, "Thread", scheduler.thread)
    monkeypatch.setattr(prefetch_module, "Future", scheduler.future)
    lengths = [numbers.randrange(20) for _ in range(numbers.randrange(1, 4))]
    groups = [[(group, item) for item in range(length)] for group, length in enumerate(lengths)]
    everything = [item for group in groups for item in group]
    bad = set(numbers.sample(everything, min(len(everything), numbers.choice([0, 1, 3]))))
    width = numbers.randrange(1, 6)
    fetched = []

    def fetch(item: tuple[int, int]) -> str:
        fetched.append(item)
        if item in bad:
            raise FetchError
        return str(item)

    found = list(prefetch(fetch, groups, width))
    assert [item for item, _ in found] == sorted(set(fetched)), seed
    assert len(set(fetched)) == len(fetched), seed
    for number, group in enumerate(groups):
        failed = [item for item in group if item in bad]
        end = failed[0][1] + 1 if failed else len(group)
        came = [item for item, _ in found if item[0] == number]
        # What was begun before the failure may come after it.
        assert came == group[: len(came)], seed
        assert end <= len(came) <= (end + width if failed else end), seed
    for item, future in found:
        assert (type(future.exception()) is FetchError) is (item in bad), seed
