"""Fetches the next pages while one is being written, and gives them out in order."""

from __future__ import annotations

import heapq
from collections import deque
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Ordered(Protocol):
    """What can be put in order."""

    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401


Page = TypeVar("Page", bound=Ordered)


class TooHeavyError(Exception):
    """The API cannot answer for a page that could be halved."""


class Plan(Protocol[Page]):
    """The pages of one partition, in the order in which they are given out."""

    @property
    def finished(self) -> bool:
        """Whether all pages were taken."""

    @property
    def current_value(self) -> Page:
        """The next page."""

    def advance(self) -> None:
        """Take the next page."""

    def halve(self, page: Page, /) -> bool:
        """Put a page back, to be taken in halves; False if it cannot be halved."""

    def lengthen(self) -> None:
        """Take note that a page was not too heavy."""


class FixedPlan(Generic[Item]):
    """Pages that are known beforehand and cannot be halved, each with its place in the list."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._todo = deque(enumerate(items))

    @property
    def finished(self) -> bool:
        """Whether all pages were taken."""
        return not self._todo

    @property
    def current_value(self) -> tuple[int, Item]:
        """The next page."""
        return self._todo[0]

    def advance(self) -> None:
        """Take the next page."""
        self._todo.popleft()

    def halve(self, _page: tuple[int, Item]) -> bool:
        """Refuse."""
        return False

    def lengthen(self) -> None:
        """Do nothing."""


class Prefetch(Generic[Page, Answer]):
    """Fetches pages of several plans in threads.

    The first page is fetched alone: every call costs points, and if it fails the others would too.
    After the first failure nothing more is asked for; what was asked for before it is given out.
    """

    def __init__(
        self,
        plans: Sequence[Plan[Page]],
        fetch: Callable[[int, Page], Answer],
        max_concurrent: int,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            plans: What to fetch, in order.
            fetch: Fetches a page of the plan with the given index, in a thread. May raise
                `TooHeavyError` to have the page halved.
            max_concurrent: How many pages may be in flight or waiting.
        """
        self._plans = plans
        self._fetch = fetch
        self._max_concurrent = max_concurrent
        self._width = 1
        self._pages: list[tuple[int, Page, Future[Answer]]] = []
        self._failure: BaseException | None = None

    def answers(self, index: int) -> Iterator[tuple[Page, Answer]]:
        """Give out the answers of one plan, fetching later plans meanwhile.

        Args:
            index: Which plan. Plans must be asked for in order.

        Yields:
            Page and answer, in the order of the plan.

        Raises:
            Exception: What the fetch raised, when its page's turn has come.
        """
        plan = self._plans[index]
        while True:
            self._ask(index)
            is_asked = bool(self._pages) and self._pages[0][0] == index
            if plan.finished and not is_asked:
                return
            if not plan.finished and not (is_asked and self._pages[0][1] < plan.current_value):
                # The next page was not asked for, since another failed meanwhile.
                assert self._failure  # noqa: S101
                raise self._failure
            _, page, future = heapq.heappop(self._pages)
            try:
                answer = future.result()
            except TooHeavyError:
                if self._failure:
                    raise self._failure from None
                if not plan.halve(page):
                    raise
                continue
            plan.lengthen()
            self._width = self._max_concurrent
            self._ask(index)
            yield page, answer

    def _ask(self, index: int) -> None:
        """Start as many fetches as may be in flight."""
        for later, plan in enumerate(self._plans[index:], start=index):
            while not plan.finished:
                if len(self._pages) >= self._width or self._failure:
                    return
                page = plan.current_value
                plan.advance()
                future: Future[Answer] = Future()
                heapq.heappush(self._pages, (later, page, future))
                # A pool would be waited for when the process ends; a daemon thread is not.
                Thread(target=self._run, args=(later, page, future), daemon=True).start()

    def _run(self, index: int, page: Page, future: Future[Answer]) -> None:
        try:
            future.set_result(self._fetch(index, page))
        except BaseException as error:  # noqa: BLE001 - raised again where the page is given out
            if not isinstance(error, TooHeavyError):
                self._failure = error
            future.set_exception(error)
