"""States from elsewhere, clocks that are wrong, and bookmarks that skip nothing."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.support.streams import (
    CALLS,
    MOSCOW,
    REQUESTS,
    STREAMS,
    last_error,
    lines_with,
    warnings_in,
)
from tests.support.tap import config_for, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox
    from tests.support.streams import Stream
    from tests.support.tap import Run

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
BOOKMARK = "2024-01-20T21:00:00.000+00:00"  # midnight in Moscow
END = "2024-01-31T21:00:00.000+00:00"
NOON = datetime(2024, 1, 25, 12, tzinfo=MOSCOW)


def run_from(
    stream: Stream, tmp_path: Path, state: Any, **settings: Any
) -> tuple[Run, date | None]:
    """Run from a state against a journal without records, and return the first day asked for."""
    with stream.sandbox([]) as sandbox:
        run = stream.run(sandbox, tmp_path, state, **{"lookback_days": 2, **settings})
        return run, min((stream.days(call)[0] for call in sandbox.calls), default=None)


# States that are ours.


@each_stream
@pytest.mark.parametrize(
    "bookmark",
    [BOOKMARK, "2024-01-21T00:00:00+03:00", " 2024-01-21 "],
    ids=["ours", "offset", "date"],
)
def test_bookmark_of_any_form_is_understood(stream: Stream, tmp_path: Path, bookmark: str) -> None:
    run, first = run_from(stream, tmp_path, stream.state(bookmark))
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 19)
    assert f"bookmark {BOOKMARK}, `lookback_days` 2" in run.stderr
    assert stream.bookmark(run.states[-1]) == END


def test_state_in_the_wrappings_of_meltano_and_singer_is_unwrapped_and_that_is_said(
    tmp_path: Path,
) -> None:
    """With what other versions put beside a bookmark; `test_state_reading` has all of it."""
    inner = REQUESTS.state(BOOKMARK, " 101 ", progress_markers={"Note": "not resumable"})
    state = {"singer_state": {"type": "STATE", "value": {**inner, "written_by": "another version"}}}
    run, first = run_from(REQUESTS, tmp_path, state)
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 19)
    assert run.states[-1] == REQUESTS.state(END)
    for text in ("inside `singer_state`", "inside a STATE message"):
        assert len(lines_with(run, "INFO", text)) == 1


def test_empty_state_starts_at_the_start(tmp_path: Path) -> None:
    run, first = run_from(REQUESTS, tmp_path, {"singer_state": {}})
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 1)
    assert "(no bookmark)" in run.stderr
    assert REQUESTS.bookmark(run.states[-1]) == END


@each_stream
def test_state_of_one_stream_leaves_the_other_at_its_start(stream: Stream, tmp_path: Path) -> None:
    """Such as the state of a version that had one stream."""
    other = CALLS if stream is REQUESTS else REQUESTS
    with stream.sandbox([]) as sandbox:
        run = run_tap(
            config_for(sandbox, site_ids=[101], lookback_days=2),
            tmp_path,
            state=stream.state(BOOKMARK),
        )
        calls = sandbox.calls
    assert run.returncode == 0, run.stderr
    for asked, first in ((stream, 19), (other, 1)):
        days = [asked.days(call)[0] for call in calls if call.journal == asked.name]
        assert min(days) == date(2024, 1, first)
        assert asked.bookmark(run.states[-1]) == END
    assert warnings_in(run) == []


# States that are not ours.


def test_state_that_is_not_ours_is_refused_in_one_sentence(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run = run_tap(config_for(sandbox), tmp_path, state=REQUESTS.state("yesterday"))
    assert run.returncode == 1
    *_, line = run.stderr.splitlines()
    assert "Traceback" not in run.stderr
    assert "The state is not one of tap-calltouch: " in line
    assert "Correct it, or remove it to load everything again from `start_date`." in line
    assert sandbox.calls == []
    assert run.stdout == b""


@each_stream
def test_earlier_bookmark_counts_if_a_site_has_two(stream: Stream, tmp_path: Path) -> None:
    state = stream.state("2024-01-28T00:00:00Z", "101")
    state["bookmarks"][stream.name]["partitions"] += stream.state(BOOKMARK)["bookmarks"][
        stream.name
    ]["partitions"]
    run, first = run_from(stream, tmp_path, state)
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 19)
    (warning,) = warnings_in(run)
    assert f"two bookmarks of stream {stream.name}, site 101; the earlier one counts" in warning
    assert run.states[-1] == stream.state(END)


@pytest.mark.parametrize(
    ("site", "site_ids"), [(None, [101]), (101, None)], ids=["sites now", "sites before"]
)
def test_sites_named_now_and_not_before_are_a_warning(
    tmp_path: Path, site: int | None, site_ids: list[int] | None
) -> None:
    run, first = run_from(REQUESTS, tmp_path, REQUESTS.state(BOOKMARK, site), site_ids=site_ids)
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 1)
    (warning,) = warnings_in(run)
    assert "bookmarks with and without `site_ids` are kept apart" in warning
    assert "Everything is loaded again." in warning


@pytest.mark.parametrize("site_ids", [[101], None], ids=["with sites", "without"])
def test_state_with_bookmarks_of_both_kinds_goes_on_without_a_warning(
    tmp_path: Path, site_ids: list[int] | None
) -> None:
    state = REQUESTS.state(BOOKMARK)
    state["bookmarks"]["requests"] |= REQUESTS.state(BOOKMARK, None)["bookmarks"]["requests"]
    run, first = run_from(REQUESTS, tmp_path, state, site_ids=site_ids)
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 19)
    assert warnings_in(run) == []


@each_stream
def test_site_that_is_new_is_no_warning(stream: Stream, tmp_path: Path) -> None:
    run, first = run_from(stream, tmp_path, stream.state(BOOKMARK, 202))
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 1)
    assert "(no bookmark)" in run.stderr
    assert warnings_in(run) == []
    assert stream.bookmark(run.states[-1], 101) == END
    assert stream.bookmark(run.states[-1], 202) == BOOKMARK


# Clocks.


@each_stream
def test_bookmarks_never_move_back(stream: Stream, tmp_path: Path) -> None:
    state = stream.state("2024-01-25T21:00:00.000+00:00")
    run, first = run_from(stream, tmp_path, state, end_date="2024-01-20", lookback_days=20)
    assert run.returncode == 0, run.stderr
    assert first == date(2024, 1, 6)
    assert run.states == [state] * len(run.states)
    assert run.states


OF_1970 = "Thu, 01 Jan 1970 00:00:00 GMT"


@each_stream
def test_server_whose_clock_is_behind_moves_no_bookmark_back(
    stream: Stream, tmp_path: Path
) -> None:
    state = stream.state(BOOKMARK)
    with stream.sandbox([stream.record(1, NOON)], date_header=OF_1970) as sandbox:
        run = stream.run(sandbox, tmp_path, state)
    assert stream.keys(run.records) == [(101, 1)]
    assert run.states[-1] == state


@each_stream
def test_first_run_of_a_server_whose_clock_is_behind_leaves_a_state_to_go_on_from(
    stream: Stream, tmp_path: Path
) -> None:
    with stream.sandbox([stream.record(1, NOON)], date_header=OF_1970) as sandbox:
        first = stream.run(sandbox, tmp_path)
        second = stream.run(sandbox, tmp_path, first.states[-1])
    for run in (first, second):
        assert run.returncode == 0, run.stderr
        assert stream.keys(run.records) == [(101, 1)]
    assert stream.bookmark(second.states[-1]) == "2023-12-31T21:00:00.000+00:00"


def test_date_header_that_makes_no_sense_is_ignored(tmp_path: Path) -> None:
    with REQUESTS.sandbox([REQUESTS.record(1, NOON)], date_header="-1") as sandbox:
        run = REQUESTS.run(sandbox, tmp_path)
    assert run.returncode == 0, run.stderr
    assert REQUESTS.bookmark(run.states[-1]) == END


@each_stream
def test_start_long_ago_leaves_states_to_go_on_from(stream: Stream, tmp_path: Path) -> None:
    """Killed or stopped in years before Calltouch existed."""
    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(
            Fault("status", status=403, when=lambda call: stream.days(call)[0].year > 1900)
        )
        settings: dict[str, Any] = {"start_date": "1900-01-01", "window_days": 90}
        first = stream.run(sandbox, tmp_path, **settings)
        second = stream.run(sandbox, tmp_path, first.states[-1], lookback_days=0, **settings)
    assert "403" in first.stderr
    assert "1901" in (stream.bookmark(first.states[-1]) or "")
    assert "403" in second.stderr


@each_stream
@pytest.mark.parametrize("offset", [0, 3600, -3600], ids=["right", "ahead", "behind"])
def test_no_bookmark_lies_in_the_future(stream: Stream, tmp_path: Path, offset: int) -> None:
    now = datetime.now(timezone.utc)
    yesterday = (now - timedelta(days=1)).date().isoformat()
    with stream.sandbox([stream.record(1, now - timedelta(hours=2))]) as sandbox:
        run = stream.run(
            sandbox,
            tmp_path,
            environment={"CLOCK_OFFSET": str(offset)},
            start_date=yesterday,
            end_date=None,
        )
    assert run.returncode == 0
    assert stream.keys(run.records) == [(101, 1)]
    assert now - timedelta(hours=1, minutes=1) < instant_of(stream, run.states[-1])
    assert instant_of(stream, run.states[-1]) <= datetime.now(timezone.utc)


@each_stream
def test_bookmark_from_the_future_skips_nothing(stream: Stream, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    state = stream.state((now + timedelta(days=30)).isoformat())
    with stream.sandbox([stream.record(1, now - timedelta(seconds=1))]) as sandbox:
        start = (now - timedelta(days=3)).date().isoformat()
        run = stream.run(sandbox, tmp_path, state, start_date=start, end_date=None, lookback_days=1)
    assert stream.keys(run.records) == [(101, 1)]
    assert instant_of(stream, run.states[-1]) <= datetime.now(timezone.utc)


# Nothing to load.


@each_stream
@pytest.mark.parametrize(
    "end", ["2024-01-18", "2023-12-31"], ids=["before the bookmark", "long before"]
)
def test_end_before_the_bookmark_is_a_warning(stream: Stream, tmp_path: Path, end: str) -> None:
    state = stream.state(BOOKMARK)
    run, first = run_from(stream, tmp_path, state, start_date="2023-12-01", end_date=end)
    assert (run.returncode, first) == (0, None)
    (warning,) = warnings_in(run, f"Stream {stream.name}, site 101: nothing to load from ")
    assert f"bookmark {BOOKMARK}" in warning
    assert all(stream.bookmark(written) == BOOKMARK for written in run.states)


@each_stream
def test_start_within_a_day_is_a_warning(stream: Stream, tmp_path: Path) -> None:
    start = (datetime.now(MOSCOW) + timedelta(hours=23, minutes=59)).date()
    settings = {"start_date": start.isoformat(), "end_date": None}
    run, first = run_from(stream, tmp_path, None, **settings)
    assert (run.returncode, first) == (0, None)
    assert len(warnings_in(run, "nothing to load from", "no bookmark")) == 1


@each_stream
@pytest.mark.parametrize(
    ("days", "offset", "said"),
    [
        (2, 0, "lies ahead: the clock of this machine says "),
        (-1, -3 * 86400, "lies ahead: the clock of this machine says "),
        (-1, -30 * 366 * 86400, "Set it first."),
    ],
    ids=["start ahead", "clock behind", "clock never set"],
)
def test_start_that_lies_ahead_names_the_clock(
    stream: Stream, tmp_path: Path, days: int, offset: int, said: str
) -> None:
    start = (datetime.now(MOSCOW) + timedelta(days=days)).date()
    settings = {"start_date": start.isoformat(), "end_date": None}
    with stream.sandbox() as sandbox:
        environment = {"CLOCK_OFFSET": str(offset)}
        run = stream.run(sandbox, tmp_path, environment=environment, **settings)
        assert sandbox.calls == []
    assert run.returncode == 1
    assert said in last_error(run)
    assert "Traceback" not in run.stderr


def test_bookmark_far_ahead_names_the_clock(tmp_path: Path) -> None:
    state = REQUESTS.state((datetime.now(timezone.utc) + timedelta(days=800)).isoformat())
    run, first = run_from(REQUESTS, tmp_path, state)
    assert (run.returncode, first) == (1, None)
    assert "lies ahead of this machine's clock, which says 20" in last_error(run)
    assert "load everything again" not in run.stderr


@pytest.mark.parametrize("hours", [23, 25])
def test_bookmark_over_a_day_ahead_is_a_warning_which_names_the_clock(
    tmp_path: Path, hours: int
) -> None:
    """With a clock that is slow by days, the newest records would be left out in silence."""
    state = REQUESTS.state((datetime.now(timezone.utc) + timedelta(hours=hours)).isoformat())
    run, _ = run_from(REQUESTS, tmp_path, state)
    assert run.returncode == 0
    warnings = warnings_in(run, "lies ahead")
    assert len(warnings) == (hours > 24)
    for text in ("of this machine's clock, which says 20", "Nothing after that is loaded."):
        assert all(text in warning for warning in warnings)


def instant_of(stream: Stream, state: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(stream.bookmark(state) or "")


@each_stream
@pytest.mark.parametrize(
    "day", [date(2010, 3, 28), date(2010, 10, 31)], ids=["23 hours", "25 hours"]
)
def test_day_of_another_length_loses_nothing(stream: Stream, tmp_path: Path, day: date) -> None:
    """A record every ten minutes around a change of Moscow's clock, runs that end within it."""
    begin = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) - timedelta(hours=6)
    instants = [begin + timedelta(minutes=10 * number) for number in range(36 * 6)]
    records = [stream.record(number, instant) for number, instant in enumerate(instants)]
    got: set[tuple[int, int]] = set()
    state = None
    with stream.sandbox(records) as sandbox:
        for end in instants[20::24]:
            run = stream.run(
                sandbox,
                tmp_path,
                state,
                start_date=instants[0].isoformat(),
                end_date=end.isoformat(),
                lookback_days=0,
            )
            assert run.returncode == 0, run.stderr
            state = run.states[-1]
            got |= set(stream.keys(run.records))
            assert {(101, number) for number, at in enumerate(instants) if at < end} <= got
            assert instant_of(stream, state) <= end


@each_stream
def test_run_over_midnight_goes_on_where_it_stopped(stream: Stream, tmp_path: Path) -> None:
    """The first run begins just before midnight in Moscow, the second just after it."""
    midnight = datetime(2024, 1, 10, 21, tzinfo=timezone.utc)
    instants = [midnight + timedelta(minutes=3 * step) for step in range(-20, 20)]
    got: set[tuple[int, int]] = set()
    state = None
    for now in (midnight - timedelta(minutes=14), midnight + timedelta(minutes=14)):
        visible = [stream.record(number, at) for number, at in enumerate(instants) if at <= now]
        with stream.sandbox(visible) as sandbox:
            offset = now.timestamp() - datetime.now(timezone.utc).timestamp()
            run = stream.run(
                sandbox,
                tmp_path,
                state,
                environment={"CLOCK_OFFSET": str(offset)},
                start_date="2024-01-08",
                end_date=None,
                lookback_days=0,
            )
        state = run.states[-1]
        got |= set(stream.keys(run.records))
        assert got == set(stream.keys(visible))
        assert instant_of(stream, state) <= now + timedelta(minutes=10)


def test_states_hold_nothing_but_bookmarks(sandbox: Sandbox, tmp_path: Path) -> None:
    run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path)
    assert len(run.states) >= 10  # one a window
    for state in run.states:
        for name, entry in state["bookmarks"].items():
            for partition in entry.get("partitions", []):
                assert partition["context"] == {"siteId": 101}
                assert partition["replication_key"] == STREAMS[name].instant
                assert len(partition) == 3
    assert "token" not in json.dumps(run.states)
