"""Settings: read alike from everywhere, and each mistake is one plain sentence that names it."""

from __future__ import annotations

import copy
import dataclasses
import os
from decimal import Decimal
from logging import INFO, WARNING
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._batch import (
    DEFAULT_BATCH_SIZE,
    BaseBatchFileEncoding,
    BatchConfig,
    StorageTarget,
)
from singer_sdk.helpers.capabilities import BATCH_CONFIG

from tap_calltouch.config.checks import (
    doubts,
    fill_defaults,
    normalize,
    problems,
    read_environment,
)
from tap_calltouch.config.settings import SETTINGS, add_unlisted
from tap_calltouch.tap import TapCalltouch
from tests.support.settings import settings_of

if TYPE_CHECKING:
    from pathlib import Path


Config = dict[str, Any]

OWN_SETTINGS = [name for name in SETTINGS["properties"]]  # noqa: C416 - before the SDK adds its own
SCHEMA: Config = copy.deepcopy(SETTINGS)
TapCalltouch.append_builtin_config(SCHEMA)
SECRET = "SECRET/abc+1=.Ж"
PREFIX = "TAP_CALLTOUCH_"
REQUIRED: Config = {"api_token": SECRET, "start_date": "2024-01-31"}


def read(config: Config) -> Config:
    return normalize(REQUIRED | config, SCHEMA)


def sentences(config: Config) -> list[str]:
    return list(problems(fill_defaults(read(config), SCHEMA), SCHEMA))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    return monkeypatch


def from_environment(environment: pytest.MonkeyPatch, **texts: str) -> Config:
    variables = {"api_token": SECRET, "start_date": "2024-01-31"} | texts
    for name, text in variables.items():
        environment.setenv(f"{PREFIX}{name.upper()}", text)
    return dict(TapCalltouch(config=None, parse_env_config=True).config)


# Mistakes.

WHOLE_DAYS = "a whole number at least 1 and at most 90"
A_DATE = "a date such as 2024-01-31 or a date-time such as 2024-01-31T10:00:00+03:00"
A_ZONE = "an IANA time zone such as Europe/Moscow or Asia/Yekaterinburg"
MODES = "one of startwith, contains, exact"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        pytest.param({"window_days": 0}, f"`window_days` must be {WHOLE_DAYS}, not 0.", id="0"),
        pytest.param({"window_days": 91}, f"`window_days` must be {WHOLE_DAYS}, not 91.", id="91"),
        pytest.param(
            {"window_days": 0.5}, f"`window_days` must be {WHOLE_DAYS}, not 0.5.", id="wrong twice"
        ),
        pytest.param({"window_days": 1.5}, f"`window_days` must be {WHOLE_DAYS}, not 1.5.", id="½"),
        pytest.param(
            {"window_days": "week"}, f'`window_days` must be {WHOLE_DAYS}, not "week".', id="week"
        ),
        pytest.param(
            {"window_days": True}, f"`window_days` must be {WHOLE_DAYS}, not true.", id="true"
        ),
        pytest.param(
            {"lookback_days": -1},
            "`lookback_days` must be a whole number at least 0 and at most 365, not -1.",
            id="look-back -1",
        ),
        pytest.param(
            {"lookback_days": 366},
            "`lookback_days` must be a whole number at least 0 and at most 365, not 366.",
            id="look-back 366",
        ),
        pytest.param(
            {"max_concurrent_requests": 0},
            "`max_concurrent_requests` must be a whole number at least 1 and at most 5, not 0.",
            id="no request at once",
        ),
        pytest.param(
            {"max_concurrent_requests": 6},
            "`max_concurrent_requests` must be a whole number at least 1 and at most 5, not 6.",
            id="6 requests at once",
        ),
        pytest.param(
            {"requests_per_second": 0},
            "`requests_per_second` must be a whole number at least 1 and at most 5, not 0.",
            id="no request a second",
        ),
        pytest.param(
            {"requests_per_second": 6},
            "`requests_per_second` must be a whole number at least 1 and at most 5, not 6.",
            id="6 requests a second",
        ),
        pytest.param(
            {"requests_per_second": 2.5},
            "`requests_per_second` must be a whole number at least 1 and at most 5, not 2.5.",
            id="2.5 requests a second",
        ),
        pytest.param(
            {"request_timeout": 0},
            "`request_timeout` must be a whole number at least 1 and at most 86400, not 0.",
            id="no time",
        ),
        pytest.param(
            {"request_timeout": 10**12},
            "`request_timeout` must be a whole number at least 1 and at most 86400, "
            "not 1000000000000.",
            id="longer than a socket can wait",
        ),
        pytest.param(
            {"site_ids": ["a"]}, '`site_ids` must be a whole number at least 1, not "a".', id="site"
        ),
        pytest.param(
            {"site_ids": [0]}, "`site_ids` must be a whole number at least 1, not 0.", id="site 0"
        ),
        pytest.param({"site_ids": {"a": 1}}, '`site_ids` must be a list, not {"a": 1}.', id="map"),
        pytest.param(
            {"request_numbers": [["1"]]}, '`request_numbers` must be a text, not ["1"].',
            id="number",
        ),
        pytest.param(
            {"bind_to": "call"}, '`bind_to` must be one of request, session, not "call".',
            id="bind_to",
        ),
        pytest.param(
            {"ani_filter_mode": "like"}, f'`ani_filter_mode` must be {MODES}, not "like".',
            id="filter mode of numbers",
        ),
        pytest.param(
            {"email_filter_mode": "is"}, f'`email_filter_mode` must be {MODES}, not "is".',
            id="filter mode of addresses",
        ),
        pytest.param(
            {"ani_value": ["7"]}, '`ani_value` must be a text, not ["7"].', id="list of numbers"
        ),
        pytest.param({"subject": ["окна"]}, '`subject` must be a text, not ["окна"].', id="text"),
        pytest.param(
            {"call_attribution": "2"}, '`call_attribution` must be one of 0, 1, not "2".',
            id="attribution",
        ),
        pytest.param(
            {"target_calls_only": "some"}, '`target_calls_only` must be true or false, not "some".',
            id="flag of calls",
        ),
        pytest.param(
            {"with_dcm": "maybe"}, '`with_dcm` must be true or false, not "maybe".', id="flag"
        ),
        pytest.param({"timezone": "Mars"}, f"`timezone` must be {A_ZONE}, not 'Mars'.", id="zone"),
        pytest.param(
            {"timezone": "Europe"}, f"`timezone` must be {A_ZONE}, not 'Europe'.", id="a folder"
        ),
        pytest.param(
            {"timezone": "../zone"}, f"`timezone` must be {A_ZONE}, not '../zone'.", id="a path"
        ),
        pytest.param(
            {"timezone": "Europe/\0"}, f"`timezone` must be {A_ZONE}, not 'Europe/\\x00'.", id="NUL"
        ),
        pytest.param(
            {"start_date": "31.01.2024"}, f"`start_date` must be {A_DATE}, not '31.01.2024'.",
            id="start_date",
        ),
        pytest.param(
            {"end_date": "2024-02-30"}, f"`end_date` must be {A_DATE}, not '2024-02-30'.",
            id="end_date",
        ),
        pytest.param(
            {"end_date": "9999-12-31"}, f"`end_date` must be {A_DATE}, not '9999-12-31'.",
            id="the end of time",
        ),
        pytest.param(
            {"end_date": "2024-01-30"},
            "`start_date` (2024-01-31) must be before `end_date` (2024-01-30).",
            id="start after end",
        ),
        pytest.param(
            {"end_date": "2024-01-31T00:00:00"},
            "`start_date` (2024-01-31) must be before `end_date` (2024-01-31T00:00:00).",
            id="nothing between",
        ),
        pytest.param(
            {"start_date": "2024-01-31T20:00:00Z", "end_date": "2024-01-31T22:00:00+03:00"},
            "`start_date` (2024-01-31T20:00:00Z) must be before `end_date` "
            "(2024-01-31T22:00:00+03:00).",
            id="start after end by their offsets",
        ),
        pytest.param(
            {"api_url": "ftp://host"},
            "`api_url` must be an http or https URL such as "
            "https://api.calltouch.ru/calls-service/RestAPI.",
            id="no http",
        ),
        pytest.param(
            {"api_url": "https://"},
            "`api_url` must be an http or https URL such as "
            "https://api.calltouch.ru/calls-service/RestAPI.",
            id="no host",
        ),
        pytest.param(
            {"api_url": "https://x/y?z=1"},
            "`api_url` must be a URL without a query, a fragment or blanks.",
            id="a URL with a query",
        ),
        pytest.param(
            {"api_url": "https://x/y?"},
            "`api_url` must be a URL without a query, a fragment or blanks.",
            id="a URL with the beginning of a query",
        ),
        pytest.param(
            {"api_url": "https://x/y#z"},
            "`api_url` must be a URL without a query, a fragment or blanks.",
            id="a URL with a fragment",
        ),
        pytest.param(
            {"api_url": "https://x/a b"},
            "`api_url` must be a URL without a query, a fragment or blanks.",
            id="a URL with a blank",
        ),
        pytest.param(
            {"request_numbers": ","}, "`request_numbers` is a list of nothing but blanks.",
            id="a comma for a list",
        ),
        pytest.param(
            {"site_ids": ["", None, " "]}, "`site_ids` is a list of nothing but blanks.",
            id="a list of nothing",
        ),
        pytest.param(
            {"site_ids": " "}, "`site_ids` is a list of nothing but blanks.", id="a blank list"
        ),
        pytest.param(
            {"with_dcm": 2}, "`with_dcm` must be true or false, not 2.", id="2 for true"
        ),
        pytest.param(
            {"site_ids": ["101.5"]}, "`site_ids` must be a whole number at least 1, not 101.5.",
            id="half a site",
        ),
        pytest.param(
            {"start_date": ""},
            "`start_date` is required. Set it to the first date to load, such as 2024-01-31.",
            id="no start_date",
        ),
        pytest.param(
            {"flattening_enabled": True},
            "`flattening_max_depth` is required where `flattening_enabled` is true.",
            id="flat to no depth",
        ),
        pytest.param(
            {"faker_config": {"seed": [1]}},
            "`faker_config.seed` must be valid: [1] is not valid under any of the given schemas, "
            "not [1].",
            id="a union of types",
        ),
    ],
)  # fmt: skip
def test_each_mistake_is_one_sentence_that_says_what_is_allowed(
    config: Config, sentence: str
) -> None:
    assert sentences(config) == [f"Setting {sentence}"]


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        pytest.param({"ani_value": []}, "ani_value", id="unhashable value"),
        pytest.param({"site_ids": [[101]]}, "site_ids", id="list in a list"),
        pytest.param({"site_ids": "[101"}, "site_ids", id="half a list"),
        pytest.param({"start_date": 31012024}, "start_date", id="date as a number"),
        pytest.param({"start_date": "0001-01-01"}, "start_date", id="year 1"),
        pytest.param({"start_date": "0001-01-02"}, "start_date", id="the second day of all"),
        pytest.param({"start_date": "1899-12-31"}, "start_date", id="before any bookmark"),
        pytest.param({"start_date": "9999-12-31"}, "start_date", id="the last day of all"),
        pytest.param({"api_url": "http://[x"}, "api_url", id="urlsplit: ValueError"),
        pytest.param({"api_url": "http://x:port/"}, "api_url", id="port that is no number"),
        pytest.param({"requests_per_second": "NaN"}, "requests_per_second", id="NaN"),
        pytest.param({"stream_maps": "[" * 200_000}, "stream_maps", id="nested too deeply"),
        pytest.param({"request_numbers": ["\ud800"]}, "request_numbers", id="half a character"),
        pytest.param(
            {"stream_map_config": {"salt": "\ud800"}}, "stream_map_config", id="half a character in"
        ),
    ],
)
def test_rare_mistakes_are_one_sentence_too(config: Config, setting: str) -> None:
    (sentence,) = sentences(config)
    assert f"`{setting}" in sentence


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        pytest.param(None, "Setting `api_token` is required. Copy it from", id="null"),
        pytest.param("", "Setting `api_token` must not be empty. Copy it from", id="empty"),
        pytest.param(" \n", "Setting `api_token` must not be empty. Copy it from", id="blank"),
        pytest.param([SECRET], "Setting `api_token` must be a text.", id="list"),
        pytest.param({"a": SECRET}, "Setting `api_token` must be a text.", id="object"),
        pytest.param(True, "Setting `api_token` must be a text.", id="boolean"),
    ],
)
def test_a_wrong_token_is_told_without_its_value(token: object, sentence: str) -> None:
    (found,) = sentences({"api_token": token})
    assert found.startswith(sentence)
    assert SECRET not in found


def test_a_long_value_is_cut_in_a_sentence() -> None:
    (sentence,) = sentences({"window_days": "x" * 1000})
    assert sentence.endswith(f', not "{"x" * 79}.')


def test_a_missing_token_is_required() -> None:
    config = fill_defaults(normalize({"start_date": "2024-01-31"}, SCHEMA), SCHEMA)
    assert [text[:32] for text in problems(config, SCHEMA)] == ["Setting `api_token` is required."]


def test_nothing_set_gives_one_sentence_for_each_required_setting() -> None:
    found = [text.split(".")[0] for text in problems({}, SCHEMA)]
    assert sorted(found) == [
        "Setting `api_token` is required",
        "Setting `start_date` is required",
    ]


def test_settings_of_kinds_that_a_newer_sdk_may_have_are_told_too() -> None:
    schema = {"properties": {"rate": {"type": ["number", "null"]}}, "required": ["name"]}
    assert sorted(problems({"rate": "high"}, schema)) == [
        "Setting `name` is required.",
        'Setting `rate` must be a number, not "high".',
    ]


def test_all_mistakes_are_told_at_once() -> None:
    found = sentences({"window_days": 0, "bind_to": "x", "site_ids": [0]})
    assert sorted(text.split("`")[1] for text in found) == ["bind_to", "site_ids", "window_days"]


def test_mistakes_stop_the_tap_before_it_does_anything() -> None:
    with pytest.raises(ConfigValidationError, match="Setting `window_days` must be") as raised:
        TapCalltouch(config=REQUIRED | {"window_days": 0, "bind_to": "x"}, validate_config=True)
    first, second = raised.value.errors
    assert str(raised.value) == f"{first} {second}"
    assert SECRET not in str(raised.value)


# What is allowed.


ALLOWED: list[Config] = [
    {"window_days": 1},
    {"window_days": 90},
    {"lookback_days": 0},
    {"lookback_days": 365},
    {"max_concurrent_requests": 1},
    {"max_concurrent_requests": 5},
    {"requests_per_second": 1},
    {"requests_per_second": 5},
    {"request_timeout": 1},
    {"request_timeout": 86400},
    {"start_date": "1900-01-01"},
    {"site_ids": [1]},
    {"site_ids": []},
    {"end_date": "2024-01-31"},
    {"end_date": "2024-01-31T00:00:01"},
    {"end_date": "2024-01-31T01:00:00+03:00"},
    {"start_date": "2024-01-31T10:00:00Z"},
    {"start_date": "2099-01-01"},
    {"timezone": "Asia/Yekaterinburg"},
    {"timezone": "UTC"},
    {"api_url": "http://127.0.0.1:8080/x"},
    {"bind_to": "session"},
    {"ani_value": "7999", "ani_filter_mode": "startwith"},
    {"call_attribution": "0"},
    {"unknown": "setting"},
]


def test_a_value_at_its_limit_is_allowed() -> None:
    for config in ALLOWED:
        assert sentences(config) == [], config


@pytest.mark.parametrize("name", ["stream_maps", "batch_config"])
def test_nested_settings_of_the_sdk_are_left_alone(name: str) -> None:
    value = {"requests": {"phone": None, "subject": ""}, "encoding": {"format": "jsonl"}}
    TapCalltouch(config=REQUIRED, validate_config=True)  # which adds the SDK's settings
    assert read({name: value})[name] == value


def test_defaults_stand_for_what_is_not_set() -> None:
    config = fill_defaults({"window_days": 30}, SCHEMA)
    own = {name: value for name, value in config.items() if name in OWN_SETTINGS}
    switches = {name for name, s in SETTINGS["properties"].items() if "boolean" in s["type"]}
    assert own == dict.fromkeys(switches, False) | {
        "site_ids": [],
        "timezone": "Europe/Moscow",
        "window_days": 30,
        "lookback_days": 10,
        "bind_to": "request",
        "request_numbers": [],
        "max_concurrent_requests": 4,
        "requests_per_second": 5,
        "request_timeout": 300,
        "api_url": "https://api.calltouch.ru/calls-service/RestAPI",
    }
    assert fill_defaults({}, SCHEMA)["window_days"] == 7
    config["site_ids"].append(101)
    assert fill_defaults({}, SCHEMA)["site_ids"] == []  # no two taps share a list


# Forms.


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        pytest.param("window_days", "14", 14, id="number"),
        pytest.param("window_days", " 14 ", 14, id="number with blanks"),
        pytest.param("requests_per_second", "2", 2, id="calls"),
        pytest.param("with_dcm", "true", True, id="true"),
        pytest.param("with_dcm", "True", True, id="True"),
        pytest.param("with_dcm", "1", True, id="1"),
        pytest.param("with_dcm", "yes", True, id="yes"),
        pytest.param("with_dcm", "on", True, id="on"),
        pytest.param("with_dcm", "false", False, id="false"),
        pytest.param("with_dcm", "0", False, id="0"),
        pytest.param("with_dcm", "no", False, id="no"),
        pytest.param("with_dcm", "off", False, id="off"),
        pytest.param("site_ids", "[1, 2]", [1, 2], id="JSON list"),
        pytest.param("site_ids", "1,2", [1, 2], id="list by commas"),
        pytest.param("site_ids", "101", [101], id="list of one"),
        pytest.param("site_ids", 101, [101], id="a number for a list of one"),
        pytest.param("request_numbers", 7, ["7"], id="a number for a list of one text"),
        pytest.param("call_attribution", 0, "0", id="number for a choice"),
        pytest.param("end_date", " 2024-02-01 ", "2024-02-01", id="date with blanks"),
        pytest.param("timezone", " Asia/Tokyo\n", "Asia/Tokyo", id="zone with blanks"),
        pytest.param("bind_to", "session ", "session", id="choice with blanks"),
        pytest.param("api_url", " http://x/y ", "http://x/y", id="URL with blanks"),
        pytest.param("window_days", 7.0, 7, id="7.0"),
        pytest.param("window_days", Decimal("7.0"), 7, id="7.0 as the SDK reads it from a file"),
        pytest.param("window_days", "7.0", 7, id="7.0 as a text"),
        pytest.param("window_days", "1e1", 10, id="1e1"),
        pytest.param("site_ids", [101.0, "202.0"], [101, 202], id="101.0 in a list"),
        pytest.param("site_ids", 101.0, [101], id="101.0 for a list of one"),
        pytest.param("request_numbers", [7.0], ["7"], id="7.0 for a text"),
        pytest.param("with_dcm", 1, True, id="1 for true"),
        pytest.param("with_dcm", 0.0, False, id="0.0 for false"),
        pytest.param("call_attribution", 1.0, "1", id="1.0 for a choice"),
        pytest.param("site_ids", "101,,202,", [101, 202], id="empty items"),
        pytest.param("site_ids", [101, "", None, " "], [101], id="blank items of a list"),
        pytest.param("request_numbers", "145507,", ["145507"], id="a comma at the end"),
        pytest.param("request_numbers", [" 1 ", "1\n"], ["1", "1"], id="blanks around items"),
        pytest.param(
            "emit_activate_version_messages", "false", False, id="false for the SDK's own setting"
        ),
        pytest.param("flattening_separator", " ", " ", id="a blank that means something"),
        pytest.param("subject", " x ", " x ", id="blanks with which the API compares"),
        pytest.param("site_ids", ["1", 2], [1, 2], id="numbers as texts in a list"),
        pytest.param("site_ids", "[]", [], id="empty list"),
        pytest.param("request_numbers", "A-1, 007", ["A-1", "007"], id="texts by commas"),
        pytest.param("request_numbers", "007", ["007"], id="a text of digits"),
        pytest.param("request_numbers", '["007"]', ["007"], id="JSON list of texts"),
        pytest.param("request_numbers", [7], ["7"], id="numbers for texts"),
        pytest.param("subject", 7, "7", id="number for a text"),
        pytest.param("subject", "7", "7", id="a text stays"),
        pytest.param("subject", "true", "true", id="a text is no boolean"),
        pytest.param("ani_value", 79990001122, "79990001122", id="a phone number"),
        pytest.param(
            "ani_value", Decimal("79990001122.0"), "79990001122", id="a phone number and .0"
        ),
        pytest.param(
            "request_numbers", "1e5", ["1e5"], id="a text that looks like a number",
        ),
    ],
)  # fmt: skip
def test_texts_stand_for_numbers_booleans_and_lists(
    setting: str, value: object, expected: object
) -> None:
    found = read({setting: value})[setting]
    assert (found, type(found)) == (expected, type(expected))
    assert sentences({setting: value}) == []


@pytest.mark.parametrize("value", ["", None], ids=["empty text", "null"])
def test_an_empty_setting_is_unset(value: str | None) -> None:
    for name in OWN_SETTINGS:
        assert name in REQUIRED or name not in read({name: value}), name


@pytest.mark.parametrize(
    "token", [f" {SECRET}", f"{SECRET}\n", f"\r\n\t{SECRET} \r\n"], ids=["blank", "LF", "CRLF"]
)
def test_blanks_around_a_token_are_stripped(token: str) -> None:
    assert read({"api_token": token})["api_token"] == SECRET


def test_slashes_that_end_a_url_do_not_count_and_seconds_are_a_number() -> None:
    found = settings_of(api_url="http://host/CX//", request_timeout=60.0)
    assert (found.api_url, repr(found.request_timeout)) == ("http://host/CX", "60")


def test_normalizing_changes_no_argument() -> None:
    config = {"site_ids": ["1"], "window_days": "7", "subject": ""}
    before = copy.deepcopy(config)
    normalize(config, SCHEMA)
    assert config == before


# Settings that the tap does not know.


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("site_id", "site_ids"),
        ("sites_ids", "site_ids"),
        ("windows_days", "window_days"),
        ("lookback", "lookback_days"),
        ("with_map", "with_map_visits"),
        ("start-date", "start_date"),
        ("API_TOKEN", "api_token"),
        ("ani.value", "ani_value"),
        ("ani", "ani_value"),
        ("email", "email_value"),
        ("email.filter_mode", "email_filter_mode"),
        ("batch_config.encoding.format", "batch_config"),
        ("batch_config.storage.params.endpoint_url", "batch_config"),
        ("emit_activate_version", "emit_activate_version_messages"),
        ("with_tags", None),
        ("xyz", None),
        ("", None),
    ],
)
def test_a_setting_that_is_unknown_is_named_with_the_nearest(
    name: str, nearest: str | None
) -> None:
    (sentence,) = doubts({**REQUIRED, name: SECRET}, SCHEMA)
    assert sentence.startswith(f"The tap has no setting `{name}`; it is ignored.")
    if nearest:
        assert sentence.endswith(f" Did you mean `{nearest}`?")
    assert SECRET not in sentence


def test_settings_of_the_tap_and_of_the_sdk_are_known() -> None:
    sdk = ["stream_maps", "batch_config", "flattening_enabled", "emit_activate_version_messages"]
    assert list(doubts(dict.fromkeys([*OWN_SETTINGS, *sdk]), SCHEMA)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("subject", "keywords", "city", "source", "medium", "manager"),
        *("ani_value", "email_value"),
    ],
)
def test_blanks_with_which_the_api_compares_are_told(name: str) -> None:
    (sentence,) = doubts({name: f"{SECRET} "}, SCHEMA)
    assert sentence == f"Setting `{name}` has blanks at its ends, with which the API compares."
    assert not list(doubts({name: SECRET}, SCHEMA))


def test_every_setting_that_the_sdk_reads_is_listed() -> None:
    assert SCHEMA["properties"]["emit_activate_version_messages"]["default"] is False
    listed = SCHEMA["properties"]["batch_config"]["properties"]
    assert listed.keys() == {field.name for field in dataclasses.fields(BatchConfig)}
    for part, dataclass in (("encoding", BaseBatchFileEncoding), ("storage", StorageTarget)):
        names = {field.name for field in dataclasses.fields(dataclass)}
        assert listed[part]["properties"].keys() == names
    assert str(DEFAULT_BATCH_SIZE) in listed["batch_size"]["description"]


def test_formats_of_batches_are_listed_where_the_sdk_takes_any_text() -> None:
    """As it does from 0.55 on, to fail at the first record."""
    schema = copy.deepcopy(SCHEMA)
    encoding = schema["properties"]["batch_config"]["properties"]["encoding"]["properties"]
    del encoding["format"]["enum"]
    add_unlisted(schema)
    encoding = schema["properties"]["batch_config"]["properties"]["encoding"]["properties"]
    assert encoding["format"]["enum"] == ["jsonl", "parquet"]


def test_schema_of_the_sdk_stays_as_it_is() -> None:
    assert "batch_size" not in BATCH_CONFIG["properties"]["batch_config"]["properties"]


# BATCH.

JSONL = {"format": "jsonl", "compression": "gzip"}
ROOT = {"root": "file:///somewhere", "prefix": "a-"}


@pytest.mark.parametrize(
    "batch_config",
    [
        {"encoding": JSONL, "storage": ROOT},
        {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///somewhere"}},
        {"encoding": JSONL, "storage": ROOT, "batch_size": 1},
        {"encoding": JSONL, "storage": ROOT, "batch_size": "1000"},
        {"encoding": JSONL, "storage": ROOT | {"params": {"key": "value"}}},
        {},
    ],
    ids=["whole", "least", "size", "size as text", "params", "empty"],
)
def test_a_whole_batch_config_is_allowed(batch_config: Config) -> None:
    assert sentences({"batch_config": batch_config}) == []


@pytest.mark.parametrize(
    ("batch_config", "part"),
    [
        ({"encoding": JSONL}, "storage.root"),
        ({"storage": ROOT}, "encoding.format"),
        ({"encoding": {}, "storage": ROOT}, "encoding.format"),
        ({"encoding": {"compression": "gzip"}, "storage": ROOT}, "encoding.format"),
        ({"encoding": JSONL, "storage": {"prefix": "a-"}}, "storage.root"),
        ({"encoding": JSONL, "storage": {"root": ""}}, "storage.root"),
    ],
)
def test_half_a_batch_config_is_one_sentence_that_names_the_rest(
    batch_config: Config, part: str
) -> None:
    assert sentences({"batch_config": batch_config}) == [
        f"Setting `batch_config.{part}` is required for BATCH files."
    ]


@pytest.mark.parametrize(
    ("batch_config", "part"),
    [
        ({"encoding": JSONL, "storage": ROOT, "size": 5}, "`batch_config` has no part `size`"),
        (
            {"encoding": JSONL | {"level": 9}, "storage": ROOT},
            "`batch_config.encoding` has no part `level`",
        ),
        (
            {"encoding": JSONL, "storage": ROOT | {"path": "/"}},
            "`batch_config.storage` has no part `path`",
        ),
        *(
            ({"encoding": JSONL, "storage": ROOT, "batch_size": size}, "`batch_config.batch_size`")
            for size in (0, -1, "x", 1.5, True, 2**64)
        ),
        (
            {"encoding": JSONL, "storage": ROOT | {"params": [1]}},
            "`batch_config.storage.params` must be an object",
        ),
        ({"encoding": "jsonl", "storage": ROOT}, "`batch_config.encoding` must be"),
        ({"encoding": JSONL, "storage": "/somewhere"}, "`batch_config.storage` must be"),
        ({"encoding": {"format": "csv"}, "storage": ROOT}, "`batch_config.encoding.format` must"),
        ("jsonl", "`batch_config` must be"),
        (
            {"encoding": JSONL, "storage": {"root": "nope://somewhere"}},
            "`batch_config.storage.root` cannot be used: Protocol not known: nope",
        ),
        (
            {"encoding": JSONL, "storage": {"root": "memory://x"}},
            "`batch_config.storage.root` must be a place that the target can read",
        ),
    ],
)
def test_a_mistake_in_a_batch_config_is_one_sentence(batch_config: object, part: str) -> None:
    (sentence,) = sentences({"batch_config": batch_config})
    assert sentence.startswith(f"Setting {part}")


def with_libraries(monkeypatch: pytest.MonkeyPatch, **installed: bool) -> None:
    """Let libraries be installed or not, and no others be looked for."""
    monkeypatch.setattr(
        "tap_calltouch.config.checks.find_spec", lambda name: installed[name] or None
    )


@pytest.mark.parametrize("installed", [True, False], ids=["with pyarrow", "without"])
def test_parquet_needs_its_library(monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    with_libraries(monkeypatch, pyarrow=installed)
    config: Config = {"batch_config": {"encoding": {"format": "parquet"}, "storage": ROOT}}
    found = sentences(config)
    assert len(found) == (not installed)
    assert all("needs the library pyarrow: install `tap-calltouch[parquet]`" in s for s in found)


@pytest.mark.parametrize("installed", [True, False], ids=["with Faker", "without"])
def test_fake_values_need_their_library(
    monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    with_libraries(monkeypatch, faker=installed)
    found = sentences({"stream_maps": {"requests": {"manager": "fake.name() if manager else ''"}}})
    assert len(found) == (not installed)
    assert all("needs the library Faker: install `singer-sdk[faker]`" in s for s in found)
    assert not sentences({"stream_maps": {"requests": {"fake": "'fake'", "x": "not_fake.a"}}})


# The environment.

IN_THE_ENVIRONMENT: dict[str, tuple[str, object]] = {
    "api_token": ("0123", "0123"),
    "site_ids": ("52898,7", [52898, 7]),
    "start_date": ("2024-02-29", "2024-02-29"),
    "end_date": ("2024-03-01T10:00:00", "2024-03-01T10:00:00"),
    "timezone": ("Asia/Yekaterinburg", "Asia/Yekaterinburg"),
    "window_days": ("30", 30),
    "lookback_days": ("0", 0),
    "bind_to": ("session", "session"),
    "subject": ("Заявка", "Заявка"),
    "keywords": ("окна, двери", "окна, двери"),
    "city": ("Москва", "Москва"),
    "source": ("yandex", "yandex"),
    "medium": ("cpc", "cpc"),
    "manager": ("7", "7"),
    "ani_value": ("79991234567", "79991234567"),
    "ani_filter_mode": ("contains", "contains"),
    "email_value": ("a@b.ru", "a@b.ru"),
    "email_filter_mode": ("startwith", "startwith"),
    "with_map_visits": ("true", True),
    "with_request_tags": ("1", True),
    "with_yandex_direct": ("yes", True),
    "with_google_adwords": ("on", True),
    "with_attrs": ("TRUE", True),
    "with_widget_info": ("false", False),
    "with_custom_fields": ("0", False),
    "with_dcm": ("true", True),
    "with_call_tags": ("true", True),
    "with_orders": ("1", True),
    "with_comments": ("on", True),
    "with_text": ("yes", True),
    "with_callback_info": ("no", False),
    "call_attribution": ("0", "0"),
    "unique_calls_only": ("true", True),
    "target_calls_only": ("1", True),
    "unique_target_calls_only": ("off", False),
    "callback_calls_only": ("on", True),
    "request_numbers": ('["145507", "A/1"]', ["145507", "A/1"]),
    "max_concurrent_requests": ("2", 2),
    "requests_per_second": ("2", 2),
    "request_timeout": ("60", 60),
    "api_url": ("http://127.0.0.1:1/", "http://127.0.0.1:1/"),
}


def test_every_setting_works_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    for name in OWN_SETTINGS:
        text, expected = IN_THE_ENVIRONMENT[name]
        with environment.context() as alone:
            found = from_environment(alone, **{name: text})[name]
        assert (found, type(found)) == (expected, type(expected)), name


def test_the_environment_and_a_config_agree(environment: pytest.MonkeyPatch) -> None:
    config = {"ani_value": "7999", "ani_filter_mode": "exact", "window_days": 30, "site_ids": [7]}
    tap = TapCalltouch(config=REQUIRED | config, validate_config=True)
    found = from_environment(
        environment, ani_value="7999", ani_filter_mode="exact", window_days="30", site_ids="7"
    )
    assert found == dict(tap.config)


def test_the_environment_overrules_a_config(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(f"{PREFIX}WINDOW_DAYS", "30")
    config = REQUIRED | {"window_days": 14, "lookback_days": 3}
    tap = TapCalltouch(config=config, parse_env_config=True)
    assert (tap.config["window_days"], tap.config["lookback_days"]) == (30, 3)
    assert TapCalltouch(config=config).config["window_days"] == 14


Logged = list[tuple[int, str]]


def variables(environment: pytest.MonkeyPatch, **texts: str) -> tuple[Config, Logged]:
    """Return the settings of an environment, and what is logged."""
    for name, text in texts.items():
        environment.setenv(name, text)
    logged: Logged = []
    return read_environment(SCHEMA, lambda *line: logged.append(line)), logged


def test_a_file_with_variables_is_read_and_overruled_and_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "TAP_CALLTOUCH_SUBJECT='Заявка на окна'\n"
        "TAP_CALLTOUCH_WINDOW_DAYS=14\n"
        "TAP_CALLTOUCH_SITE_IDS=[1, 2]\n"
        "SUBJECT=other\n",
        encoding="utf-8",
    )
    (tmp_path / "below").mkdir()
    environment.chdir(tmp_path / "below")
    found, logged = variables(
        environment, TAP_CALLTOUCH_WINDOW_DAYS="30", TAP_CALLTOUCH_BATCH_CONFIG="{}"
    )
    assert found == {
        "subject": "Заявка на окна",
        "window_days": "30",
        "site_ids": "[1, 2]",
        "batch_config": "{}",
    }
    names = "TAP_CALLTOUCH_SUBJECT, TAP_CALLTOUCH_SITE_IDS"
    assert logged == [(INFO, f"Read from {tmp_path / '.env'}: {names}.")]


def test_a_file_of_which_nothing_is_used_is_not_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SUBJECT=x\nTAP_CALLTOUCH_WINDOW_DAYS=14\n", encoding="utf-8")
    environment.chdir(tmp_path)
    assert variables(environment, TAP_CALLTOUCH_WINDOW_DAYS="7")[1] == []


def test_a_pipe_in_place_of_a_file_with_variables_is_not_waited_for(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / ".env")
    environment.chdir(tmp_path)
    sentence = f"{tmp_path / '.env'} is not a regular file, so it is not read."
    assert variables(environment) == ({}, [(WARNING, sentence)])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TAP_CALLTOUCH_SITE_ID", "TAP_CALLTOUCH_SITE_IDS"),
        ("TAP_CALLTOUCH_WINDOWS_DAYS", "TAP_CALLTOUCH_WINDOW_DAYS"),
        ("tap_calltouch_site_ids", "TAP_CALLTOUCH_SITE_IDS"),
        ("TAP_CALLTOUCH_BATCH_CONFIG_ENCODING_FORMAT", "TAP_CALLTOUCH_BATCH_CONFIG"),
        ("TAP_CALLTOUCH_XYZ", None),
        ("TAP_CALLTOUCH_", None),
    ],
)
@pytest.mark.parametrize("in_file", [False, True], ids=["environment", "file"])
def test_a_variable_that_is_no_setting_is_named_with_the_nearest(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    nearest: str | None,
    *,
    in_file: bool,
) -> None:
    environment.chdir(tmp_path)
    if in_file:
        (tmp_path / ".env").write_text(f"{name}={SECRET}\n", encoding="utf-8")
    found, logged = variables(environment, **({} if in_file else {name: SECRET}))
    hint = f" Did you mean `{nearest}`?" if nearest else ""
    assert found == {}
    assert logged == [(WARNING, f"The tap has no setting for {name}; it is ignored.{hint}")]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("TAP_CALLTOUCH_LOGLEVEL", id="the SDK reads it"),
        pytest.param("TAP_CALLTOUCH__SELECT", id="an extra of Meltano"),
        pytest.param("TAP_CALLTOUCH__NORTH_API_TOKEN", id="of a plugin that inherits"),
        pytest.param("TAP_CALLTOUCHES", id="of another"),
        pytest.param("SINGER_SDK_LOG_CONFIG", id="of the SDK"),
    ],
)
def test_a_variable_that_others_read_is_not_named(
    environment: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    environment.chdir(tmp_path)
    assert variables(environment, **{name: "x"}) == ({}, [])


@pytest.mark.parametrize("name", ["window_days", "with_dcm", "site_ids", "ani_value", "subject"])
def test_an_empty_variable_is_unset(environment: pytest.MonkeyPatch, name: str) -> None:
    assert from_environment(environment, **{name: ""}) == from_environment(environment) | {}


@pytest.mark.parametrize(
    ("name", "text", "setting"),
    [
        pytest.param("window_days", "week", "window_days", id="number"),
        pytest.param("requests_per_second", "0.5", "requests_per_second", id="fraction"),
        pytest.param("with_dcm", "maybe", "with_dcm", id="boolean"),
        pytest.param("ani_filter_mode", "like", "ani_filter_mode", id="choice"),
        pytest.param("site_ids", "101;202", "site_ids", id="list"),
    ],
)
def test_a_mistake_in_the_environment_is_a_sentence_too(
    environment: pytest.MonkeyPatch, name: str, text: str, setting: str
) -> None:
    with pytest.raises(ConfigValidationError, match=f"^Setting `{setting}` must be") as raised:
        from_environment(environment, **{name: text})
    assert len(raised.value.errors) == 1
