"""One site that fails for good stops neither the other sites nor the other stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.support.streams import STREAMS, last_error, lines_with

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Call, Sandbox
    from tests.support.streams import Stream

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
SITES = [101, 202, 303]


def bad_site(kind: str, **options: Any) -> Fault:
    """Fail for site 202 alone."""
    return Fault(kind, when=_is_of_202, **options)


def _is_of_202(call: Call) -> bool:
    return call.params.get("siteId") == "202" or "/202/" in call.path


def calls_for(sandbox: Sandbox, site: int) -> int:
    return sum(
        call.params.get("siteId") == str(site) or f"/{site}/" in call.path for call in sandbox.calls
    )


@each_stream
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(bad_site("status", status=403), "answered 403.*`api_token` and", id="403"),
        pytest.param(bad_site("html"), "an HTML page", id="HTML"),
        pytest.param(bad_site("status", status=400), "answered 400", id="400"),
    ],
)
def test_other_sites_go_on_and_the_last_sentence_names_what_failed(
    stream: Stream, tmp_path: Path, fault: Fault, said: str
) -> None:
    with stream.sandbox(sites=SITES) as sandbox:
        sandbox.faults.append(fault)
        run = stream.run(sandbox, tmp_path, site_ids=SITES)
        expected = stream.keys(stream.records(sandbox, 101) + stream.records(sandbox, 303))
    assert run.returncode == 1
    assert stream.keys(run.records) == expected
    error = last_error(run)
    assert "site 202" in error
    assert re.search(said, error)
    assert error.endswith(" Everything else was loaded.")
    assert "Everything was refused" not in error
    assert calls_for(sandbox, 202) == 1
    assert len(lines_with(run, "WARNING", "The other sites go on.")) == 1
    bookmarks = [stream.bookmark(run.states[-1], site) for site in SITES]
    assert [bool(bookmark) for bookmark in bookmarks] == [True, False, True]


@each_stream
def test_windows_behind_a_failed_one_are_left_for_the_next_run(
    stream: Stream, tmp_path: Path
) -> None:
    """They were fetched meanwhile, but written they would move the bookmark over a gap."""

    def is_second_week(call: Call) -> bool:
        return stream.days(call)[0].day == 8

    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("status", status=403, when=is_second_week))
        run = stream.run(sandbox, tmp_path)
    assert run.returncode == 1
    assert {str(stream.bookmark(state))[:10] for state in run.states} == {"2024-01-07"}
    assert all(record[stream.instant] < "2024-01-07T21" for record in run.records)
    assert not lines_with(run, "The other sites go on")


@each_stream
def test_sites_behind_a_gap_of_another_are_loaded(stream: Stream, tmp_path: Path) -> None:
    def is_second_week_of_202(call: Call) -> bool:
        return stream.days(call)[0].day == 8 and _is_of_202(call)

    with stream.sandbox(sites=SITES) as sandbox:
        sandbox.faults.append(Fault("status", status=403, when=is_second_week_of_202))
        run = stream.run(sandbox, tmp_path, site_ids=SITES)
        expected = stream.keys(stream.records(sandbox, 101) + stream.records(sandbox, 303))
    assert run.returncode == 1
    assert stream.keys([row for row in run.records if row["siteId"] != 202]) == expected
    of_202 = [row[stream.instant] for row in run.records if row["siteId"] == 202]
    assert of_202
    assert max(of_202) < "2024-01-07T21"


def test_token_that_every_site_refuses_is_named_first(tmp_path: Path) -> None:
    stream = STREAMS["requests"]
    with stream.sandbox(sites=SITES) as sandbox:
        sandbox.faults.append(Fault("status", status=403))
        run = stream.run(sandbox, tmp_path, site_ids=SITES)
    assert run.returncode == 1
    assert last_error(run).endswith("Everything was refused: check `api_token` first.")
    assert len(sandbox.calls) == len(SITES)


def test_token_that_is_wrong_ends_the_run_at_once(tmp_path: Path) -> None:
    stream = STREAMS["requests"]
    with stream.sandbox(sites=SITES) as sandbox:
        sandbox.faults.append(Fault("status", status=401))
        run = stream.run(sandbox, tmp_path, site_ids=SITES)
    assert run.returncode == 1
    assert len(sandbox.calls) == 1
    assert "Check `api_token`." in last_error(run)
    assert not lines_with(run, "The other sites go on")
