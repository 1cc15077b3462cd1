"""The two streams side by side, for tests of what both of them promise."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import CallJournal, Journal, Sandbox
from tests.support.tap import TOKEN, config_for, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox import Call
    from tests.support.tap import Run

MOSCOW = timezone(timedelta(hours=3))  # in 2024
Record = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """A stream, and how its journal writes things.

    Attributes:
        name: The stream's name.
        key: The name of the records' id.
        instant: The replication key.
        ticks: What the journal counts in a second.
        dates: How the API's parameters write a day.
    """

    name: str
    key: str
    instant: str
    ticks: int
    dates: str

    def record(self, number: int, instant: datetime, site: int = 101, **more: Any) -> Record:
        """Return a record of the journal with nothing but what it must have."""
        made = int(instant.timestamp() * self.ticks)
        return {"siteId": site, self.key: number, self.instant: made, **more}

    def sandbox(
        self,
        records: Iterable[Record] | None = None,
        sites: Iterable[int] = (101,),
        per_day: int = 3,
        **options: Any,
    ) -> Sandbox:
        """Return an API with one of the two journals.

        Args:
            records: What it holds; a generated January by default.
            sites: The sites that the API knows.
            per_day: How many records a usual day of a generated journal has.
            options: Options of the sandbox.

        Returns:
            The API, not started yet.
        """
        sites = tuple(sites)
        journal, calls = Journal.of([], sites), CallJournal.of([], sites)
        if records is None:
            month: dict[str, Any] = {
                "first_day": date(2024, 1, 1),
                "last_day": date(2024, 1, 31),
                "per_day": per_day,
            }
            if self.name == "calls":
                calls = CallJournal(sites, **month)
            else:
                journal = Journal(sites, **month, sample=False)
        elif self.name == "calls":
            calls = CallJournal.of(records, sites)
        else:
            journal = Journal.of(records, sites)
        return Sandbox(journal, calls, **{"token": TOKEN, "per_second": 10_000, **options})

    def records(self, sandbox: Sandbox, site: int | None = None) -> list[Record]:
        """Return what the journal of a sandbox holds."""
        journal = sandbox.call_journal if self.name == "calls" else sandbox.journal
        return journal.records(site)

    def keys(self, records: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
        """Return the sorted keys of records."""
        return sorted((record["siteId"], record[self.key]) for record in records)

    def run(
        self,
        sandbox: Sandbox,
        tmp_path: Path,
        state: Any = None,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Run:
        """Run the tap for this stream alone, with every line of its log and at full speed.

        Args:
            sandbox: The API.
            tmp_path: Where its input files are written.
            state: Its state.
            environment: More environment variables.
            settings: More settings than those of January and site 101.

        Returns:
            What it left behind.
        """
        return run_tap(
            config_for(sandbox, **{"site_ids": [101], **settings}),
            tmp_path,
            state=state,
            catalog=self.catalog,
            environment={"TAP_CALLTOUCH_LOGLEVEL": "DEBUG", **(environment or {})},
        )

    @property
    def catalog(self) -> dict[str, Any]:
        """A catalog that has only this stream."""
        entries = discover()["streams"]
        return {"streams": [entry for entry in entries if entry["tap_stream_id"] == self.name]}

    def state(self, bookmark: object, site: int | str | None = 101, **more: Any) -> dict[str, Any]:
        """Return a state with a bookmark of this stream."""
        entry = {"replication_key": self.instant, "replication_key_value": bookmark, **more}
        if site is None:
            return {"bookmarks": {self.name: entry}}
        return {"bookmarks": {self.name: {"partitions": [{"context": {"siteId": site}, **entry}]}}}

    def bookmark(self, state: Mapping[str, Any], site: int | None = 101) -> str | None:
        """Return the bookmark of a site in a state; None if there is none."""
        entry = state["bookmarks"].get(self.name, {})
        if site is None:
            return entry.get("replication_key_value")  # type: ignore[no-any-return]
        for partition in entry.get("partitions", []):
            if partition["context"] == {"siteId": site}:
                return partition.get("replication_key_value")  # type: ignore[no-any-return]
        return None

    def days(self, call: Call) -> tuple[date, date]:
        """Return the first and the last day that a call asked for."""
        first, last = (
            datetime.strptime(call.params[name], self.dates).date()  # noqa: DTZ007 - a day
            for name in ("dateFrom", "dateTo")
        )
        return first, last


REQUESTS = Stream("requests", "requestId", "date", 1000, "%m/%d/%Y")
CALLS = Stream("calls", "callId", "timestamp", 1, "%d/%m/%Y")
STREAMS = {"requests": REQUESTS, "calls": CALLS}


def discover() -> dict[str, Any]:
    """Return the catalog that the tap discovers, a new one each time."""
    catalog: dict[str, Any] = json.loads(_discovered())
    return catalog


@cache
def _discovered() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return run_tap({}, Path(folder), arguments=["--discover"]).stdout


def lines_with(run: Run, *texts: str) -> list[str]:
    """Return the lines of a log that hold all of these texts."""
    return [line for line in run.stderr.splitlines() if all(text in line for text in texts)]


def warnings_in(run: Run, *texts: str) -> list[str]:
    """Return the tap's own warnings that hold all of these texts, not those of its libraries."""
    return lines_with(run, "| WARNING  | tap-calltouch", *texts)


def last_error(run: Run) -> str:
    """Return the last error of a log, after which calls under way may have logged more."""
    return lines_with(run, "| ERROR ")[-1]
