"""Which state a run can go on from: ours in any wrapping, and no other."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tap_calltouch.config.files import InputError
from tap_calltouch.config.state import read_state

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {"requests": "date", "calls": "timestamp"}
TIMESTAMP = "2024-01-20T21:00:00.000+00:00"
EARLIER = "2024-01-10T21:00:00.000+00:00"


def mark(value: Any = TIMESTAMP, key: str = "date", **more: Any) -> dict[str, Any]:
    return {"replication_key": key, "replication_key_value": value, **more}


def partition(site: Any = 101, value: Any = TIMESTAMP, **more: Any) -> dict[str, Any]:
    return {"context": {"siteId": site}, **mark(value), **more}


def requests(entry: Any) -> dict[str, Any]:
    return {"bookmarks": {"requests": entry}}


def by_site(*partitions: Any) -> dict[str, Any]:
    return requests({"partitions": list(partitions)})


def read(value: Any) -> tuple[dict[str, Any], list[str]]:
    messages: list[str] = []
    return read_state(value, KEYS, lambda _, text: messages.append(text)), messages


OURS: dict[str, dict[str, Any]] = {
    "one bookmark": requests(mark()),
    "two sites": by_site(partition(), partition(202)),
    "Z": requests(mark("2024-01-20T21:00:00Z")),
    "offset": requests(mark("2024-01-21T00:00:00+03:00")),
    "a date": requests(mark("2024-01-21")),
    "long before Calltouch existed": requests(mark("1970-01-01T00:00:00.000+00:00")),
    "as early as a start may be": requests(mark("1900-01-01T00:00:00+00:00")),
    "no value yet": requests(mark(None)),
    "the key is not named": requests({"replication_key_value": TIMESTAMP}),
    "a stream that has not begun": requests({}),
    "no partitions yet": requests({"partitions": []}),
    "a site that has not begun": by_site({"context": {"siteId": 101}}),
    "progress markers": requests(mark(progress_markers={"Note": "x"})),
    "starting value": by_site(partition(starting_replication_value="2024-01-01")),
    "signpost": by_site(partition(replication_key_signpost=TIMESTAMP)),
    **{
        f"nothing but {name}": requests({name: value})
        for name, value in {
            "replication_key": "date",
            "progress_markers": {},
            "replication_key_signpost": TIMESTAMP,
            "starting_replication_value": TIMESTAMP,
        }.items()
    },
    "no stream yet": {"bookmarks": {}},
    "both streams": {
        "bookmarks": {
            "requests": {"partitions": [partition()]},
            "calls": {"partitions": [{"context": {"siteId": 101}, **mark(key="timestamp")}]},
        }
    },
    "a stream of another version": {"bookmarks": {"requests": mark(), "orders": {"anything": 1}}},
}


@pytest.mark.parametrize("state", OURS.values(), ids=OURS)
def test_state_of_ours_is_taken_as_it_is(state: dict[str, Any]) -> None:
    assert read(state) == (state, [])


@pytest.mark.parametrize(
    ("wrap", "warnings"),
    [
        pytest.param(
            lambda state: {"singer_state": state},
            ["Using the state inside `singer_state`, as Meltano keeps it."],
            id="meltano state get",
        ),
        pytest.param(
            lambda state: {"type": "STATE", "value": state},
            ["Using the state inside a STATE message."],
            id="a STATE message",
        ),
        pytest.param(
            lambda state: {"singer_state": {"type": "STATE", "value": state}},
            [
                "Using the state inside `singer_state`, as Meltano keeps it.",
                "Using the state inside a STATE message.",
            ],
            id="both",
        ),
        pytest.param(
            lambda state: {"type": "STATE", "value": {"singer_state": state}},
            [
                "Using the state inside a STATE message.",
                "Using the state inside `singer_state`, as Meltano keeps it.",
            ],
            id="the other way round",
        ),
    ],
)
def test_wrapped_state_is_unwrapped_with_a_line(wrap: Any, warnings: list[str]) -> None:
    for name, state in OURS.items():
        assert read(wrap(state)) == (state, warnings), name


@pytest.mark.parametrize(
    "state",
    [{}, {"singer_state": {}}, {"type": "STATE", "value": {}}],
    ids=["{}", "meltano", "line"],
)
def test_empty_state_starts_over(state: dict[str, Any]) -> None:
    assert read(state)[0] == {}


def test_what_stands_beside_the_bookmarks_is_dropped() -> None:
    assert read({**requests(mark()), "written_by": "x"}) == (requests(mark()), [])


def test_state_given_is_not_changed() -> None:
    state = by_site(partition("101"), partition(101, EARLIER))
    copy = by_site(partition("101"), partition(101, EARLIER))
    read(state)
    assert state == copy


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        pytest.param([], "it is not a JSON object", id="a list"),
        pytest.param(None, "it is not a JSON object", id="null"),
        pytest.param("x", "it is not a JSON object", id="a text"),
        pytest.param({"singer_state": []}, "it is not a JSON object", id="a list in a wrapping"),
        pytest.param({"singer_state": None}, "it is not a JSON object", id="nothing in a wrapping"),
        pytest.param({"completed": {}}, "no `bookmarks` of requests or calls", id="completed"),
        pytest.param({"requests": mark()}, "no `bookmarks` of requests", id="no bookmarks"),
        pytest.param({"bookmarks": []}, "no `bookmarks`", id="a list of bookmarks"),
        pytest.param({"bookmarks": None}, "no `bookmarks`", id="null"),
        pytest.param({"bookmarks": "none"}, "no `bookmarks`", id="a text of bookmarks"),
        pytest.param(
            {"type": "STATE", "value": {"bookmarks": {"users": {}}}},
            "no `bookmarks`",
            id="a STATE message of another tap",
        ),
        pytest.param({"bookmarks": {"orders": mark()}}, "no `bookmarks`", id="another tap"),
        pytest.param(
            requests({"date": TIMESTAMP}), "has no `replication_key_value`", id="an older form"
        ),
        pytest.param(requests([]), "`bookmarks.requests` must be an object", id="a list"),
        pytest.param(requests(None), "`bookmarks.requests` must be an object", id="null entry"),
        pytest.param(requests("2024-01-01"), "`bookmarks.requests` must be an object", id="a text"),
        pytest.param(
            requests({"partitions": {}}), "`bookmarks.requests` must be an obj", id="no list"
        ),
        pytest.param(
            requests(mark(key="requestId")), "key 'requestId', not 'date'", id="other key"
        ),
        pytest.param(
            {"bookmarks": {"calls": mark(key="date")}}, "key 'date', not 'timestamp'", id="of calls"
        ),
        pytest.param(requests(mark("yesterday")), '"yesterday"', id="no date"),
        pytest.param(requests(mark(1704067200000)), "1704067200000", id="a number"),
        pytest.param(requests(mark(Decimal("1.5"))), "1.5", id="a fraction, as the SDK reads it"),
        pytest.param(
            requests(mark(progress_markers="x")),
            "the `progress_markers` in `bookmarks.requests` must be an object",
            id="progress markers as a text",
        ),
        pytest.param(
            by_site(partition(progress_markers=None)), "the `progress_markers`", id="or as null"
        ),
        *(
            pytest.param(
                {"bookmarks": {"requests": mark(), "orders": other}},
                "`bookmarks.orders` must be an object",
                id=f"another stream's bookmark is {other}",
            )
            for other in (
                5,
                None,
                {"partitions": None},
                {"partitions": {"siteId": 101}},
                {"partitions": [5]},
                {"progress_markers": 5},
            )
        ),
        pytest.param(requests(mark(value=True)), "true", id="a boolean"),
        pytest.param(requests(mark([TIMESTAMP])), "not a usable date-time", id="a list of dates"),
        pytest.param(requests(mark({"a": 1})), "not a usable date-time", id="an object"),
        pytest.param(requests(mark("")), "not a usable date-time", id="an empty text"),
        pytest.param(
            requests(mark("x" * 99)), f'"{"x" * 59} in `bookmarks.', id="a long text is cut"
        ),
        pytest.param(requests(mark("0001-01-01T00:00:00+00:00")), "0001", id="the year 1"),
        pytest.param(requests(mark("0001-01-01T00:00:00+14:00")), "0001", id="before the year 1"),
        pytest.param(requests(mark("1899-12-31T00:00:00+00:00")), "1899", id="1899"),
        pytest.param(requests(mark("9999-12-31T23:59:59-14:00")), "9999", id="after it"),
        pytest.param(
            by_site(mark()),
            "each partition of `bookmarks.requests` needs a `context` with a `siteId`",
            id="no context",
        ),
        pytest.param(by_site(5), "needs a `context`", id="a number"),
        pytest.param(by_site(None), "needs a `context`", id="null partition"),
        pytest.param(by_site({"context": 5}), "needs a `context`", id="a number as context"),
        pytest.param(by_site({"context": {}}), "needs a `context`", id="an empty context"),
        pytest.param(by_site(partition(None)), "needs a `context`", id="no site"),
        pytest.param(by_site(partition("x")), "needs a `context`", id="no number"),
        pytest.param(by_site(partition(1.5)), "needs a `context`", id="a fraction"),
        pytest.param(by_site(partition(-1)), "needs a `context`", id="a negative site"),
        pytest.param(by_site(partition("1" * 5000)), "needs a `context`", id="a huge site"),
        pytest.param(by_site(partition(site=True)), "needs a `context`", id="a boolean site"),
        pytest.param(
            by_site(partition(value="soon")),
            '"soon" in `bookmarks.requests`',
            id="a site without a date",
        ),
        pytest.param(
            by_site({"context": {"siteId": 101}, "date": TIMESTAMP}),
            "has no `repl",
            id="older site",
        ),
    ],
)
def test_any_other_state_is_refused_in_one_sentence(state: Any, problem: str) -> None:
    with pytest.raises(InputError) as raised:
        read(state)
    message = str(raised.value)
    assert message.startswith("The state is not one of tap-calltouch: ")
    assert problem in message
    assert message.endswith(
        ". Correct it, or remove it to load everything again from `start_date`."
    )


@pytest.mark.parametrize("site", ["101", " 101 "])
def test_site_may_be_a_text(site: str) -> None:
    assert read(by_site(partition(site))) == (by_site(partition(101)), [])


@pytest.mark.parametrize(
    "partitions",
    [
        pytest.param([partition(), partition(value=EARLIER)], id="the second"),
        pytest.param([partition(value=EARLIER), partition()], id="the first"),
        pytest.param([partition("101"), partition(101, EARLIER)], id="once as a text"),
        pytest.param([partition(), partition(), partition(value=EARLIER)], id="three times"),
        pytest.param(
            [partition(), partition(value="2024-01-11T00:00:00+03:00")], id="another offset"
        ),
    ],
)
def test_of_two_bookmarks_of_a_site_the_earlier_one_counts(partitions: list[Any]) -> None:
    state, warnings = read(by_site(*partitions))
    (found,) = state["bookmarks"]["requests"]["partitions"]
    assert datetime.fromisoformat(found["replication_key_value"]) == datetime.fromisoformat(EARLIER)
    assert found["context"] == {"siteId": 101}
    assert set(warnings) == {
        "The state has two bookmarks of stream requests, site 101; the earlier one counts."
    }


def test_a_site_that_has_not_begun_is_earlier_than_any_bookmark() -> None:
    state, _ = read(by_site(partition(), {"context": {"siteId": 101}}))
    (found,) = state["bookmarks"]["requests"]["partitions"]
    assert "replication_key_value" not in found


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine have a zone of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="zones of POSIX")
@pytest.mark.usefixtures("_in_tokyo")
def test_bookmark_without_an_offset_is_in_utc_on_any_machine() -> None:
    state, _ = read(by_site(partition(value="2024-01-20T23:00:00"), partition()))
    (found,) = state["bookmarks"]["requests"]["partitions"]
    assert found["replication_key_value"] == TIMESTAMP


def test_bookmark_from_the_near_future_is_taken_since_a_clock_may_have_been_wrong() -> None:
    ahead = timedelta(days=366, minutes=-1)
    state = requests(mark((datetime.now(timezone.utc) + ahead).isoformat()))
    assert read(state) == (state, [])


def test_bookmark_from_the_far_future_is_refused() -> None:
    ahead = timedelta(days=366, minutes=1)
    state = requests(mark((datetime.now(timezone.utc) + ahead).isoformat()))
    with pytest.raises(InputError, match=r"lies ahead of this machine's clock.*Set the clock"):
        read(state)
