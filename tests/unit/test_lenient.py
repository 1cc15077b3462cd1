"""JSON that msgspec refuses is decoded all the same, in any thread."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from tap_calltouch.lenient import decode_leniently
from tests.support.threads import hammer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b'{"a": [1, 2.5, "\xd0\x96", null, true]}', {"a": [1, 2.5, "Ж", None, True]}),
        pytest.param(b"[Infinity, -Infinity]", [math.inf, -math.inf]),
        pytest.param(b'"a\x01b"', "a\x01b"),
        pytest.param(b'"\\ud800"', "\ud800"),
        pytest.param(b'"a\xffb"', "a\udcffb"),
        pytest.param(b"9" * 1000, int("9" * 1000)),
    ],
    ids=["strict", "infinity", "control character", "lone surrogate", "not UTF-8", "digits"],
)
def test_json_of_any_kind_is_decoded(text: bytes, value: Any) -> None:
    assert decode_leniently(text) == value


@pytest.mark.parametrize("text", [b"NaN", b"9" * 5000], ids=["NaN", "5000 digits"])
def test_what_no_field_can_hold_is_not_a_number(text: bytes) -> None:
    assert math.isnan(decode_leniently(text))


@pytest.mark.parametrize("text", [b"", b"[1,]", b"[1] x", b"<html>", b"{'a': 1}"])
def test_other_texts_are_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_leniently(text)


def test_deep_nesting_is_the_same_in_all_threads_and_the_limit_of_recursion_stays() -> None:
    """How deeply a text may be nested depends on the version of Python."""

    def outcome() -> str:
        try:
            return f"{len(decode_leniently(text))} item"
        except RecursionError:
            return "too deep"

    text = b"[" * 3000 + b"]" * 3000
    limit = sys.getrecursionlimit()
    found = {outcome()}
    hammer(lambda _: found.add(outcome()), 50)
    assert (len(found), sys.getrecursionlimit()) == (1, limit)


def test_endless_nesting_is_an_error() -> None:
    limit = sys.getrecursionlimit()
    with pytest.raises((RecursionError, ValueError)):
        decode_leniently(b"[" * 200_000 + b"]" * 200_000)
    assert sys.getrecursionlimit() == limit
