"""Runs the benchmark: `python -m benchmarks [GROUP ...] [--quick]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from benchmarks import scale, speed
from benchmarks.measure import FailedRunError
from benchmarks.table import Line, show
from benchmarks.taps import serve

RESULTS = Path(__file__).parent.parent / ".bench"
GROUPS = {
    "throughput": speed.throughput,
    "options": speed.options,
    "backfill": scale.backfill,
    "memory": scale.memory,
    "growth": scale.growth,
    "startup": scale.start_up,
}
NOTES = """
CPU is processor time in user and system mode of all threads. A ratio of CPU is taken without the
start-up, measured in the same round as a run with an empty answer; it is the median of the rounds'
ratios. Wall time is that of the whole process. Records are of about 4 KB, with all flags' fields.
"""


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
    show(lines)
    print(NOTES)
    RESULTS.mkdir(exist_ok=True)
    result = {
        "quick": arguments.quick,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "seconds": took,
        "lines": [line._asdict() | {"met": line.met} for line in lines],
    }
    path = RESULTS / "results.json"
    path.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
