"""Stream maps give what the SDK gives, although only what expressions name becomes dicts."""

from __future__ import annotations

import copy
import logging
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.mapper import PluginMapper

from tap_calltouch.output.maps import RecordMapper, leaves_nothing, unmatched
from tap_calltouch.records.structs import shape_of
from tests.support.decoded import SCHEMA_OF, SHAPE_OF, builtins, lifelike, struct, structs
from tests.support.repetitions import times

Json = dict[str, Any]

RECORDS = structs("requests", lifelike("requests"))
FLAT: Json = {"flattening_enabled": True, "flattening_max_depth": 2}
PROPERTY = settings(max_examples=times(20, 60))


def sdk_maps(maps: Json, schema: Json = SCHEMA_OF["requests"], **options: Any) -> list[Any]:
    """Return the SDK's maps of the stream `requests`."""
    config = {
        "stream_maps": copy.deepcopy(maps),
        "stream_map_config": {"salt": "соль"},
        "faker_config": {"seed": 1},
        **options,
    }
    mapper = PluginMapper(config, logging.getLogger(__name__))
    mapper.register_raw_stream_schema("requests", schema, [])
    return mapper.stream_maps["requests"]


def mapped(maps: Json, records: list[Any], **options: Any) -> list[tuple[str, Json]]:
    """Return what the tap makes of records."""
    mapper = RecordMapper(sdk_maps(maps, **options), SHAPE_OF["requests"], maps)
    return [(stream, builtins(record)) for stream, record in mapper(records)]


def mapped_by_the_sdk(maps: Json, records: list[Any], **options: Any) -> list[tuple[str, Json]]:
    """Return what the SDK makes of records, without the SDK's columns of objects that are null."""
    stream_maps = sdk_maps(maps, **options)
    found = []
    for record in records:
        for stream_map in stream_maps:
            result = stream_map.transform(builtins(record))
            if result is not None:
                columns = stream_map.transformed_schema["properties"]
                if options:
                    result = {k: v for k, v in result.items() if k in columns or v is not None}
                found.append((stream_map.stream_alias, result))
    return found


MAPS: dict[str, Json] = {
    "one object": {"requests": {"phone": "client['phones'] if client else subject"}},
    "a nested value": {"requests": {"city": "session['city'] if session else None"}},
    "an array": {"requests": {"tags": "[tag['names'] for tag in RequestTags or []]"}},
    "the whole record as _": {"requests": {"city": "(_['session'] or {}).get('city')"}},
    "the whole record": {"requests": {"city": "(record.get('session') or {}).get('city')"}},
    "self": {"requests": {"session": "self['city'] if self else 'none'", "orders": "self"}},
    "self of a new name": {"requests": {"copy": "client"}},
    "an object as text": {"requests": {"session": "str(session)", "attrs": "json.dumps(attrs)"}},
    "settings": {"requests": {"manager": "md5(config['salt'] + (manager or ''))"}},
    "a filter": {"requests": {"__filter__": "session and session['city'] == 'Москва'"}},
    "dropped columns": {"requests": {"client": None, "session": "__NULL__"}},
    "nothing else": {"requests": {"city": "session", "siteId": "siteId", "__else__": None}},
    "an alias": {"requests": {"__alias__": "leads", "tag": "RequestTags"}},
    "two streams": {
        "requests": {"client": None},
        "phones": {"__source__": "requests", "phone": "client", "__else__": None},
    },
    "another stream's names": {"calls": {"tag": "session"}, "requests": {"tag": "client"}},
}


@pytest.mark.parametrize("maps", MAPS.values(), ids=MAPS)
def test_maps_give_what_the_sdk_gives(maps: Json) -> None:
    for options in ({}, FLAT):
        found = mapped(maps, RECORDS, **options)
        assert found, options
        assert found == mapped_by_the_sdk(maps, RECORDS, **options), options


@pytest.mark.parametrize("record", ["_", "record"])
def test_maps_find_values_by_names_that_they_put_together(record: str) -> None:
    maps = {"requests": {"city": f"{record}['ses' + 'sion']['city']"}}
    records = [row for row in RECORDS if builtins(row)["session"]]
    found = mapped(maps, records)
    assert found
    assert found == mapped_by_the_sdk(maps, records)


def test_cleaned_records_are_mapped_as_any() -> None:
    raw = lifelike("requests")[:2]
    raw[1]["session"] |= {"city": ["Москва"]}
    raw[1]["manager"] = 5
    records = structs("requests", raw)
    maps = {"requests": {"place": "session['city']", "name": "manager"}}
    found = mapped(maps, records)
    assert found == mapped_by_the_sdk(maps, records)
    assert (found[1][1]["place"], found[1][1]["name"]) == ('["Москва"]', "5")


COLUMNS = sorted(SCHEMA_OF["requests"]["properties"])


@PROPERTY
@given(
    st.dictionaries(
        st.sampled_from([*COLUMNS, "new"]),
        st.sampled_from([*COLUMNS, "self", "_", "record", "[client, orders]", "str(session)"]),
        max_size=3,
    ),
    st.sampled_from([{}, FLAT]),
)
def test_any_columns_give_what_the_sdk_gives(columns: dict[str, str], options: Json) -> None:
    columns = {
        name: expression
        for name, expression in columns.items()
        if expression != "self" or name != "new"  # which has no value of its own
    }
    records = [RECORDS[0], RECORDS[-2], RECORDS[-1]]
    maps = {"requests": columns}
    assert mapped(maps, records, **options) == mapped_by_the_sdk(maps, records, **options)


@pytest.mark.parametrize("name", ["UTM source", "Дата заявки", "1st", "class", "a.b", "self", "_"])
def test_columns_of_any_name_keep_their_values(name: str) -> None:
    inner = {"type": ["object", "null"], "properties": {"x": {"type": ["string", "null"]}}}
    schema: Json = {"type": "object", "properties": {name: inner, "other": inner}}
    shape = shape_of(schema, {})
    record = struct(shape, {name: {"x": "й"}, "other": {"x": "ц"}})
    maps = {"requests": {"got": f"_[{name!r}]['x']", name: "self", "other": "other['x']"}}
    mapper = RecordMapper(sdk_maps(maps, schema), shape, maps)
    found = [builtins(row) for _, row in mapper([record])]
    assert found == [row.transform(builtins(record)) for row in sdk_maps(maps, schema)]


def test_what_no_expression_names_stays_as_it_was_decoded() -> None:
    """Which is what makes a map fast."""
    stream_maps = sdk_maps({"requests": {"city": "session['city'] if session else None"}})
    mapper = RecordMapper(
        stream_maps, SHAPE_OF["requests"], {"requests": {"city": "session['city']"}}
    )
    ((_, row),) = mapper(RECORDS[:1])
    assert isinstance(row["session"], dict)
    assert not isinstance(row["client"], dict)


# Failures.

SECRET = "+7 999 123-45-67"


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("int(phone)", "ValueError"),
        ("phone + 1", "TypeError"),
        ("{}[phone]", "KeyError"),
        ("phone[99]", "IndexError"),
        ("int('Ж')", "ValueError"),
        ("no_such_name", "MapExpressionError"),
        ("client.phones", "MapExpressionError"),
    ],
)
@pytest.mark.parametrize("options", [{}, FLAT], ids=["", "flat"])
def test_failing_expression_ends_with_a_sentence_without_values(
    expression: str, error: str, options: Json
) -> None:
    properties = {"phone": {"type": "string"}, "client": {"type": "object", "properties": {}}}
    schema: Json = {"type": "object", "properties": properties}
    shape = shape_of(schema, {})
    record = struct(shape, {"phone": SECRET, "client": {}})
    maps = {"requests": {"new": expression}}
    mapper = RecordMapper(sdk_maps(maps, schema, **options), shape, maps)
    with pytest.raises(FatalAPIError) as raised:
        list(mapper([record]))
    message = str(raised.value)
    assert SECRET not in message
    assert re.fullmatch(
        rf"The map of stream requests failed on a record with {error}; `stream_maps` is [^\n]+\.",
        message,
    )
    assert expression in message
    assert raised.value.__suppress_context__


def test_very_long_maps_are_quoted_in_part() -> None:
    maps = {"requests": {"new": f"{'x' * 2000}"}}
    mapper = RecordMapper(sdk_maps(maps), SHAPE_OF["requests"], maps)
    with pytest.raises(FatalAPIError) as raised:
        list(mapper(RECORDS[:1]))
    assert len(str(raised.value)) < 700


# Names that match nothing.

KNOWN: dict[str, set[str]] = {
    "calls": {"siteId", "callId", "callerNumber", "session", "__odd__"},
    "requests": {"siteId", "requestId", "client", "session"},
}
NONE_OF = "`stream_maps` names the stream `{}`, which is none of calls, requests."


@pytest.mark.parametrize(
    "maps",
    [
        pytest.param({}, id="none"),
        pytest.param({"requests": {"client": None, "session": "__NULL__"}}, id="dropped columns"),
        pytest.param({"requests": {}, "calls": None}, id="a dropped stream"),
        pytest.param({"*": {"callerNumber": None, "client": None}}, id="columns of one of two"),
        pytest.param({"req*": {"client": None}}, id="a pattern"),
        pytest.param({"x": {"__source__": "req*", "client": None}}, id="a pattern as a source"),
        pytest.param({"requests": {"news": "'x'", "clients": "client"}}, id="new columns"),
        pytest.param({"__else__": None}, id="all other streams"),
        pytest.param({"calls": {"__odd__": None}}, id="a column named like an option"),
        pytest.param(
            {
                "requests": {
                    "__alias__": "leads",
                    "__else__": None,
                    "__filter__": "True",
                    "__key_properties__": ["id"],
                    "id": "requestId",
                }
            },
            id="all options",
        ),
    ],
)
def test_names_that_match_are_no_mistake(maps: Json) -> None:
    assert [*unmatched(maps, KNOWN)] == []


@pytest.mark.parametrize(
    ("maps", "sentence"),
    [
        pytest.param(
            {"request": {"client": None}},
            NONE_OF.format("request") + " Did you mean `requests`?",
            id="a stream",
        ),
        pytest.param(
            {"Requests": None}, NONE_OF.format("Requests") + " Did you mean `requests`?", id="case"
        ),
        pytest.param({"leads": None}, NONE_OF.format("leads"), id="nothing near"),
        pytest.param(
            {"cals*": {}}, NONE_OF.format("cals*") + " Did you mean `calls`?", id="a pattern"
        ),
        pytest.param(
            {"calls": {"__source__": "call"}},
            NONE_OF.format("call") + " Did you mean `calls`?",
            id="a source",
        ),
        pytest.param(
            {"requests": {"cilent": "__NULL__"}},
            "`stream_maps.requests` drops the column `cilent`, which is none of requests before "
            "flattening. Did you mean `client`?",
            id="a column",
        ),
        pytest.param(
            {"requests": {"callerNumber": None}},
            "`stream_maps.requests` drops the column `callerNumber`, which is none of requests "
            "before flattening.",
            id="a column of the other stream",
        ),
        pytest.param(
            {"*": {"caller": None}},
            "`stream_maps.*` drops the column `caller`, which is none of calls and requests before "
            "flattening. Did you mean `callerNumber`?",
            id="a column of no stream",
        ),
        pytest.param(
            {"calls": {"session__city": None}},
            "`stream_maps.calls` drops the column `session__city`, which is none of calls before "
            "flattening. Did you mean `session`?",
            id="a flattened name",
        ),
        pytest.param(
            {"calls": {"__fliter__": "False"}},
            "`stream_maps.calls` has no option `__fliter__`. Did you mean `__filter__`?",
            id="an option",
        ),
    ],
)
def test_a_name_that_matches_nothing_is_told_with_the_nearest(maps: Json, sentence: str) -> None:
    assert [*unmatched(maps, KNOWN)] == [sentence]


def test_every_name_that_matches_nothing_is_told() -> None:
    columns = {"session": None, "a": "b", "x": None, "y": None}
    maps: Json = {"__else__": None, "leads": None, "calls": columns}
    assert [sentence.split("`")[1::2][:2] for sentence in unmatched(maps, KNOWN)] == [
        ["stream_maps", "leads"],
        ["stream_maps.calls", "x"],
        ["stream_maps.calls", "y"],
    ]


@pytest.mark.parametrize(
    ("maps", "left_out"),
    [
        pytest.param({"requests": {"__filter__": "False"}}, len(RECORDS), id="all"),
        pytest.param({"requests": {"__filter__": "True"}}, 0, id="none"),
        pytest.param(
            {
                "requests": {"__filter__": "False"},
                "copy": {"__source__": "requests", "__filter__": "True"},
            },
            0,
            id="not of all maps",
        ),
    ],
)
def test_records_that_no_map_lets_through_are_counted(maps: Json, left_out: int) -> None:
    mapper = RecordMapper(sdk_maps(maps), SHAPE_OF["requests"], maps)
    for _ in mapper(RECORDS):
        pass
    assert mapper.left_out == left_out


def test_any_column_may_be_dropped_where_a_catalog_allows_any() -> None:
    assert [*unmatched({"requests": {"cilent": None}}, {"requests": None})] == []


@pytest.mark.parametrize(
    ("maps", "nothing"),
    [
        pytest.param({"requests": None}, True, id="dropped"),
        pytest.param({"__else__": None}, True, id="not named"),
        pytest.param({"requests": {}}, False, id="as it is"),
        pytest.param({"requests": None, "x": {"__source__": "requests"}}, False, id="copied"),
    ],
)
def test_maps_that_drop_each_record_are_known(maps: Json, *, nothing: bool) -> None:
    assert leaves_nothing(sdk_maps(maps)) == nothing
