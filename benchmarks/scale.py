"""Backfill, memory, growth and start-up: what depends on windows, not on single records."""

from __future__ import annotations

import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure import FailedRunError, Run, run
from benchmarks.table import Line
from benchmarks.taps import OPTIONS, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.taps import Taps

WIDTH = 4
PER_SECOND = 5
ROWS = 20
KILO = 1024
SIZES = (19_999, 99_999, 199_999)


def _peak(took: Run) -> float:
    """Return the peak memory of a process, if it can be known: see `run`."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if took.rss <= own / (KILO if sys.platform == "darwin" else 1) * 1.024e-3:
        msg = "The benchmark itself takes more memory than what it measures"
        raise FailedRunError(msg)
    return took.rss


def backfill(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Load many small windows from a slow server, one after the other and with prefetch.

    The serial runs have fewer windows, since each takes at least the latency, and run at once.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    windows, fewer = (20, 5) if quick else (120, 20)
    latencies = (0.2, 1.0)
    start = partial(taps.ours, max_concurrent_requests=1)
    with ThreadPoolExecutor() as pool:
        serial = [*pool.map(start, (Load(fewer, ROWS, latency=latency) for latency in latencies))]
    for latency, slow in zip(latencies, serial, strict=True):
        took = taps.ours(
            Load(windows, ROWS, latency=latency),
            max_concurrent_requests=WIDTH,
            requests_per_second=PER_SECOND,
        )
        bound = max(windows * latency / WIDTH, windows / PER_SECOND)
        yield Line(
            f"backfill: latency {latency} s, {windows} windows, prefetch",
            f"{took.wall:.1f} s wall with start-up, lower bound {bound:.1f} s; "
            f"serial {slow.wall:.1f} s for {fewer}, so {slow.wall / fewer * windows:.0f} s",
            took.wall / bound,
            "<= 1.15",
        )


def memory(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Load windows of several sizes, one alone and four in flight.

    Two runs at once, since this is not about time.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    sizes = SIZES[:1] if quick else SIZES
    # While one is written, as many as may be are in flight or wait.
    loads = [Load(windows, size) for windows in (1, 1 + WIDTH) for size in sizes]
    start = partial(taps.ours, max_concurrent_requests=WIDTH)
    with ThreadPoolExecutor(2) as pool:
        beside = pool.submit(taps.plain, Load(1, SIZES[0]))
        runs = [*pool.map(start, reversed(loads))][::-1]
        plain = beside.result()
    yield Line(
        f"memory: plain tap, 1 window of {SIZES[0]:,} records", f"peak RSS {_peak(plain):.0f} MB"
    )
    for load, took in zip(loads, runs, strict=True):
        alone = load.windows == 1
        yield Line(
            f"memory: {'1 window' if alone else f'{WIDTH} windows in flight'} of "
            f"{load.records:,} records",
            f"peak RSS {_peak(took):.0f} MB",
            took.rss,
            "<= 120" if alone else "<= 160",
        )
    for first in range(0, len(loads), len(sizes)):
        peaks = [_peak(took) for took in runs[first : first + len(sizes)]]
        if not quick:
            yield Line(
                "memory: the largest to the smallest of these sizes, "
                f"{'four in flight' if first else 'one window'}",
                f"{max(peaks):.0f} to {min(peaks):.0f} MB",
                max(peaks) / min(peaks),
                "<= 1.15",
            )


def modes(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Load a small and a large window in every mode of the tap.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    ways: dict[str, tuple[Callable[[Load], Run], str]] = {
        name: (partial(taps.ours, **settings), "clean") for name, settings in OPTIONS.items()
    }
    ways["BATCH files"] = partial(taps.batched, taps.ours), "clean"
    ways["drift"] = taps.ours, "drifted"
    for name, (start, kind) in ways.items():
        sizes = (SIZES[0], SIZES[0] if quick else SIZES[-1])
        with ThreadPoolExecutor(2) as pool:
            runs = [*pool.map(start, [Load(1, size, kind) for size in sizes])]
        small, large = map(_peak, runs)
        yield Line(
            f"memory: {name}, 1 window",
            f"peak RSS {small:.0f} MB for {sizes[0]:,} records, {large:.0f} MB for {sizes[1]:,}",
            large / small,
            "<= 1.15",
        )


def growth(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Load 1, 10 and 100 windows of equal size.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    size = 1999 if quick else 3999
    empty = median(taps.ours(Load(1, 0)).cpu for _ in range(3))
    before: tuple[float, Run] | None = None
    for windows in (1, 10) if quick else (1, 10, 100):
        load = Load(windows, size)
        took = taps.ours(load)
        cost = (took.cpu - empty) / load.total * 1e6
        measured = f"{cost:.1f} us CPU a record without start-up ({empty:.2f} s)"
        yield Line(f"growth: {windows} windows of {size:,}", f"{measured}, {_peak(took):.0f} MB")
        if before and windows == 100:
            yield Line(
                "growth: time of a record, 100 windows to 10", "", cost / before[0], "<= 1.15"
            )
            yield Line(
                "growth: memory, 100 windows to 10", "", _peak(took) / _peak(before[1]), "<= 1.15"
            )
        before = (cost, took)


def start_up(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Compare the start-up with that of the SDK's smallest tap.

    Args:
        taps: Where to keep the settings.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    config = taps.file({"api_token": "benchmark", "start_date": "2024-01-01"})
    for option in ("--about", "--discover"):
        small: list[Run] = []
        ours: list[Run] = []
        for _ in range(3 if quick else 9):
            small.append(run("benchmarks.small_tap", option))
            ours.append(run("tap_calltouch", option, "--config", config))
        for clock in ("cpu", "wall"):
            pairs = [
                (getattr(one, clock), getattr(other, clock))
                for one, other in zip(ours, small, strict=True)
            ]
            yield Line(
                f"start-up: {option}, {clock}",
                f"{median(one for one, _ in pairs):.2f} s, smallest tap "
                f"{median(other for _, other in pairs):.2f} s",
                median(one / other for one, other in pairs),
                "<= 1.15",
            )
