"""Settings: read alike from everywhere, and each mistake is one plain sentence that names it."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_calltouch.config import normalize, problems
from tap_calltouch.settings import SETTINGS
from tap_calltouch.tap import TapCalltouch

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
    return list(problems(read(config), SCHEMA))


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
            "`requests_per_second` must be a number above 0 and at most 5, not 0.",
            id="no request a second",
        ),
        pytest.param(
            {"requests_per_second": 5.1},
            "`requests_per_second` must be a number above 0 and at most 5, not 5.1.",
            id="5.1 requests a second",
        ),
        pytest.param(
            {"request_timeout": 0}, "`request_timeout` must be a whole number at least 1, not 0.",
            id="no time",
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
            {"ani": {"filter_mode": "like"}}, f'`ani.filter_mode` must be {MODES}, not "like".',
            id="nested mode",
        ),
        pytest.param(
            {"email.filter_mode": "like"}, f'`email.filter_mode` must be {MODES}, not "like".',
            id="dotted mode",
        ),
        pytest.param({"ani.value": 7}, "`ani.value` must be a text, not 7.", id="nested text"),
        pytest.param({"ani": "a"}, '`ani` must be an object, not "a".', id="no object"),
        pytest.param({"subject": ["a"]}, '`subject` must be a text, not ["a"].', id="text"),
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
            {"start_date": ""},
            "`start_date` is required. Give the first date to load, such as 2024-01-31.",
            id="no start_date",
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
        pytest.param({"ani": {"value": []}}, "ani.value", id="unhashable value: TypeError"),
        pytest.param({"ani": "x", "ani.value": "y"}, "ani", id="text and dots: TypeError"),
        pytest.param({"api_url": "http://[x"}, "api_url", id="urlsplit: ValueError"),
        pytest.param({"api_url": "http://x:port/"}, "api_url", id="port that is no number"),
        pytest.param({"requests_per_second": "NaN"}, "requests_per_second", id="NaN"),
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


def test_a_missing_token_is_required() -> None:
    config = normalize({"start_date": "2024-01-31"}, SCHEMA)
    assert [text[:32] for text in problems(config, SCHEMA)] == ["Setting `api_token` is required."]


def test_nothing_set_gives_one_sentence_for_each_required_setting() -> None:
    found = [text.split(".")[0] for text in problems({}, SCHEMA)]
    assert sorted(found) == [
        "Setting `api_token` is required",
        "Setting `start_date` is required",
    ]


def test_all_mistakes_are_told_at_once() -> None:
    found = sentences({"window_days": 0, "bind_to": "x", "site_ids": [0]})
    assert sorted(text.split("`")[1] for text in found) == ["bind_to", "site_ids", "window_days"]


def test_a_mistake_stops_the_tap_before_it_does_anything() -> None:
    with pytest.raises(ConfigValidationError, match="Setting `window_days` must be") as raised:
        TapCalltouch(config=REQUIRED | {"window_days": 0}, validate_config=True)
    assert SECRET not in str(raised.value)


# What is allowed.


@pytest.mark.parametrize(
    "config",
    [
        {"window_days": 1},
        {"window_days": 90},
        {"lookback_days": 0},
        {"lookback_days": 365},
        {"max_concurrent_requests": 1},
        {"max_concurrent_requests": 5},
        {"requests_per_second": 0.01},
        {"requests_per_second": 5},
        {"request_timeout": 1},
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
        {"ani": {"value": "7999", "filter_mode": "startwith"}},
        {"ani": {}},
        {"unknown": "setting"},
    ],
    ids=json.dumps,
)
def test_a_value_at_its_limit_is_allowed(config: Config) -> None:
    assert sentences(config) == []


@pytest.mark.parametrize("name", ["stream_maps", "batch_config"])
def test_nested_settings_of_the_sdk_are_left_alone(name: str) -> None:
    value = {"requests": {"phone": None, "subject": ""}, "encoding": {"format": "jsonl"}}
    TapCalltouch(config=REQUIRED, validate_config=True)  # which adds the SDK's settings
    assert read({name: value})[name] == value


def test_checking_fills_in_defaults() -> None:
    config = read({})
    assert list(problems(config, SCHEMA)) == []
    defaults = {n: s["default"] for n, s in SETTINGS["properties"].items() if "default" in s}
    assert {name: config[name] for name in defaults} == defaults


# Forms.


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        pytest.param("window_days", "14", 14, id="number"),
        pytest.param("window_days", " 14 ", 14, id="number with blanks"),
        pytest.param("requests_per_second", "2.5", 2.5, id="fraction"),
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
        pytest.param("site_ids", "1", [1], id="list of one"),
        pytest.param("site_ids", ["1", 2], [1, 2], id="numbers as texts in a list"),
        pytest.param("site_ids", "[]", [], id="empty list"),
        pytest.param("request_numbers", "A-1, 007", ["A-1", "007"], id="texts by commas"),
        pytest.param("request_numbers", "007", ["007"], id="a text of digits"),
        pytest.param("request_numbers", '["007"]', ["007"], id="JSON list of texts"),
        pytest.param("request_numbers", [7], ["7"], id="numbers for texts"),
        pytest.param("subject", 7, "7", id="number for a text"),
        pytest.param("subject", "7", "7", id="a text stays"),
        pytest.param("subject", "true", "true", id="a text is no boolean"),
        pytest.param("ani", '{"value": "7"}', {"value": "7"}, id="JSON object"),
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


@pytest.mark.parametrize("name", [name for name in OWN_SETTINGS if name not in REQUIRED])
@pytest.mark.parametrize("value", ["", None], ids=["empty text", "null"])
def test_an_empty_setting_is_unset(name: str, value: str | None) -> None:
    assert name not in read({name: value})


@pytest.mark.parametrize("part", ["value", "filter_mode"])
@pytest.mark.parametrize("value", ["", None], ids=["empty text", "null"])
def test_an_empty_part_of_a_filter_is_unset(part: str, value: str | None) -> None:
    assert not read({"ani": {part: value}}).get("ani")


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"ani": {"value": "7999", "filter_mode": "exact"}}, id="nested"),
        pytest.param({"ani.value": "7999", "ani.filter_mode": "exact"}, id="dots"),
        pytest.param(
            {"ani": {"value": "7999"}, "ani.filter_mode": "exact"}, id="nested, then dots"
        ),
        pytest.param(
            {"ani.value": "7999", "ani": {"filter_mode": "exact"}}, id="dots, then nested"
        ),
        pytest.param({"ani": '{"value": "7999", "filter_mode": "exact"}'}, id="JSON"),
    ],
)
def test_nested_and_dotted_forms_agree(config: Config) -> None:
    assert read(config)["ani"] == {"value": "7999", "filter_mode": "exact"}


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
    "ani": ('{"value": "7999"}', {"value": "7999"}),
    "ani.value": ("79991234567", "79991234567"),
    "ani.filter_mode": ("contains", "contains"),
    "email": ('{"value": "@"}', {"value": "@"}),
    "email.value": ("a@b.ru", "a@b.ru"),
    "email.filter_mode": ("startwith", "startwith"),
    "with_map_visits": ("true", True),
    "with_request_tags": ("1", True),
    "with_yandex_direct": ("yes", True),
    "with_google_adwords": ("on", True),
    "with_attrs": ("TRUE", True),
    "with_widget_info": ("false", False),
    "with_custom_fields": ("0", False),
    "with_dcm": ("true", True),
    "request_numbers": ('["145507", "A/1"]', ["145507", "A/1"]),
    "max_concurrent_requests": ("2", 2),
    "requests_per_second": ("0.5", 0.5),
    "request_timeout": ("60", 60),
    "api_url": ("http://127.0.0.1:1/", "http://127.0.0.1:1/"),
}


def names_of(settings: Config) -> list[str]:
    """All settings, parts with dots."""
    found = []
    for name in OWN_SETTINGS:
        found += [name, *(f"{name}.{part}" for part in settings[name].get("properties", {}))]
    return found


@pytest.mark.parametrize("name", names_of(SETTINGS["properties"]))
def test_every_setting_works_from_the_environment(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    text, expected = IN_THE_ENVIRONMENT[name]
    found: Any = from_environment(environment, **{name.replace(".", "_"): text})
    for part in name.split("."):
        found = found[part]
    assert (found, type(found)) == (expected, type(expected))


def test_the_environment_and_a_config_agree(environment: pytest.MonkeyPatch) -> None:
    nested: Config = {"ani": {"value": "7999", "filter_mode": "exact"}, "window_days": 30}
    tap = TapCalltouch(config=REQUIRED | nested, validate_config=True)
    found = from_environment(
        environment, ani_value="7999", ani_filter_mode="exact", window_days="30"
    )
    assert found == dict(tap.config)


@pytest.mark.parametrize("name", ["window_days", "with_dcm", "site_ids", "ani_value", "subject"])
def test_an_empty_variable_is_unset(environment: pytest.MonkeyPatch, name: str) -> None:
    assert from_environment(environment, **{name: ""}) == from_environment(environment) | {}


@pytest.mark.parametrize(
    ("name", "text", "setting"),
    [
        pytest.param("window_days", "week", "window_days", id="number"),
        pytest.param("requests_per_second", "0,5", "requests_per_second", id="fraction"),
        pytest.param("with_dcm", "maybe", "with_dcm", id="boolean"),
        pytest.param("ani_filter_mode", "like", "ani.filter_mode", id="nested"),
    ],
)
def test_a_mistake_in_the_environment_is_a_sentence_too(
    environment: pytest.MonkeyPatch, name: str, text: str, setting: str
) -> None:
    with pytest.raises(ConfigValidationError, match=f"^Setting `{setting}` must be") as raised:
        from_environment(environment, **{name: text})
    assert len(raised.value.errors) == 1
