"""The main job: every parameter reaches the API, every record comes out once."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sandbox import Fault, Journal, Sandbox
from tests.support.tap import FLAGS, TOKEN, config_for, keys, run_tap

if TYPE_CHECKING:
    from pathlib import Path

ALL_FLAGS = dict.fromkeys(FLAGS, True)


def in_january(journal: Journal, site: int | None = None) -> list[dict[str, Any]]:
    return [
        record for record in journal.records(site) if "/01/2024" in record["dateStr"]
    ]  # not the vendor's sample


def test_every_request_comes_out_once_and_fits_the_schema(
    sandbox: Sandbox, journal: Journal, tmp_path: Path
) -> None:
    run = run_tap(config_for(sandbox, **ALL_FLAGS), tmp_path)
    assert run.returncode == 0, run.stderr
    assert keys(run.records) == keys(in_january(journal))
    validator = jsonschema.Draft202012Validator(
        run.schema, format_checker=jsonschema.FormatChecker()
    )
    for record in run.records:
        validator.validate(record)
    assert sandbox.rejected == 0


def test_vendor_sample_keeps_every_documented_value(sandbox: Sandbox, tmp_path: Path) -> None:
    config = config_for(
        sandbox, start_date="2019-03-28", end_date="2019-04-04", site_ids=[101], **ALL_FLAGS
    )
    (record,) = run_tap(config, tmp_path).records
    (sample,) = [item for item in sandbox.journal.records() if item["requestId"] == 145507]
    expected = json.loads(json.dumps(sample))
    expected["date"] = "2019-04-04T12:50:59.240+00:00"
    for order in (expected["order"], *expected["orders"]):
        order["dateCreated"] = "2019-04-04T12:57:00.000+00:00"
    assert _pick(record, expected) == expected


def _pick(value: Any, like: Any) -> Any:
    """Leave out what another value does not have."""
    if isinstance(like, dict):
        return {name: _pick(value[name], like[name]) for name in like}
    if isinstance(like, list):
        return [_pick(item, other) for item, other in zip(value, like, strict=True)]
    return value


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"subject": "Заявка"}, {"subject": "Заявка"}),
        ({"keywords": "купить"}, {"keywords": "купить"}),
        ({"city": "moscow"}, {"city": "moscow"}),
        ({"source": "yandex"}, {"source": "yandex"}),
        ({"medium": "cpc"}, {"medium": "cpc"}),
        ({"manager": "Вася"}, {"manager": "Вася"}),
        ({"bind_to": "session"}, {"bindTo": "session"}),
        ({"ani_value": "7999"}, {"ani.value": "7999"}),
        (
            {"ani_value": "7999", "ani_filter_mode": "startwith"},
            {"ani.value": "7999", "ani.filterMode": "startwith"},
        ),
        (
            {"email_value": "@yandex.ru", "email_filter_mode": "contains"},
            {"email.value": "@yandex.ru", "email.filterMode": "contains"},
        ),
        ({"with_map_visits": True}, {"withMapVisits": "true"}),
        ({"with_request_tags": True}, {"withRequestTags": "true"}),
        ({"with_yandex_direct": True}, {"withYandexDirect": "true"}),
        ({"with_google_adwords": True}, {"withGoogleAdwords": "true"}),
        ({"with_attrs": True}, {"withAttrs": "true"}),
        ({"with_widget_info": True}, {"withWidgetInfo": "true"}),
        ({"with_custom_fields": True}, {"withCustomFields": "true"}),
        ({"with_dcm": True}, {"withDcm": "true"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_setting_reaches_the_api(
    sandbox: Sandbox, tmp_path: Path, settings: dict[str, Any], parameters: dict[str, str]
) -> None:
    config = config_for(sandbox, end_date="2024-01-01", site_ids=[101], **settings)
    assert run_tap(config, tmp_path).returncode == 0
    (call,) = sandbox.calls
    asked = {"dateFrom": "01/01/2024", "dateTo": "01/01/2024", "siteId": "101"}
    asked |= {"clientApiId": TOKEN, "bindTo": "request"}
    assert call.params == asked | parameters


def test_filters_select(sandbox: Sandbox, journal: Journal, tmp_path: Path) -> None:
    run = run_tap(config_for(sandbox, source="yandex", medium="cpc"), tmp_path)
    expected = [
        record
        for record in in_january(journal)
        if record["session"]
        and (record["session"]["source"], record["session"]["medium"]) == ("yandex", "cpc")
    ]
    assert expected
    assert keys(run.records) == keys(expected)


def test_days_that_are_cut_are_asked_for_with_times(sandbox: Sandbox, tmp_path: Path) -> None:
    config = config_for(
        sandbox,
        site_ids=[101],
        start_date="2024-01-10T10:00:00",
        end_date="2024-01-12T18:30:00+03:00",
    )
    run = run_tap(config, tmp_path)
    asked = [
        {name: value for name, value in call.params.items() if name.startswith(("date", "time"))}
        for call in sandbox.calls
    ]
    assert sorted(asked, key=lambda params: params["dateFrom"]) == [
        {"dateFrom": "01/10/2024", "dateTo": "01/10/2024", "timeFrom": "10:00:00"},
        {"dateFrom": "01/11/2024", "dateTo": "01/11/2024"},
        {"dateFrom": "01/12/2024", "dateTo": "01/12/2024", "timeTo": "18:30:00"},
    ]
    dates = sorted(record["date"] for record in run.records)
    assert dates[0] >= "2024-01-10T07:00:00.000+00:00"
    assert dates[-1] < "2024-01-12T15:30:00.000+00:00"


@pytest.mark.parametrize("single_as_array", [False, True], ids=["object", "array"])
def test_requests_load_by_number_and_an_unknown_one_is_a_warning(
    journal: Journal, tmp_path: Path, *, single_as_array: bool
) -> None:
    record, other = journal.records(101)[1:3]
    record["requestNumber"] = "A/1 б?#"
    state = {"bookmarks": {"requests": {"replication_key": "date"}}}
    state["bookmarks"]["requests"]["replication_key_value"] = "2024-01-05T00:00:00.000+00:00"
    with Sandbox(journal, token=TOKEN, single_as_array=single_as_array) as sandbox:
        numbers = ["A/1 б?#", "no such", other["requestNumber"]]
        config = config_for(sandbox, site_ids=None, request_numbers=numbers)
        run = run_tap(config, tmp_path, state=state)
    assert run.returncode == 0, run.stderr
    assert [item["requestId"] for item in run.records] == [record["requestId"], other["requestId"]]
    assert "does not know request 'no such'" in run.stderr
    assert run.states[-1] == state


def test_session_binding_keeps_requests_outside_the_period(
    sandbox: Sandbox, journal: Journal, tmp_path: Path
) -> None:
    run = run_tap(config_for(sandbox, bind_to="session"), tmp_path)
    outside = [record for record in run.records if record["date"] > "2024-01-31T21"]
    by_session = [
        record
        for record in journal.records()
        if record["session"] and "/01/2024" in (record["session"].get("sessionDate") or "")
    ]
    assert keys(run.records) == keys(by_session)
    assert outside == [] or by_session


def test_rows_of_another_site_are_left_out_with_one_warning(
    journal: Journal, tmp_path: Path
) -> None:
    with Sandbox(journal, token=TOKEN, ignore_site=True) as sandbox:
        run = run_tap(config_for(sandbox), tmp_path)
    assert keys(run.records) == keys(in_january(journal))
    assert run.stderr.count("records of other sites") == 2  # one a site


def test_missing_site_id_comes_from_the_partition(journal: Journal, tmp_path: Path) -> None:
    records = in_january(journal, 101)
    for record in records:
        del record["siteId"]
    with Sandbox(Journal.of(records), token=TOKEN) as sandbox:
        run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path)
    assert {record["siteId"] for record in run.records} == {101}
    assert len(run.records) == len(records)


def test_missing_site_id_without_partition_ends_before_any_record(
    journal: Journal, tmp_path: Path
) -> None:
    records = in_january(journal, 101)
    for record in records:
        del record["siteId"]
    with Sandbox(Journal.of(records), token=TOKEN) as sandbox:
        run = run_tap(config_for(sandbox, site_ids=None), tmp_path)
    assert run.returncode == 1
    assert run.records == []
    assert "Set `site_ids`" in run.stderr


def test_rows_are_kept_in_any_order_and_outside_the_window(
    sandbox: Sandbox, journal: Journal, tmp_path: Path
) -> None:
    """A back-dated or misfiled row is dropped against the user's own dates only."""
    records = in_january(journal, 101)
    sandbox.faults.append(
        Fault("change", apply=records[::-1], when=lambda call: call.params["siteId"] == "101")
    )
    run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path)
    assert set(keys(run.records)) == set(keys(records))
    config = config_for(sandbox, site_ids=[101], start_date="2024-01-10", end_date="2024-01-12")
    dates = [record["date"] for record in run_tap(config, tmp_path).records]
    assert dates
    assert all("2024-01-09T21" <= value < "2024-01-12T21" for value in dates)


def test_deselected_fields_are_neither_in_schema_nor_in_records(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    catalog = json.loads(run_tap({}, tmp_path, arguments=["--discover"]).stdout)
    deselected = ["properties/client", "properties/session/properties/ip"]
    for entry in catalog["streams"][0]["metadata"]:
        if "/".join(entry["breadcrumb"]) in deselected:
            entry["metadata"]["selected"] = False
        if entry["breadcrumb"] == []:
            entry["metadata"]["selected"] = True
    run = run_tap(config_for(sandbox), tmp_path, catalog=catalog)
    assert "client" not in run.schema["properties"]
    assert "ip" not in run.schema["properties"]["session"]["properties"]
    assert run.records
    for record in run.records:
        assert "client" not in record
        assert "ip" not in (record["session"] or {})


def test_flattening_and_stream_maps_work_together(sandbox: Sandbox, tmp_path: Path) -> None:
    maps = {"requests": {"phone_hash": "md5(requestNumber)", "client": None}}
    config = config_for(
        sandbox,
        flattening_enabled=True,
        flattening_max_depth=1,
        stream_maps=maps,
        stream_map_config={},
    )
    run = run_tap(config, tmp_path)
    assert run.returncode == 0, run.stderr
    record = run.records[0]
    assert "session__source" in record
    assert len(record["phone_hash"]) == 32
    assert not any(name.startswith("client") for name in record)


def test_full_table_starts_at_the_start_and_keeps_no_bookmark(
    sandbox: Sandbox, journal: Journal, tmp_path: Path
) -> None:
    catalog = json.loads(run_tap({}, tmp_path, arguments=["--discover"]).stdout)
    catalog["streams"][0]["replication_method"] = "FULL_TABLE"
    first = run_tap(config_for(sandbox), tmp_path, catalog=catalog)
    again = run_tap(config_for(sandbox), tmp_path, catalog=catalog, state=first.states[-1])
    assert keys(first.records) == keys(again.records) == keys(in_january(journal))
    assert "replication_key_value" not in json.dumps(again.states)


def test_connection_test_costs_one_call_for_one_day(journal: Journal, tmp_path: Path) -> None:
    with Sandbox(journal, token=TOKEN) as sandbox:
        run = run_tap(config_for(sandbox), tmp_path, arguments=["--test"])
    assert run.returncode == 0, run.stderr
    (call,) = sandbox.calls
    assert call.params["dateFrom"] == call.params["dateTo"] == "01/31/2024"


def test_logs_tell_the_plan_and_each_window_and_no_record(sandbox: Sandbox, tmp_path: Path) -> None:
    run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path)
    lines = [line for line in run.stderr.splitlines() if "site 101" in line]
    assert "5 windows of up to 7 days from 2024-01-01 00:00:00+03:00" in lines[0]
    assert "no bookmark" in lines[0]
    assert [line.split("window ")[1][:6] for line in lines[1:]] == [
        f"{number} of 5" for number in range(1, 6)
    ]
    numbers = [phone["phoneNumber"] for item in run.records for phone in item["client"]["phones"]]
    assert numbers
    assert not any(number in run.stderr for number in numbers)


def test_journal_of_today_is_asked_for_whole(tmp_path: Path) -> None:
    today = date.today()  # noqa: DTZ011 - any day near now will do
    with Sandbox(Journal.of([]), token=TOKEN) as sandbox:
        config = config_for(sandbox, start_date=today.replace(day=1).isoformat(), end_date=None)
        run = run_tap(config, tmp_path)
    assert run.returncode == 0
    assert not any("timeTo" in call.params for call in sandbox.calls)
