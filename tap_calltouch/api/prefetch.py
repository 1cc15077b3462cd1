"""An ordered map in threads. Knows neither windows nor HTTP."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from itertools import islice
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    fetch: Callable[[Item], Result],
    items: Iterable[Item],
    width: int,
    discard: Callable[[Result], None] = lambda _: None,
) -> Iterator[tuple[Item, Result]]:
    """Fetch items ahead in threads, and yield the results in the order of the items.

    The first item is fetched alone: every call costs points, and if it fails, the others would
    fail too. After the first failure nothing more is fetched; what was begun before is yielded.

    Args:
        fetch: Called in a thread for each item.
        items: What to fetch; advanced in the caller's thread, just before an item is fetched.
        width: How many items may be in flight or waiting.
        discard: Called for each result that nobody takes any more.

    Yields:
        Each item with its result.

    Raises:
        BaseException: What `fetch` raised, when the turn of its item has come.
    """
    failed = Event()

    def run(item: Item, future: Future[Result]) -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:  # noqa: BLE001 - raised again when its turn comes
            failed.set()
            future.set_exception(error)

    remaining = iter(items)
    pending: deque[tuple[Item, Future[Result]]] = deque()

    def fill(size: int) -> None:
        if failed.is_set():
            return
        for item in islice(remaining, size - len(pending)):
            future: Future[Result] = Future()
            pending.append((item, future))
            # A pool would be waited for when the process ends; a daemon thread is not.
            Thread(target=run, args=(item, future), daemon=True).start()

    def drop(future: Future[Result]) -> None:
        if not future.exception():
            discard(future.result())

    try:
        fill(1)
        while pending:
            item, future = pending.popleft()
            result = future.result()
            fill(width)
            yield item, result
    finally:
        for _, future in pending:
            future.add_done_callback(drop)
