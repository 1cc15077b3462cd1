"""Rows are never lost or doubled in silence, whatever the API makes of a period or a site."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.support.streams import CALLS, MOSCOW, REQUESTS, STREAMS, lines_with, warnings_in

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Call
    from tests.support.streams import Record, Stream

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
JANUARY_1 = datetime(2024, 1, 1, tzinfo=MOSCOW)
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ONE_WEEK: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-14"}


@each_stream
def test_log_counts_what_came_and_what_became_of_it(stream: Stream, tmp_path: Path) -> None:
    """All reasons at once: a day from 10 o'clock, in halves, of an API that ignores everything."""
    records = [
        *(stream.record(number, JANUARY_8 + 12 * HOUR) for number in (1, 2, 3)),
        *(stream.record(number, JANUARY_8 + 12 * HOUR, site=202) for number in (11, 12)),
        *(stream.record(number, JANUARY_8 + 40 * DAY) for number in (4, 5, 6, 7)),
        stream.record(8, JANUARY_8 + 9 * HOUR),
    ]

    def is_long(call: Call) -> bool:
        return call.params.get("timeFrom") == "10:00:00" and "timeTo" not in call.params

    with stream.sandbox(records, ignore_site=True, ignore_dates=True) as sandbox:
        sandbox.faults.append(Fault("status", when=is_long, status=500))
        run = stream.run(sandbox, tmp_path, start_date="2024-01-08T10:00:00", end_date="2024-01-08")
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == [(101, 1), (101, 2), (101, 3)]
    (window,) = lines_with(run, "DEBUG", "rows received")
    (summary,) = lines_with(run, "INFO", "rows received")
    assert f"Stream {stream.name}, site 101, window 2024-01-08 10:00:00 to 2024-01-09" in window
    assert f"Stream {stream.name}: 1 window," in summary
    for line in (window, summary):
        assert set(re.findall(r"\d+ (?:rows received|written|left out \(.*?\))", line)) == {
            "20 rows received",
            "3 written",
            "4 left out (of other sites)",
            "8 left out (of other dates)",
            "2 left out (outside start_date and end_date)",
            "3 left out (came before)",
        }


@each_stream
def test_window_of_nothing_but_other_rows_says_that_none_was_written(
    stream: Stream, tmp_path: Path
) -> None:
    records = [stream.record(number, JANUARY_8, site=202) for number in range(34)]
    with stream.sandbox(records, ignore_site=True) as sandbox:
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
    assert run.records == []
    (line,) = lines_with(run, "DEBUG", "rows received")
    assert "34 rows received, 0 written, 34 left out (of other sites)" in line


@each_stream
def test_api_that_ignores_dates_loads_nothing_many_times(stream: Stream, tmp_path: Path) -> None:
    """Only a row within a day of a border of two windows may come out with both."""
    with stream.sandbox(ignore_dates=True) as sandbox:
        whole = stream.records(sandbox)
        run = stream.run(sandbox, tmp_path, window_days=10)
    assert run.returncode == 0, run.stderr
    times = Counter(stream.keys(run.records))
    assert sorted(times) == stream.keys(whole)
    borders = [datetime(2024, 1, day, tzinfo=MOSCOW) for day in (11, 21, 31)]
    for record in whole:
        made = datetime.fromtimestamp(record[stream.instant] / stream.ticks, MOSCOW)
        near = sum(border - DAY <= made < border + DAY for border in borders)
        assert times[101, record[stream.key]] == 1 + near
    assert len(warnings_in(run, "dated outside the window, which are left out")) == 1
    windows = lines_with(run, "DEBUG", "rows received")
    assert len(windows) == 4
    for line in windows:
        came, written, left_out = map(
            int, re.findall(r"(\d+) (?:rows received|written|left out \(of other dates\))", line)
        )
        assert (came, written + left_out) == (len(whole), len(whole))
    assert stream.bookmark(run.states[-1]) == "2024-01-31T21:00:00.000+00:00"


@each_stream
def test_rows_by_session_may_be_of_any_date(stream: Stream, tmp_path: Path) -> None:
    """Those of a session within the period come out, and none is left out for its own date."""
    with stream.sandbox(ignore_dates=True) as sandbox:
        run = stream.run(sandbox, tmp_path, bind_to="session", window_days=31)
        whole = stream.records(sandbox)
    assert stream.keys(run.records) == stream.keys(whole)
    assert "left out" not in run.stderr


@each_stream
def test_rows_of_other_sites_are_left_out_with_one_warning_for_each_site(
    stream: Stream, tmp_path: Path
) -> None:
    with stream.sandbox(sites=(101, 202), ignore_site=True) as sandbox:
        run = stream.run(sandbox, tmp_path, site_ids=[101, 202])
        whole = stream.records(sandbox)
    assert stream.keys(run.records) == stream.keys(whole)
    warnings = warnings_in(run, "holds records of other sites, which are left out")
    assert sorted(re.findall(r"site (\d+)", " ".join(warnings))) == ["101", "202"]


# Answers that the API cuts off.


def minutes(first: datetime, number: int, step: timedelta = 5 * 60 * SECOND) -> list[Record]:
    """Return so many requests, one in five minutes."""
    return [REQUESTS.record(row, first + row * step) for row in range(number)]


def test_answers_that_the_api_caps_are_completed_by_their_halves(tmp_path: Path) -> None:
    """2,016 requests of a week, of which an answer holds 1,000."""
    records = minutes(JANUARY_8, 7 * 288)
    with REQUESTS.sandbox(records, row_cap=1000) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, **ONE_WEEK)
        calls = len(sandbox.calls)
    assert run.returncode == 0, run.stderr
    assert REQUESTS.keys(run.records) == REQUESTS.keys(records)
    half, whole = warnings_in(run)
    assert "window 2024-01-11 to 2024-01-14: the API caps its answers" in half
    assert "window 2024-01-08 to 2024-01-14: the API caps its answers" in whole
    assert "sent 1000 records and left out at least 1016," in whole
    assert "`window_days`" in whole
    assert calls == 5  # a week, 3 days, 4 days; and the halves of these 4 days


def test_windows_after_a_capped_one_are_shorter(tmp_path: Path) -> None:
    records = minutes(JANUARY_1, 21 * 288)
    with REQUESTS.sandbox(records, row_cap=1000) as sandbox:
        run = REQUESTS.run(
            sandbox, tmp_path, **ONE_WEEK | {"end_date": "2024-01-28"}, max_concurrent_requests=1
        )
        last = max(REQUESTS.days(call) for call in sandbox.calls)
    expected = [row for row in records if row["date"] >= JANUARY_8.timestamp() * 1000]
    assert REQUESTS.keys(run.records) == REQUESTS.keys(expected)
    assert (last[1] - last[0]).days < 3


def test_whole_answer_of_a_thousand_rows_is_no_cap(tmp_path: Path) -> None:
    records = minutes(JANUARY_8, 1000)
    with REQUESTS.sandbox(records) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, **ONE_WEEK)
    assert REQUESTS.keys(run.records) == REQUESTS.keys(records)
    assert warnings_in(run) == []


def test_capped_answer_that_cannot_be_halved_is_a_warning(tmp_path: Path) -> None:
    records = minutes(JANUARY_8, 1500, SECOND)
    hour: dict[str, Any] = {"start_date": "2024-01-08T00:00:00", "end_date": "2024-01-08T01:00:00"}
    with REQUESTS.sandbox(records, row_cap=1000) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, **hour)
    assert len(run.records) == 1000
    (warning,) = warnings_in(run)
    assert "window 2024-01-08 00:00:00 to 2024-01-08 01:00:00" in warning
    assert "1000 records" in warning


def test_pages_may_be_of_any_size(tmp_path: Path) -> None:
    """An API that gives 7 calls a page, whatever `limit` says."""
    with CALLS.sandbox(page_limit=7) as sandbox:
        run = CALLS.run(sandbox, tmp_path, window_days=31)
        whole = CALLS.records(sandbox)
        calls = len(sandbox.calls)
    assert CALLS.keys(run.records) == CALLS.keys(whole)
    assert calls == -(-len(whole) // 7)
    assert warnings_in(run) == []


# Dates in another unit.


@each_stream
@pytest.mark.parametrize("bind_to", ["request", "session"])
def test_dates_in_another_unit_are_one_error_that_shows_them(
    stream: Stream, tmp_path: Path, bind_to: str
) -> None:
    """Seconds where milliseconds belong, and the reverse."""

    def change(rows: list[Record]) -> list[Record]:
        factor = 1 / 1000 if stream is REQUESTS else 1000
        return [row | {stream.instant: int(row[stream.instant] * factor)} for row in rows]

    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("change", apply=change))
        run = stream.run(sandbox, tmp_path, bind_to=bind_to)
    assert run.returncode == 1
    assert run.records == []
    assert "Traceback" not in run.stderr
    line = lines_with(run, "ERROR")[-1]
    assert f"Stream {stream.name}, site 101, window 2024-01-01 to 2024-01-07: " in line
    if stream is REQUESTS:
        assert re.search("dated from 1970-01-20T.* to 1970-01-20T.*another unit", line)
    else:  # no date-time reaches so far
        assert re.search(r"no usable `timestamp` \(found 170\d{10}\)", line)
    assert not any(stream.bookmark(state) for state in run.states)


@each_stream
@pytest.mark.parametrize("bind_to", ["request", "session"])
def test_one_record_of_an_impossible_date_is_left_out_with_a_warning(
    stream: Stream, tmp_path: Path, bind_to: str
) -> None:
    def change(rows: list[Record]) -> list[Record]:
        return [rows[0] | {stream.instant: 0}, *rows[1:]]

    with stream.sandbox() as sandbox:
        whole = stream.run(sandbox, tmp_path, bind_to=bind_to)
        first = Fault("change", apply=change, when=lambda call: stream.days(call)[0].day == 1)
        sandbox.faults.append(first)
        run = stream.run(sandbox, tmp_path, bind_to=bind_to)
    assert run.returncode == 0
    assert len(run.records) == len(whole.records) - 1
    (warning,) = warnings_in(run, "which are left out")
    assert "dated before 2000" in warning
    assert len(lines_with(run, "DEBUG", "1 left out (dated before 2000)")) == 1


# Windows that are too heavy.


def spans_days(call: Call) -> bool:
    return call.params["dateFrom"] != call.params["dateTo"]


@each_stream
@pytest.mark.parametrize("width", [1, 4])
def test_90_days_at_a_limit_of_one_day_cost_at_most_100_calls(
    stream: Stream, tmp_path: Path, width: int
) -> None:
    first = date(2024, 1, 1)
    records = [stream.record(day, JANUARY_1 + day * DAY + 12 * HOUR) for day in range(90)]
    with stream.sandbox(records) as sandbox:
        sandbox.faults.append(Fault("status", when=spans_days, status=500))
        run = stream.run(
            sandbox,
            tmp_path,
            end_date=(first + 89 * DAY).isoformat(),
            max_concurrent_requests=width,
        )
        answered = [stream.days(call) for call in sandbox.calls if call.status == 200]
        calls = len(sandbox.calls)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(records)
    days = [first + day * DAY for day in range(90)]
    assert sorted(answered) == [(day, day) for day in days]
    assert calls <= 100


@each_stream
def test_windows_go_back_to_full_length_step_by_step(stream: Stream, tmp_path: Path) -> None:
    """Only the first week is too heavy."""

    def is_heavy(call: Call) -> bool:
        return spans_days(call) and stream.days(call)[0] < date(2024, 1, 8)

    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("status", when=is_heavy, status=500))
        run = stream.run(sandbox, tmp_path, end_date="2024-06-30", max_concurrent_requests=1)
        answered = [stream.days(call) for call in sandbox.calls if call.status == 200]
    assert run.returncode == 0
    lengths = [(last - first).days + 1 for first, last in answered]
    assert sum(lengths) == 182
    whole = lengths[:-1]  # the last window ends where the period does
    assert whole == sorted(whole)
    assert [whole.count(length) for length in (1, 2, 4)] == [16, 17, 17]  # a trial, 16 after it
    assert set(whole) == {1, 2, 4, 7}


@each_stream
def test_halves_of_a_day_overlap_and_double_nothing(stream: Stream, tmp_path: Path) -> None:
    """Records in the very seconds at which two halves meet, of a day that is too heavy whole."""
    noon = JANUARY_8 + 12 * HOUR
    instants = [
        JANUARY_8,
        *(noon + step * SECOND for step in (-2, -1, 0, 1)),
        noon + 12 * HOUR - SECOND,
    ]
    records = [stream.record(number, instant) for number, instant in enumerate(instants)]

    def is_whole_day(call: Call) -> bool:
        return "timeFrom" not in call.params and "timeTo" not in call.params

    with stream.sandbox(records) as sandbox:
        sandbox.faults.append(Fault("status", when=is_whole_day, status=500))
        run = stream.run(sandbox, tmp_path, start_date="2024-01-08", end_date="2024-01-08")
        halves = {
            (call.params.get("timeFrom"), call.params.get("timeTo"))
            for call in sandbox.calls
            if call.status == 200
        }
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(records)
    assert halves == {(None, "12:00:00"), ("12:00:00", None)}
    assert (
        len(lines_with(run, "DEBUG", "7 rows received, 6 written, 1 left out (came before)")) == 1
    )


# Rows that maps leave out.


@each_stream
@pytest.mark.parametrize(
    ("maps", "written", "rows"),
    [
        pytest.param(
            {"{s}": {"__filter__": "False"}},
            0,
            "4 rows received, 0 written, 4 left out (by `stream_maps`)",
            id="none",
        ),
        pytest.param(
            {"{s}": {"__filter__": "{k} > 1"}},
            3,
            "4 rows received, 3 written, 1 left out (by `stream_maps`)",
            id="some",
        ),
        pytest.param(
            {"{s}": {}, "twice": {"__source__": "{s}"}},
            8,
            "4 rows received, 4 written",
            id="two streams",
        ),
        pytest.param(
            {
                "{s}": {"__filter__": "{k} == 1"},
                "b": {"__source__": "{s}", "__filter__": "{k} < 3"},
            },
            3,
            "4 rows received, 2 written, 2 left out (by `stream_maps`)",
            id="two streams of some",
        ),
    ],
)
def test_rows_that_maps_leave_out_are_counted(
    stream: Stream, tmp_path: Path, maps: dict[str, Any], written: int, rows: str
) -> None:
    records = [stream.record(number, JANUARY_8) for number in (1, 2, 3, 4)]
    text = json.dumps(maps).replace("{s}", stream.name).replace("{k}", stream.key)
    with stream.sandbox(records) as sandbox:
        run = stream.run(sandbox, tmp_path, stream_maps=json.loads(text), **ONE_WEEK, window_days=4)
    assert run.returncode == 0, run.stderr
    assert len(run.records) == written
    for level in ("DEBUG", "INFO"):
        line, *_ = lines_with(run, f"| {level} ", "rows received")
        assert f"{rows}," in line
    values = re.findall(r"\"record_count\",\s*\"value\":\s*(\d+)", run.stderr)
    assert sum(map(int, values)) == written
