"""Runs the plain tap of `tests/reference` and the real tap on one case, and compares the two."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import sys
import tempfile
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlparse
from urllib.request import url2pathname

from tap_calltouch.__main__ import main
from tap_calltouch.tap import TapCalltouch
from tests.support.catalogs import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox import Sandbox
    from tests.reference import ReferenceTap

Json = dict[str, Any]

# All records of the tests' journal, in one window.
PERIOD = {"start_date": "2024-01-08", "end_date": "2024-01-14"}
FLAGS = {
    name: True for name in TapCalltouch.config_jsonschema["properties"] if name.startswith("with_")
}
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
LOGGER = logging.getLogger(TapCalltouch.name)


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

    def without_empty_settings(self) -> Case:
        """Return the case without settings that are empty texts."""
        return replace(self, settings={k: v for k, v in self.settings.items() if v != ""})

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
        error: How it ended, if not well: the exception of the plain tap, the sentence of the real
            one.
        has_traceback: Whether a user would have seen a traceback.
    """

    messages: list[Json]
    calls: int
    error: str = ""
    has_traceback: bool = False

    @property
    def schemas(self) -> list[Json]:
        """The SCHEMA messages."""
        return [message for message in self.messages if message["type"] == "SCHEMA"]

    @property
    def records(self) -> dict[str, list[Json]]:
        """The records of each stream, in order."""
        records: dict[str, list[Json]] = {}
        for message in self.messages:
            if message["type"] == "RECORD":
                records.setdefault(message["stream"], []).append(message["record"])
        return records

    @property
    def state(self) -> Json | None:
        """The last state, if there is one."""
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return states[-1] if states else None

    @property
    def bookmarks(self) -> Json:
        """The bookmark of each stream and partition in the last state."""
        return bookmarks(self.state)


def bookmarks(state: Json | None) -> Json:
    """Return the replication key's value of each stream and partition that has one."""
    found = {}
    for stream, entry in (state or {}).get("bookmarks", {}).items():
        for part in [entry, *entry.get("partitions", [])]:
            if "replication_key_value" in part:
                found[f"{stream} {part.get('context')}"] = part["replication_key_value"]
    return found


def run_plain(case: Case, sandbox: Sandbox, tap_class: type[ReferenceTap]) -> Outcome:
    """Run a plain tap, which writes RECORD lines also where the case has BATCH files."""
    first_call = len(sandbox.calls)
    error = ""
    with captured_messages(logging.CRITICAL) as messages:
        try:
            tap_class(
                config=case.config(sandbox),
                catalog=case.catalog(),
                state=deepcopy(case.state),
            ).sync_all()
        except Exception as exception:  # noqa: BLE001 - a traceback, whatever it says
            error = f"{type(exception).__name__}: {exception}"
    return Outcome(messages, len(sandbox.calls) - first_call, error)


def run_real(case: Case, sandbox: Sandbox) -> Outcome:
    """Run the real tap, as its command line does after it has read its files."""
    first_call = len(sandbox.calls)
    config = case.config(sandbox)

    def command_line(*_: object, **__: object) -> None:
        TapCalltouch(config=config, catalog=case.catalog(), state=deepcopy(case.state)).sync_all()

    error, has_traceback = "", False
    with tempfile.TemporaryDirectory() as folder:
        if case.batch_size:
            config["batch_config"] = batch_config(Path(folder), case.batch_size)
        with captured_messages(logging.WARNING) as messages, captured_errors() as errors:
            try:
                with patch.object(TapCalltouch, "cli", command_line):
                    main()
            except SystemExit as exit_:
                error = errors[-1] if errors else "nothing was said"
                has_traceback = exit_.code != 1
            except Exception as exception:  # noqa: BLE001 - a traceback, whatever it says
                error = f"{type(exception).__name__}: {exception}"
                has_traceback = True
        messages[:] = [part for message in messages for part in read_batch(message)]
    return Outcome(messages, len(sandbox.calls) - first_call, error, has_traceback)


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


@contextmanager
def captured_messages(quiet_level: int) -> Iterator[list[Json]]:
    """Take what is written to standard output while the block runs, and undo what a tap sets.

    Args:
        quiet_level: Up to which level nothing is logged meanwhile.
    """
    messages: list[Json] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    # Each tap adds a handler to the root logger, for the standard error of its time.
    log_handlers = logging.root.handlers[:]
    log_level = logging.root.level
    stdout = sys.stdout
    # A file, since the real tap writes to the descriptor.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        sys.stdout = output
        logging.disable(quiet_level)
        try:
            yield messages
        finally:
            logging.disable(logging.NOTSET)
            logging.root.handlers[:] = log_handlers
            logging.root.setLevel(log_level)
            sys.stdout = stdout
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)
            output.seek(0)
            messages += [read_json(line) for line in output]


@contextmanager
def captured_errors() -> Iterator[list[str]]:
    """Take what the real tap logs as an error while the block runs."""
    errors: list[str] = []

    class Errors(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(self.format(record))

    handler = Errors(logging.ERROR)
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    try:
        yield errors
    finally:
        LOGGER.propagate = True
        LOGGER.removeHandler(handler)


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
        One line for each difference.
    """
    if plain.error and not real.error:
        return [f"only the plain tap ends with an error: {plain.error}"]
    if real.error:
        if not plain.error and not is_refusal(real.error):
            return [f"only the real tap ends with an error: {real.error}"]
        return list(_faults_of_refusal(case, real, early=not plain.calls or not plain.error))
    return [
        *_schema_differences(plain.schemas, real.schemas),
        *_record_differences(plain, real.records),
        *_bookmark_differences(plain, real),
    ]


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


def _schema_differences(plain: list[Json], real: list[Json]) -> Iterator[str]:
    if [message["stream"] for message in plain] != [message["stream"] for message in real]:
        yield f"streams: plain {[m['stream'] for m in plain]}, real {[m['stream'] for m in real]}"
        return
    for expected, actual in zip(plain, real, strict=True):
        yield from _object_differences(f"SCHEMA {expected['stream']}", expected, actual)


def _record_differences(plain: Outcome, real: dict[str, list[Json]]) -> Iterator[str]:
    keys = {schema["stream"]: schema.get("key_properties") or [] for schema in plain.schemas}
    for stream in plain.records.keys() | real.keys():
        pair = [outcome.get(stream, []) for outcome in (plain.records, real)]
        if len(pair[0]) != len(pair[1]):
            yield f"{stream}: plain {len(pair[0])} records, real {len(pair[1])}"
            continue
        key = partial(_key, keys.get(stream, []))
        for expected, actual in zip(*(sorted(records, key=key) for records in pair), strict=True):
            yield from _object_differences(f"RECORD {stream} {key(expected)}", expected, actual)


def _key(names: list[str], record: Json) -> str:
    return text_of([record.get(name) for name in names])


def _object_differences(label: str, plain: Json, real: Json) -> Iterator[str]:
    if text_of(plain) == text_of(real):
        return
    for name in sorted(plain.keys() | real.keys()):
        texts = [text_of(item[name]) if name in item else "absent" for item in (plain, real)]
        if texts[0] != texts[1]:
            at = next(
                (i for i, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), 0
            )
            start = max(0, at - 40)
            shown = [text[start : start + 160] for text in texts]
            yield f"{label}, {name!r} from {start}: plain {shown[0]}, real {shown[1]}"


def _bookmark_differences(plain: Outcome, real: Outcome) -> Iterator[str]:
    """Check that the real tap keeps bookmarks where the plain one does; their values differ."""
    if plain.bookmarks.keys() != real.bookmarks.keys():
        yield f"bookmarks: plain {plain.bookmarks}, real {real.bookmarks}"


def text_of(value: Any) -> str:
    """Return JSON that is equal for equal values only, which `1 == True` is not."""
    return _encode(value)
