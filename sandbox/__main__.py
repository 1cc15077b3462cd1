"""Runs a command against a sandbox: `python -m sandbox [OPTIONS] -- COMMAND...`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from sandbox.clock import MOSCOW
from sandbox.journal import Journal
from sandbox.server import Sandbox

if TYPE_CHECKING:
    from types import FrameType


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Start a local Calltouch API, run COMMAND with TAP_CALLTOUCH_* set for it, "
        "and leave with its status.",
    )
    parser.add_argument("--sites", type=int, default=2, metavar="N", help="with ids from 101")
    parser.add_argument(
        "--days", type=int, default=90, metavar="N", help="how many days have records"
    )
    parser.add_argument(
        "--requests-per-day", type=int, default=20, metavar="N", help="for each site"
    )
    parser.add_argument("--calls-per-day", type=int, default=20, metavar="N", help="for each site")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the generated records"
    )
    parser.add_argument(
        "--until",
        type=date.fromisoformat,
        default=datetime.now(MOSCOW).date(),
        metavar="YYYY-MM-DD",
        help="the last day with records, which is then the present; default: today",
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="how long each answer takes"
    )
    parser.add_argument(
        "--per-second",
        type=float,
        default=5,
        metavar="N",
        help="API calls that an address may make",
    )
    parser.add_argument(
        "--variants",
        action="store_true",
        help="every tenth record in the other shapes that typed clients declare",
    )
    parser.add_argument("--token", default=Sandbox.token, help="the only one that is valid")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    return parser.parse_args()


def main() -> int:
    """Run the command and return its exit status."""
    options = _arguments()
    sites = [101 + index for index in range(options.sites)]
    first_day = options.until - timedelta(days=options.days - 1)
    last_instant = datetime.combine(options.until, time(23, 59, 59), MOSCOW)
    journal = Journal(
        sites, first_day, options.until, options.requests_per_day, options.seed, sample=False
    )
    sandbox = Sandbox(
        journal,
        journal.calls(options.calls_per_day),
        token=options.token,
        latency=options.latency,
        per_second=options.per_second,
        now=lambda: min(datetime.now(timezone.utc), last_instant),
        ads_come_later=True,
        variants=options.variants,
    )
    with sandbox:
        return _run(
            options.command,
            {
                "TAP_CALLTOUCH_API_URL": sandbox.url,
                "TAP_CALLTOUCH_API_TOKEN": options.token,
                "TAP_CALLTOUCH_SITE_IDS": json.dumps(sites),
                "TAP_CALLTOUCH_START_DATE": first_day.isoformat(),
            },
        )


def _run(command: list[str], variables: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env={**os.environ, **variables})
    except OSError as error:
        print(error, file=sys.stderr)
        return 127

    def forward(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    with process:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, forward)
        status = process.wait()
    # A shell says 128 and the signal's number.
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
