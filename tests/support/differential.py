"""Runs the plain tap of `tests/reference` and the real tap on one case; what each left behind."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import tempfile
from copy import deepcopy
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlparse
from urllib.request import url2pathname

from tap_calltouch.__main__ import main
from tap_calltouch.tap import TapCalltouch
from tests.support.catalogs import Changes
from tests.support.meant import AsMeant, Place, blanked, fits, flat_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import pytest

    from sandbox import Sandbox

Json = dict[str, Any]

# All records of the tests' journal, in one window.
PERIOD = {"start_date": "2024-01-08", "end_date": "2024-01-14"}
FLAGS = {
    name: True for name in TapCalltouch.config_jsonschema["properties"] if name.startswith("with_")
}


def _discover() -> dict[str, Json]:
    """Return the entry of each stream in the catalog that the real tap discovers."""
    tap = TapCalltouch(config={"api_token": "x", "site_ids": [101], **PERIOD})
    return {entry["stream"]: entry for entry in json.loads(tap.catalog_json_text)["streams"]}


DISCOVERED = _discover()


@dataclass(frozen=True)
class Case:
    """What both taps are run with.

    Attributes:
        settings: Settings beside those that every case has.
        changes: Changes of the discovered catalog; None for no catalog.
        state: The state, if there is one.
        stream: The stream that the catalog has.
        batch_size: Whether the real tap writes BATCH files, and of how many records.
    """

    settings: Json = field(default_factory=dict)
    changes: Changes | None = field(default_factory=Changes)
    state: Json | None = None
    stream: str = "requests"
    batch_size: int | None = None

    def catalog(self) -> Json | None:
        """Return the catalog, if there is one."""
        return self.changes.catalog(DISCOVERED[self.stream]) if self.changes else None

    def config(self, sandbox: Sandbox) -> Json:
        """Return the whole configuration; each call returns a new one, since the SDK changes it."""
        return {
            "api_url": sandbox.url,
            "api_token": sandbox.token,
            "site_ids": [101],
            **PERIOD,
            **FLAGS,
            **deepcopy(self.settings),
        }


@dataclass(frozen=True)
class Outcome:
    """What a run of a tap left behind.

    Attributes:
        messages: What it wrote, numbers such as 2800.0 as 2800.
        calls: How many calls it made.
        error: How it ended, if not well: the sentence that the real tap logged, or the exception.
        has_traceback: Whether a user would have seen a traceback.
        misfits: Where the plain tap found values that do not fit the schema.
    """

    messages: list[Json]
    calls: int
    error: str = ""
    has_traceback: bool = False
    misfits: Collection[Place] = ()

    @property
    def state(self) -> Json | None:
        """The last state, if there is one."""
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return states[-1] if states else None

    @property
    def bookmarks(self) -> Json:
        """The bookmark of each stream and partition in the last state."""
        return bookmarks(self.state)

    def lines(self, *, is_flat: bool, misfits: Collection[Place]) -> list[str]:
        """Return what is compared: schemas in order, records sorted, the names of bookmarks.

        Args:
            is_flat: Whether columns hold the texts of arrays.
            misfits: Where values may differ, if they fit the schema.
        """
        schemas = {m["stream"]: m["schema"] for m in self.messages if m["type"] == "SCHEMA"}
        lines, records = [], []
        for message in self.messages:
            if message["type"] == "SCHEMA":
                lines += _lines(message)
            elif message["type"] == "RECORD":
                stream, record = message["stream"], message["record"]
                if misfits and not fits(schemas[stream], record):
                    lines += ["It does not fit its schema:", *_lines(record)]
                for place in misfits:
                    record = blanked(record, place)
                if is_flat:
                    record = flat_alike(record, schemas[stream]["properties"])
                records.append(_lines({"RECORD": stream, **record}))
        return [
            *lines,
            *(line for record in sorted(records) for line in record),
            *sorted(self.bookmarks),
        ]


def _lines(message: Json) -> list[str]:
    """Return JSON, a field to a line, in which `1` and `true` differ."""
    return [
        f"{name}: {json.dumps(message[name], ensure_ascii=False, sort_keys=True)}"
        for name in sorted(message)
    ]


def bookmarks(state: Json | None) -> Json:
    """Return the replication key's value of each stream and partition that has one."""
    found = {}
    for stream, entry in (state or {}).get("bookmarks", {}).items():
        for part in [entry, *entry.get("partitions", [])]:
            if "replication_key_value" in part:
                found[f"{stream} {part.get('context')}"] = part["replication_key_value"]
    return found


@dataclass(frozen=True)
class Taps:
    """Runs the two taps in this process.

    Attributes:
        sandbox: The API that both ask.
        output: What pytest captures of standard output.
        log: What it captures of the log.
    """

    sandbox: Sandbox
    output: pytest.CaptureFixture[str]
    log: pytest.LogCaptureFixture

    def run_plain(self, case: Case) -> Outcome:
        """Run a plain tap, without BATCH files and settings that are empty texts."""
        case = replace(case, settings={k: v for k, v in case.settings.items() if v != ""})
        taps: list[AsMeant] = []

        def sync() -> None:
            config, catalog = case.config(self.sandbox), case.catalog()
            taps.append(AsMeant(config=config, catalog=catalog, state=deepcopy(case.state)))
            taps[0].sync_all()

        outcome = self._run(sync)
        return replace(outcome, misfits=frozenset(taps[0].misfits if taps else ()))

    def run_real(self, case: Case) -> Outcome:
        """Run the real tap, as its command line does after it has read its files."""
        config = case.config(self.sandbox)

        def sync(*_: object, **__: object) -> None:
            TapCalltouch(
                config=config, catalog=case.catalog(), state=deepcopy(case.state)
            ).sync_all()

        with tempfile.TemporaryDirectory() as folder:
            if case.batch_size:
                config["batch_config"] = batch_config(Path(folder), case.batch_size)

            def run() -> None:
                # To look at `cli` is to set up the log, so that is to be undone, too.
                with patch.object(TapCalltouch, "cli", sync):
                    main()

            return self._run(run)

    def _run(self, run: Callable[[], None]) -> Outcome:
        """Run a tap, and undo what it sets: it adds a handler to the log, and some for signals."""
        first_call = len(self.sandbox.calls)
        numbers = (signal.SIGINT, signal.SIGTERM)
        handlers = [signal.getsignal(number) for number in numbers]
        log_handlers, log_level = logging.root.handlers[:], logging.root.level
        error, has_traceback = "", False
        logging.disable(logging.WARNING)
        self.log.clear()
        try:
            run()
        except SystemExit as exit_:
            error = self.log.messages[-1] if self.log.messages else "nothing was said"
            has_traceback = exit_.code != 1
        except Exception as exception:  # noqa: BLE001 - a traceback, whatever it says
            error = f"{type(exception).__name__}: {exception}"
            has_traceback = True
        finally:
            logging.disable(logging.NOTSET)
            logging.root.handlers[:] = log_handlers
            logging.root.setLevel(log_level)
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)
        written = self.output.readouterr().out.split("\n")[:-1]
        messages = [part for line in written for part in read_batch(read_json(line))]
        return Outcome(messages, len(self.sandbox.calls) - first_call, error, has_traceback)


def batch_config(folder: Path, size: int) -> Json:
    """Return settings for BATCH files in a folder."""
    return {
        "batch_size": size,
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": folder.as_uri(), "prefix": "batch-"},
    }


def read_batch(message: Json) -> Iterator[Json]:
    """Yield a RECORD for each line of a BATCH message's files, and any other message as it is."""
    if message["type"] != "BATCH":
        yield message
        return
    for url in message["manifest"]:
        with gzip.open(url2pathname(urlparse(url).path), "rt", encoding="utf-8") as lines:
            for line in lines:
                yield {"type": "RECORD", "stream": message["stream"], "record": read_json(line)}


def read_json(line: str) -> Any:
    """Read JSON, in which 2800.0 and 2800 are one number."""
    return json.loads(line, parse_float=_number)


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def differences(
    case: Case, plain: Outcome, real: Outcome, is_refusal: Callable[[str], bool]
) -> list[str]:
    """Compare what the two taps left behind.

    Args:
        case: What they were run with.
        plain: Of the plain tap, with the differences that are meant.
        real: Of the real tap.
        is_refusal: Whether a sentence is one of those with which the real tap may refuse what the
            plain one can do.

    Returns:
        The lines that differ; nothing if they gave the same.
    """
    if plain.error and not real.error:
        return [f"only the plain tap ends with an error: {plain.error}"]
    if real.error:
        if not plain.error and not is_refusal(real.error):
            return [f"only the real tap ends with an error: {real.error}"]
        return list(_faults_of_refusal(case, real, early=not plain.calls or not plain.error))
    # At depth 0 the SDK leaves records as they are.
    is_flat = bool(case.settings.get("flattening_max_depth"))
    expected, found = (run.lines(is_flat=is_flat, misfits=plain.misfits) for run in (plain, real))
    return [] if expected == found else [*unified_diff(expected, found, "plain", "real", n=1)]


def _faults_of_refusal(case: Case, real: Outcome, *, early: bool) -> Iterator[str]:
    """Check that an end with an error is one that a user can understand, and loses nothing."""
    if real.has_traceback:
        yield f"a traceback: {real.error}"
    if "\n" in real.error or not real.error.endswith((".", "?")):
        yield f"not one sentence: {real.error}"
    if early and real.calls:
        yield f"refused after {real.calls} calls: {real.error}"
    if real.bookmarks != bookmarks(case.state):
        yield f"the bookmark moved: {real.bookmarks}"
