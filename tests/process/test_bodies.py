"""A body is judged wherever it breaks, taken in any dress, and never quoted."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox import Call
    from tests.support.streams import Record, Stream

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)
ONE_WEEK: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-14"}
LEAD = "79990001122"


def inner_end(body: bytes) -> int:
    """Return where an array within a record ends."""
    return body.rindex(b"]", 0, body.rindex(b"]")) + 1


def border(body: bytes) -> int:
    """Return where a record in the middle ends."""
    return body.index(b'},{"', len(body) // 2) + 1


BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle": lambda body: body[: len(body) // 2],
    "cut after an inner bracket": lambda body: body[: inner_end(body)],
    "cut before the last byte": lambda body: body[:-1],
    "cut after the first byte": lambda body: body[:1],
    "bad JSON in the middle": lambda body: body[: border(body)] + b"}" + body[border(body) :],
    "bad JSON at the end": lambda body: body[:-1] + b"," + body[-1:],
    "bad JSON at the beginning": lambda body: body[:1] + b"," + body[1:],
    "NUL tail": lambda body: body + b"\0" * 100,
    "NUL tail in place of the end": lambda body: body[:-500] + b"\0" * 500,
    "two bodies": lambda body: body + body,
    "nothing": lambda _: b"",
}
each_break = pytest.mark.parametrize("spoil", BREAKS.values(), ids=BREAKS)
HEAVY_BREAKS = {name: spoil for name, spoil in BREAKS.items() if name != "nothing"}
each_heavy_break = pytest.mark.parametrize("spoil", HEAVY_BREAKS.values(), ids=HEAVY_BREAKS)


@each_stream
@each_break
def test_body_that_breaks_once_is_asked_for_again(
    stream: Stream, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """In the second week, and before any of it is written."""

    def is_second_week(call: Call) -> bool:
        return stream.days(call)[0] == date(2024, 1, 8)

    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("raw", apply=spoil, when=is_second_week, times=1))
        run = stream.run(sandbox, tmp_path)
        whole = stream.records(sandbox)
        calls = len(sandbox.calls)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)
    (warning,) = warnings_in(run)
    assert f"Stream {stream.name}, site 101, window 2024-01-08 to 2024-01-14: the " in warning
    assert warning.count("window") == 1
    assert calls == 6
    assert stream.bookmark(run.states[-1]) == "2024-01-31T21:00:00.000+00:00"


@each_stream
def test_no_record_before_a_break_comes_twice(stream: Stream, tmp_path: Path) -> None:
    """A body of many blocks, of which only the last is broken: none of it is written."""
    with stream.sandbox(per_day=60) as sandbox:
        sandbox.faults.append(Fault("raw", apply=BREAKS["bad JSON at the end"], times=1))
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
        whole = [
            record
            for record in stream.records(sandbox)
            if JANUARY_8
            <= datetime.fromtimestamp(record[stream.instant] / stream.ticks, MOSCOW)
            < JANUARY_8 + timedelta(days=7)
        ]
        calls = len(sandbox.calls)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)
    assert len(whole) >= 200
    (warning,) = warnings_in(run)
    assert f"Stream {stream.name}, site 101, window 2024-01-08 to 2024-01-14: the " in warning
    assert warning.count("window") == 1
    assert calls == 2


@each_stream
@each_heavy_break
def test_body_that_breaks_if_it_is_long_is_halved(
    stream: Stream, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    def is_long(call: Call) -> bool:
        first, last = stream.days(call)
        return (last - first).days >= 4

    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("raw", apply=spoil, when=is_long))
        run = stream.run(sandbox, tmp_path)
        whole = stream.records(sandbox)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)
    assert "Halving the window" in run.stderr


@each_stream
@each_heavy_break
def test_body_that_breaks_for_good_ends_with_one_error(
    stream: Stream, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """A week, 3 days, a day, 12 hours, 6, 3 and 1: twice each, but 5 times at the end."""
    records = [
        stream.record(number, JANUARY_8 + timedelta(minutes=30 * number), orders=[], comment=LEAD)
        for number in range(7 * 48)
    ]
    with stream.sandbox(records) as sandbox:
        sandbox.faults.append(Fault("raw", apply=spoil))
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
        calls = len(sandbox.calls)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    errors = [line for line in run.stderr.splitlines() if "| ERROR" in line]
    assert re.search(
        f"Stream {stream.name}, site 101, window 2024-01-08 00:00:00 to 2024-01-08 01:00:00: "
        ".*Gave up after 5 tries",
        errors[-1],
    )
    assert calls <= 17
    assert LEAD not in run.stderr
    assert not any(stream.bookmark(state) for state in run.states)


# What is taken.


def body_of(stream: Stream, *records: Record) -> bytes:
    """Return a good answer: an array of requests, or a page of calls."""
    page = {"page": 1, "pageTotal": 1, "pageSize": 1000, "recordsTotal": len(records)}
    answer = [*records] if stream is REQUESTS else {**page, "records": [*records]}
    return json.dumps(answer).encode()


@each_stream
@pytest.mark.parametrize(
    "dress",
    [
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: b" \r\n\t" * 100_000 + body,
        lambda body: body + b" \r\n\t" * 100_000,
        lambda body: b"\xef\xbb\xbf\n\n" + body + b"\n\n",
        lambda body: json.dumps(json.loads(body), indent=4).encode(),
        lambda body: json.dumps(json.loads(body), separators=(" ,\n", "\t:\r\n")).encode(),
    ],
    ids=["BOM", "blanks before", "blanks after", "BOM and blanks", "indented", "odd separators"],
)
def test_array_or_page_is_taken_in_any_dress(
    stream: Stream, tmp_path: Path, dress: Callable[[bytes], bytes]
) -> None:
    with stream.sandbox(per_day=20) as sandbox:
        sandbox.faults.append(Fault("raw", apply=dress))
        run = stream.run(sandbox, tmp_path)
        whole = stream.records(sandbox)
        calls = len(sandbox.calls)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)
    assert calls == 5


@each_stream
@pytest.mark.parametrize("status", [200, 201, 206])
def test_records_are_taken_with_any_status_of_success(
    stream: Stream, tmp_path: Path, status: int
) -> None:
    body = body_of(stream, stream.record(1, JANUARY_8))
    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("status", status=status, body=body))
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == [(101, 1)]


@pytest.mark.parametrize("length", [1, 500])
def test_calls_in_a_bare_array_are_a_whole_page(tmp_path: Path, length: int) -> None:
    records = [CALLS.record(number, JANUARY_8) for number in range(length)]
    with CALLS.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("body", body=json.dumps(records).encode()))
        run = CALLS.run(sandbox, tmp_path, **ONE_WEEK)
        calls = len(sandbox.calls)
    assert CALLS.keys(run.records) == CALLS.keys(records)
    assert calls == 1


# What is refused, and what is said of it.


@each_stream
@pytest.mark.parametrize("size", [1, 20_000], ids=["small", "large"])
@pytest.mark.parametrize("keys", [["data"], ["total", "items"]], ids=", ".join)
def test_object_around_the_records_is_an_error_that_names_its_keys(
    stream: Stream, tmp_path: Path, keys: list[str], size: int
) -> None:
    records = [stream.record(number, JANUARY_8, phone=LEAD) for number in range(size)]
    body = json.dumps(dict.fromkeys(keys, records)).encode()
    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("body", body=body))
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
        calls = len(sandbox.calls)
    assert run.returncode == 1
    line = lines_with(run, "ERROR")[-1]
    assert f"the API answered 200: an object with the keys {', '.join(keys)}." in line
    assert LEAD not in run.stderr
    assert calls == 1


LEADS_IN_ERRORS = {
    "an array with 400": (400, '[{"phone": "%s"}]'),
    "an array with 500": (500, '[{"phone": "%s"}]'),
    "a broken array with 403": (403, '[{"phone": "%s"'),
    "a broken array with 200": (200, '[{"phone": "%s"'),
    "an object with 200": (200, '{"phone": "%s"}'),
    "an object with 404": (404, '{"client": {"phone": "%s"}}'),
    "a broken object with 500": (500, '{"client": {"phone": "%s"'),
    "an array behind a BOM with 400": (400, '\ufeff [{"phone": "%s"}]'),
    "an array of texts": (200, '["%s"]'),
    "HTML": (200, "<html><td>%s</td></html>"),
}


@each_stream
@pytest.mark.parametrize(("status", "body"), LEADS_IN_ERRORS.values(), ids=LEADS_IN_ERRORS)
def test_no_error_quotes_a_lead(stream: Stream, tmp_path: Path, status: int, body: str) -> None:
    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("status", status=status, body=(body % LEAD).encode()))
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert lines_with(run, "ERROR")
    assert LEAD not in run.stderr
    assert LEAD.encode() not in run.stdout


@each_stream
@pytest.mark.parametrize("size", [0, 5_000_000], ids=["nothing", "blanks"])
def test_body_without_anything_ends_after_two_calls(
    stream: Stream, tmp_path: Path, size: int
) -> None:
    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("body", body=b" " * size))
        run = stream.run(sandbox, tmp_path)
        calls = len(sandbox.calls)
    assert (run.returncode, run.records, calls) == (1, [], 2)
    assert last_error(run).endswith("the API answered 200: nothing. Gave up after 2 tries.")


@each_stream
def test_record_that_is_not_json_is_named_by_its_place_and_not_quoted(
    stream: Stream, tmp_path: Path
) -> None:
    """A phone number with a leading zero, in the third record of each answer."""
    body = b'[{"siteId": 101}, {"siteId": 101}, {"siteId": 101, "phone": 0790512345}]'
    hour: dict[str, Any] = {"start_date": "2024-01-08T00:00:00", "end_date": "2024-01-08T01:00:00"}
    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("body", body=body))
        run = stream.run(sandbox, tmp_path, **hour)
    assert run.returncode == 1
    assert re.search(r"\(record 3(, byte \d+)?\)", last_error(run)), run.stderr
    assert "0790512345" not in run.stderr
