"""Throughput and options: this tap beside a plain SDK tap, and beside the limit.

Processor time is compared, since it does not depend on what else the machine does. From each run
that of a run of the same process with an empty answer is subtracted, of the same round, so that
what is left is the time a record takes. The table says both.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.table import Line
from benchmarks.taps import OPTIONS, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.measure import Run
    from benchmarks.taps import Taps

EMPTY = Load(1, 0)
MICROSECONDS = 1e6


class Pair(NamedTuple):
    """A run, and the same with an empty answer."""

    run: Run
    empty: Run
    load: Load

    @property
    def cost(self) -> float:
        """Processor time of a record, in microseconds."""
        return (self.run.cpu - self.empty.cpu) / self.load.total * MICROSECONDS

    @property
    def start_up(self) -> float:
        """Processor time of the start, in seconds."""
        return self.empty.cpu

    @property
    def size(self) -> float:
        """Bytes written for a record."""
        return (self.run.written - self.empty.written) / self.load.total

    @property
    def wall(self) -> float:
        """Time of a record from start to end, start-up included, in microseconds."""
        return self.run.wall / self.load.total * MICROSECONDS


Case = tuple["Callable[[Load], Run]", Load]


def interleave(rounds: int, cases: Mapping[str, Case]) -> dict[str, list[Pair]]:
    """Run cases in turn, several times.

    Args:
        rounds: How many times.
        cases: What to run, each by its name, and what it loads.

    Returns:
        By name, one pair of runs a round.
    """
    results: dict[str, list[Pair]] = {name: [] for name in cases}
    empty: dict[Callable[[Load], Run], Run] = {}
    for _ in range(rounds):
        empty.clear()
        for name, (start, load) in cases.items():
            if start not in empty:
                empty[start] = start(EMPTY)
            results[name].append(Pair(start(load), empty[start], load))
    return results


def _middle(pairs: list[Pair], value: str) -> float:
    return float(median(getattr(pair, value) for pair in pairs))


def _ratio(value: str, pairs: list[Pair], to: list[Pair]) -> float:
    """Return the median of the ratios of each round."""
    ratios = [
        float(getattr(one, value) / getattr(other, value))
        for one, other in zip(pairs, to, strict=True)
    ]
    return median(ratios)


def throughput(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Compare the plain tap, this tap, the typed limit and reading alone.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    few, many = (Load(1, 1999), Load(3, 3999)) if quick else (Load(2, 2999), Load(8, 3999))
    cases: dict[str, Case] = {
        "plain tap": (taps.plain, few),
        "this tap": (taps.ours, many),
        "typed limit": (taps.typed, many),
        "reading alone": (taps.reading, many),
        # An answer of this size does not stay in memory.
        "this tap, 19,999 records in one answer": (taps.ours, Load(1, 19_999)),
    }
    for which, start, load in (("plain", taps.plain, few), ("this", taps.ours, many)):
        cases[f"{which} tap, gzip"] = (start, load._replace(encoding="gzip"))
        cases[f"{which} tap, drifted"] = (start, load._replace(kind="drifted"))
    results = interleave(2 if quick else 3, cases)
    plain, ours = results["plain tap"], results["this tap"]
    for name, goal in (
        ("plain tap", ""),
        ("this tap", ">= 10"),
        ("this tap, 19,999 records in one answer", ""),
        ("typed limit", ""),
        ("reading alone", ""),
    ):
        yield _faster(f"throughput: {name}", plain, results[name], goal)
    yield Line(
        "throughput: this tap, share of the limit",
        f"{_middle(ours, 'cost'):.1f} us to {_middle(results['typed limit'], 'cost'):.1f} us",
        _ratio("cost", results["typed limit"], ours),
        ">= 0.9",
    )
    for name, goal in (("gzip", ">= 9"), ("drifted", ">= 8")):
        before, after = results[f"plain tap, {name}"], results[f"this tap, {name}"]
        yield _faster(f"throughput: this tap to plain tap, {name}", before, after, goal)
    yield Line(
        "throughput: bytes written, this tap to plain tap",
        f"{_middle(ours, 'size'):.0f} to {_middle(plain, 'size'):.0f} a record",
        _ratio("size", ours, plain),
        "<= 0.8",
    )


def options(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Compare this tap and the plain tap with the SDK's own options.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    few, many = (Load(1, 999), Load(1, 3999)) if quick else (Load(1, 2999), Load(8, 3999))
    goals = {
        "stream map": ">= 8",
        "flattening": ">= 6",
        "deselection": ">= 9",
        "BATCH files": ">= 5",
    }
    cases: dict[str, Case] = {}
    for name, setting in OPTIONS.items():
        cases[f"plain {name}"] = (partial(taps.plain, **setting), few)
        cases[f"this {name}"] = (partial(taps.ours, **setting), many)
    for which, module, load in (
        ("plain", "benchmarks.plain_tap", few),
        ("this", "tap_calltouch", many),
    ):
        start = taps.plain if which == "plain" else taps.ours
        cases[f"{which} deselection"] = (partial(start, catalog=taps.half_deselected(module)), load)
        cases[f"{which} BATCH files"] = (partial(taps.batched, start), load)
    results = interleave(1 if quick else 5, cases)
    for name, goal in goals.items():
        yield _faster(
            f"options: this tap to plain tap, {name}",
            results[f"plain {name}"],
            results[f"this {name}"],
            goal,
        )


def peers(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Compare this tap with other tools that read the same answers.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    few, many = (Load(1, 999), Load(1, 3999)) if quick else (Load(2, 2999), Load(4, 3999))
    cases: dict[str, Case] = {
        "this tap": (taps.ours, many),
        "a script written by hand": (taps.script, many),
        "dlt, extracting only": (taps.dlt, few),
        "airbyte-cdk, a manifest": (taps.airbyte, few),
        "plain tap": (taps.plain, few),
    }
    results = interleave(1 if quick else 3, cases)
    ours = results["this tap"]
    for name, found in results.items():
        yield Line(
            f"peers: {name}",
            f"{_middle(found, 'cost'):.1f} us CPU a record; start-up "
            f"{_middle(found, 'start_up'):.2f} s",
            _ratio("cost", found, ours),
        )


def _faster(what: str, before: list[Pair], after: list[Pair], goal: str = "") -> Line:
    cost = _middle(after, "cost")
    took = f"{cost:.1f} us CPU a record"
    if before is not after:
        took += f", plain tap {_middle(before, 'cost'):.1f}"
    start = _middle(after, "start_up")
    wall = f"with start-up {start:.2f} s: {_middle(after, 'wall'):.1f} us wall"
    return Line(what, f"{took}; {wall}", _ratio("cost", before, after), goal)
