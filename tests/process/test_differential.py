"""The tap gives what a plain SDK tap of the same schema gives, whatever its users make of the SDK.

1. A case is settings, a catalog, a state: hand-made (`hand_made_cases`) or drawn at random by
   Hypothesis (`generated_cases`). `DIFFERENTIAL_CASES=5000` draws that many, other ones each time.
2. The sandbox shows both taps the same journals, whose records fit the schemas of the tap.
3. The plain tap (`tests/reference`) is what the SDK's documentation would have one write.
4. `MEANT` (`meant`) is the table of what differs on purpose, `AsMeant` the plain tap with it, and
   `REFUSALS` says what the real tap refuses although a plain one can do it.
5. Both run in this process (`Taps`), the real one as its command line does, errors included.
6. Compared are SCHEMA messages in order, records as a set, the names of bookmarks; values that do
   not fit a catalog's types must fit them in the end, and are proved in `test_records`.
7. An error of the real tap must be one sentence, before the first call, or the plain one's too.
"""

from __future__ import annotations

import os
import re
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings

from sandbox import Journal, Sandbox
from tests.support.differential import (
    DISCOVERED,
    Case,
    Outcome,
    Taps,
    batch_config,
    bookmarks,
    differences,
)
from tests.support.generated_cases import CALLS, DAYS, REQUESTS, THEMES, cases
from tests.support.hand_made_cases import ENDED, HAND_MADE, REFUSED, STATE, entry, schemas
from tests.support.meant import REFUSALS
from tests.support.repetitions import times
from tests.support.tap import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = dict[str, Any]

CASES = int(os.environ.get("DIFFERENTIAL_CASES", times(60, 120)))
GENERATED = settings(
    max_examples=-(-CASES // (len(DISCOVERED) * len(THEMES))),
    derandomize="DIFFERENTIAL_CASES" not in os.environ,
    phases=(Phase.reuse, Phase.generate, Phase.shrink),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(REQUESTS, CALLS, per_second=100_000) as sandbox:
        yield sandbox


@pytest.fixture
def taps(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Taps:
    return Taps(sandbox, capfd, caplog)


def is_refusal(sentence: str) -> bool:
    return any(re.search(pattern, sentence) for pattern in REFUSALS)


def check(case: Case, taps: Taps) -> Outcome:
    """Run both taps, compare them, and return what the real one gave."""
    plain, real = taps.run_plain(case), taps.run_real(case)
    found = differences(case, plain, real, is_refusal)
    assert not found, "\n".join(found[:40])
    return real


def named(rows: dict[str, Any]) -> list[Any]:
    """Return the parameters of a test: the rows of a table under their names."""
    return [
        pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name)
        for name, row in rows.items()
    ]


@pytest.mark.parametrize("case", named(HAND_MADE))
def test_tap_gives_what_a_plain_tap_gives(case: Case, taps: Taps) -> None:
    assert not check(case, taps).error


@pytest.mark.parametrize("stream", DISCOVERED)
def test_no_record_needs_to_be_converted(stream: str, taps: Taps) -> None:
    plain = taps.run_plain(Case(stream=stream))
    assert not plain.misfits
    assert sum(message["type"] == "RECORD" for message in plain.messages) > 5


def test_tap_without_sites_gives_what_a_plain_tap_gives(taps: Taps) -> None:
    with Sandbox(
        Journal((101, 202), *DAYS, per_day=5, sample=False), per_second=100_000
    ) as sandbox:
        assert check(Case({"site_ids": []}), replace(taps, sandbox=sandbox)).messages


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("stream", DISCOVERED)
def test_generated_cases_give_what_a_plain_tap_gives(stream: str, theme: str, taps: Taps) -> None:
    @GENERATED
    @given(cases(stream, theme))
    def run(case: Case) -> None:
        check(case, taps)

    run()


@pytest.mark.parametrize(("case", "word"), named(REFUSED))
def test_what_cannot_be_done_is_refused_before_the_first_call(
    case: Case, word: str, taps: Taps
) -> None:
    real = check(case, taps)
    assert re.search(word, real.error)
    assert not real.calls


@pytest.mark.parametrize(("case", "word"), named(ENDED))
def test_a_record_that_a_map_cannot_take_ends_the_run(case: Case, word: str, taps: Taps) -> None:
    assert re.search(word, check(case, taps).error)


@pytest.mark.parametrize(
    ("case", "word"),
    named(
        {
            name: (REFUSED | ENDED)[name]
            for name in ("LOG_BASED", "files of two streams", "bad syntax", "an unknown name")
        }
    ),
)
def test_a_process_ends_in_the_same_way(
    case: Case, word: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    config = case.config(sandbox)
    if case.batch_size:
        config["batch_config"] = batch_config(tmp_path, case.batch_size)
    run = run_tap(config, tmp_path, catalog=case.catalog())
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert not bookmarks(run.states[-1] if run.states else None)
    assert re.search(f"ERROR .*({word})", run.stderr)


def test_second_run_goes_on_whatever_the_replication_key_is_called(taps: Taps) -> None:
    case = Case(changes=entry(replication_key="dateStr"))
    first = taps.run_real(case)
    second = taps.run_real(replace(case, state=first.state))
    assert not second.error
    assert second.bookmarks == first.bookmarks != {}


# The comparison itself.


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


def test_every_difference_is_seen(taps: Taps) -> None:
    plain = taps.run_plain(Case())
    assert not differences(Case(), plain, plain, is_refusal)
    for name, change in CHANGES.items():
        assert differences(Case(), plain, change(plain), is_refusal), name


def test_value_that_fits_no_type_of_the_catalog_must_fit_in_the_end(taps: Taps) -> None:
    case = Case(changes=schemas(orders={"type": ["object", "null"]}))
    plain = taps.run_plain(case)
    assert plain.misfits == {("orders",)}
    values: list[tuple[Any, bool]] = [({"a": 1}, False), (None, False), ([], True), ("x", True)]
    for value, is_different in values:
        real = deepcopy(plain)
        real.messages[-2]["record"]["orders"] = value
        assert bool(differences(case, plain, real, is_refusal)) is is_different, value


def test_refusal_is_one_sentence_and_nothing_else(taps: Taps) -> None:
    plain = taps.run_plain(Case())
    refusal = Outcome([], calls=0, error="The replication method LOG_BASED is not one of its own.")
    assert not differences(Case(), plain, refusal, is_refusal)
    faults: list[Json] = [
        {"has_traceback": True},
        {"error": "LOG_BASED: Traceback\nKeyError."},
        {"calls": 1},
        {"messages": [{"type": "STATE", "value": STATE}]},
    ]
    for fault in faults:
        assert differences(Case(), plain, replace(refusal, **fault), is_refusal), fault
