"""A backfill of years over many sites on Dagster: a slice a site and month, each on its own.

The settings are the tap's own, `TAP_CALLTOUCH_*`; this job cuts their sites and period into slices.
"""  # noqa: INP001 - a package of this name would hide Dagster's

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from dagster import (
    Backoff,
    DynamicOut,
    DynamicOutput,
    Failure,
    Jitter,
    OpExecutionContext,
    RetryPolicy,
    job,
    multiprocess_executor,
    op,
)

FOLDER = Path(os.environ.get("BACKFILL_FOLDER", "backfill")).absolute()
TARGET = shlex.split(os.environ.get("BACKFILL_TARGET", "target-jsonl"))
RETRY_SECONDS = float(os.environ.get("BACKFILL_RETRY_SECONDS", "60"))

REQUESTS_PER_SECOND = 5  # that the API allows one IP address
WORKERS = 4  # on this address; never more than REQUESTS_PER_SECOND
# Rounded down: two workers at 2.5 a second could each begin three calls within one second.
SHARE = REQUESTS_PER_SECOND // WORKERS

Slice = dict[str, str]


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Cut a period into calendar months; the first and the last may be parts of one."""
    while first <= last:
        following = (first.replace(day=1) + timedelta(days=31)).replace(day=1)
        yield first, min(last, following - timedelta(days=1))
        first = following


@op(out=DynamicOut(Slice))
def slices() -> Iterator[DynamicOutput[Slice]]:
    """Name the slices: the settings in which each differs from the whole."""
    period = (os.environ[f"TAP_CALLTOUCH_{name}_DATE"] for name in ("START", "END"))
    for first, last in months(*map(date.fromisoformat, period)):
        for site in json.loads(os.environ["TAP_CALLTOUCH_SITE_IDS"]):
            settings = {
                "TAP_CALLTOUCH_SITE_IDS": f"[{site}]",
                "TAP_CALLTOUCH_START_DATE": first.isoformat(),
                "TAP_CALLTOUCH_END_DATE": last.isoformat(),
            }
            yield DynamicOutput(settings, mapping_key=f"site_{site}_{first:%Y_%m}")


@op(
    retry_policy=RetryPolicy(
        max_retries=3, delay=RETRY_SECONDS, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS
    )
)
def load(context: OpExecutionContext, settings: Slice) -> None:
    """Run the tap into the target for one slice, from where its own state says."""
    folder = FOLDER / str(context.get_mapping_key())
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.json"
    # No look-back: a try goes on exactly where the one before it ended.
    settings["TAP_CALLTOUCH_LOOKBACK_DAYS"] = "0"
    settings["TAP_CALLTOUCH_REQUESTS_PER_SECOND"] = str(SHARE)
    command = ["tap-calltouch", "--config", "ENV"]
    command += ["--state", str(state)] if state.exists() else []
    with (folder / "tap.log").open("w+b") as log:
        # When the target ends first, `with` closes the pipe, and so ends the tap.
        with subprocess.Popen(
            command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=log
        ) as tap:
            target = subprocess.run(
                TARGET, cwd=folder, stdin=tap.stdout, stdout=subprocess.PIPE, check=False
            )
        log.seek(0)
        told = log.read().decode().strip()
    context.log.info(told)
    if target.stdout:  # what the target has stored, also if the tap failed afterwards
        (folder / "state.new").write_bytes(target.stdout.splitlines()[-1])
        (folder / "state.new").replace(state)
    if tap.returncode or target.returncode:
        failed = f"{TARGET[0]} ended with {target.returncode}"
        reason = failed if target.returncode else told.splitlines()[-1]
        # Used-up points come back tomorrow, not within the minutes of a retry.
        raise Failure(reason, allow_retries="daily points" not in reason)


PROCESSES = {"max_concurrent": WORKERS, "start_method": {"forkserver": {}}}


@job(executor_def=multiprocess_executor.configured(PROCESSES))
def backfill() -> None:
    """Load every slice, as many at a time as there are workers."""
    slices().map(load)
