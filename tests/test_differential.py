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
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings

from sandbox import Journal, Sandbox
from sandbox.journal import vendor_sample
from tests.reference import ReferenceTap
from tests.reference.tap import Requests
from tests.support.differential import (
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
from tests.support.hand_made_cases import ENDED, HAND_MADE, REFUSED
from tests.support.meant import allows_text, at, cleaned, with_keys_of, with_types
from tests.support.tap import run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

Json = dict[str, Any]

MEANT = {
    "keys": "An object has each key of its schema, null where the answer lacks it, so that tables "
    "are the same in every run.",
    "values": "A value that does not fit the schema is converted, or null: nothing that a user of "
    "Calltouch typed may stop a load.",
    "instants": "Where a catalog wants a number for an instant, it gets the API's.",
    "no type": "A schema that names no type is of anything, and so are objects in an array whose "
    "schema lists no properties. A plain tap ends with a traceback when such a value comes.",
    "null objects": "A flat table has no column for an object that is null. The SDK writes one, "
    "which its own SCHEMA lacks.",
    "text in flat tables": "What a flat table holds of arrays is JSON text in UTF-8. The SDK's has "
    "escapes for each Cyrillic letter; it is equal as JSON.",
    "files": "BATCH files hold what RECORD lines would hold. The SDK's hold records from before "
    "selection and maps, so a plain tap is run without them.",
    "empty settings": "An empty text is a setting that is not set, as Meltano has it.",
    "time_extracted": "The moment differs. So do the values of bookmarks: the tap's move with "
    "windows, not with records.",
}

REFUSALS = {
    "BATCH files can hold one stream": "A file is of one stream, and maps make several of this.",
    "LOG_BASED": "There is no log to follow. A plain tap would load everything, each time.",
}

DEFAULT_CASES = 300
CASES = int(os.environ.get("DIFFERENTIAL_CASES", DEFAULT_CASES))
GENERATED = settings(
    max_examples=max(1, CASES // len(THEMES)),
    deadline=None,
    derandomize="DIFFERENTIAL_CASES" not in os.environ,
    phases=(Phase.reuse, Phase.generate, Phase.shrink),
)


class RequestsAsMeant(Requests):
    """The plain stream with the differences that are meant."""

    @property
    def effective_schema(self) -> Json:
        """The catalog's schema, without what the SDK stumbles over."""
        return with_types(super().effective_schema)

    def apply_catalog(self, catalog: Catalog) -> None:
        """Leave instants alone for which the catalog wants numbers."""
        super().apply_catalog(catalog)
        schema = super().effective_schema
        self.instants = tuple(path for path in self.instants if allows_text(at(schema, path)))

    def post_process(self, row: Record, context: Context | None = None) -> Record | None:
        """Clean a record."""
        record = super().post_process({**(context or {}), **row}, context)
        schema = super().effective_schema
        return dict(with_keys_of(schema, cleaned(schema, record)))


class AsMeant(ReferenceTap):
    """The plain tap with the differences that are meant."""

    journals = (RequestsAsMeant,)


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


def check(case: Case, sandbox: Sandbox) -> None:
    """Run both taps and compare them."""
    plain = run_plain(case.without_empty_settings(), sandbox, AsMeant)
    real = run_real(case, sandbox)
    if case.settings.get("flattening_enabled"):
        plain, real = with_equal_texts(without_null_objects(plain)), with_equal_texts(real)
    found = differences(case, plain, real, is_refusal)
    assert not found, "\n".join(found[:20])


def make_journal() -> Journal:
    """Ten lifelike requests, the vendor's sample, and some that do not fit the schema."""
    journal = Journal((101,), date(2024, 1, 9), date(2024, 1, 10), 5, seed=18, sample=False)
    sample = vendor_sample(101) | {"date": 1704790000123}
    journal.add(sample)
    drifting = deepcopy(sample) | {
        "requestId": 7,
        "requestNumber": 12345,
        "manager": 5,
        "subject": "a\x00b",
        "comments": {},
        "news": {"a": 1},
        "targetRequest": "true",
        "ctClientId": 2**63 - 1,
    }
    drifting["session"] |= {"news": "x", "sessionId": "16441053", "city": ["moscow"]}
    drifting["orders"][0] |= {"currentAmount": 2800.5, "sum": 2800}
    journal.add(drifting)
    bare = {"requestId": 8, "date": 1704790000000, "requestNumber": "8"}
    journal.add(bare)
    return journal


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(make_journal(), per_second=100_000) as sandbox:
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
    assert not run_plain(case, sandbox, AsMeant).error
    check(case, sandbox)


def test_tap_without_sites_gives_what_a_plain_tap_gives() -> None:
    journal = Journal((101, 202), date(2024, 1, 9), date(2024, 1, 10), 5, sample=False)
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
    sentence = last_words(case, sandbox, tmp_path)
    assert re.search(word, sentence)
    assert not sandbox.calls


@pytest.mark.parametrize(
    ("case", "word"), [pytest.param(*row, id=name) for name, row in ENDED.items()]
)
def test_a_record_that_a_map_cannot_take_ends_the_run(
    case: Case, word: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    check(case, sandbox)
    assert re.search(word, last_words(case, sandbox, tmp_path))


def last_words(case: Case, sandbox: Sandbox, tmp_path: Path) -> str:
    """Run the real tap as a process, which must end with one sentence and an unmoved bookmark."""
    config = case.config(sandbox)
    if case.batch_size:
        config["batch_config"] = batch_config(tmp_path, case.batch_size)
    run = run_tap(config, tmp_path, catalog=case.catalog())
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert not bookmarks(run.states[-1] if run.states else None)
    return " ".join(line for line in run.stderr.splitlines() if "ERROR" in line)


# What users may do.


@pytest.mark.parametrize("theme", THEMES)
def test_generated_cases_give_what_a_plain_tap_gives(theme: str, sandbox: Sandbox) -> None:
    @GENERATED
    @given(cases("requests", theme))
    def run(case: Case) -> None:
        check(case, sandbox)

    run()
