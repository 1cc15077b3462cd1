"""Answers as a worker hands them over: checked, in a body of their own."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import requests

from tap_calltouch.api.answers import read_answer

if TYPE_CHECKING:
    from tap_calltouch.api.answers import Answer, Expected


def answer_of(
    content: bytes | list[Any], expected: Expected = "array", id_name: str = ""
) -> Answer:
    """Return the answer that a body or a list of items is."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = requests.Response()
    response.status_code = 200
    return read_answer(response, io.BytesIO(body), "token", expected, id_name)


def items_of(answer: Answer) -> list[Any]:
    """Return what an answer holds."""
    return [item for array in answer.arrays() for item in json.loads(array)]
