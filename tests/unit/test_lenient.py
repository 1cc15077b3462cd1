"""JSON that msgspec refuses is decoded all the same, in any thread."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from tap_calltouch.lenient import decode_leniently


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


def test_integer_of_a_thousand_digits_is_one_beside_what_only_python_decodes() -> None:
    _, longest, too_long = decode_leniently(b"[NaN, %b, %b]" % (b"9" * 1000, b"9" * 1001))
    assert longest == int("9" * 1000)
    assert math.isnan(too_long)


@pytest.mark.parametrize("text", [b"", b"[1,]", b"[1] x", b"<html>", b"{'a': 1}"])
def test_other_texts_are_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_leniently(text)


def nested(depth: int, inner: str = "") -> bytes:
    return f"{'[' * depth}{inner}{']' * depth}".encode()


@pytest.mark.parametrize("depth", [400, 3000, 200_000])
def test_deep_nesting_is_cut(monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """The limit of recursion, which all threads share, stays; what it allows depends on Python."""
    monkeypatch.setattr(sys, "setrecursionlimit", None)
    text = b'[{"a": %b, "b]\\"": [1, %b]}, %b, 2]' % (
        nested(depth),
        nested(depth, '"[", 1'),
        b"NaN",
    )
    first, second, third = decode_leniently(text)
    assert (first['b]"'][0], math.isnan(second), third) == (1, True, 2)
    found, levels = first["a"], 1
    while isinstance(found, list) and found:
        (found,) = found
        levels += 1
    assert levels == depth or (levels == 499 and math.isnan(found)) or levels > 900


@pytest.mark.parametrize("text", [b"[" * 3000, b"[" * 3000 + b"]" * 2999, b'{"a":' * 3000 + b"1}"])
def test_deep_nesting_that_is_not_closed_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_leniently(text)
