"""The tap gives what a plain SDK tap of the same schema gives, whatever its users make of the SDK.

Both are run with the same configuration, catalog and state. `MEANT` names each difference that is
meant, `REFUSALS` what the tap refuses although a plain one can do it. `DIFFERENTIAL_CASES` sets the
number of generated cases; if it is set, they are other ones in each run.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings
from singer_sdk.helpers._catalog import pop_deselected_record_properties

from sandbox import CallJournal, Journal, Sandbox
from sandbox.journal import vendor_sample
from tests.reference import ReferenceStream, ReferenceTap
from tests.reference.tap import Calls, Requests
from tests.support.differential import (
    DISCOVERED,
    Case,
    Outcome,
    batch_config,
    bookmarks,
    differences,
    run_plain,
    run_real,
    text_of,
)
from tests.support.generated_cases import THEMES, cases
from tests.support.hand_made_cases import ENDED, HAND_MADE, REFUSED, STATE, entry
from tests.support.meant import cleaned, takes_instant, with_keys_of, with_texts_read, with_types
from tests.support.repetitions import times
from tests.support.tap import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

Json = dict[str, Any]

MEANT = {
    "keys": "An object has each key of its schema, null where the answer lacks it, so that tables "
    "are the same in every run.",
    "values": "A value that does not fit the schema is converted, or null: nothing that a user of "
    "Calltouch typed may stop a load. A text that is the JSON of an object or array, and one value "
    "of an array, are read as what they are.",
    "instants": "Where a catalog wants a number for an instant, or a text for an object that holds "
    "one, it gets what the API sent.",
    "no type": "A schema that names no type is of anything, and so are objects in an array whose "
    "schema lists no properties. A plain tap ends with a traceback when such a value comes.",
    "null objects": "A flat table has no column for an object that is null. The SDK writes one, "
    "which its own SCHEMA lacks.",
    "text in flat tables": "What a flat table holds of arrays is JSON text in UTF-8. The SDK's has "
    "escapes for each Cyrillic letter; it is equal as JSON.",
    "files": "BATCH files hold what RECORD lines would hold. The SDK's hold records from before "
    "selection and maps, so a plain tap is run without them.",
    "empty settings": "An empty text is a setting that is not set, as Meltano has it.",
    "dates": "A bookmark moves with windows: no record needs a date, whatever the replication key.",
    "time_extracted": "The instant differs, and so do the values of bookmarks.",
}

REFUSALS = {
    "BATCH files hold one stream": "A file is of one stream, and maps make several of this.",
    "is required for BATCH files": "Half a `batch_config` is a mistake. From 0.55 on, a plain tap "
    "ignores one without an encoding, and writes to a temporary folder without a storage.",
    "`stream_maps` names the stream|drops the column|has no option": "A name in `stream_maps` that "
    "matches nothing is a mistake. A plain tap would write what it was meant to change or drop.",
    "There is nothing to load|selects no stream": "A run that can load nothing is a mistake.",
    "LOG_BASED": "There is no log to follow. A plain tap would load everything, each time.",
}

CASES = int(os.environ.get("DIFFERENTIAL_CASES", times(60, 120)))
GENERATED = settings(
    max_examples=-(-CASES // (len(DISCOVERED) * len(THEMES))),
    derandomize="DIFFERENTIAL_CASES" not in os.environ,
    phases=(Phase.reuse, Phase.generate, Phase.shrink),
)


class StreamAsMeant(ReferenceStream):
    """The plain stream with the differences that are meant."""

    @property
    def effective_schema(self) -> Json:
        """The catalog's schema, without what the SDK stumbles over."""
        return with_types(super().effective_schema)

    @property
    def is_timestamp_replication_key(self) -> bool:
        """Bookmarks are no records' values, so the SDK need not look for a date."""
        return False

    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        super()._increment_stream_state(
            {str(self.replication_key): "", **latest_record}, context=context
        )

    def apply_catalog(self, catalog: Catalog) -> None:
        """Leave instants alone for which the catalog wants numbers."""
        super().apply_catalog(catalog)
        schema = super().effective_schema
        self.instants = tuple(path for path in self.instants if takes_instant(schema, path))

    def post_process(self, row: Record, context: Context | None = None) -> Record | None:
        """Clean a record, without what the SDK would find deselected only before it is a text."""
        schema = super().effective_schema
        read = with_texts_read(schema, {**(context or {}), **row})
        record = super().post_process(read, context)
        if record:
            pop_deselected_record_properties(record, self.schema, self.mask)
        return dict(with_keys_of(schema, cleaned(schema, record)))


class RequestsAsMeant(StreamAsMeant, Requests):
    """The plain requests."""


class CallsAsMeant(StreamAsMeant, Calls):
    """The plain calls."""


class AsMeant(ReferenceTap):
    """The plain tap with the differences that are meant."""

    journals = (CallsAsMeant, RequestsAsMeant)


def without_null_objects(outcome: Outcome) -> Outcome:
    """Drop columns that are null and in no SCHEMA."""
    columns = {message["stream"]: message["schema"]["properties"] for message in outcome.schemas}
    messages = deepcopy(outcome.messages)
    for message in messages:
        if message["type"] == "RECORD":
            known, record = columns[message["stream"]], message["record"]
            message["record"] = {k: v for k, v in record.items() if k in known or v is not None}
    return Outcome(messages, outcome.calls, outcome.error)


def with_equal_texts(outcome: Outcome) -> Outcome:
    """Write JSON texts in columns in one way."""
    messages = deepcopy(outcome.messages)
    for message in messages:
        if message["type"] == "RECORD":
            message["record"] = {name: _as_text(item) for name, item in message["record"].items()}
    return Outcome(messages, outcome.calls, outcome.error)


def _as_text(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        with suppress(ValueError):
            return text_of(json.loads(value))
    return value


def is_refusal(sentence: str) -> bool:
    return any(re.search(pattern, sentence) for pattern in REFUSALS)


def check(case: Case, sandbox: Sandbox) -> Outcome:
    """Run both taps, compare them, and return what the plain one gave."""
    plain = run_plain(case.without_empty_settings(), sandbox, AsMeant)
    real = run_real(case, sandbox)
    if case.settings.get("flattening_max_depth"):  # at depth 0 the SDK leaves records as they are
        plain, real = with_equal_texts(without_null_objects(plain)), with_equal_texts(real)
    found = differences(case, plain, real, is_refusal)
    assert not found, "\n".join(found[:20])
    return plain


def requests() -> Journal:
    """Ten lifelike requests, the vendor's sample, and some that do not fit the schema."""
    journal = Journal((101,), FIRST, LAST, per_day=5, seed=18, sample=False)
    sample = vendor_sample(101) | {"date": 1704790000123}
    drifting = deepcopy(sample) | DRIFT | {"requestId": 7, "requestNumber": 12345, "comments": {}}
    drifting["session"] |= {"news": "x", "sessionId": "16441053", "city": ["moscow"]}
    drifting["orders"][0] |= {"currentAmount": 2800.5, "sum": 2800}
    bare = {"requestId": 8, "date": 1704790000000, "requestNumber": "8"}
    nested = deepcopy(sample) | {"requestId": 9, "orders": sample["orders"][0], "order": ""}
    nested["session"] |= {"additionalTags": "x", "attrs": "[]"}
    texts = {name: json.dumps(sample[name]) for name in ("orders", "order", "client", "session")}
    for record in (sample, drifting, bare, nested, sample | {"requestId": 10} | texts):
        journal.add(record)
    return journal


def calls() -> CallJournal:
    """Nine lifelike calls, and some that do not fit the schema."""
    journal = CallJournal((101,), FIRST, LAST, per_day=5, seed=1)
    call = next(record for record in journal.records() if record["orders"])
    drifting = deepcopy(call) | DRIFT | {"callId": 7, "duration": "-3", "order": call["orders"][0]}
    drifting |= {"yaClientId": 2**64, "additionalTags": ["a", {"name": "b", "value": "c"}]}
    bare = {"callId": 8, "timestamp": 1704790000}
    nested = deepcopy(call) | {"callId": 9, "callTags": "x", "attrs": ""}
    nested["orders"] = nested["orders"][0]
    texts = {"callId": 10} | {
        name: json.dumps(call[name]) for name in ("orders", "mapVisits", "comments")
    }
    for record in (
        drifting,
        bare,
        nested | {"orders": call["orders"][0]},
        nested | texts | {"callId": 10},
    ):
        journal.add(record)
    return journal


FIRST, LAST = date(2024, 1, 9), date(2024, 1, 10)
DRIFT: Json = {"manager": 5, "source": "a\x00b", "news": {"a": 1}, "ctClientId": 2**63 - 1}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(requests(), calls(), per_second=100_000) as sandbox:
        yield sandbox


def named(tables: dict[str, dict[str, Case]]) -> list[Any]:
    """Return the parameters of a test: all cases of some tables."""
    return [
        pytest.param(case, id=f"{table}: {name}")
        for table, rows in tables.items()
        for name, case in rows.items()
    ]


@pytest.mark.parametrize("case", named(HAND_MADE))
def test_tap_gives_what_a_plain_tap_gives(case: Case, sandbox: Sandbox) -> None:
    assert not check(case, sandbox).error


def test_tap_without_sites_gives_what_a_plain_tap_gives() -> None:
    journal = Journal((101, 202), FIRST, LAST, per_day=5, sample=False)
    with Sandbox(journal, per_second=100_000) as sandbox:
        check(Case({"site_ids": []}), sandbox)


@pytest.mark.parametrize(
    ("case", "word"), [pytest.param(*row, id=name) for name, row in REFUSED.items()]
)
def test_what_cannot_be_done_is_refused_before_the_first_call(
    case: Case, word: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    check(case, sandbox)
    sandbox.calls.clear()
    assert re.search(word, run_to_its_error(case, sandbox, tmp_path))
    assert not sandbox.calls


@pytest.mark.parametrize(
    ("case", "word"), [pytest.param(*row, id=name) for name, row in ENDED.items()]
)
def test_a_record_that_a_map_cannot_take_ends_the_run(
    case: Case, word: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    check(case, sandbox)
    assert re.search(word, run_to_its_error(case, sandbox, tmp_path))


def run_to_its_error(case: Case, sandbox: Sandbox, tmp_path: Path) -> str:
    """Run the real tap as a process, which must end without a traceback or a bookmark.

    Returns:
        What it logged as an error.
    """
    config = case.config(sandbox)
    if case.batch_size:
        config["batch_config"] = batch_config(tmp_path, case.batch_size)
    run = run_tap(config, tmp_path, catalog=case.catalog())
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert not bookmarks(run.states[-1] if run.states else None)
    return "\n".join(line for line in run.stderr.splitlines() if "| ERROR " in line)


def test_second_run_goes_on_whatever_the_replication_key_is_called(sandbox: Sandbox) -> None:
    case = Case(changes=entry(replication_key="dateStr"))
    first = run_real(case, sandbox)
    second = run_real(replace(case, state=first.state), sandbox)
    assert not second.error
    assert second.bookmarks == first.bookmarks != {}


# What users may do.


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("stream", DISCOVERED)
def test_generated_cases_give_what_a_plain_tap_gives(
    stream: str, theme: str, sandbox: Sandbox
) -> None:
    @GENERATED
    @given(cases(stream, theme))
    def run(case: Case) -> None:
        check(case, sandbox)

    run()


# The comparison itself.


@pytest.mark.parametrize("table", HAND_MADE)
def test_plain_tap_is_no_different_from_itself(table: str, sandbox: Sandbox) -> None:
    for case in list(HAND_MADE[table].values())[:: times(10, 1)]:
        first, second = (run_plain(case, sandbox, AsMeant) for _ in range(2))
        assert not differences(case, first, second, is_refusal)


def altered(outcome: Outcome, kind: str, alter: Callable[[Json], object]) -> Outcome:
    """Change the last message of a kind."""
    messages = deepcopy(outcome.messages)
    alter(next(message for message in reversed(messages) if message["type"] == kind))
    return replace(outcome, messages=messages)


def without_last(outcome: Outcome, kind: str) -> Outcome:
    index = max(i for i, message in enumerate(outcome.messages) if message["type"] == kind)
    return replace(outcome, messages=[*outcome.messages[:index], *outcome.messages[index + 1 :]])


TRACEBACK: Json = {"error": "KeyError", "has_traceback": True}
CHANGES: dict[str, Callable[[Outcome], Outcome]] = {
    "a value": lambda run: altered(run, "RECORD", lambda it: it["record"].update(manager="x")),
    "true for 1": lambda run: altered(run, "RECORD", lambda it: it["record"].update(siteId=True)),
    "a missing column": lambda run: altered(run, "RECORD", lambda it: it["record"].pop("status")),
    "a null column": lambda run: altered(run, "RECORD", lambda it: it["record"].update(new=None)),
    "a missing record": lambda run: without_last(run, "RECORD"),
    "another stream": lambda run: altered(run, "RECORD", lambda it: it.update(stream="x")),
    "a schema": lambda run: altered(run, "SCHEMA", lambda it: it["schema"].update(type="array")),
    "keys": lambda run: altered(run, "SCHEMA", lambda it: it.update(key_properties=["siteId"])),
    "a missing schema": lambda run: without_last(run, "SCHEMA"),
    "no bookmark": lambda run: altered(run, "STATE", lambda it: it.update(value={})),
    "an error": lambda run: replace(run, messages=[], error="It cannot be done."),
    "a traceback": lambda run: replace(run, messages=[], **TRACEBACK),
    "nothing at all": lambda run: replace(run, messages=[]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_difference_is_seen(change: Callable[[Outcome], Outcome], sandbox: Sandbox) -> None:
    plain = run_plain(Case(), sandbox, AsMeant)
    assert differences(Case(), plain, change(plain), is_refusal)


REFUSAL = Outcome([], calls=0, error="The replication method LOG_BASED is not one of its own.")


@pytest.mark.parametrize(
    "fault",
    [
        {"has_traceback": True},
        {"error": "LOG_BASED: Traceback\nKeyError."},
        {"calls": 1},
        {"messages": [{"type": "STATE", "value": STATE}]},
    ],
    ids=["a traceback", "two lines", "a call", "a bookmark"],
)
def test_refusal_is_one_sentence_and_nothing_else(fault: Json, sandbox: Sandbox) -> None:
    plain = run_plain(Case(), sandbox, AsMeant)
    assert not differences(Case(), plain, REFUSAL, is_refusal)
    assert differences(Case(), plain, replace(REFUSAL, **fault), is_refusal)
