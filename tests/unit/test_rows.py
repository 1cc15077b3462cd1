"""Which rows of an answer are written, and what becomes of each of the others."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.extents import dates_near, wanted_dates
from tap_calltouch.api.windows import DateWindow
from tap_calltouch.instants import DAY
from tap_calltouch.records.decoding import KeyColumns, RecordDecoder
from tap_calltouch.records.drift import Drift
from tap_calltouch.rows import WindowFilter, describe_sample
from tests.support.answers import answer_of
from tests.support.settings import settings_of

if TYPE_CHECKING:
    from tap_calltouch.api.answers import Answer

Row = dict[str, Any]

MOSCOW = timezone(timedelta(hours=3))  # in 2024
COLUMNS = KeyColumns("siteId", "requestId", "date")


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


WEEK = DateWindow(wall("2024-01-08"), wall("2024-01-15"))


def row(number: int, instant: str = "2024-01-08T10:00", site: Any = 101, **more: Any) -> Row:
    at = int(wall(instant).replace(tzinfo=MOSCOW).timestamp() * 1000)
    return {"siteId": site, "requestId": number, "date": at, **more}


class Filter:
    """Reads answers for windows of a site, with the user's settings.

    Attributes:
        warnings: The kind and text of each warning.
    """

    def __init__(self, site: int | None = 101, **config: Any) -> None:
        dates = {"start_date": "2024-01-01", "end_date": "2024-01-31"}
        self._settings = settings_of(**dates | config)
        self._site = site
        self._decoder = RecordDecoder(COLUMNS.shape, COLUMNS, "ms", Drift(), site)
        self.warnings: list[tuple[str, str]] = []

    def read(
        self, rows: list[Any] | Answer, window: DateWindow = WEEK
    ) -> tuple[list[int], dict[str, int]]:
        """Return the numbers of the records of a window, and what became of its rows."""
        chosen = WindowFilter(
            self._site,
            f"Site, window {window}",
            wanted=wanted_dates(self._settings),
            nearby=dates_near(window, self._settings),
            warn=lambda kind, text: self.warnings.append((kind, text)),
        )
        answer = answer_of(rows) if isinstance(rows, list) else rows
        numbers = [record.f1 for record in chosen.records(self._decoder, answer)]
        return numbers, {reason: count for reason, count in chosen.rows.items() if count}


def test_rows_that_were_asked_for_are_written() -> None:
    chosen = Filter()
    assert chosen.read([row(1), row(2, "2024-01-14T23:59:59")]) == ([1, 2], {"written": 2})
    assert chosen.warnings == []


@pytest.mark.parametrize(
    ("rows", "written", "counts", "warning"),
    [
        pytest.param([], [], {}, "", id="none"),
        pytest.param(
            [row(1), row(2, site=202), row(3, site=202)],
            [1],
            {"written": 1, "of other sites": 2},
            "of other sites",
            id="of another site",
        ),
        pytest.param([row(1, site="101")], [1], {"written": 1}, "", id="the site as a text"),
        pytest.param([row(1, site=None)], [1], {"written": 1}, "", id="without a site"),
        pytest.param(
            [row(1, "2024-01-07T00:00"), row(2, "2024-01-15T23:59:59")],
            [1, 2],
            {"written": 2},
            "",
            id="up to a day outside the window",
        ),
        pytest.param(
            [row(1), row(2, "2024-01-06T23:59:59"), row(3, "2024-01-16T00:00")],
            [1],
            {"written": 1, "of other dates": 2},
            "that are dated outside the window",
            id="more than a day outside",
        ),
        pytest.param(
            [row(1), {**row(2), "date": 1704700}],
            [1],
            {"written": 1, "dated before 2000": 1},
            "that are dated before 2000",
            id="one impossible date",
        ),
    ],
)
@pytest.mark.parametrize("may_repeat", [False, True], ids=["one answer", "parts"])
def test_rows_that_were_not_asked_for_are_left_out_and_counted(
    rows: list[Row], written: list[int], counts: dict[str, int], warning: str, *, may_repeat: bool
) -> None:
    chosen = Filter()
    answer = answer_of(rows)
    answer.may_repeat = may_repeat
    assert chosen.read(answer) == (written, counts)
    text = (
        "Site, window 2024-01-08 to 2024-01-14: the answer holds records "
        f"{warning}, which are left out."
    )
    (kind,) = [kind for kind in counts if kind != "written"] or [""]
    assert set(chosen.warnings) == ({(kind, text)} if warning else set())


def test_rows_of_any_site_are_written_where_no_site_is_named() -> None:
    assert Filter(site=None).read([row(1), row(1, site=202)]) == ([1, 1], {"written": 2})


def test_record_without_a_site_is_an_error_where_no_site_is_named() -> None:
    with pytest.raises(FatalAPIError) as raised:
        Filter(site=None).read([row(1, site=None)])
    assert str(raised.value) == (
        "Site, window 2024-01-08 to 2024-01-14: a record has no usable `siteId` (found null). "
        "Set `site_ids`."
    )


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        pytest.param({}, [1, 2, 3], id="the days of the start and end"),
        pytest.param({"start_date": "2024-01-08T10:00:00"}, [2, 3], id="start"),
        pytest.param({"end_date": "2024-01-08T12:00:00"}, [1, 2], id="end"),
        pytest.param(
            {"start_date": "2024-01-08T10:00:00", "end_date": "2024-01-08T12:00:00"}, [2], id="both"
        ),
        pytest.param(
            {"end_date": "2024-01-08T12:00:00", "bind_to": "session"}, [1, 2, 3], id="by session"
        ),
    ],
)
def test_rows_outside_the_users_dates_are_left_out_without_a_word(
    settings: dict[str, Any], written: list[int]
) -> None:
    at = ["2024-01-08T09:59:59", "2024-01-08T10:00", "2024-01-08T12:00"]
    chosen = Filter(**settings)
    left_out = {"outside start_date and end_date": 3 - len(written)} if len(written) < 3 else {}
    assert chosen.read([row(number, instant) for number, instant in enumerate(at, 1)]) == (
        written,
        {"written": len(written), **left_out},
    )
    assert chosen.warnings == []


@pytest.mark.parametrize("instant", ["2000-01-02T00:00", "2024-01-06T10:00", "2030-01-01T00:00"])
def test_rows_by_session_may_be_of_any_date(instant: str) -> None:
    assert Filter(bind_to="session").read([row(1, instant)]) == ([1], {"written": 1})


# Rows that come twice.


def test_row_that_comes_twice_in_an_answer_of_parts_is_written_once() -> None:
    """The halves of a day share the second at which they meet."""
    answer = answer_of([row(1), row(2)])
    answer.append(answer_of([row(2), row(3)]))
    assert Filter().read(answer) == ([1, 2, 3], {"written": 3, "came before": 1})


def test_row_that_comes_twice_in_one_answer_is_left_to_the_api() -> None:
    """The target has the keys; to remember those of each answer would cost every run."""
    assert Filter().read([row(1), row(1)]) == ([1, 1], {"written": 2})


def test_ids_repeat_across_sites() -> None:
    answer = answer_of([row(1), row(1, site=202), row(1)])
    answer.may_repeat = True
    assert Filter(site=None).read(answer) == ([1, 1], {"written": 2, "came before": 1})


def test_row_that_was_left_out_is_not_one_that_came_before() -> None:
    answer = answer_of([row(1, "2023-01-01T00:00"), row(1)])
    answer.may_repeat = True
    assert Filter().read(answer) == ([1], {"written": 1, "of other dates": 1})


def test_rows_are_counted_as_far_as_they_were_read() -> None:
    chosen = WindowFilter(
        101, "Site", wanted=("2000", "~"), nearby=("2000", "~"), warn=lambda *_: None
    )
    decoder = RecordDecoder(COLUMNS.shape, COLUMNS, "ms", Drift(), 101)
    records = chosen.records(decoder, answer_of([row(1), row(2), row(3)]))
    next(records)
    next(records)
    records.close()  # type: ignore[attr-defined]
    assert chosen.rows == {"written": 2}


# Records that cannot be used.


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        pytest.param([{"requestId": 1}], "a record has no usable `date` (found null)", id="date"),
        pytest.param([7], "an item of the array is not an object", id="no record"),
        pytest.param(
            [{**row(1), "date": 1704700800000000}],
            "a record has no usable `date` (found 1704700800000000)",
            id="a date beyond the calendar",
        ),
    ],
)
def test_record_that_cannot_be_used_is_one_sentence(rows: list[Any], problem: str) -> None:
    with pytest.raises(FatalAPIError) as raised:
        Filter().read(rows)
    assert str(raised.value) == f"Site, window 2024-01-08 to 2024-01-14: {problem}."


@pytest.mark.parametrize("settings", [{}, {"bind_to": "session"}])
@pytest.mark.parametrize("may_repeat", [False, True])
def test_dates_in_another_unit_are_one_error_that_shows_them(
    settings: dict[str, Any], *, may_repeat: bool
) -> None:
    dates = (1704700800, 1704787200, 1704700801)
    answer = answer_of([{**row(number), "date": date} for number, date in enumerate(dates)])
    answer.may_repeat = may_repeat
    with pytest.raises(FatalAPIError) as raised:
        Filter(**settings).read(answer)
    assert str(raised.value) == (
        "Site, window 2024-01-08 to 2024-01-14: the records are dated from "
        "1970-01-20T17:31:40.800+00:00 to 1970-01-20T17:33:07.200+00:00, before Calltouch existed. "
        "The API seems to count in another unit now."
    )


def test_each_window_has_a_filter_of_its_own() -> None:
    chosen = Filter()
    odd = [row(1, site=202), row(2, "2023-01-01T00:00"), row(3), {**row(4), "date": 0}]
    for days in (0, 7):
        window = DateWindow(WEEK.start + days * DAY, WEEK.end + days * DAY)
        chosen.read(odd, window)
    assert [kind for kind, _ in chosen.warnings] == [
        *("of other sites", "of other dates", "dated before 2000"),
        *("of other sites", "of other dates", "of other dates", "dated before 2000"),
    ]


# What a test of the connection brought.

SCHEMA = {
    "properties": {
        "date": {"type": "string"},
        "subject": {"type": ["string", "null"]},
        "orders": {"type": ["array", "null"]},
        "client": {"type": ["object", "null"]},
        "attrs": {"type": ["object", "null"]},
    }
}


@pytest.mark.parametrize(
    ("records", "text"),
    [
        pytest.param(
            [{"date": "2024-01-02", "orders": [], "client": {"fio": "x"}, "attrs": {}}],
            "1 record received, from 2024-01-02 to 2024-01-02. Filled in some: client. "
            "Empty in all: orders, attrs",
            id="one",
        ),
        pytest.param(
            [
                {"date": "2024-01-02", "orders": [1], "client": None},
                {"date": "2024-01-01", "client": {"fio": "x"}, "attrs": {"a": "b"}},
            ],
            "2 records received, from 2024-01-01 to 2024-01-02. "
            "Filled in some: orders, client, attrs. Empty in all: none",
            id="all filled",
        ),
        pytest.param(
            [{"subject": "x"}],
            "1 record received. Filled in some: none. Empty in all: orders, client, attrs",
            id="the date is not selected",
        ),
    ],
)
def test_sample_says_what_came_and_no_value(records: list[dict[str, Any]], text: str) -> None:
    assert describe_sample(records, SCHEMA, "date") == text


def test_sample_without_records_says_where_to_look() -> None:
    text = describe_sample([], SCHEMA, "date")
    assert text.startswith("the API answered, but without records for that day. Check `site_ids`")
