"""Runs the benchmark: `python -m benchmarks [GROUP ...] [--quick]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import scale, speed
from benchmarks.measure import FailedRunError
from benchmarks.table import Line, show
from benchmarks.taps import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.taps import Taps

RESULTS = Path(__file__).parent.parent / ".bench"


def end_to_end(taps: Taps, *, quick: bool) -> Iterator[Line]:
    """Load into databases; what that needs is imported late, since `memory` needs a small process.

    Args:
        taps: What to run.
        quick: Run less.

    Yields:
        Lines of the table.
    """
    from benchmarks import endtoend  # noqa: PLC0415

    yield from endtoend.end_to_end(taps, quick=quick)


GROUPS = {
    "throughput": speed.throughput,
    "options": speed.options,
    "backfill": scale.backfill,
    "memory": scale.memory,
    "modes": scale.modes,
    "growth": scale.growth,
    "startup": scale.start_up,
    "peers": speed.peers,
    "endtoend": end_to_end,
}
NOTES = """
CPU is processor time in user and system mode of all threads. A ratio of CPU is taken without the
start-up, measured in the same round as a run with an empty answer; it is the median of the rounds'
ratios. Wall time is that of the whole process. Records are of about 4 KB, with all flags' fields.
"""


def interpreter() -> str:
    """Describe the interpreter: how it was built matters more than its version."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    # Debian's is optimised by profile too, by its own rules and without this option.
    is_optimised = "--enable-optimizations" in options
    build = f"configured {'with' if is_optimised else 'without'} --enable-optimizations"
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{version}, {build}, {platform.python_compiler()}"


def main() -> None:
    """Run groups, print one table and write it to a file that git ignores.

    Raises:
        SystemExit: If a run failed or did not write all records.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="smaller loads, fewer rounds")
    arguments = parser.parse_args()
    if unknown := {*arguments.groups} - {*GROUPS}:
        parser.error(f"no such group: {', '.join(unknown)}")
    before = os.getloadavg()
    lines: list[Line] = []
    took: dict[str, float] = {}
    try:
        with serve() as taps:
            for name in arguments.groups or GROUPS:
                began = time.perf_counter()
                lines += GROUPS[name](taps, quick=arguments.quick)
                took[name] = round(time.perf_counter() - began, 1)
                print(f"{name}: {took[name]} s", file=sys.stderr)
    except FailedRunError as error:
        sys.exit(f"{error}")
    finally:  # whatever failed, what was measured before is worth the time
        _report(lines, took, before, quick=arguments.quick)


def _report(
    lines: list[Line], took: dict[str, float], before: tuple[float, ...], *, quick: bool
) -> None:
    show(lines)
    load = ", ".join(f"{value:.1f}" for value in (*before, *os.getloadavg()))
    print(NOTES)
    print(f"Interpreter: {interpreter()}. {os.cpu_count()} processors.")
    print(f"Load average before and after, over 1, 5 and 15 minutes: {load}.")
    RESULTS.mkdir(exist_ok=True)
    result = {
        "quick": quick,
        "interpreter": interpreter(),
        "load": load,
        "processors": os.cpu_count(),
        "seconds": took,
        "lines": [line._asdict() | {"met": line.met} for line in lines],
    }
    path = RESULTS / "results.json"
    path.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
