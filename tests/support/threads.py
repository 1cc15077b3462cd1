"""Many threads that do the same at once, and change places as often as they can."""

from __future__ import annotations

import sys
from threading import Barrier, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8


def hammer(do: Callable[[int], object], turns: int) -> None:
    """Do something so many times in each of eight threads, which begin together.

    Args:
        do: Called with the number of the turn, from 0 to `THREADS * turns`, each once.
        turns: How often in each thread.
    """
    barrier = Barrier(THREADS)
    errors: list[BaseException] = []

    def work(first: int) -> None:
        barrier.wait()
        try:
            for turn in range(turns):
                do(first + turn)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=work, args=(number * turns,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
