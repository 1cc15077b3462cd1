"""An ordered map in threads. Knows neither windows nor HTTP."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from threading import Event, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Group(Generic[Item, Result]):
    """Items of which none is fetched once one has failed."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items = iter(items)
        self.first: Future[Result] | None = None
        self.failed = Event()

    def fetch(self, fetch: Callable[[Item], Result], item: Item, future: Future[Result]) -> None:
        try:
            future.set_result(fetch(item))
        except BaseException as error:  # noqa: BLE001 - raised again when its turn comes
            self.failed.set()
            future.set_exception(error)


def prefetch(
    fetch: Callable[[Item], Result],
    groups: Iterable[Iterable[Item]],
    width: int,
    discard: Callable[[Result], None] = lambda _: None,
) -> Iterator[tuple[Item, Future[Result]]]:
    """Fetch items ahead in threads, and yield them in their order.

    The very first item is fetched alone, and the first one of a group before the others of it:
    every API call costs points, and if it fails, the others would fail too. After a failure nothing
    more of its group is fetched, and nothing of other groups before the caller goes on; what was
    begun before is yielded.

    Args:
        fetch: Called in a thread for each item.
        groups: What to fetch; advanced in the caller's thread, just before an item is fetched.
        width: How many items may be in flight or waiting.
        discard: Called for each result that nobody takes any more.

    Yields:
        Each item with a future that is done: it returns the result, or raises what `fetch` raised.
    """
    remaining = (_Group[Item, Result](items) for items in groups)
    group = next(remaining, None)
    pending: deque[tuple[Item, Future[Result]]] = deque()

    def fill(size: int) -> None:
        nonlocal group
        while group and len(pending) < size:
            if group.first and not group.first.done():
                return
            for item in () if group.failed.is_set() else group.items:
                future: Future[Result] = Future()
                pending.append((item, future))
                group.first = group.first or future
                # A pool would be waited for when the process ends; a daemon thread is not.
                Thread(target=group.fetch, args=(fetch, item, future), daemon=True).start()
                break
            else:
                group = next(remaining, None)

    def drop(future: Future[Result]) -> None:
        if not future.exception():
            discard(future.result())

    try:
        fill(1)
        while pending:
            item, future = pending[0]
            is_fetched = not future.exception()  # waits
            pending.popleft()
            if is_fetched:
                fill(width)
            yield item, future
            fill(width)  # after a failure, only if the caller goes on
    finally:
        for _, future in pending:
            future.add_done_callback(drop)
