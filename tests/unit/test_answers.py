"""What an answer of the API means: every shape that clients met, with and without an array."""

from __future__ import annotations

import io
import json
import math
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from errno import ENOSPC
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.api import answers
from tap_calltouch.api.answers import (
    Answer,
    Expected,
    join,
    read_answer,
    received_at,
)
from tap_calltouch.api.blocks import Block
from tap_calltouch.api.errors import (
    EmptyAnswerError,
    ForbiddenError,
    HeavyAnswerError,
    NotFoundError,
    QuotaExhaustedError,
    RejectedError,
    SiteError,
    labelled,
    quote_message,
)
from tap_calltouch.lenient import decode_leniently
from tests.support.answers import items_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "a/b+c=.Ж"
REAL_ERROR = (
    '{"errorCode": "500", "message": "При обработке вашего запроса произошла ошибка. '
    'Обратитесь в службу технической поддержки."}'
)


def response(status: int, headers: dict[str, str] | None = None) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    answer.headers.update(headers or {})
    return answer


class Body(io.BytesIO):
    """A body as a download leaves it: at its end."""

    def __init__(self, content: str | bytes) -> None:
        super().__init__(content.encode() if isinstance(content, str) else content)
        self.seek(0, io.SEEK_END)


def read(
    status: int,
    content: str | bytes,
    expected: Expected = "array",
    *,
    content_type: str = "application/json",
) -> Answer:
    headers = {"Content-Type": content_type}
    return read_answer(response(status, headers), Body(content), TOKEN, expected)


RECORD = '{"requestId": 1}'
ARRAYS = [
    pytest.param("[]", id="empty"),
    pytest.param(f"[{RECORD}]", id="short"),
    pytest.param(f" \n[ {RECORD} ]\r\n", id="blanks around"),
    pytest.param(" " * 200_000 + f"[{RECORD}]" + "\n" * 200_000, id="any number of blanks around"),
    pytest.param("[" + " " * 200_000 + "]", id="blanks within"),
    pytest.param(f"\ufeff[{RECORD}]", id="BOM"),
    pytest.param(f"\ufeff \r\n\t[{RECORD}] ", id="BOM and blanks"),
    pytest.param(json.dumps([{"requestId": 1}] * 10_000), id="long"),
]


EXPECTED: list[Expected] = ["array", "single", "page"]


@pytest.mark.parametrize("content", ARRAYS)
def test_array_holds_records_whatever_is_around_it(content: str) -> None:
    for case in product([200, 201, 206], EXPECTED):
        status, expected = case
        answer = read(status, content, expected)
        assert items_of(answer) == json.loads(content.removeprefix("\ufeff")), case
        assert answer.count == len(items_of(answer)), case
        said = (answer.page_total, answer.records_total, answer.may_repeat)
        assert said == (None, None, False), case


def test_array_is_left_in_its_body() -> None:
    body = Body("  [1] ")
    answer = read_answer(response(200), body, TOKEN, "array")
    assert answer.body is body
    assert (body.getvalue(), [*answer.blocks]) == (b"  [1] ", [Block(2, 4, 1)])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(RECORD, id="an object"),
        pytest.param(f"[{RECORD}]", id="an array of one"),
        pytest.param(f"\ufeff {RECORD}\n", id="BOM and blanks"),
        pytest.param('{"requestId": 1, "x": NaN}', id="NaN"),
        pytest.param('{"requestId": 1, "x": "a\x01"}', id="control character"),
    ],
)
def test_single_request_may_come_as_an_object_or_an_array(content: str) -> None:
    (array,) = read(200, content, "single").arrays()
    (record,) = decode_leniently(array)
    assert record["requestId"] == 1


# Pages.


@pytest.mark.parametrize(
    ("content", "array", "totals"),
    [
        pytest.param(
            f'{{"page": 1, "pageTotal": 4, "recordsTotal": 7, "records": [{RECORD}]}}',
            f"[{RECORD}]",
            (4, 7),
            id="records",
        ),
        pytest.param(
            f'\ufeff\n{{"records": [{RECORD}], "recordsTotal": 7, "pageTotal": 4}} ',
            f"[{RECORD}]",
            (4, 7),
            id="another order, BOM and blanks",
        ),
        pytest.param('{"records": []}', "[]", (None, None), id="no totals"),
        pytest.param(
            '{"pageTotal": 0, "recordsTotal": 0, "records": []}', "[]", (0, 0), id="empty"
        ),
        pytest.param('{"pageTotal": 0, "recordsTotal": 0}', "[]", (0, 0), id="empty, no records"),
        pytest.param('{"pageTotal": 0}', "[]", (0, None), id="only pageTotal"),
        pytest.param('{"recordsTotal": 0}', "[]", (None, 0), id="only recordsTotal"),
        pytest.param(
            '{"pageTotal": 0, "recordsTotal": 0, "records": null}', "[]", (0, 0), id="null"
        ),
        pytest.param(
            '{"pageTotal": "4", "recordsTotal": 4.0, "records": []}',
            "[]",
            (None, None),
            id="totals that are not whole numbers",
        ),
        pytest.param(
            '{"pageTotal": -1, "recordsTotal": true, "records": []}',
            "[]",
            (None, None),
            id="totals that count nothing",
        ),
    ],
)
def test_page_holds_records_and_what_the_api_says_of_them(
    content: str, array: str, totals: tuple[object, object]
) -> None:
    answer = read(200, content, "page")
    answer.body.seek(0)
    assert answer.body.read().decode() == array
    assert items_of(answer) == json.loads(array)
    assert (answer.page_total, answer.records_total) == totals


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param("NaN", None, id="NaN"),
        pytest.param('"a\x01b"', "a\x01b", id="control character"),
        pytest.param('"a\x00b"', "a\x00b", id="NUL"),
        pytest.param('"\\ud800"', "\ud800", id="lone surrogate"),
        pytest.param("9" * 5000, None, id="5000 digits"),
    ],
)
@pytest.mark.parametrize("opening", ['{"pageTotal": 1, "recordsTotal": 2, "records": ', ""])
def test_page_may_hold_what_an_array_may_hold(opening: str, value: str, kept: str | None) -> None:
    content = f'{opening}[{{"callId": 1, "x": {value}}}, {{"callId": 2}}]{"}" if opening else ""}'
    answer = read(200, content, "page")
    totals = (1, 2) if opening else (None, None)
    assert (answer.page_total, answer.records_total) == totals
    (array,) = answer.arrays()
    first, second = decode_leniently(array)
    assert (first["callId"], second["callId"]) == (1, 2)
    if kept is None:
        assert math.isnan(first["x"])
    else:
        assert first["x"] == kept


@pytest.mark.parametrize("depth", [1500, 9000, 20_000])
@pytest.mark.parametrize("opening", ['{"pageTotal": 1, "recordsTotal": 1, "records": ', ""])
def test_page_of_records_that_are_nested_too_deeply_is_read(opening: str, depth: int) -> None:
    nested = f'[{{"callId":1,"x":{"[" * depth}{"]" * depth}}}]'
    answer = read(200, f"{opening}{nested}{'}' if opening else ''}", "page")
    (array,) = answer.arrays()
    assert (answer.count, [item["callId"] for item in decode_leniently(array)]) == (1, [1])


# Errors.

FATAL, SITE, FORBIDDEN = FatalAPIError, SiteError, ForbiddenError
HEAVY, REJECTED, EMPTY = HeavyAnswerError, RejectedError, EmptyAnswerError
NOT_FOUND, QUOTA = NotFoundError, QuotaExhaustedError


def message(text: str) -> str:
    return json.dumps({"message": text}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        # An object where an array belongs.
        pytest.param(200, REAL_ERROR, HEAVY, "answered 200: При обработке", id="the real error"),
        pytest.param(500, REAL_ERROR, HEAVY, "answered 500: При обработке", id="the same as 500"),
        pytest.param(200, '{"errorCode": 503, "message": "x"}', HEAVY, "200: x", id="a number"),
        pytest.param(200, message("Нет доступа"), SITE, "200: Нет доступа", id="200 message"),
        pytest.param(
            200,
            '{"data": {"apiErrorData": {"errorCode": 10007, "errorMessage": "Плохой формат"}}}',
            SITE,
            "200: Плохой формат",
            id="apiErrorData",
        ),
        pytest.param(
            400,
            '{"data": {"validationErrorData": {"violations": '
            '[{"message": "dateFrom"}, {"message": "dateTo"}]}}}',
            SITE,
            "400: dateFrom; dateTo",
            id="validationErrorData",
        ),
        pytest.param(200, "{}", NOT_FOUND, "200: {}", id="empty object"),
        pytest.param(
            200, '{"x": [1]}', SITE, "200: an object with the keys x", id="unknown object"
        ),
        pytest.param(200, '{"data": [1], "b": 2}', SITE, "with the keys data, b.", id="data"),
        pytest.param(200, '{"points": [1]}', SITE, "the keys points.", id="a key like a word"),
        pytest.param(
            200,
            '{"recordsTotal": 0, "records": []}',
            SITE,
            "the keys recordsTotal, records.",
            id="a page",
        ),
        pytest.param(
            200,
            '{"timestamp": 1, "status": 500, "error": "Oops", "path": "/x", "message": "x"}',
            SITE,
            "200: x.",
            id="what frameworks say",
        ),
        pytest.param(200, '{"message": 5}', SITE, "the keys message.", id="no text"),
        pytest.param(200, '{"requestId": 1}', SITE, "the keys requestId.", id="one request"),
        # What is not JSON, or no array and no object.
        pytest.param(200, "", EMPTY, "200: nothing", id="empty"),
        pytest.param(200, " \n", EMPTY, "200: nothing", id="white space"),
        pytest.param(200, "null", NOT_FOUND, "200: null", id="null"),
        pytest.param(200, '"no"', SITE, "200: a text.", id="a text"),
        pytest.param(200, "5", SITE, "200: a text.", id="a number only"),
        pytest.param(200, '[{"requestId": 1}', HEAVY, "the answer is cut short", id="cut short"),
        pytest.param(200, "[", HEAVY, "the answer is cut short", id="cut at once"),
        pytest.param(200, '[{"requestId": 1}] x', HEAVY, "is cut short", id="garbage behind"),
        pytest.param(200, '{"requestId": 1', HEAVY, "200: broken JSON.", id="half an object"),
        pytest.param(
            200,
            '{"pageTotal": 1, "records" : [{"callId": 1}, {"callId": 07, "x": "something long"}]}',
            HEAVY,
            "200: broken JSON (record 2).",
            id="a broken page",
        ),
        pytest.param(200, b"\xff\xfe", SITE, "200: a text.", id="no text at all"),
        pytest.param(200, "<html>x</html>", SITE, "200: an HTML page", id="HTML"),
        pytest.param(502, "<html>x</html>", HEAVY, "502: an HTML page", id="HTML of a proxy"),
        pytest.param(502, "<html>12 points</html>", HEAVY, "502: an HTML page", id="HTML of words"),
        pytest.param(200, "[" * 5000 + " ", HEAVY, "is cut short", id="deep"),
        pytest.param(200, '{"a":' * 5000, HEAVY, "200: broken JSON.", id="deep object"),
        pytest.param(200, "Error [7]", SITE, "200: a text.", id="text with brackets"),
        pytest.param(200, '{"message": "a\x01b"}', SITE, "200: a\\x01b", id="control character"),
        pytest.param(204, "", EMPTY, "204: nothing", id="204"),
        pytest.param(200, "\ufeff", EMPTY, "200: nothing", id="BOM only"),
        # Statuses.
        pytest.param(401, message("no"), FATAL, "no. Check `api_token`.", id="401"),
        pytest.param(400, message("Неверный токен"), FATAL, "Check `api_token`.", id="token"),
        pytest.param(403, message("Токен истёк"), FATAL, "истёк. Check `api_token`.", id="Token"),
        pytest.param(403, message("Нет прав."), FORBIDDEN, "Нет прав. Check `api_token`", id="403"),
        pytest.param(
            403, "", FORBIDDEN, "403: nothing. Check `api_token`", id="403 without a body"
        ),
        pytest.param(404, message("x"), NOT_FOUND, "404: x", id="404"),
        pytest.param(400, message("Заявка не найдена"), NOT_FOUND, "400: Заявка", id="not found"),
        pytest.param(200, message("Не существует"), NOT_FOUND, "200: Не", id="does not exist"),
        pytest.param(400, message("x"), SITE, "400: x", id="400"),
        pytest.param(405, "[]", SITE, "405: an array", id="an array with another status"),
        pytest.param(500, "[]", HEAVY, "500: an array", id="an array with 500"),
        pytest.param(202, "[]", SITE, "202: an array", id="an array with 202"),
        pytest.param(429, "", REJECTED, "429: nothing", id="429"),
        pytest.param(500, "", HEAVY, "500: nothing", id="500"),
        pytest.param(503, message("x"), HEAVY, "503: x", id="503"),
        *(
            pytest.param(status, "", HEAVY, f"{status}: nothing", id=str(status))
            for status in (408, 420, 423, 425, 449, 460, 499)
        ),
        pytest.param(300, "Choose", SITE, "300: Choose. It is a redirect", id="300"),
        pytest.param(301, "", SITE, "a redirect, which is not followed", id="301"),
        pytest.param(302, "<html>", SITE, "Check `api_url`.", id="302"),
        pytest.param(308, message("x"), SITE, "a redirect, which is not followed", id="308"),
        # Points.
        pytest.param(429, message("Баллы закончились"), QUOTA, "429: Баллы", id="баллы"),
        pytest.param(403, message("Превышен суточный лимит"), QUOTA, "403", id="суточный"),
        pytest.param(500, message("Лимит запросов в сутки исчерпан"), QUOTA, "500", id="в сутки"),
        pytest.param(200, message("Исчерпана квота"), QUOTA, "200: Исчерпана", id="квота"),
        pytest.param(429, message("Daily limit exceeded"), QUOTA, "429: Daily", id="daily"),
        pytest.param(402, message("Not enough points"), QUOTA, "402: Not", id="points"),
        pytest.param(429, message("Quota exceeded"), QUOTA, "429: Quota", id="quota"),
        pytest.param(429, message("1000 requests per day"), QUOTA, "429", id="per day"),
        pytest.param(
            200,
            '{"data": {"apiErrorData": {"errorCode": 1, "errorMessage": "Недостаточно баллов"}}}',
            QUOTA,
            "200: Недостаточно баллов",
            id="points in apiErrorData",
        ),
        pytest.param(429, "Суточный лимит", QUOTA, "429: Суточный лимит", id="plain text"),
        pytest.param(429, '"Суточный лимит"', QUOTA, '429: "Суточный', id="JSON text"),
        # No points.
        pytest.param(
            429, message("Не более 5 запросов в секунду"), REJECTED, "429", id="в секунду"
        ),
        pytest.param(
            429, message("Quota: 5 requests per second"), REJECTED, "429", id="per second"
        ),
        pytest.param(429, message("QUOTA: 5 REQUESTS PER SECOND"), REJECTED, "429", id="capitals"),
        pytest.param(500, message("endpoint disappointed"), HEAVY, "500", id="within a word"),
    ],
)
def test_answer_without_records_is_an_error_that_quotes_the_api(
    status: int, body: str | bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
        read(status, body)
    assert type(raised.value) is error
    assert message in str(raised.value)
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("status", "is_one"), [(202, False), (300, True), (399, True), (400, False)]
)
def test_nothing_but_a_redirect_is_called_one(status: int, is_one: bool) -> None:  # noqa: FBT001
    with pytest.raises(SiteError) as raised:
        read(status, "text")
    assert ("redirect" in str(raised.value)) is is_one


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, "", NOT_FOUND, id="empty"),
        pytest.param(204, "", NOT_FOUND, id="204"),
        pytest.param(200, "null", NOT_FOUND, id="null"),
        pytest.param(200, "{}", NOT_FOUND, id="empty object"),
        pytest.param(404, "", NOT_FOUND, id="404"),
        pytest.param(200, message("Заявка не найдена"), NOT_FOUND, id="message"),
        pytest.param(200, message("x"), SITE, id="another message"),
        pytest.param(200, REAL_ERROR, HEAVY, id="the real error"),
        pytest.param(200, '"text"', SITE, id="a text"),
        pytest.param(200, '"requestId"', SITE, id="a text like a key"),
        pytest.param(200, '{"requestId": 1', HEAVY, id="half a record"),
        pytest.param(200, '[{"requestId": 1', HEAVY, id="half an array"),
        pytest.param(200, '[{"requestId": 1},}]', HEAVY, id="a broken array"),
        pytest.param(500, '{"requestId": 1}', HEAVY, id="a record with 500"),
    ],
)
def test_missing_single_request_is_not_taken_for_a_failure(
    status: int, body: str, error: type[Exception]
) -> None:
    with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
        read(status, body, "single")
    assert type(raised.value) is error
    assert " answer" in str(raised.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            '{"page": 1, "pageTotal": 4}',
            "an object with the keys page, pageTotal.",
            id="no records",
        ),
        pytest.param('{"records": null}', "an object with the keys records.", id="null"),
        pytest.param(
            '{"records": {"callId": 1}}', "an object with the keys records.", id="an object"
        ),
        pytest.param('{"data": [{"callId": 1}]}', "an object with the keys data.", id="data"),
        pytest.param(
            '{"pageTotal": false}', "an object with the keys pageTotal.", id="false is not 0"
        ),
        pytest.param(message("Нет доступа"), "Нет доступа.", id="message"),
        pytest.param(
            "<html>", "an HTML page instead of JSON. Check `site_ids` and `api_url`.", id="HTML"
        ),
    ],
)
def test_page_without_records_is_an_error(body: str, message: str) -> None:
    with pytest.raises(FatalAPIError) as raised:
        read(200, body, "page")
    assert str(raised.value) == f"the API answered 200: {message}"


PAGE = (
    '{"page": 1, "pageTotal": 1, "pageSize": 1000, "recordsTotal": 2, "records": '
    '[{"callId": 1, "tags": ["a"]}, {"callId": 2}]}'
)
ARRAY = '[{"requestId": 1, "comments": [], "orders": [{"sum": "1"}]}, {"requestId": 2}]'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(PAGE, "page", id="page"),
        pytest.param(ARRAY, "page", id="array as a page"),
        pytest.param(ARRAY, "array", id="array"),
    ],
)
def test_answer_that_is_cut_anywhere_is_tried_again(content: str, expected: Expected) -> None:
    for place in range(len(content)):
        with pytest.raises((HEAVY, EMPTY), match=r"cut short|broken JSON|nothing|an array"):
            read(200, content[:place], expected)


# Many answers as one.


def test_array_comes_in_blocks() -> None:
    items = [{"requestId": number, "text": "x" * 1000} for number in range(300)]
    answer = read(200, json.dumps(items))
    assert len([*answer.blocks]) > 1
    assert [len(json.loads(array)) for array in answer.arrays()] == [
        block.items for block in answer.blocks
    ]
    assert items_of(answer) == items


@pytest.mark.parametrize("id_name", ["", "requestId"])
def test_what_is_json_is_not_decoded_slowly(monkeypatch: pytest.MonkeyPatch, id_name: str) -> None:
    monkeypatch.setattr(answers, "decode_leniently", None)
    body = Body('[{"requestId": 1}, {"requestId": 2, "x": [1.5, "Ж"]}]')
    assert read_answer(response(200), body, TOKEN, "array", id_name).count == 2


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        pytest.param("[]", set(), id="none"),
        pytest.param(
            '[{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}]',
            {(b"1", b"2"), (b"2", b"1")},
            id="in any order, each once",
        ),
        pytest.param('[{"a": "1"}, {"b": 5}]', {(b'"1"', b"null"), (b"null", b"5")}, id="missing"),
        pytest.param('[{"x": {"a": 7}, "a": 1, "b": [2]}]', {(b"1", b"[2]")}, id="nested"),
        pytest.param('[{"a": 1, "b": 2, "x": NaN}]', {(b"1", b"2")}, id="NaN"),
        pytest.param("[5, null]", {(b"null", b"null")}, id="no records"),
    ],
)
def test_keys_are_values_of_columns_as_they_stand_in_the_answer(
    content: str, keys: set[tuple[bytes, ...]]
) -> None:
    assert read(200, content).keys(("a", "b")) == keys


@pytest.mark.parametrize("expected", ["array", "page"])
@pytest.mark.parametrize("name", ["callId", "Дата", "a.b"])
def test_ids_are_collected_while_an_answer_is_checked(name: str, expected: Expected) -> None:
    content = json.dumps([{name: 1}, {name: "x"}, {"y": 5}, {"y": {name: 7}}], ensure_ascii=False)
    body = Body(content)
    answer = read_answer(response(200), body, TOKEN, expected, name)
    assert answer.ids == [b"1", b'"x"', b"null", b"null"]


SOME_ANSWERS = ["[]", '[{"a": 1}]', " [ ]", '\n[{"a": 2},\n {"a": [3, "],["]}]\n', "[]", "[4]"]


def test_answers_are_joined_in_their_order() -> None:
    parts = [read(200, content) for content in SOME_ANSWERS]
    parts[1].ids, parts[5].ids = [b"1"], [b"4"]
    early = min(part.received for part in parts) - timedelta(days=1)
    parts[3].received = early
    joined = join(parts, "Site")
    assert joined is parts[0]
    assert items_of(joined) == [item for content in SOME_ANSWERS for item in json.loads(content)]
    assert (joined.count, joined.ids, joined.received) == (4, [b"1", b"4"], early)
    assert joined.may_repeat
    assert [part.body.closed for part in parts] == [False, *[True] * 5]
    joined.body.seek(0)
    assert b"\0" not in joined.body.read()


def test_blocks_are_joined_as_they_are() -> None:
    items = [{"requestId": number, "text": "x" * 1000} for number in range(300)]
    parts = [read(200, json.dumps(items)) for _ in range(3)]
    number = len([*parts[0].blocks])
    joined = join(parts, "Site")
    assert len([*joined.blocks]) == 3 * number
    assert items_of(joined) == items * 3


def test_one_answer_is_joined_with_nothing() -> None:
    answer = read(200, "[1]")
    assert join([answer], "Site") is answer
    assert not answer.may_repeat


@pytest.mark.parametrize(
    "error", [FatalAPIError("no"), HeavyAnswerError("no"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("number", [0, 1, 3])
def test_answers_before_one_that_cannot_be_had_are_closed(
    number: int, error: BaseException
) -> None:
    parts = [read(200, "[1]") for _ in range(number)]

    def answers() -> Iterator[Answer]:
        yield from parts
        raise error

    with pytest.raises(type(error)) as raised:
        join(answers(), "Site")
    assert raised.value is error
    assert [part.body.closed for part in parts] == [True] * number


class FullBody(Body):
    """A body that takes nothing more."""

    def write(self, _: Any) -> int:
        """Fail as a full disk does."""
        raise OSError(ENOSPC, "No space left on device")


def test_answers_that_cannot_be_joined_are_closed_and_named() -> None:
    first = read_answer(response(200), FullBody("[1]"), TOKEN)
    second = read(200, "[2]")
    with pytest.raises(FatalAPIError, match=r"^Site, window W: the temporary folder cannot hold"):
        join([first, second], "Site, window W")
    assert (first.body.closed, second.body.closed) == (True, True)


def test_answer_is_closed_by_closing_it() -> None:
    answer = read(200, "[1]")
    answer.close()
    assert answer.body.closed


@pytest.mark.parametrize("error", [FatalAPIError("no."), HeavyAnswerError("no.")])
def test_label_stands_before_the_message(error: Exception) -> None:
    with pytest.raises(type(error), match=r"^Site 1: no\.$"), labelled("Site 1"):
        raise error


def test_label_changes_no_other_error() -> None:
    with pytest.raises(ValueError, match=r"^no$"), labelled("Site 1"):
        raise ValueError("no")  # noqa: EM101


# No leads in messages.

SECRET = "+79990000000"
LEAD = f'{{"requestId": 1, "phone": "{SECRET}", "callId": 1}}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f'{{"data": [{LEAD}]}}', id="data"),
        pytest.param(f'{{"data": [{LEAD}', id="cut data"),
        pytest.param(f"[{LEAD}, ", id="cut array"),
        pytest.param(f"[{LEAD}] x", id="garbage behind"),
        pytest.param(f"\ufeff[{LEAD}] x", id="BOM"),
        pytest.param(f")]}}',\n[{LEAD}]", id="garbage before"),
        pytest.param(f"callback([{LEAD}])", id="JSONP"),
        pytest.param(json.dumps(f"[{LEAD}]"), id="JSON in a text"),
        pytest.param(f"<html>[{LEAD}]</html>", id="HTML"),
        pytest.param(f'{{"records": {LEAD}}}', id="no array"),
        pytest.param(f'[{LEAD}, {{"x": NaN}} ', id="NaN"),
    ],
)
def test_no_error_quotes_a_body_that_holds_records(body: str) -> None:
    for case in product([200, 202, 400, 403, 404, 429, 500], EXPECTED):
        with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
            read(case[0], body, case[1])
        assert SECRET not in str(raised.value), case


@pytest.mark.parametrize("status", [400, 500])
def test_an_error_body_is_not_read_whole(status: int) -> None:
    body = Body(b"x" * 2_000_000)
    with pytest.raises((FatalAPIError, RetriableAPIError)):
        read_answer(response(status), body, TOKEN)
    assert body.tell() == 1 << 20


def test_html_is_recognised_by_its_content_type() -> None:
    with pytest.raises(FatalAPIError, match="an HTML page instead of JSON"):
        read(200, "Oops", content_type="text/html; charset=utf-8")


@pytest.mark.parametrize("status", [429, 500])
def test_retry_can_see_the_headers(status: int) -> None:
    with pytest.raises(RetriableAPIError) as raised:
        read(status, "")
    assert raised.value.response is not None


@pytest.mark.parametrize("body", [message(f"Токен {TOKEN}"), f"Токен {TOKEN}"])
def test_echoed_token_is_masked(body: str) -> None:
    with pytest.raises(FatalAPIError, match=r"403: Токен \*\*\*\. Check"):
        read(403, body)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        pytest.param("Ошибка.", "Ошибка", id="no full stop"),
        pytest.param("Код X.", "Код X", id="nothing but the full stop"),
        pytest.param("a\n\t b", "a b", id="one line"),
        pytest.param("x" * 1000, "x" * 300, id="cut"),
        pytest.param("x" * 295 + TOKEN, "x" * 295 + "***", id="masked before it is cut"),
    ],
)
def test_quoted_text_is_short_and_one_line(text: str, quoted: str) -> None:
    assert quote_message(text, TOKEN) == quoted


# What the headers say of it.


@pytest.mark.parametrize("packing", ["identity", "x-gzip", "gzip", "Deflate", "deflate, gzip"])
def test_packings_that_were_undone_already_are_taken(packing: str) -> None:
    answer = read_answer(response(200, {"Content-Encoding": packing}), Body("[1]"), TOKEN)
    assert items_of(answer) == [1]


def test_packing_that_repeats_the_token_is_not_quoted() -> None:
    headers = {"Content-Encoding": f"x-{TOKEN}"}
    with pytest.raises(FatalAPIError, match=r"is packed as x-\*\*\*, which was not asked for"):
        read_answer(response(200, headers), Body("[1]"), TOKEN)


@pytest.mark.parametrize(
    ("ahead", "is_the_servers"),
    [
        pytest.param(-timedelta(hours=1), True, id="this clock is ahead"),
        pytest.param(timedelta(hours=1), False, id="this clock is behind"),
    ],
)
def test_answer_arrived_by_the_earlier_clock(ahead: timedelta, *, is_the_servers: bool) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    found = received_at(response(200, {"Date": format_datetime(now + ahead, usegmt=True)}))
    assert (found == now + ahead) is is_the_servers
    assert found < now + timedelta(minutes=1)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": ""},
        {"Date": "soon"},
        {"Date": "-1"},
        {"Date": "Thu, 01 Jan 1970 00:00:00 -0000"},
        {"Date": "Mon, 01 Jan 2024 10:00:00"},
        {"Date": f"Mon, 01 Jan {10**20} 10:00:00 GMT"},
    ],
    ids=lambda headers: headers.get("Date", "none"),
)
def test_date_that_says_nothing_is_ignored(headers: dict[str, Any]) -> None:
    before = datetime.now(timezone.utc)
    assert before <= received_at(response(200, headers)) <= datetime.now(timezone.utc)
