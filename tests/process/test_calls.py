"""What only calls have: pages, a journal that moves, long calls, another stream in the run."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CallJournal, Fault, Journal, Sandbox, is_later_page
from tests.support.streams import (
    CALLS,
    MOSCOW,
    REQUESTS,
    STREAMS,
    last_error,
    lines_with,
    warnings_in,
)
from tests.support.tap import TOKEN, config_for, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Call
    from tests.support.tap import Run

SECOND = timedelta(seconds=1)
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)
ONE_DAY: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-08"}
END = "2024-01-08T21:00:00.000+00:00"


def calls_of_a_day(number: int) -> CallJournal:
    """Return so many calls, one in a minute."""
    return CallJournal.of(
        [CALLS.record(row, JANUARY_8 + row * 60 * SECOND) for row in range(number)], [101]
    )


# Pages.


@pytest.mark.parametrize(
    ("number", "limit", "calls"),
    [(0, 10, 1), (1, 10, 1), (9, 10, 1), (10, 10, 1), (11, 10, 2), (95, 10, 10), (1001, 1000, 2)],
)
def test_pages_are_read_one_after_the_other(
    tmp_path: Path, number: int, limit: int, calls: int
) -> None:
    with CALLS.sandbox([], page_limit=limit) as sandbox:
        sandbox.call_journal = calls_of_a_day(number)
        run = CALLS.run(sandbox, tmp_path, **ONE_DAY)
        asked = [(call.params["page"], call.params["limit"]) for call in sandbox.calls]
    assert run.returncode == 0, run.stderr
    assert CALLS.keys(run.records) == [(101, row) for row in range(number)]
    assert asked == [(str(page), "1000") for page in range(1, calls + 1)]
    assert warnings_in(run) == []


@pytest.mark.parametrize("total", [0, 1, None])
def test_each_way_to_say_that_there_are_no_calls_is_understood(
    tmp_path: Path, total: int | None
) -> None:
    with CALLS.sandbox([], empty_page_total=total) as sandbox:
        run = CALLS.run(sandbox, tmp_path, **ONE_DAY)
        assert len(sandbox.calls) == 1
    assert run.returncode == 0, run.stderr
    assert run.records == []
    assert CALLS.bookmark(run.states[-1]) == END


def test_ids_that_repeat_across_sites_are_two_calls(tmp_path: Path) -> None:
    records = [CALLS.record(7, JANUARY_8, site) for site in (101, 202)]
    with CALLS.sandbox(records, sites=(101, 202)) as sandbox:
        run = CALLS.run(sandbox, tmp_path, site_ids=[101, 202], **ONE_DAY)
    assert CALLS.keys(run.records) == [(101, 7), (202, 7)]


def test_values_that_only_calls_have_come_out_whole(tmp_path: Path) -> None:
    odd: dict[str, Any] = {
        "duration": -14,
        "yaClientId": "16880514001234567890",
        "ctClientId": 2200000000001234567,
        "sessionId": None,
        "sessionDate": "29/06/2023 06:05:10",
        "keyword": "<не указано>",
    }
    with CALLS.sandbox([CALLS.record(7, JANUARY_8, **odd)]) as sandbox:
        run = CALLS.run(sandbox, tmp_path, **ONE_DAY)
    (record,) = run.records
    assert {name: record[name] for name in odd} == odd
    assert record["timestamp"] == "2024-01-07T21:00:00.000+00:00"
    assert "since they do not fit" not in run.stderr


def test_site_that_does_not_exist_is_an_error_that_says_what_to_check(tmp_path: Path) -> None:
    with CALLS.sandbox([]) as sandbox:
        run = CALLS.run(sandbox, tmp_path, site_ids=[999], **ONE_DAY)
        assert len(sandbox.calls) == 1
    assert run.returncode == 1
    line = lines_with(run, "ERROR")[-1]
    assert "site 999" in line
    assert "an HTML page instead of JSON. Check `site_ids`" in line


# A journal that moves while it is read.


@pytest.mark.parametrize("kind", ["arrive", "vanish"])
@pytest.mark.parametrize("times", [1, 2])
def test_window_is_read_again_if_the_journal_moved_between_pages(
    tmp_path: Path, kind: str, times: int
) -> None:
    with CALLS.sandbox([], page_limit=10) as sandbox:
        sandbox.call_journal = calls_of_a_day(45)
        # Between the last pages of a reading, so that each reading is complete but for that.
        drift = Fault(kind, when=lambda call: call.params["page"] == "4", times=times)
        sandbox.faults.append(drift)
        run = CALLS.run(sandbox, tmp_path, **ONE_DAY)
        left = CALLS.records(sandbox)
        asked = [call.params["page"] for call in sandbox.calls]
    assert run.returncode == 0, run.stderr
    assert CALLS.keys(run.records) == CALLS.keys(left)
    assert len(left) == 45 + (times if kind == "arrive" else -times)
    assert asked == ["1", "2", "3", "4", "5"] * (times + 1)
    assert warnings_in(run) == []
    assert CALLS.bookmark(run.states[-1]) == END


@pytest.mark.parametrize("kind", ["arrive", "vanish"])
def test_journal_that_moves_all_the_time_loses_and_doubles_nothing(
    tmp_path: Path, kind: str
) -> None:
    """What arrives behind the reader's back in the last reading is for the next run."""
    with CALLS.sandbox([], page_limit=10) as sandbox:
        sandbox.call_journal = calls_of_a_day(45)
        before = CALLS.keys(CALLS.records(sandbox))
        sandbox.faults.append(Fault(kind, when=is_later_page))
        run = CALLS.run(sandbox, tmp_path, **ONE_DAY)
        left = CALLS.keys(CALLS.records(sandbox))
        asked = [call.params["page"] for call in sandbox.calls]
    assert run.returncode == 0, run.stderr
    found = CALLS.keys(run.records)
    assert max(Counter(found).values()) == 1
    assert set(before) & set(left) <= set(found)
    assert set(found) <= set(before) | set(left)
    assert asked.count("1") == 3
    (warning,) = warnings_in(run)
    assert "Stream calls, site 101, window 2024-01-08 to 2024-01-08: the journal moved" in warning
    assert CALLS.bookmark(run.states[-1]) == END


def test_page_that_fails_is_asked_for_again(tmp_path: Path) -> None:
    with CALLS.sandbox([], page_limit=10) as sandbox:
        sandbox.call_journal = calls_of_a_day(45)
        sandbox.faults.append(Fault("status", status=502, when=is_later_page, times=1))
        run = CALLS.run(sandbox, tmp_path, **ONE_DAY)
        asked = [call.params["page"] for call in sandbox.calls]
    assert run.returncode == 0, run.stderr
    assert CALLS.keys(run.records) == [(101, row) for row in range(45)]
    assert asked == ["1", "2", "2", "3", "4", "5"]


# Calls that come late.


def run_at(now: datetime, sandbox: Sandbox, tmp_path: Path, state: Any, **settings: Any) -> Run:
    """Run at an instant, by the clocks of the tap and of the journal."""
    sandbox.now = now
    offset = now.timestamp() - datetime.now(MOSCOW).timestamp()
    environment = {"CLOCK_OFFSET": str(offset)}
    dates = {"start_date": "2024-01-01", "end_date": None}
    return CALLS.run(sandbox, tmp_path, state, environment, **dates, **settings)


@pytest.mark.parametrize("lookback_days", [0, 1, 10])
def test_long_call_that_comes_late_is_loaded_by_a_later_run(
    tmp_path: Path, lookback_days: int
) -> None:
    """A call is in the journal when it has ended, with the time at which it began."""
    began = JANUARY_8 + timedelta(hours=9)
    long, short = (
        CALLS.record(row, began, duration=length) for row, length in ((1, 5400), (2, 60))
    )
    state = None
    with CALLS.sandbox([long, short]) as sandbox:
        found = []
        for hours in (1, 2, 3):
            now = began + timedelta(hours=hours)
            run = run_at(now, sandbox, tmp_path, state, lookback_days=lookback_days)
            assert run.returncode == 0, run.stderr
            state = run.states[-1]
            bookmark = datetime.fromisoformat(CALLS.bookmark(state) or "")
            assert now <= bookmark <= now + timedelta(minutes=10)
            found.append(CALLS.keys(run.records))
    assert found == [[(101, 2)], [(101, 1), (101, 2)], [(101, 1), (101, 2)]]


def test_long_call_over_midnight_is_loaded_by_the_look_back(tmp_path: Path) -> None:
    began = JANUARY_8 - timedelta(minutes=10)
    with CALLS.sandbox([CALLS.record(1, began, duration=3600)]) as sandbox:
        first = run_at(JANUARY_8 + timedelta(minutes=5), sandbox, tmp_path, None)
        later = JANUARY_8 + timedelta(hours=5)
        second = run_at(later, sandbox, tmp_path, first.states[-1], lookback_days=1)
    assert first.records == []
    assert CALLS.keys(second.records) == [(101, 1)]


# Both streams in one run.


def test_both_streams_share_the_pace(tmp_path: Path) -> None:
    """Even the first call of the second stream waits for its turn."""
    with REQUESTS.sandbox([], [101, 202]) as sandbox:
        config = config_for(sandbox, site_ids=[101, 202], **ONE_DAY)
        run = run_tap(config, tmp_path, environment={"PACE_MARGIN": "5"})  # a call a second
        asked = [call.journal for call in sandbox.calls]
        started = [call.started for call in sandbox.calls]
    assert run.returncode == 0, run.stderr
    assert asked == ["calls", "calls", "requests", "requests"]
    assert all(after - before > 0.5 for before, after in pairwise(started))


@pytest.fixture
def both(journal: Journal) -> Sandbox:
    """An API with both journals of January."""
    return Sandbox(journal, journal.calls(3), token=TOKEN, per_second=10_000)


def bookmarks(run: Run) -> dict[tuple[str, int], str | None]:
    """Return the last bookmarks of both streams and sites, as days of January."""
    return {
        (name, site): stream.bookmark(run.states[-1], site)
        for name, stream in STREAMS.items()
        for site in (101, 202)
    }


@pytest.mark.parametrize("points", [3, 7, 9, 11, 17])
def test_points_that_are_used_up_end_that_site_in_both_streams(
    both: Sandbox, tmp_path: Path, points: int
) -> None:
    """Nine windows each. What is complete of both is in the state, and the next run goes on."""
    both.points = points
    state = {
        "bookmarks": CALLS.state("2024-01-04T21:00:00.000+00:00")["bookmarks"]
        | REQUESTS.state("2024-01-05T21:00:00.000+00:00")["bookmarks"]
    }
    with both as sandbox:
        config = config_for(
            sandbox, site_ids=[101, 202], lookback_days=0, max_concurrent_requests=1
        )
        first = run_tap(config, tmp_path, state=state)
        asked = len(sandbox.calls)
        complete = [call for call in sandbox.calls if call.status == 200]
        sandbox.points = None
        second = run_tap(config, tmp_path, state=first.states[-1])
        records = {
            name: [
                record
                for record in stream.records(sandbox)
                if datetime(2024, 1, 1, tzinfo=MOSCOW).timestamp() * stream.ticks
                <= record[stream.instant]
            ]
            for name, stream in STREAMS.items()
        }
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    assert "The daily points of the project are used up." in last_error(first)
    # Each site's points are its own, so each is asked once more; the other stream knows then.
    assert points + 1 <= asked <= points + 2
    assert len(complete) == points
    # Nothing complete is missing in the state: the other stream's bookmarks are there as well.
    expected = {("calls", 101): date(2024, 1, 5), ("requests", 101): date(2024, 1, 6)}
    for call in complete:
        site = int(call.params.get("siteId") or call.path.split("/")[3])
        expected[call.journal, site] = STREAMS[call.journal].days(call)[1] + timedelta(days=1)
    found = {
        key: datetime.fromisoformat(text).astimezone(MOSCOW).date()
        for key, text in bookmarks(first).items()
        if text
    }
    assert found == expected
    # Both runs together make the whole of both journals from the bookmarks on.
    assert second.returncode == 0, second.stderr
    for name, stream in STREAMS.items():
        rows = [
            item["record"]
            for item in [*first.messages, *second.messages]
            if item["type"] == "RECORD" and item["stream"] == name
        ]
        since = {101: 5 if name == "calls" else 6, 202: 1}
        due = [
            record
            for record in records[name]
            if record[stream.instant]
            >= datetime(2024, 1, since[record["siteId"]], tzinfo=MOSCOW).timestamp() * stream.ticks
        ]
        assert stream.keys(rows) == stream.keys(due)


def test_site_whose_points_are_used_up_is_left_out_of_the_other_stream(
    both: Sandbox, tmp_path: Path
) -> None:
    def is_of_101(call: Call) -> bool:
        return call.params.get("siteId") == "101" or "/101/" in call.path

    used_up = json.dumps({"message": "Исчерпан суточный лимит баллов API"})
    both.faults.append(Fault("status", status=403, body=used_up, when=is_of_101))
    with both as sandbox:
        run = run_tap(config_for(sandbox, site_ids=[101, 202]), tmp_path)
        assert sum(map(is_of_101, sandbox.calls)) == 1
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    error = last_error(run)
    assert "Stream calls, site 101" in error
    assert "the next run will go on from the start date." in error
    not_asked = "Stream requests, site 101: not asked, since the daily points are used up."
    assert f" {not_asked} Everything else was loaded." in error
    assert len(lines_with(run, "WARNING", "The other sites go on.")) == 1
    assert {site for (_, site), bookmark in bookmarks(run).items() if bookmark} == {202}


def test_request_numbers_load_no_calls(both: Sandbox, tmp_path: Path) -> None:
    with both as sandbox:
        number = REQUESTS.records(sandbox)[1]["requestNumber"]
        run = run_tap(config_for(sandbox, request_numbers=[number]), tmp_path)
        assert {call.journal for call in sandbox.calls} == {"requests"}
    assert run.returncode == 0, run.stderr
    assert [record["requestNumber"] for record in run.records] == [number]
    assert {item["stream"] for item in run.messages if item["type"] != "STATE"} == {"requests"}
    assert len(lines_with(run, "INFO", "No calls are loaded: `request_numbers` asks")) == 1


def test_calls_are_left_out_without_site_ids(both: Sandbox, tmp_path: Path) -> None:
    """With one line, and without an empty table."""
    with both as sandbox:
        run = run_tap(config_for(sandbox, site_ids=None), tmp_path)
        assert {call.journal for call in sandbox.calls} == {"requests"}
    assert run.returncode == 0, run.stderr
    assert run.records
    assert {item["stream"] for item in run.messages if item["type"] != "STATE"} == {"requests"}
    (line,) = lines_with(run, " calls ")
    assert " | WARNING " in line
    assert "No calls are loaded: the stream needs `site_ids`" in line


def test_calls_that_are_not_selected_are_left_out_in_silence(both: Sandbox, tmp_path: Path) -> None:
    with both as sandbox:
        config = config_for(sandbox, site_ids=None)
        run = run_tap(config, tmp_path, catalog=REQUESTS.catalog)
    assert run.returncode == 0, run.stderr
    assert lines_with(run, "Stream calls") == []
