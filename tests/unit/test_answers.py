"""What an answer of the API means: every shape that clients met, with and without an array."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.api.answers import (
    Answer,
    Expected,
    HeavyAnswerError,
    NotFoundError,
    QuotaExhaustedError,
    quote_message,
    read_answer,
    received_at,
)
from tap_calltouch.records.cleaning import decode_leniently

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
    return read_answer(response(status, headers), Body(content), "Site 1", TOKEN, expected)


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


@pytest.mark.parametrize("expected", ["array", "single", "page"])
@pytest.mark.parametrize("status", [200, 201, 206])
@pytest.mark.parametrize("content", ARRAYS)
def test_array_holds_records_whatever_is_around_it(
    content: str, status: int, expected: Expected
) -> None:
    answer = read(status, content, expected)
    array = answer.body.read()
    assert array.startswith(b"[")
    assert json.loads(array) == json.loads(content.removeprefix("\ufeff"))
    assert (answer.page.page_total, answer.page.records_total) == (None, None)


def test_array_is_left_in_its_body() -> None:
    body = Body("  [] ")
    answer = read_answer(response(200), body, "Site 1", TOKEN, "array")
    assert answer.body is body
    assert body.tell() == 2


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
    (record,) = decode_leniently(read(200, content, "single").body.read())
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
        pytest.param('{"pageTotal": "4", "records": []}', "[]", ("4", None), id="odd total"),
    ],
)
def test_page_holds_records_and_what_the_api_says_of_them(
    content: str, array: str, totals: tuple[object, object]
) -> None:
    answer = read(200, content, "page")
    assert answer.page
    assert answer.body.read().decode() == array
    assert (answer.page.page_total, answer.page.records_total) == totals


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
    first, second = decode_leniently(read(200, content, "page").body.read())
    assert (first["callId"], second["callId"]) == (1, 2)
    assert kept in {None, first["x"]}


@pytest.mark.parametrize("depth", [1500, 9000, 20_000])
@pytest.mark.parametrize("opening", ['{"pageTotal": 1, "recordsTotal": 1, "records": ', ""])
def test_page_that_is_nested_too_deeply_is_whole_or_one_sentence(opening: str, depth: int) -> None:
    """How deeply a text may be nested depends on the version of Python."""
    nested = f'[{{"callId":1,"x":{"[" * depth}{"]" * depth}}}]'
    try:
        found = read(200, f"{opening}{nested}{'}' if opening else ''}", "page").body.read().decode()
    except (FatalAPIError, HeavyAnswerError) as error:
        found = str(error)
    sentence = r".*: the API answered 200: (an object with the keys [\w, ]+|an array|broken JSON)\."
    assert found.replace(" ", "") == nested or re.fullmatch(sentence, found)


# Errors.

FATAL, RETRIABLE, HEAVY = FatalAPIError, RetriableAPIError, HeavyAnswerError
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
        pytest.param(200, message("Нет доступа"), FATAL, "200: Нет доступа", id="200 message"),
        pytest.param(
            200,
            '{"data": {"apiErrorData": {"errorCode": 10007, "errorMessage": "Плохой формат"}}}',
            FATAL,
            "200: Плохой формат",
            id="apiErrorData",
        ),
        pytest.param(
            400,
            '{"data": {"validationErrorData": {"violations": '
            '[{"message": "dateFrom"}, {"message": "dateTo"}]}}}',
            FATAL,
            "400: dateFrom; dateTo",
            id="validationErrorData",
        ),
        pytest.param(200, "{}", NOT_FOUND, "200: {}", id="empty object"),
        pytest.param(
            200, '{"x": [1]}', FATAL, "200: an object with the keys x", id="unknown object"
        ),
        pytest.param(200, '{"data": [1], "b": 2}', FATAL, "with the keys data, b.", id="data"),
        pytest.param(200, '{"message": 5}', FATAL, "the keys message.", id="no text"),
        pytest.param(200, '{"requestId": 1}', FATAL, "the keys requestId.", id="one request"),
        # What is not JSON, or no array and no object.
        pytest.param(200, "", HEAVY, "200: nothing", id="empty"),
        pytest.param(200, " \n", HEAVY, "200: nothing", id="white space"),
        pytest.param(200, "null", NOT_FOUND, "200: null", id="null"),
        pytest.param(200, '"no"', FATAL, '200: "no"', id="a text"),
        pytest.param(200, "5", FATAL, "200: 5", id="a number only"),
        pytest.param(200, '[{"requestId": 1}', HEAVY, "the answer is cut short", id="cut short"),
        pytest.param(200, "[", HEAVY, "the answer is cut short", id="cut at once"),
        pytest.param(200, '[{"requestId": 1}] x', HEAVY, "is cut short", id="garbage behind"),
        pytest.param(200, '{"requestId": 1', HEAVY, "200: broken JSON", id="half an object"),
        pytest.param(200, b"\xff\xfe", FATAL, "200: \ufffd\ufffd", id="no text at all"),
        pytest.param(200, "<html>x</html>", FATAL, "200: an HTML page", id="HTML"),
        pytest.param(502, "<html>x</html>", HEAVY, "502: an HTML page", id="HTML of a proxy"),
        pytest.param(200, "[" * 5000 + " ", HEAVY, "is cut short", id="deep"),
        pytest.param(200, '{"a":' * 5000, HEAVY, "200: broken JSON", id="deep object"),
        pytest.param(200, "Error [7]", FATAL, "200: Error [7]", id="text with brackets"),
        pytest.param(200, '{"message": "a\x01b"}', FATAL, "200: a\x01b", id="control character"),
        pytest.param(204, "", HEAVY, "204: nothing", id="204"),
        pytest.param(200, "\ufeff", HEAVY, "200: nothing", id="BOM only"),
        # Statuses.
        pytest.param(401, message("no"), FATAL, "no. Check `api_token` and `site_ids`.", id="401"),
        pytest.param(403, message("Нет прав."), FATAL, "Нет прав. Check `api_token`", id="403"),
        pytest.param(403, "", FATAL, "403: nothing. Check `api_token`", id="403 without a body"),
        pytest.param(404, message("x"), NOT_FOUND, "404: x", id="404"),
        pytest.param(400, message("Заявка не найдена"), NOT_FOUND, "400: Заявка", id="not found"),
        pytest.param(200, message("Не существует"), NOT_FOUND, "200: Не", id="does not exist"),
        pytest.param(400, message("x"), FATAL, "400: x", id="400"),
        pytest.param(405, "[]", FATAL, "405: an array", id="an array with another status"),
        pytest.param(500, "[]", HEAVY, "500: an array", id="an array with 500"),
        pytest.param(202, "[]", FATAL, "202: an array", id="an array with 202"),
        pytest.param(429, "", RETRIABLE, "429: nothing", id="429"),
        pytest.param(500, "", HEAVY, "500: nothing", id="500"),
        pytest.param(503, message("x"), HEAVY, "503: x", id="503"),
        pytest.param(301, "", FATAL, "a redirect, which is not followed", id="301"),
        pytest.param(302, "<html>", FATAL, "Check `api_url`.", id="302"),
        pytest.param(308, message("x"), FATAL, "a redirect, which is not followed", id="308"),
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
        # No points.
        pytest.param(
            429, message("Не более 5 запросов в секунду"), RETRIABLE, "429", id="в секунду"
        ),
        pytest.param(
            429, message("Quota: 5 requests per second"), RETRIABLE, "429", id="per second"
        ),
        pytest.param(500, message("endpoint disappointed"), HEAVY, "500", id="within a word"),
    ],
)
def test_answer_without_records_is_an_error_that_quotes_the_api(
    status: int, body: str | bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
        read(status, body)
    assert (type(raised.value), str(raised.value)[:8]) == (error, "Site 1: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, "", NOT_FOUND, id="empty"),
        pytest.param(204, "", NOT_FOUND, id="204"),
        pytest.param(200, "null", NOT_FOUND, id="null"),
        pytest.param(200, "{}", NOT_FOUND, id="empty object"),
        pytest.param(404, "", NOT_FOUND, id="404"),
        pytest.param(200, message("Заявка не найдена"), NOT_FOUND, id="message"),
        pytest.param(200, message("x"), FATAL, id="another message"),
        pytest.param(200, REAL_ERROR, HEAVY, id="the real error"),
        pytest.param(200, '"text"', FATAL, id="a text"),
        pytest.param(200, '"requestId"', FATAL, id="a text like a key"),
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
    assert str(raised.value) == f"Site 1: the API answered 200: {message}"


PAGE = (
    '{"page": 1, "pageTotal": 1, "pageSize": 1000, "recordsTotal": 2, "records": '
    '[{"callId": 1, "tags": ["a"]}, {"callId": 2}]}'
)
ARRAY = '[{"requestId": 1, "comments": [], "orders": [{"sum": "1"}]}, {"requestId": 2}]'


@pytest.mark.parametrize("place", range(len(PAGE)))
def test_page_that_is_cut_anywhere_is_tried_again(place: int) -> None:
    with pytest.raises(HeavyAnswerError, match=r"broken JSON|nothing"):
        read(200, PAGE[:place], "page")


@pytest.mark.parametrize("place", range(len(ARRAY)))
def test_bare_array_that_is_cut_anywhere_is_tried_again_where_pages_are_asked_for(
    place: int,
) -> None:
    with pytest.raises(HeavyAnswerError, match=r"broken JSON|nothing|an array"):
        read(200, ARRAY[:place], "page")


@pytest.mark.parametrize("place", range(len(ARRAY)))
def test_array_that_is_cut_is_tried_again_or_left_to_the_decoder(place: int) -> None:
    """Only the decoder knows whether a bracket ends the array."""
    if ARRAY[:place].endswith("]"):
        assert read(200, ARRAY[:place]).body.read()
    else:
        with pytest.raises(HeavyAnswerError, match=r"cut short|nothing"):
            read(200, ARRAY[:place])


SECRET = "+79990000000"
LEAD = f'{{"requestId": 1, "phone": "{SECRET}", "callId": 1}}'


@pytest.mark.parametrize("expected", ["array", "page", "single"])
@pytest.mark.parametrize("status", [200, 202, 400, 403, 404, 429, 500])
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
def test_no_error_quotes_a_body_that_holds_records(
    body: str, status: int, expected: Expected
) -> None:
    with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
        read(status, body, expected)
    assert SECRET not in str(raised.value)


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
        pytest.param("a\n\t b", "a b", id="one line"),
        pytest.param("x" * 1000, "x" * 300, id="cut"),
        pytest.param("x" * 295 + TOKEN, "x" * 295 + "***", id="masked before it is cut"),
    ],
)
def test_quoted_text_is_short_and_one_line(text: str, quoted: str) -> None:
    assert quote_message(text, TOKEN) == quoted


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
        {"Date": "Mon, 01 Jan 2024 10:00:00"},
        {"Date": f"Mon, 01 Jan {10**20} 10:00:00 GMT"},
    ],
    ids=lambda headers: headers.get("Date", "none"),
)
def test_date_that_says_nothing_is_ignored(headers: dict[str, Any]) -> None:
    before = datetime.now(timezone.utc)
    assert before <= received_at(response(200, headers)) <= datetime.now(timezone.utc)
