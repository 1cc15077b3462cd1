"""Stream maps give what the SDK gives, although only what expressions name becomes dicts."""

from __future__ import annotations

import copy
import logging
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import FatalAPIError
from singer_sdk.mapper import PluginMapper

from tap_calltouch.output.maps import RecordMapper
from tap_calltouch.records.structs import shape_of
from tests.support.decoded import SCHEMA_OF, SHAPE_OF, builtins, lifelike, struct, structs
from tests.support.repetitions import times

Json = dict[str, Any]

RECORDS = structs("requests", lifelike("requests"))
FLAT: Json = {"flattening_enabled": True, "flattening_max_depth": 2}
PROPERTY = settings(
    max_examples=times(20, 60),
    deadline=None,
    derandomize=True,
    suppress_health_check=(HealthCheck.too_slow,),  # on a busy machine
)


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


@pytest.mark.parametrize("options", [{}, FLAT], ids=["", "flat"])
@pytest.mark.parametrize("maps", MAPS.values(), ids=MAPS)
def test_maps_give_what_the_sdk_gives(maps: Json, options: Json) -> None:
    found = mapped(maps, RECORDS, **options)
    assert found
    assert found == mapped_by_the_sdk(maps, RECORDS, **options)


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
