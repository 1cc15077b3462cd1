"""A body is judged wherever it breaks, taken in any dress, and never quoted."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.support.raw import http, serve
from tests.support.streams import (
    CALLS,
    MOSCOW,
    REQUESTS,
    STREAMS,
    last_error,
    lines_with,
    warnings_in,
)
from tests.support.tap import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox import Call
    from tests.support.raw import RawServer
    from tests.support.streams import Record, Stream
    from tests.support.tap import Run

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)
ONE_WEEK: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-14"}
LEAD = "79990001122"
NAME = "Зинаида"


# Three of a kind; `test_fetching` and `test_blocks` have all.
BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle": lambda body: body[: len(body) // 2],
    "bad JSON at the end": lambda body: body[:-1] + b"," + body[-1:],
    "NUL tail in place of the end": lambda body: body[:-500] + b"\0" * 500,
}
each_break = pytest.mark.parametrize("spoil", BREAKS.values(), ids=BREAKS)


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
@each_break
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
@each_break
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
        lambda body: b"\xef\xbb\xbf" + b" \r\n\t" * 100_000 + body + b" \r\n\t" * 100_000,
        lambda body: json.dumps(json.loads(body), separators=(" ,\n", "\t:\r\n")).encode(),
    ],
    ids=["BOM and blanks", "odd separators"],
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


# Two of a kind; `test_answers` has all.
LEADS_IN_ERRORS = {
    "a broken array with 200": (200, '[{"phone": "%s"'),
    "an array behind a BOM with 400": (400, '\ufeff [{"phone": "%s"}]'),
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


# Charsets and packings.


@each_stream
@pytest.mark.parametrize("encoding", ["cp1251", "utf-8"])
def test_text_arrives_right_whatever_its_header_says(
    stream: Stream, tmp_path: Path, encoding: str
) -> None:
    record = stream.record(1, JANUARY_8, manager="Окна №1")
    body = json.dumps([record], ensure_ascii=False).encode(encoding)
    content_type = "application/json; charset=windows-1251"
    with stream.sandbox() as sandbox:
        sandbox.faults.append(Fault("body", body=body, content_type=content_type))
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
    assert run.returncode == 0, run.stderr
    assert [record["manager"] for record in run.records] == ["Окна №1"]


@pytest.mark.parametrize(
    ("packing", "said", "calls"),
    [
        ("br", "the answer is packed as br, which was not asked for.", 1),
        ("x-\x1bpack", "the answer is packed as x-\\x1bpack, which was not asked for.", 1),
        ("gzip", "the answer cannot be unpacked as its header says. Gave up after 5 tries.", 5),
        ("deflate", "the answer cannot be unpacked as its header says. Gave up after 5 tries.", 5),
    ],
    ids=["not asked for", "not a name", "not gzip", "not deflate"],
)
def test_packing_that_cannot_be_undone_is_said_in_words(
    tmp_path: Path, packing: str, said: str, calls: int
) -> None:
    body = b'[{"phone": "%b"}]' % LEAD.encode()
    with serve(http(body, f"Content-Encoding: {packing}")) as server:
        run = run_raw(server, tmp_path)
    assert run.returncode == 1
    assert last_error(run).endswith(said)
    assert len(server.calls) == calls
    assert_nothing_is_shown(run)


# What may be data.


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"phone;name\n{LEAD};{NAME}\n", id="CSV"),
        pytest.param(f"{NAME}\n\n2024-01-01 00:00:00 | ERROR | {LEAD}", id="lines of text"),
        pytest.param(f"- phone: {LEAD}\n  name: {NAME}\n", id="YAML"),
        pytest.param(f'"{NAME} {LEAD}"', id="a JSON text"),
        pytest.param(json.dumps({"message": f"{NAME}, {LEAD}", "fio": NAME}), id="a message"),
        pytest.param(json.dumps({LEAD: 1, NAME: 2, f"{NAME}@mail.example": 3}), id="keys"),
        pytest.param(f'{{"records": [{{"phone": {LEAD}, "name": "{NAME}', id="cut"),
        pytest.param(f'{LEAD}\n{{"name": "{NAME}"}}', id="JSON behind a text"),
        pytest.param(f"\0{NAME} {LEAD}", id="NUL"),
        pytest.param(f"<tr><td>{NAME}</td><td>{LEAD}", id="HTML"),
    ],
)
def test_success_with_something_else_quotes_nothing(tmp_path: Path, body: str) -> None:
    with serve(http(body.encode())) as server:
        run = run_raw(server, tmp_path)
    assert run.returncode == 1
    assert "the API answered 200: " in last_error(run)
    assert_nothing_is_shown(run)


@pytest.mark.parametrize(
    ("head", "is_read"),
    [
        pytest.param(f"Content-Type: x/y\r\n{NAME} {LEAD}\r\n", True, id="no colon"),
        pytest.param(f"{NAME}\r\n: {LEAD}\r\n", True, id="no name"),
        pytest.param(f'\0[{{"phone": "{LEAD}", "name": "{NAME}"}}]\r\n', True, id="NUL and JSON"),
    ],
)
def test_headers_that_cannot_be_read_are_not_quoted(
    tmp_path: Path, head: str, *, is_read: bool
) -> None:
    answer = f"HTTP/1.1 200 OK\r\nServer: x\r\n{head}\r\n[]"
    with serve(answer.encode()) as server:
        run = run_raw(server, tmp_path)
    assert (run.returncode == 0) == is_read, run.stderr
    assert_nothing_is_shown(run)


@each_stream
@pytest.mark.parametrize(
    "name", [f"x\n2024 | ERROR | {NAME}", f"\x1b[2J{NAME}", f"{NAME}@mail.example", LEAD, NAME]
)
def test_name_of_a_field_that_may_be_data_is_not_shown(
    stream: Stream, tmp_path: Path, name: str
) -> None:
    records = [stream.record(1, JANUARY_8, **{name: 1}, session={name: "a"})]
    with stream.sandbox(records) as sandbox:
        run = stream.run(sandbox, tmp_path, **ONE_WEEK)
    assert run.returncode == 0, run.stderr
    assert len(warnings_in(run, "Unknown fields", "... (integer)")) == 1
    assert_nothing_is_shown(run)


def run_raw(server: RawServer, tmp_path: Path) -> Run:
    """Run the tap, with every line of its log, against a server that says anything."""
    config = {"api_token": "token", "api_url": server.url, "site_ids": [101], **ONE_WEEK}
    environment = {"TAP_CALLTOUCH_LOGLEVEL": "DEBUG"}
    return run_tap(config, tmp_path, catalog=REQUESTS.catalog, environment=environment)


def assert_nothing_is_shown(run: Run) -> None:
    """Check that the log holds no data, no control characters and nothing that is not in words."""
    assert LEAD not in run.stderr
    assert NAME not in run.stderr
    assert "Traceback" not in run.stderr
    assert "('" not in "".join(lines_with(run, "| ERROR "))
    assert all(char.isprintable() or char == "\n" for char in run.stderr)
    # Each line is one of the log: nothing from outside begins one.
    assert all(re.match(r"20\d\d-\d\d-\d\d ", line) for line in run.stderr.splitlines())
