"""At most so many calls a second, whoever makes them.

Imported when a sync begins, since `--about` and `--discover` start faster without its libraries.
"""

from __future__ import annotations

import sys
from threading import Lock
from time import sleep
from typing import Any

from pyrate_limiter import InMemoryBucket, Limiter, Rate
from requests_ratelimiter import LimiterAdapter

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

# Room for jitter on the way: no six calls reach the API within one second.
MARGIN = 1.09
POLL_SECONDS = 0.005


class Pacer(Limiter):
    """A limiter that counts a call when it goes.

    When the library waits by itself, it counts the call for the moment at which the wait should
    have ended. On a busy machine that is too early, and calls would bunch.
    """

    @override
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._turn = Lock()

    @override
    def try_acquire(
        self, name: str = "", weight: int = 1, blocking: bool = True, timeout: float = -1
    ) -> bool:
        with self._turn:  # one thread asks for all that wait
            while not super().try_acquire(name, weight, blocking=False):
                sleep(POLL_SECONDS)
        return True


def paced_adapter(requests_per_second: float) -> LimiterAdapter:
    """Make an adapter that keeps the pace for all threads and retries together.

    Args:
        requests_per_second: The most calls in any second.

    Returns:
        The adapter. It does not look at statuses: for 429 it would log the URL, token included.
    """
    spacing = round(1000 * MARGIN / requests_per_second)
    limiter = Pacer(InMemoryBucket([Rate(1, spacing)]))
    return LimiterAdapter(limiter=limiter, per_host=False, limit_statuses=())
