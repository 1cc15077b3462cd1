"""How far a run is: one line in ten seconds at most, with what became of every row."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from tap_calltouch.output.progress import Progress, count, format_rows

DAY = timedelta(days=1)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rows(written: int = 0, **others: int) -> Counter[str]:
    return Counter(written=written, **others)


def test_lines_come_at_most_every_ten_seconds(clock: Clock) -> None:
    progress = Progress(100, 700 * DAY, clock)
    lines = []
    for second in range(1, 36):
        clock.now = 1000.0 + second
        if progress.add(7 * DAY, rows(1)):
            lines.append(second)
    assert lines == [10, 20, 30]


def test_a_quick_run_has_no_line_but_a_summary(clock: Clock) -> None:
    progress = Progress(2, 14 * DAY, clock)
    assert [progress.add(7 * DAY, rows(3)) for _ in range(2)] == [None, None]
    clock.now += 2.25
    assert progress.summary() == "2 windows, 6 rows received, 6 written, in 2.2 s"


def test_one_is_singular(clock: Clock) -> None:
    progress = Progress(1, DAY, clock)
    progress.add(DAY, rows(1))
    assert progress.summary() == "1 window, 1 row received, 1 written, in 0.0 s"
    assert [count(number, "day") for number in (0, 1, 2)] == ["0 days", "1 day", "2 days"]


def test_line_says_how_far_the_run_is_and_how_long_it_takes(clock: Clock) -> None:
    progress = Progress(10, 70 * DAY, clock)
    clock.now += 15
    line = progress.add(7 * DAY, rows(5) + Counter({"of other sites": 2}))
    assert line == (
        "window 1 of 10, 10%, 7 rows received, 5 written, 2 left out (of other sites), "
        "about 0:02:15 left"
    )
    clock.now += 15
    line = progress.add(28 * DAY, rows(5) + Counter({"came before": 1}))
    assert line == (
        "window 2 of 10, 50%, 13 rows received, 10 written, 2 left out (of other sites), "
        "1 left out (came before), about 0:00:30 left"
    )


def test_more_windows_than_planned_do_not_exceed_the_whole(clock: Clock) -> None:
    progress = Progress(1, 7 * DAY, clock)
    lines = []
    for days in (4, 2, 1):
        clock.now += 10
        lines.append(progress.add(days * DAY, rows()))
    assert [line and line.split(", 0 rows")[0] for line in lines] == [
        "window 1 of 1, 57%",
        "window 2 of 2, 86%",
        "window 3 of 3, 100%",
    ]


@pytest.mark.parametrize(
    ("counted", "text"),
    [
        pytest.param(Counter(), "0 rows received, 0 written", id="nothing"),
        pytest.param(rows(5), "5 rows received, 5 written", id="all written"),
        pytest.param(
            Counter({"of other dates": 3}),
            "3 rows received, 0 written, 3 left out (of other dates)",
            id="none written",
        ),
        pytest.param(
            Counter({"of other sites": 1, "written": 2, "came before": 3}),
            "6 rows received, 2 written, 1 left out (of other sites), 3 left out (came before)",
            id="several reasons",
        ),
    ],
)  # fmt: skip
def test_rows_are_counted_by_what_became_of_them(counted: Counter[str], text: str) -> None:
    assert format_rows(counted) == text
