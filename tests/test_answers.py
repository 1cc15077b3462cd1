"""What an answer of the API means: every shape that clients met, with and without an array."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from singer_sdk.exceptions import FatalAPIError, RetriableAPIError

from tap_calltouch.answers import (
    HeavyAnswerError,
    NotFoundError,
    QuotaExhaustedError,
    check_answer,
    quote_message,
    received_at,
)

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


def check(
    status: int, body: str | bytes, content_type: str = "application/json", *, single: bool = False
) -> io.BytesIO:
    """Check an answer; its body is returned."""
    stream = io.BytesIO(body.encode() if isinstance(body, str) else body)
    stream.seek(0, io.SEEK_END)  # as a download leaves it
    answer = response(status, {"Content-Type": content_type})
    check_answer(answer, stream, "Site 1", TOKEN, single=single)
    return stream


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[]", id="empty"),
        pytest.param('[{"requestId": 1}]', id="short"),
        pytest.param(" \n[ ]\r\n", id="white space around"),
        pytest.param("[" + " " * 200 + "]", id="white space within"),
        pytest.param(json.dumps([{"requestId": 1}] * 1000), id="long"),
        pytest.param(
            "[]" + "\n" * 100,
            id="white space behind",
        ),
    ],
)
def test_an_array_may_hold_records(body: str) -> None:
    check(200, body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"requestId": 1}', id="an object"),
        pytest.param('[{"requestId": 1}]', id="an array of one"),
        pytest.param("[]", id="an empty array"),
    ],
)
def test_a_single_request_may_come_as_an_object_or_an_array(body: str) -> None:
    check(200, body, single=True)


FATAL, RETRIABLE, HEAVY = FatalAPIError, RetriableAPIError, HeavyAnswerError
NOT_FOUND, QUOTA = NotFoundError, QuotaExhaustedError


def message(text: str) -> str:
    return json.dumps({"message": text}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("status", "body", "error", "told"),
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
        pytest.param(200, '{"x": [1]}', FATAL, '200: {"x": [1]}', id="unknown object"),
        pytest.param(200, '{"message": 5}', FATAL, '200: {"message": 5}', id="no text"),
        pytest.param(200, '{"requestId": 1}', FATAL, '200: {"requestId": 1}', id="one request"),
        # What is not JSON, or no array and no object.
        pytest.param(200, "", HEAVY, "200: nothing", id="empty"),
        pytest.param(200, " \n", HEAVY, "200: nothing", id="white space"),
        pytest.param(200, "null", NOT_FOUND, "200: null", id="null"),
        pytest.param(200, '"no"', FATAL, '200: "no"', id="a text"),
        pytest.param(200, "5", FATAL, "200: 5", id="a number only"),
        pytest.param(200, '[{"requestId": 1}', HEAVY, "the answer is cut short", id="cut short"),
        pytest.param(200, "[", HEAVY, "the answer is cut short", id="cut at once"),
        pytest.param(200, '[{"requestId": 1}] x', HEAVY, "is cut short", id="garbage behind"),
        pytest.param(200, '{"requestId": 1', FATAL, '200: {"requestId": 1', id="half an object"),
        pytest.param(200, b"\xff\xfe", FATAL, "200: \ufffd\ufffd", id="no text at all"),
        pytest.param(200, "<html>x</html>", FATAL, "200: an HTML page", id="HTML"),
        pytest.param(502, "<html>x</html>", HEAVY, "502: an HTML page", id="HTML of a proxy"),
        pytest.param(200, "[" * 5000 + " ", HEAVY, "is cut short", id="deep"),
        pytest.param(200, '{"a":' * 5000, FATAL, "200: {", id="deep object"),
        # Statuses.
        pytest.param(401, message("no"), FATAL, "no. Check `api_token` and `site_ids`.", id="401"),
        pytest.param(403, message("Нет прав."), FATAL, "Нет прав. Check `api_token`", id="403"),
        pytest.param(403, "", FATAL, "403: nothing. Check `api_token`", id="403 without a body"),
        pytest.param(404, message("x"), NOT_FOUND, "404: x", id="404"),
        pytest.param(400, message("Заявка не найдена"), NOT_FOUND, "400: Заявка", id="not found"),
        pytest.param(200, message("Не существует"), NOT_FOUND, "200: Не", id="does not exist"),
        pytest.param(400, message("x"), FATAL, "400: x", id="400"),
        pytest.param(405, "[]", FATAL, "405: []", id="an array with another status"),
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
def test_each_answer_without_records_is_an_error_that_says_what_the_api_said(
    status: int, body: str | bytes, error: type[Exception], told: str
) -> None:
    with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
        check(status, body)
    assert (type(raised.value), str(raised.value)[:8]) == (error, "Site 1: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, "null", NOT_FOUND, id="null"),
        pytest.param(200, "{}", NOT_FOUND, id="empty object"),
        pytest.param(404, "", NOT_FOUND, id="404"),
        pytest.param(200, message("Заявка не найдена"), NOT_FOUND, id="message"),
        pytest.param(200, message("x"), FATAL, id="another message"),
        pytest.param(200, REAL_ERROR, HEAVY, id="the real error"),
        pytest.param(200, '"text"', FATAL, id="a text"),
        pytest.param(500, '{"requestId": 1}', HEAVY, id="a record with 500"),
    ],
)
def test_a_single_request_that_is_not_there_is_told_from_a_failure(
    status: int, body: str, error: type[Exception]
) -> None:
    with pytest.raises((FatalAPIError, RetriableAPIError)) as raised:
        check(status, body, single=True)
    assert type(raised.value) is error


def test_html_is_known_by_its_content_type() -> None:
    with pytest.raises(FatalAPIError, match="an HTML page instead of JSON"):
        check(200, "Oops", "text/html; charset=utf-8")


@pytest.mark.parametrize("status", [429, 500])
def test_a_retry_can_see_the_headers(status: int) -> None:
    with pytest.raises(RetriableAPIError) as raised:
        check(status, "")
    assert raised.value.response is not None


@pytest.mark.parametrize("body", [message(f"Токен {TOKEN}"), f"Токен {TOKEN}"])
def test_an_echoed_token_is_masked(body: str) -> None:
    with pytest.raises(FatalAPIError, match=r"403: Токен \*\*\*\. Check"):
        check(403, body)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        pytest.param("Ошибка.", "Ошибка", id="no full stop"),
        pytest.param("a\n\t b", "a b", id="one line"),
        pytest.param("x" * 1000, "x" * 300, id="cut"),
        pytest.param("x" * 295 + TOKEN, "x" * 295 + "***", id="masked before it is cut"),
    ],
)
def test_what_is_quoted_is_short_and_one_line(text: str, quoted: str) -> None:
    assert quote_message(text, TOKEN) == quoted


@pytest.mark.parametrize(
    ("ahead", "is_the_servers"),
    [
        pytest.param(-timedelta(hours=1), True, id="this clock is ahead"),
        pytest.param(timedelta(hours=1), False, id="this clock is behind"),
    ],
)
def test_an_answer_arrived_by_the_earlier_clock(ahead: timedelta, *, is_the_servers: bool) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    found = received_at(response(200, {"Date": format_datetime(now + ahead, usegmt=True)}))
    assert (found == now + ahead) is is_the_servers
    assert found < now + timedelta(minutes=1)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Date": ""}, {"Date": "soon"}, {"Date": "Mon, 01 Jan 2024 10:00:00"}],
    ids=lambda headers: headers.get("Date", "none"),
)
def test_a_date_that_says_nothing_is_ignored(headers: dict[str, Any]) -> None:
    before = datetime.now(timezone.utc)
    assert before <= received_at(response(200, headers)) <= datetime.now(timezone.utc)
