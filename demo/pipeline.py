"""The pipeline of `make demo` and `make leads`: Meltano, files, dbt, a page, all in one folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from demo.report.page import language, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[1]
STREAMS = ("calls", "requests")
#: Days of a window. Long ones cost fewer API calls; the tap splits those that are too heavy.
WINDOW_DAYS = 30
_SECONDS_BETWEEN_SIGNS = 5


class PipelineError(Exception):
    """A step failed; the text says why, in one sentence."""


class Pipeline(NamedTuple):
    """A folder that holds the files, the state, the database, the page and the logs.

    Attributes:
        folder: The folder. Whoever deletes it loads everything again.
        prefix: A command before those of Meltano, such as the local API's.
        suffix: Of the state's id. Loads with different suffixes do not continue each other.
    """

    folder: Path
    prefix: Sequence[str] = ()
    suffix: str = ""

    @property
    def page(self) -> Path:
        """The file of the page."""
        return self.folder / "leads.html"

    @property
    def _environment(self) -> dict[str, str]:
        """The environment of Meltano: its state lies beside the files that it belongs to."""
        return {
            "TAP_CALLTOUCH_WINDOW_DAYS": str(WINDOW_DAYS),
            **os.environ,
            "TARGET_JSONL_DESTINATION_PATH": str(self.folder),
            "MELTANO_STATE_BACKEND_URI": f"file://{self.folder}/state",
            "MELTANO_CLI_LOG_FORMAT": "json",
        }

    def load(self, heading: str, *options: str) -> list[str]:
        """Load both journals into files.

        Args:
            heading: What to print first; behind it comes how many rows there are, again and again.
            options: Of `meltano run`.

        Returns:
            The tap's warnings.

        Raises:
            PipelineError: If Meltano fails, with the tap's last error.
        """
        log = self.folder / "meltano.log"
        suffix = [f"--state-id-suffix={self.suffix}"] if self.suffix else []
        command = [*self.prefix, find_program("meltano"), "run", *suffix, *options]
        before = self.count_rows()
        status = _run(
            [*command, "tap-calltouch", "target-jsonl"],
            self._environment,
            log,
            heading,
            lambda: f"{self.count_rows() - before:,}",
        )
        said = list(_read_log(log))
        if status:
            errors = [text for level, text in said if level == "error"]
            raise PipelineError(errors[-1] if errors else f"Meltano ended with {status}.")
        return list(dict.fromkeys(text for level, text in said if level == "warning"))

    def build(self, heading: str, costs: Path | None = None) -> Path:
        """Make tables of the files with dbt, and return the path of the DuckDB file.

        Args:
            heading: What to print first; behind it comes the share that is done.
            costs: A CSV of the costs of advertising.

        Raises:
            PipelineError: If dbt fails.
        """
        for stream in STREAMS:
            (self.folder / f"{stream}.jsonl").touch()  # a journal may be empty
        database = self.folder / "calltouch.duckdb"
        paths = {"CALLTOUCH_JSONL": self.folder, "CALLTOUCH_DUCKDB": database}
        paths |= {"DBT_TARGET_PATH": self.folder / "dbt", "DBT_LOG_PATH": self.folder / "dbt"}
        environment = os.environ | {name: str(path) for name, path in paths.items()}
        log = self.folder / "dbt.log"
        models = ["--project-dir", "transform", "--profiles-dir", "transform", "--target", "duckdb"]
        if costs:
            environment["CALLTOUCH_COSTS"] = str(costs.resolve())
            models += ["--vars", "{calltouch_costs: calltouch.costs}"]
        # The tests of the models are `dbt build`'s, and take longer than the models.
        command = [find_program("dbt"), "--no-use-colors", "run", *models]
        if _run(command, environment, log, heading, lambda: _share_done(log)):
            message = f"dbt failed, see {log}"
            raise PipelineError(message)
        return database

    def write_page(
        self, database: Path, chosen: str = "", loaded_until: datetime | None = None
    ) -> None:
        """Write the page of the tables.

        Args:
            database: Where the tables are.
            chosen: The language; by default the person's.
            loaded_until: Where the leads end; by default what the bookmarks say.
        """
        bookmarks = [start for sites in self.read_bookmarks().values() for start in sites.values()]
        loaded_until = loaded_until or min(map(datetime.fromisoformat, bookmarks), default=None)
        with duckdb.connect(database, read_only=True) as connection:
            page = render(connection, chosen or language(), loaded_until=loaded_until)
        self.page.write_text(page, encoding="utf-8")

    def count_rows(self) -> int:
        """Return how many rows have been written into the files, by all runs."""
        count = 0
        for stream in STREAMS:
            path = self.folder / f"{stream}.jsonl"
            if path.exists():
                with path.open("rb") as file:
                    count += sum(1 for _ in file)
        return count

    def read_bookmarks(self) -> dict[str, dict[int, str]]:
        """Return the bookmarks of Meltano's state, by stream and site."""
        name = "demo:tap-calltouch-to-target-jsonl"
        state_id = f"{name}:{self.suffix}" if self.suffix else name
        streams: dict[str, Any] = {}
        if (self.folder / "state").exists():
            command = [find_program("meltano"), "state", "get", state_id]
            output = subprocess.run(
                command, cwd=ROOT, env=self._environment, capture_output=True, check=False
            ).stdout
            streams = json.loads(output or "{}").get("singer_state", {}).get("bookmarks", {})
        return {
            stream: {
                item["context"]["siteId"]: item["replication_key_value"]
                for item in streams.get(stream, {}).get("partitions", [])
                if "replication_key_value" in item
            }
            for stream in STREAMS
        }


def _run(
    command: Sequence[str],
    environment: dict[str, str],
    log: Path,
    heading: str,
    describe: Callable[[], str],
) -> int:
    """Run a command with its output in a file, and return its status.

    Prints one line: the heading, then every few seconds how far the command is, or a dot.
    """
    print(heading, end="", flush=True)
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        status, printed = None, ""
        while status is None:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(_SECONDS_BETWEEN_SIGNS)
            text = f" {describe()}"
            print("." if text == printed else text, end="", flush=True)
            printed = text
    print()
    return status


def _read_log(path: Path) -> Iterator[tuple[str, str]]:
    """Yield level and text of each line of the tap in a log of Meltano."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("name") == "tap-calltouch":
            yield entry["level"], entry["event"]


def _share_done(log: Path) -> str:
    """Return how much dbt has begun, by the numbers of its lines."""
    found = re.findall(r"(\d+) of (\d+) ", log.read_text(encoding="utf-8"))
    return f"{max((int(number) / int(all_) for number, all_ in found), default=0):.0%}"


def find_program(name: str) -> str:
    """Return the path of a program of this environment."""
    return str(Path(sys.executable).with_name(name))
