"""An answer is checked and cut into blocks of whole items, wherever a text looks like a border."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_calltouch.api.blocks import Break, BrokenAnswerError, find_blocks, find_break
from tests.support.blocks import arrays_of, count_items
from tests.support.repetitions import times

Record = dict[str, Any]

KEYS = '"siteId": 1, "requestId": 2, "date": 0'
LOOKALIKES = [
    '},{"siteId":',
    '}, {"siteId": 2}]',
    '[{"siteId":1},{"siteId":2}]',
    '\\"},{\\"siteId\\": \\\\',
    "\\",
    '"',
    "{}[],:",
    "Заявка 😀 },{",
    "\n},\n{",
]
JOURNAL: list[Record] = [
    {
        "siteId": number,
        "requestId": number,
        "subject": text,
        "client": {"siteId": number, "fio": text, "phones": [{"siteId": 1}, {"siteId": text}]},
        text: [text, {}, [], [[{"siteId": 2}]]],
    }
    for number, text in enumerate(LOOKALIKES)
]
LAYOUTS = {
    "compact": json.dumps(JOURNAL, separators=(",", ":")),
    "spaced": json.dumps(JOURNAL, ensure_ascii=False),
    "indented": json.dumps(JOURNAL, indent=2) + "\n",
    "other orders of keys": json.dumps(
        [dict(sorted(item.items(), reverse=bool(n % 2))) for n, item in enumerate(JOURNAL)]
    ),
    "empty objects": "[{},{}, {} ,{}]",
    "with NaN": json.dumps([*JOURNAL, {"siteId": [float("-inf")]}, *JOURNAL]),
    "arrays between": json.dumps(
        [{"siteId": 1}, [{"siteId": 2}], {"siteId": 3}] * 20, separators=(",", ":")
    ),
    "not only objects": json.dumps([1, None, *JOURNAL, "},{", [{}], *JOURNAL]),
}
BLOCK_SIZES = [*range(1, 201), 300, 500, 1000, 10_000]


def items_of(body: bytes, size: int) -> list[Any]:
    return [item for array in arrays_of(body, size) for item in json.loads(array)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_of_any_size_hold_exactly_the_items_of_the_array(layout: str) -> None:
    body = LAYOUTS[layout].encode()
    expected = repr(json.loads(body))
    for size in BLOCK_SIZES:
        assert repr(items_of(body, size)) == expected, f"blocks of {size} bytes"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_block_knows_how_many_items_it_has(layout: str) -> None:
    body = LAYOUTS[layout].encode()
    for size in BLOCK_SIZES:
        counts = [block.items for block in find_blocks(io.BytesIO(body), count_items, size)]
        expected = [len(json.loads(array)) for array in arrays_of(body, size)]
        assert counts == expected, f"blocks of {size} bytes"
        assert min(counts) > 0


@pytest.mark.parametrize(
    "first",
    [pytest.param([], id="alike"), pytest.param([{"other": 1}], id="the first begins otherwise")],
)
def test_a_block_is_not_much_larger_than_asked_for(first: list[Record]) -> None:
    body = json.dumps([*first, *JOURNAL * 200]).encode()
    longest = max(len(json.dumps(item)) for item in JOURNAL)
    sizes = [len(array) for array in arrays_of(body, 4096)]
    assert max(sizes) <= 2 * 4096 + longest
    assert len(sizes) >= len(body) // (2 * 4096 + longest)


@pytest.mark.parametrize("body", ["[]", "[ ] \n", "[\n]"])
def test_an_empty_array_has_no_blocks(body: str) -> None:
    assert arrays_of(body.encode(), 1000) == []


def test_array_is_found_from_where_its_body_stands() -> None:
    body = io.BytesIO(b'\xef\xbb\xbf\n[{"a": 1}, {"a": 2}]')
    body.seek(4)
    (block,) = find_blocks(body, count_items)
    assert body.getvalue()[block.start : block.end] == b'[{"a": 1}, {"a": 2}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="empty"),
        pytest.param(" \n", id="white space"),
        pytest.param("null", id="null"),
        pytest.param('"[]"', id="a text"),
        pytest.param("{}", id="an object"),
        pytest.param('{"message": "no"}', id="an error"),
        pytest.param("<html>[]</html>", id="HTML"),
        pytest.param("[", id="cut at the beginning"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param(f"[{{{KEYS}}}", id="no end"),
        pytest.param(f"[{{{KEYS}}},", id="cut after a comma"),
        pytest.param(f'[{{{KEYS}, "subject": "a', id="cut in a text"),
        pytest.param(f'[{{{KEYS}, "comments": []', id="cut after an inner array"),
        pytest.param(f"[{{{KEYS}}}] x", id="garbage behind"),
        pytest.param(f"[{{{KEYS}}}]]", id="a bracket behind"),
        pytest.param(f"[{{{KEYS}}}][]", id="two arrays"),
        pytest.param(f"[{{{KEYS}}},]", id="comma at the end"),
        pytest.param(f"[{{{KEYS}}} {{{KEYS}}}]", id="no comma"),
    ],
)
def test_what_is_no_array_is_an_error(body: str) -> None:
    with pytest.raises(
        BrokenAnswerError,
        match=r"^the answer is cut short or is not valid JSON( \(record \d+, byte \d+\))?$",
    ):
        arrays_of(body.encode(), 1 << 16)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("", id="no end"),
        pytest.param("] x", id="garbage"),
        pytest.param("}]", id="a brace too many"),
        pytest.param(",]", id="a comma too many"),
        pytest.param(",{]", id="half an item"),
    ],
)
def test_a_body_that_is_no_whole_array_is_an_error_in_blocks_of_any_size(end: str) -> None:
    body = LAYOUTS["compact"][:-1] + end
    for size in (1, 7, 50, 1000):
        with pytest.raises(BrokenAnswerError):
            items_of(body.encode(), size)


NAMES = st.sampled_from(["siteId", "requestId", "},{", "", "Ж"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(NAMES, ANY_JSON, max_size=3)


@settings(max_examples=times(60, 250), deadline=None, derandomize=True)
@given(st.lists(OBJECTS | ANY_JSON, max_size=5), st.integers(1, 300))
def test_blocks_of_any_array_hold_its_items(items: list[Any], size: int) -> None:
    body = json.dumps(items)
    assert repr(items_of(body.encode(), size)) == repr(json.loads(body))


def test_what_follows_an_empty_array_and_many_blanks_is_an_error() -> None:
    with pytest.raises(BrokenAnswerError):
        list(find_blocks(io.BytesIO(b"[]" + b" " * 200_000 + b'{"siteId": 1}'), count_items))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[]", None, id="empty array"),
        pytest.param("[1, {}]", None, id="whole array"),
        pytest.param("[1]  x", None, id="something behind"),
        pytest.param("[" * 100_000, None, id="too deep"),
        pytest.param("[{}, {}, 0790512345, {}, 'a text']", Break(3, 10, is_end=False), id="zero"),
        pytest.param(
            '[{}, {"phone": +79990001122, "text": "long"}]', Break(2, 15, is_end=False), id="plus"
        ),
        pytest.param(
            '[{"имя": "Ёж"} {"long": "another"}]', Break(1, 20, is_end=False), id="no comma"
        ),
        pytest.param(
            '["a\x01b", 07, "and something long"]',
            Break(2, 9, is_end=False),
            id="behind a control character",
        ),
        pytest.param(
            '[{}\t,\r\n{}, 07, "and something long"]',
            Break(3, 12, is_end=False),
            id="with any blanks",
        ),
        pytest.param('[{}, {"a": "cut', Break(2, 11, is_end=True), id="cut in a text"),
        pytest.param("[{}, 12", Break(2, 7, is_end=True), id="cut in a number"),
        pytest.param("[{}, tr", Break(2, 5, is_end=True), id="cut in a word"),
        pytest.param("[{},", Break(2, 4, is_end=True), id="cut behind a comma"),
        pytest.param('[{}, {"a"', Break(2, 9, is_end=True), id="cut behind a key"),
    ],
)
def test_break_of_an_array_is_found(text: str, expected: Break | None) -> None:
    assert find_break(text.encode()) == expected


def test_break_counts_bytes_that_are_no_utf_8_as_they_are() -> None:
    assert find_break(b'["\xff\xd0\x96"; "and something long"]') == Break(1, 6, is_end=False)


def test_break_is_counted_from_the_beginning_of_the_body() -> None:
    body = io.BytesIO(b"\n[" + b'{"a": 1}, ' * 50 + b'{"a": 02}, {"b": "something long"}]')
    body.seek(1)
    place = rf"\(record 51, byte {body.getvalue().index(b'2')}\)$"
    with pytest.raises(BrokenAnswerError, match=place):
        [*find_blocks(body, count_items, 100)]


def test_what_follows_a_break_is_not_read() -> None:
    body = io.BytesIO(b'[{"a": 1}, oops' + b" " * 100_000)
    with pytest.raises(BrokenAnswerError):
        [*find_blocks(body, count_items, 100)]
    assert body.tell() <= 200
