"""A backfill of years over many sites on Dagster: a slice a site and month, each on its own.

The settings are the tap's own, `TAP_CALLTOUCH_*`; this job cuts their sites and period into slices.
Each slice is a run of Meltano with a state id of its own. The state is where Meltano keeps it, so
that the job can go on on another machine.
"""  # noqa: INP001 - a package of this name would hide Dagster's

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta

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

TARGET = "target-postgres"
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
    """Yield the slices: the settings in which each differs from the whole."""
    period = (os.environ[f"TAP_CALLTOUCH_{name}_DATE"] for name in ("START", "END"))
    for first, last in months(*map(date.fromisoformat, period)):
        for site in json.loads(os.environ["TAP_CALLTOUCH_SITE_IDS"]):
            settings = {
                "TAP_CALLTOUCH_SITE_IDS": f"[{site}]",
                "TAP_CALLTOUCH_START_DATE": first.isoformat(),
                "TAP_CALLTOUCH_END_DATE": last.isoformat(),
            }
            # Named after its days, since another part of the same month is another slice.
            yield DynamicOutput(settings, mapping_key=f"{site}_{first:%Y%m%d}_{last:%Y%m%d}")


@op(
    retry_policy=RetryPolicy(
        max_retries=3, delay=RETRY_SECONDS, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS
    )
)
def load(context: OpExecutionContext, settings: Slice) -> None:
    """Run the tap into the target for one slice, from where its own state says."""
    # No look-back: a retry goes on exactly where the try before it ended.
    settings["TAP_CALLTOUCH_LOOKBACK_DAYS"] = "0"
    settings["TAP_CALLTOUCH_REQUESTS_PER_SECOND"] = str(SHARE)
    # Not `meltano run`, of which all that run at once in one folder share a `state.json`.
    # Without --force, Meltano would refuse for five minutes to run a slice again that was killed.
    state_id = f"--state-id=calltouch_{context.get_mapping_key()}"
    run = subprocess.run(
        ["meltano", "el", "--force", state_id, "tap-calltouch", TARGET],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    context.log.info(run.stdout)
    if run.returncode:
        # Used-up points come back tomorrow, not within the minutes of a retry.
        message = f"meltano ended with {run.returncode}; its output says why."
        raise Failure(message, allow_retries="daily points" not in run.stdout)


PROCESSES = {"max_concurrent": WORKERS, "start_method": {"forkserver": {}}}


@job(executor_def=multiprocess_executor.configured(PROCESSES))
def backfill() -> None:
    """Load every slice, as many at a time as there are workers."""
    slices().map(load)
