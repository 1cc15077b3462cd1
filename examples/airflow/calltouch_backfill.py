"""Load years of many sites on Apache Airflow 3: a task for each site and month, on any worker.

Each task is a run of Meltano with a state id of its own. The state is kept where all workers find
it, so that whichever worker tries a slice again goes on from there.
"""  # noqa: INP001 - a package of this name would hide Airflow's

import os
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

TARGET = "target-postgres"
# Each slot of this pool is one call a second; the API allows five to one IP address.
POOL = "calltouch"
# Calls a second of one slice, and the slots that it takes. A whole number: two slices at 2.5 could
# each begin three calls within one second.
REQUESTS_PER_SECOND = 1


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Cut a period into calendar months; the first and the last may be parts of one."""
    while first <= last:
        following = (first.replace(day=1) + timedelta(days=31)).replace(day=1)
        yield first, min(last, following - timedelta(days=1))
        first = following


@task
def slices(**context: Any) -> list[dict[str, Any]]:
    """Return the arguments of `load` for each slice."""
    params = context["params"]
    period = (date.fromisoformat(params[name]) for name in ("start_date", "end_date"))
    return [
        {"site": site, "first": first.isoformat(), "last": last.isoformat()}
        for first, last in months(*period)
        for site in params["site_ids"]
    ]


@task(pool=POOL, pool_slots=REQUESTS_PER_SECOND, retries=3, map_index_template="{{ slice_name }}")
def load(site: int, first: str, last: str) -> None:
    """Run the tap into the target for one slice, from where its own state says.

    Args:
        site: The site to load.
        first: The first day of the slice.
        last: Its last day.

    Raises:
        AirflowFailException: If the project's daily points are used up: they do not come back
            within the minutes of a retry.
        AirflowException: If the run failed in any other way.
    """
    # Named after its days, since another part of the same month is another slice.
    name = f"{site}-{first}-{last}"
    get_current_context()["slice_name"] = name
    settings = {
        "TAP_CALLTOUCH_SITE_IDS": f"[{site}]",
        "TAP_CALLTOUCH_START_DATE": first,
        "TAP_CALLTOUCH_END_DATE": last,
        # No look-back: a retry goes on exactly where the try before it ended.
        "TAP_CALLTOUCH_LOOKBACK_DAYS": "0",
        "TAP_CALLTOUCH_REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND),
    }
    # Not `meltano run`, of which all that run at once in one folder share a `state.json`.
    # Airflow sees to it that a slice runs once at a time. Without --force, Meltano would refuse for
    # five minutes to run one whose worker was killed.
    command = ["meltano", "el", "--force", f"--state-id=calltouch-{name}", "tap-calltouch", TARGET]
    points_used_up = False
    with subprocess.Popen(
        command,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as meltano:
        for line in meltano.stdout or ():
            print(line, end="")
            points_used_up = points_used_up or "daily points" in line
    if meltano.returncode:
        if points_used_up:
            message = "The project's daily points are used up: clear this task tomorrow."
            raise AirflowFailException(message)
        message = f"meltano ended with {meltano.returncode}; the lines above say why."
        raise AirflowException(message)


@dag(
    schedule=None,
    max_active_runs=1,
    params={
        "site_ids": Param(type="array", items={"type": "integer"}, minItems=1),
        "start_date": Param(type="string", format="date"),
        "end_date": Param(type="string", format="date"),
    },
)
def calltouch_backfill() -> None:
    """Load every slice, as many at a time as the pool has slots."""
    load.expand_kwargs(slices())


calltouch_backfill()
