"""The main job: what is asked for reaches the API, and every record comes out once."""

from __future__ import annotations

import copy
import json
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sandbox import Fault
from tests.support.streams import (
    CALLS,
    MOSCOW,
    REQUESTS,
    STREAMS,
    Stream,
    discover,
    last_error,
    lines_with,
    warnings_in,
)
from tests.support.tap import TOKEN, config_for, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Journal, Sandbox
    from tests.support.streams import Record

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
FLAGS: dict[str, dict[str, str]] = {
    "requests": {
        "with_map_visits": "withMapVisits",
        "with_yandex_direct": "withYandexDirect",
        "with_google_adwords": "withGoogleAdwords",
        "with_attrs": "withAttrs",
        "with_custom_fields": "withCustomFields",
        "with_dcm": "withDcm",
        "with_request_tags": "withRequestTags",
        "with_widget_info": "withWidgetInfo",
    },
    "calls": {
        "with_map_visits": "withMapVisits",
        "with_yandex_direct": "withYandexDirect",
        "with_google_adwords": "withGoogleAdwords",
        "with_attrs": "withAttrs",
        "with_custom_fields": "withCustomFields",
        "with_dcm": "withDcm",
        "with_call_tags": "withCallTags",
        "with_orders": "withOrders",
        "with_comments": "withComments",
        "with_text": "withText",
        "with_callback_info": "withCallbackInfo",
    },
}
ALL_FLAGS: dict[str, Any] = dict.fromkeys([*FLAGS["requests"], *FLAGS["calls"]], True)
DAY = timedelta(days=1)
ONE_DAY: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-08"}
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)


def made(stream: Stream, record: Record) -> datetime:
    """Return when a record of the journal was made."""
    return datetime.fromtimestamp(record[stream.instant] / stream.ticks, MOSCOW)


# What comes out.


@each_stream
def test_every_record_comes_out_once_and_fits_the_schema(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox(sites=(101, 202)) as sandbox:
        run = stream.run(sandbox, tmp_path, site_ids=[101, 202], **ALL_FLAGS)
        whole = stream.records(sandbox)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)
    validator = jsonschema.Draft202012Validator(
        run.schema, format_checker=jsonschema.FormatChecker()
    )
    for record in run.records:
        validator.validate(record)
    (schema,) = [item for item in run.messages if item["type"] == "SCHEMA"]
    assert (schema["stream"], schema["key_properties"]) == (stream.name, ["siteId", stream.key])
    assert schema["bookmark_properties"] == [stream.instant]


@each_stream
def test_site_that_is_named_twice_is_loaded_once_whatever_ends_the_url(
    stream: Stream, tmp_path: Path
) -> None:
    with stream.sandbox([]) as sandbox:
        run = stream.run(
            sandbox, tmp_path, api_url=f"{sandbox.url}/", site_ids=[101, 101], **ONE_DAY
        )
        paths = [call.path for call in sandbox.calls]
    assert run.returncode == 0, run.stderr
    assert len(paths) == 1
    assert "//" not in paths[0]


@each_stream
def test_every_record_says_when_its_answer_arrived(stream: Stream, tmp_path: Path) -> None:
    began = datetime.now(timezone.utc).replace(microsecond=0)  # as the server's clock is
    with stream.sandbox() as sandbox:
        run = stream.run(sandbox, tmp_path)
    ended = datetime.now(timezone.utc)
    times = [
        datetime.fromisoformat(item["time_extracted"].replace("Z", "+00:00"))
        for item in run.messages
        if item["type"] == "RECORD"
    ]
    assert times
    assert began <= min(times) <= max(times) <= ended


@each_stream
def test_shapes_that_only_clients_declare_lose_nothing(stream: Stream, tmp_path: Path) -> None:
    runs = []
    with stream.sandbox(sites=(101,)) as sandbox:
        for varied in (False, True):
            sandbox.variants = varied
            folder = tmp_path / str(varied)
            folder.mkdir()
            runs.append(stream.run(sandbox, folder, **ALL_FLAGS))
    usual, varied_run = runs
    assert [run.returncode for run in runs] == [0, 0]
    assert list(map(in_one_shape, varied_run.records)) == list(map(in_one_shape, usual.records))
    (converted,) = lines_with(varied_run, "INFO", "Values converted without loss")
    expected = {"attrs", "mapVisits[].ctGlobalId"}
    expected |= {"orders[].plannedAmount"} if stream is CALLS else {"session.attrs", "ctGlobalId"}
    assert expected <= set(re.findall(r"([\w.\[\]]+) \d+(?:,|$)", converted))
    assert not lines_with(varied_run, "WARNING")


def in_one_shape(record: Record) -> Record:
    """Return a record with what comes in two shapes in one of them."""
    shaped = copy.deepcopy(record)
    for order in shaped["orders"]:
        for name in ("plannedAmount", "completedAmount"):
            order[name] = order.get(name) and Decimal(order[name])
    for comment in shaped["comments"]:
        comment["lead"] = comment.pop("callId", None) or comment.pop("requestId", None)
        comment.pop("requestId", None)
    for place, tag in enumerate(shaped.get("additionalTags", [])):
        if tag.startswith("{"):
            shaped["additionalTags"][place] = "{name}={value}".format(**json.loads(tag))
    return shaped


@each_stream
def test_every_record_carries_its_own_instant(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox() as sandbox:
        run = stream.run(sandbox, tmp_path)
        whole = {record[stream.key]: made(stream, record) for record in stream.records(sandbox)}
    assert run.records
    for record in run.records:
        text = record[stream.instant]
        assert re.fullmatch(r"2024-01-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", text)
        instant = datetime.fromisoformat(text)
        assert instant == whole[record[stream.key]].replace(microsecond=instant.microsecond), text


def test_both_streams_come_out_in_one_run(journal: Journal, tmp_path: Path) -> None:
    calls = journal.calls(per_day=3)
    with REQUESTS.sandbox() as sandbox:
        sandbox.journal, sandbox.call_journal = journal, calls
        run = run_tap(config_for(sandbox, site_ids=[101, 202]), tmp_path)
        asked = {call.journal for call in sandbox.calls}
    assert run.returncode == 0, run.stderr
    assert asked == {"requests", "calls"}
    assert sandbox.rejected == 0
    for stream, records in ((REQUESTS, journal.records()), (CALLS, calls.records())):
        found = [
            item["record"]
            for item in run.messages
            if item["type"] == "RECORD" and item["stream"] == stream.name
        ]
        in_january = [record for record in records if made(stream, record).year == 2024]
        assert stream.keys(found) == stream.keys(in_january)
        for site in (101, 202):
            assert stream.bookmark(run.states[-1], site) == "2024-01-31T21:00:00.000+00:00"


def test_vendor_sample_keeps_every_documented_value(sandbox: Sandbox, tmp_path: Path) -> None:
    days: dict[str, Any] = {"start_date": "2019-03-28", "end_date": "2019-04-04"}
    (record,) = REQUESTS.run(sandbox, tmp_path, **days, **ALL_FLAGS).records
    (sample,) = [item for item in sandbox.journal.records() if item["requestId"] == 145507]
    expected = json.loads(json.dumps(sample))
    expected["date"] = "2019-04-04T12:50:59.240+00:00"
    for order in (expected["order"], *expected["orders"]):
        order["dateCreated"] = "2019-04-04T12:57:00.000+00:00"
    assert pick(record, expected) == expected


def pick(value: Any, like: Any) -> Any:
    """Leave out what another value does not have."""
    if isinstance(like, dict):
        return {name: pick(value[name], like[name]) for name in like}
    if isinstance(like, list):
        return [pick(item, other) for item, other in zip(value, like, strict=True)]
    return value


# What is asked for.


@each_stream
def test_settings_reach_the_api(stream: Stream, tmp_path: Path) -> None:
    """All of them at once; each alone is a table in the tests of queries."""
    own: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "requests": (
            {
                "subject": "Заявка",
                "keywords": "купить + цена",
                "city": "moscow",
                "source": "yandex",
                "medium": "cpc",
                "manager": "Вася",
                "ani_value": "7999",
                "ani_filter_mode": "startwith",
                "email_value": "@yandex.ru",
                "email_filter_mode": "contains",
            },
            {
                "siteId": "101",
                "dateFrom": "01/08/2024",
                "dateTo": "01/08/2024",
                "subject": "Заявка",
                "keywords": "купить + цена",
                "city": "moscow",
                "source": "yandex",
                "medium": "cpc",
                "manager": "Вася",
                "ani.value": "7999",
                "ani.filterMode": "startwith",
                "email.value": "@yandex.ru",
                "email.filterMode": "contains",
            },
        ),
        "calls": (
            {
                "call_attribution": "0",
                "unique_calls_only": True,
                "target_calls_only": True,
                "unique_target_calls_only": True,
                "callback_calls_only": True,
            },
            {
                "dateFrom": "08/01/2024",
                "dateTo": "08/01/2024",
                "page": "1",
                "limit": "1000",
                "attribution": "0",
                "uniqueOnly": "true",
                "targetOnly": "true",
                "uniqTargetOnly": "true",
                "callbackOnly": "true",
            },
        ),
    }
    others = CALLS if stream is REQUESTS else REQUESTS
    settings = own[stream.name][0] | own[others.name][0] | ALL_FLAGS
    with stream.sandbox([]) as sandbox:
        run = stream.run(sandbox, tmp_path, bind_to="session", **ONE_DAY, **settings)
    assert run.returncode == 0, run.stderr
    (call,) = sandbox.calls
    assert call.params == {
        "clientApiId": TOKEN,
        "bindTo": "session",
        **own[stream.name][1],
        **dict.fromkeys(FLAGS[stream.name].values(), "true"),
    }
    path = "/requests" if stream is REQUESTS else "/101/calls-diary/calls"
    assert call.path.endswith(f"RestAPI{path}")


@each_stream
def test_nothing_that_is_not_set_is_asked_for(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox([]) as sandbox:
        stream.run(sandbox, tmp_path, **ONE_DAY)
    (call,) = sandbox.calls
    own = {"siteId"} if stream is REQUESTS else {"page", "limit"}
    assert call.params.keys() == {"clientApiId", "bindTo", "dateFrom", "dateTo"} | own
    assert call.params["bindTo"] == ("request" if stream is REQUESTS else "call")


def test_filters_select_requests(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, source="yandex", medium="cpc")
        expected = [
            record
            for record in REQUESTS.records(sandbox)
            if record["session"]
            and (record["session"]["source"], record["session"]["medium"]) == ("yandex", "cpc")
        ]
    assert expected
    assert REQUESTS.keys(run.records) == REQUESTS.keys(expected)


def test_filters_select_calls(tmp_path: Path) -> None:
    with CALLS.sandbox() as sandbox:
        run = CALLS.run(sandbox, tmp_path, target_calls_only=True, unique_calls_only=True)
        expected = [
            record
            for record in CALLS.records(sandbox)
            if record["targetCall"] and record["uniqueCall"]
        ]
    assert expected
    assert CALLS.keys(run.records) == CALLS.keys(expected)


@each_stream
def test_days_that_are_cut_are_asked_for_with_times(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox() as sandbox:
        run = stream.run(
            sandbox,
            tmp_path,
            start_date="2024-01-10T10:00:00",
            end_date="2024-01-12T18:30:00+03:00",
        )
        expected = [
            record
            for record in stream.records(sandbox)
            if datetime(2024, 1, 10, 10, tzinfo=MOSCOW)
            <= made(stream, record)
            < datetime(2024, 1, 12, 18, 30, tzinfo=MOSCOW)
        ]
    asked = sorted(
        (
            stream.days(call),
            {name: value for name, value in call.params.items() if name.startswith("time")},
        )
        for call in sandbox.calls
    )
    assert asked == [
        ((date(2024, 1, 10), date(2024, 1, 10)), {"timeFrom": "10:00:00"}),
        ((date(2024, 1, 11), date(2024, 1, 11)), {}),
        ((date(2024, 1, 12), date(2024, 1, 12)), {"timeTo": "18:30:00"}),
    ]
    assert expected
    assert stream.keys(run.records) == stream.keys(expected)


@each_stream
def test_today_is_asked_for_whole(stream: Stream, tmp_path: Path) -> None:
    today = datetime.now(MOSCOW).date()
    with stream.sandbox([]) as sandbox:
        run = stream.run(sandbox, tmp_path, start_date=(today - 3 * DAY).isoformat(), end_date=None)
    assert run.returncode == 0, run.stderr
    assert not any("timeTo" in call.params for call in sandbox.calls)
    assert lines_with(run, " of up to 7 days from ", " to now (")
    assert today <= max(stream.days(call)[1] for call in sandbox.calls) <= today + DAY


@each_stream
def test_end_of_an_hour_ago_is_not_called_now(stream: Stream, tmp_path: Path) -> None:
    """Even where the machine has another zone than the dates."""
    end = (datetime.now(MOSCOW) - timedelta(hours=1)).replace(microsecond=0)
    with stream.sandbox([]) as sandbox:
        run = stream.run(
            sandbox, tmp_path, start_date=(end - DAY).isoformat(), end_date=end.isoformat()
        )
    assert run.returncode == 0, run.stderr
    assert lines_with(run, "Stream ", f" to {end:%Y-%m-%d %H:%M:%S} (no bookmark)")


def session_day(stream: Stream, record: Record) -> str | None:
    session = record["session"] if stream is REQUESTS else record
    return (session or {}).get("sessionDate")


@each_stream
def test_session_binding_selects_by_the_date_of_the_session(stream: Stream, tmp_path: Path) -> None:
    """Some records are made in the days after their session, and are dated outside the period."""
    period: dict[str, Any] = {"start_date": "2024-01-10", "end_date": "2024-01-11"}
    with stream.sandbox(per_day=20) as sandbox:
        run = stream.run(sandbox, tmp_path, bind_to="session", **period)
        expected = [
            record
            for record in stream.records(sandbox)
            if (session_day(stream, record) or "")[:10] in {"10/01/2024", "11/01/2024"}
        ]
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(expected)
    assert any(made(stream, record) >= JANUARY_8 + 4 * DAY for record in expected)


@each_stream
def test_rows_within_a_day_of_their_window_are_kept_in_any_order(
    stream: Stream, tmp_path: Path
) -> None:
    """A zone or a clock of the API that differs from ours loses nothing."""
    hours = (-23, 0, 12, 23, 24, 40)
    records = [
        stream.record(number, JANUARY_8 + timedelta(hours=hour))
        for number, hour in enumerate(hours)
    ]
    with stream.sandbox(records[::-1], ignore_dates=True) as sandbox:
        sandbox.faults.append(
            Fault("change", apply=[], when=lambda call: stream.days(call)[0] != date(2024, 1, 8))
        )
        run = stream.run(sandbox, tmp_path, window_days=1)
    assert stream.keys(run.records) == stream.keys(records)


# Sites.


@each_stream
def test_missing_site_id_comes_from_the_partition(stream: Stream, tmp_path: Path) -> None:
    records = [stream.record(number, JANUARY_8) for number in range(3)]
    for record in records:
        del record["siteId"]
    with stream.sandbox(records) as sandbox:
        run = stream.run(sandbox, tmp_path, **ONE_DAY)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == [(101, 0), (101, 1), (101, 2)]


def test_missing_site_id_without_partition_ends_before_any_record(tmp_path: Path) -> None:
    records = [REQUESTS.record(number, JANUARY_8) for number in range(3)]
    del records[-1]["siteId"]
    with REQUESTS.sandbox(records) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, site_ids=None, **ONE_DAY)
    assert run.returncode == 1
    assert run.records == []
    assert "Set `site_ids`" in last_error(run)


def test_requests_of_all_sites_come_out_without_site_ids(tmp_path: Path) -> None:
    with REQUESTS.sandbox(sites=(101, 202)) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, site_ids=None)
        whole = REQUESTS.records(sandbox)
    assert REQUESTS.keys(run.records) == REQUESTS.keys(whole)
    assert REQUESTS.bookmark(run.states[-1], None) == "2024-01-31T21:00:00.000+00:00"
    assert lines_with(run, "Stream requests: 5 windows of up to 7 days from ")
    assert not any("siteId" in call.params for call in sandbox.calls)


@pytest.mark.parametrize("single_as_array", [False, True], ids=["object", "array"])
def test_requests_load_by_number_and_an_unknown_one_is_a_warning(
    tmp_path: Path, *, single_as_array: bool
) -> None:
    state = REQUESTS.state("2024-01-05T00:00:00.000+00:00", None)
    with REQUESTS.sandbox(single_as_array=single_as_array) as sandbox:
        record, other = REQUESTS.records(sandbox)[1:3]
        record["requestNumber"] = "A/1 б?#"
        numbers = ["A/1 б?#", "no such", other["requestNumber"]]
        run = REQUESTS.run(sandbox, tmp_path, state, site_ids=None, request_numbers=numbers)
    assert run.returncode == 0, run.stderr
    assert [item["requestId"] for item in run.records] == [record["requestId"], other["requestId"]]
    (warning,) = warnings_in(run)
    assert "The API does not know request 'no such'." in warning
    assert run.states[-1] == state


def test_number_that_is_answered_by_an_empty_array_is_unknown(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        sandbox.faults.append(Fault("body", body=b"[]"))
        run = REQUESTS.run(sandbox, tmp_path, site_ids=None, request_numbers=["A-1"])
    assert (run.returncode, run.records) == (0, [])
    (warning,) = warnings_in(run)
    assert "The API does not know request 'A-1'." in warning


@pytest.mark.parametrize("width", [1, 4])
def test_after_a_number_that_cannot_be_asked_for_no_other_costs_a_call(
    tmp_path: Path, width: int
) -> None:
    with REQUESTS.sandbox() as sandbox:
        sandbox.faults.append(Fault("status", status=403))
        run = REQUESTS.run(
            sandbox,
            tmp_path,
            request_numbers=["A-1", "A-2", "A-3"],
            max_concurrent_requests=width,
        )
        calls = len(sandbox.calls)
    assert (run.returncode, calls) == (1, 1)
    assert "Request A-1: the API answered 403" in last_error(run)


def test_points_that_are_used_up_end_a_run_by_numbers(tmp_path: Path) -> None:
    with REQUESTS.sandbox(points=1) as sandbox:
        numbers = [record["requestNumber"] for record in REQUESTS.records(sandbox)[:2]]
        run = REQUESTS.run(sandbox, tmp_path, request_numbers=numbers)
    assert (run.returncode, len(run.records)) == (1, 1)
    assert "The daily points of the project are used up." in last_error(run)
    assert "Traceback" not in run.stderr


def test_request_that_is_asked_for_twice_comes_once(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        record = REQUESTS.records(sandbox)[0]
        numbers = [record["requestNumber"]] * 2
        run = REQUESTS.run(sandbox, tmp_path, request_numbers=numbers)
        calls = len(sandbox.calls)
    assert [item["requestId"] for item in run.records] == [record["requestId"]]
    assert calls == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"requestId": 1}', "a record has no usable `siteId` (found null)."),
        (b'[{"requestId": 1, "siteId": 101}]', "a record has no usable `date` (found null)."),
        (
            b'[{"requestId": 1},]',
            "the API answered 200: broken JSON (record 2). Gave up after 5 tries.",
        ),
        (b"[1]", "an item of the array is not an object."),
    ],
    ids=["no site", "no date", "broken", "no object"],
)
def test_request_by_number_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, body: bytes, problem: str
) -> None:
    with REQUESTS.sandbox() as sandbox:
        sandbox.faults.append(Fault("body", body=body))
        run = REQUESTS.run(sandbox, tmp_path, request_numbers=["A-1"])
    assert (run.returncode, run.records) == (1, [])
    assert "Traceback" not in run.stderr
    assert last_error(run).endswith(f"| Request A-1: {problem}")


# Replication methods, selection and maps.


def full_table_catalog(stream: Stream) -> dict[str, Any]:
    """Return a catalog that asks for all records each time."""
    catalog = stream.catalog
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    return catalog


@each_stream
def test_full_table_starts_at_the_start_and_keeps_no_bookmark(
    stream: Stream, tmp_path: Path
) -> None:
    catalog = full_table_catalog(stream)
    with stream.sandbox() as sandbox:
        config = config_for(sandbox, site_ids=[101])
        first = run_tap(config, tmp_path, catalog=catalog)
        again = run_tap(config, tmp_path, catalog=catalog, state=first.states[-1])
        whole = stream.records(sandbox)
    assert stream.keys(first.records) == stream.keys(again.records) == stream.keys(whole)
    assert "replication_key_value" not in json.dumps(again.states)


@each_stream
def test_full_table_that_fails_writes_what_came_before(stream: Stream, tmp_path: Path) -> None:
    catalog = full_table_catalog(stream)
    with stream.sandbox() as sandbox:
        is_later = lambda call: stream.days(call)[0].day > 1  # noqa: E731
        sandbox.faults.append(Fault("status", status=403, when=is_later))
        run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path, catalog=catalog)
        week = [row for row in stream.records(sandbox) if made(stream, row).day < 8]
    assert run.returncode == 1
    assert stream.keys(run.records) == stream.keys(week)


@each_stream
def test_full_table_tells_the_target_which_version_counts(stream: Stream, tmp_path: Path) -> None:
    catalog = full_table_catalog(stream)
    with stream.sandbox() as sandbox:
        config = config_for(sandbox, site_ids=[101], emit_activate_version_messages=True)
        run = run_tap(config, tmp_path, catalog=catalog)
    (activated,) = [item for item in run.messages if item["type"] == "ACTIVATE_VERSION"]
    records = [item for item in run.messages if item["type"] == "RECORD"]
    assert activated["stream"] == stream.name
    assert {record["version"] for record in records} == {activated["version"]}
    assert "emit_activate_version_messages" not in run.stderr


@pytest.mark.parametrize("in_environment", [False, True], ids=["file", "environment"])
def test_the_text_false_tells_the_target_no_version(
    tmp_path: Path, *, in_environment: bool
) -> None:
    catalog = full_table_catalog(REQUESTS)
    name = "emit_activate_version_messages"
    with REQUESTS.sandbox() as sandbox:
        run = run_tap(
            config_for(sandbox, **({} if in_environment else {name: "false"})),
            tmp_path,
            catalog=catalog,
            arguments=["--config", "ENV"] if in_environment else [],
            environment={f"TAP_CALLTOUCH_{name.upper()}": "false"} if in_environment else {},
        )
    assert run.records
    assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}
    assert not any("version" in message for message in run.messages)


@each_stream
def test_deselected_stream_is_neither_asked_for_nor_written(stream: Stream, tmp_path: Path) -> None:
    catalog = discover()
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] == stream.name
    with stream.sandbox() as sandbox:
        run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path, catalog=catalog)
        asked = {"calls" if "calls-diary" in call.path else "requests" for call in sandbox.calls}
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(stream.records(sandbox))
    assert {item["stream"] for item in run.messages if item["type"] == "SCHEMA"} == {stream.name}
    assert asked == {stream.name}


def test_deselected_fields_are_neither_in_schema_nor_in_records(tmp_path: Path) -> None:
    catalog = REQUESTS.catalog
    deselected = (["properties", "client"], ["properties", "session", "properties", "ip"])
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] in deselected:
                item["metadata"]["selected"] = False
    with REQUESTS.sandbox() as sandbox:
        run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path, catalog=catalog)
    assert "client" not in run.schema["properties"]
    assert "ip" not in run.schema["properties"]["session"]["properties"]
    assert run.records
    for record in run.records:
        assert "client" not in record
        assert "ip" not in (record["session"] or {})


def test_flattening_and_stream_maps_work_together(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        run = REQUESTS.run(
            sandbox,
            tmp_path,
            flattening_enabled=True,
            flattening_max_depth=1,
            stream_maps={"requests": {"phone_hash": "md5(requestNumber)", "client": None}},
            stream_map_config={},
        )
    assert run.returncode == 0, run.stderr
    record = next(record for record in run.records if record.get("session__source"))
    assert len(record["phone_hash"]) == 32
    assert not any(name.startswith("client") for name in record)


# What the log says.


@each_stream
def test_log_says_the_plan_each_window_at_debug_and_the_sum_but_no_record(
    stream: Stream, tmp_path: Path
) -> None:
    with stream.sandbox() as sandbox:
        run = stream.run(sandbox, tmp_path)
    (plan,) = lines_with(run, "INFO", "site 101")
    assert (
        f"Stream {stream.name}, site 101: 5 windows of up to 7 days from 2024-01-01 00:00:00 to "
        "2024-02-01 00:00:00 (no bookmark)"
    ) in plan
    windows = lines_with(run, "DEBUG", "rows received")
    assert [re.findall(r"window (\S+ to \S+):", line) for line in windows] == [
        ["2024-01-01 to 2024-01-07"],
        ["2024-01-08 to 2024-01-14"],
        ["2024-01-15 to 2024-01-21"],
        ["2024-01-22 to 2024-01-28"],
        ["2024-01-29 to 2024-01-31"],
    ]
    (summary,) = lines_with(run, "INFO", "rows received")
    number = len(run.records)
    assert f"5 windows, {number} rows received, {number} written, in " in summary
    if stream is REQUESTS:
        phones = [phone["phoneNumber"] for row in run.records for phone in row["client"]["phones"]]
    else:
        phones = [row["callerNumber"] for row in run.records]
    assert phones
    assert not any(phone in run.stderr for phone in phones)


@each_stream
@pytest.mark.parametrize("fails", [False, True], ids=["run that succeeds", "run that fails"])
def test_log_says_once_what_did_not_fit_the_schema_and_what_is_new(
    stream: Stream, tmp_path: Path, *, fails: bool
) -> None:
    """Counts and names, types of what is new, but no value."""
    secret = "79990001122x"
    unfit = "session" if stream is REQUESTS else "duration"

    def change(rows: list[Record]) -> list[Record]:
        news = {"newField": {"a": secret}, "newList": [secret], "newText": secret, "newFlag": True}
        wrong = {unfit: secret, "manager": 5}
        return [row | news | wrong for row in rows]

    with stream.sandbox() as sandbox:
        sandbox.faults.append(
            Fault("status", status=403, when=lambda call: fails and stream.days(call)[0].day > 7)
        )
        sandbox.faults.append(Fault("change", apply=change))
        run = stream.run(sandbox, tmp_path)
        whole = stream.records(sandbox)
    assert run.returncode == fails
    assert run.records
    (unknown,) = lines_with(run, f"Stream {stream.name}: Unknown fields (please report them): ")
    for text in ("newField (object)", "newList (array)", "newText (string)", "newFlag (boolean)"):
        assert text in unknown
    (removed,) = lines_with(run, "Values removed since they do not fit the schema: ")
    assert re.search(rf"\b{unfit} {len(run.records)}\b", removed)
    (converted,) = lines_with(run, "Values converted without loss, since they do not fit")
    assert "| INFO " in converted
    assert "| WARNING " in removed
    assert re.search(rf"\bmanager {len(run.records)}\b", converted)
    assert (len(run.records) == len(whole)) != fails
    assert secret not in run.stderr


# The test of a connection.


def test_connection_test_costs_one_call_for_each_stream_and_site(tmp_path: Path) -> None:
    records = [REQUESTS.record(number, JANUARY_8 + number * DAY) for number in range(3)]
    with REQUESTS.sandbox(records, sites=(101, 202)) as sandbox:
        config = config_for(sandbox, site_ids=[101, 202])
        run = run_tap(config, tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    asked = [
        (call.journal, call.params.get("siteId") or call.path.split("/")[-3])
        for call in sandbox.calls
    ]
    assert sorted(asked) == [
        (name, site) for name in ("calls", "requests") for site in ("101", "202")
    ]
    for call in sandbox.calls:
        day = date(2024, 1, 31)
        assert STREAMS[call.journal].days(call) == (day, day)


@each_stream
def test_connection_test_says_in_plain_words_what_came(stream: Stream, tmp_path: Path) -> None:
    records = [
        stream.record(number, JANUARY_8 + number * timedelta(hours=8)) for number in range(3)
    ]
    records[1]["comments"] = [{"commentId": 7}]
    with stream.sandbox(records) as sandbox:
        config = config_for(sandbox, site_ids=[101], with_comments=True, **ONE_DAY)
        run = run_tap(config, tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    (line,) = lines_with(run, f"Stream {stream.name}, site 101: ", "records received")
    assert (
        "3 records received, from 2024-01-07T21:00:00.000+00:00 to 2024-01-08T13:00:00.000+00:00. "
        "Filled in some: comments. Empty in all: "
    ) in line
    assert {"mapVisits", "attrs", "dcm"} <= set(line.split("Empty in all: ")[1].split(", "))
    assert (len(run.records), run.states) == (1, [])
    assert warnings_in(run) == []


@each_stream
def test_connection_test_says_what_to_check_if_nothing_came(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox([]) as sandbox:
        config = config_for(sandbox, site_ids=[101])
        run = run_tap(config, tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    (line,) = lines_with(
        run, f"Stream {stream.name}, site 101: the API answered, but without records"
    )
    for setting in ("site_ids", "start_date", "end_date"):
        assert f"`{setting}`" in line


def test_connection_test_takes_a_thousand_records_without_a_second_call(tmp_path: Path) -> None:
    records = [REQUESTS.record(number, JANUARY_8) for number in range(1000)]
    with REQUESTS.sandbox(records) as sandbox:
        config = config_for(sandbox, site_ids=[101], **ONE_DAY)
        run = run_tap(config, tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    assert [call.journal for call in sandbox.calls] == ["calls", "requests"]
    assert "1000 records received" in run.stderr


def test_connection_test_takes_one_page_of_calls(tmp_path: Path) -> None:
    with CALLS.sandbox(page_limit=2) as sandbox:
        config = config_for(sandbox, site_ids=[101])
        run = run_tap(config, tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    assert [call.journal for call in sandbox.calls] == ["calls", "requests"]
    assert "2 records received" in run.stderr


def test_connection_test_without_sites_leaves_calls_out(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        run = run_tap(config_for(sandbox, site_ids=None), tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    assert [call.journal for call in sandbox.calls] == ["requests"]
    assert len(lines_with(run, "WARNING", "No calls are loaded: the stream needs `site_ids`")) == 1


def test_connection_test_with_a_wrong_token_is_one_error(tmp_path: Path) -> None:
    with REQUESTS.sandbox([]) as sandbox:
        config = config_for(sandbox, site_ids=[101], api_token="wrong")
        run = run_tap(config, tmp_path, arguments=["--test"])
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert last_error(run).endswith("Check `api_token`.")
    assert len(sandbox.calls) == 1  # a message that names the token ends the run
