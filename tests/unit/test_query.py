"""What a journal is asked: each setting by the API's name, dates and site in the journal's form."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tap_calltouch.api.windows import DateWindow
from tap_calltouch.config.settings import CALL_PARAMETERS, REQUEST_PARAMETERS
from tap_calltouch.streams import Calls, Requests
from tests.support.settings import settings_of

if TYPE_CHECKING:
    from tap_calltouch.journal import JournalStream

Query = dict[str, str]


def span(start: str, end: str) -> DateWindow:
    return DateWindow(datetime.fromisoformat(start), datetime.fromisoformat(end))


WEEK = span("2024-01-08", "2024-01-15")
A_DAY = span("2024-01-08", "2024-01-09")
AN_HOUR = span("2024-01-08T10:00", "2024-01-08T11:00")
FLAGS = {
    "with_map_visits": "withMapVisits",
    "with_yandex_direct": "withYandexDirect",
    "with_google_adwords": "withGoogleAdwords",
    "with_attrs": "withAttrs",
    "with_custom_fields": "withCustomFields",
    "with_dcm": "withDcm",
}
REQUEST_FLAGS = {"with_request_tags": "withRequestTags", "with_widget_info": "withWidgetInfo"}
CALL_FLAGS = {
    "with_call_tags": "withCallTags",
    "with_orders": "withOrders",
    "with_comments": "withComments",
    "with_text": "withText",
    "with_callback_info": "withCallbackInfo",
    "unique_calls_only": "uniqueOnly",
    "target_calls_only": "targetOnly",
    "unique_target_calls_only": "uniqTargetOnly",
    "callback_calls_only": "callbackOnly",
}
FILTERS = {
    **{name: name for name in ("subject", "keywords", "city", "source", "medium", "manager")},
    "ani_value": "ani.value",
    "ani_filter_mode": "ani.filterMode",
    "email_value": "email.value",
    "email_filter_mode": "email.filterMode",
}
Setting = tuple[type["JournalStream"], str, Any, str, str]
SETTINGS: list[Setting] = [
    *((Requests, name, True, api, "true") for name, api in (FLAGS | REQUEST_FLAGS).items()),
    *((Calls, name, True, api, "true") for name, api in (FLAGS | CALL_FLAGS).items()),
    *((Requests, name, "Заявка +&=", api, "Заявка +&=") for name, api in FILTERS.items()),
    (Requests, "subject", "request", "subject", "request"),
    (Requests, "bind_to", "request", "bindTo", "request"),
    (Requests, "bind_to", "session", "bindTo", "session"),
    (Calls, "bind_to", "request", "bindTo", "call"),
    (Calls, "bind_to", "session", "bindTo", "session"),
    (Calls, "call_attribution", "0", "attribution", "0"),
    (Calls, "call_attribution", "1", "attribution", "1"),
]


def query(stream: type[JournalStream], window: DateWindow = WEEK, **settings: Any) -> Query:
    return stream.journal.query(settings_of(**settings), 101, window)


def test_each_setting_is_a_parameter_of_the_api() -> None:
    for row in SETTINGS:
        stream, setting, value, parameter, sent = row
        assert query(stream, **{setting: value}) == query(stream) | {parameter: sent}, row


def test_each_setting_of_the_api_is_tried_here() -> None:
    tried = {(stream, setting): parameter for stream, setting, _, parameter, _ in SETTINGS}
    assert tried == {(Requests, name): api for name, api in REQUEST_PARAMETERS.items()} | {
        (Calls, name): api for name, api in CALL_PARAMETERS.items()
    }


@pytest.mark.parametrize("value", [False, None])
@pytest.mark.parametrize("stream", [Requests, Calls])
def test_settings_that_are_off_are_not_sent(
    stream: type[JournalStream], *, value: bool | None
) -> None:
    settings: dict[str, Any] = {name: value for owner, name, *_ in SETTINGS if owner is stream}
    assert query(stream, **settings | {"bind_to": "request"}) == query(stream)


@pytest.mark.parametrize("stream", [Requests, Calls])
def test_settings_of_the_other_journal_are_not_sent(stream: type[JournalStream]) -> None:
    own = {name for owner, name, *_ in SETTINGS if owner is stream}
    settings = {name: value for _, name, value, *_ in SETTINGS if name not in own}
    assert query(stream, **settings) == query(stream)


@pytest.mark.parametrize(
    ("stream", "site", "expected"),
    [
        pytest.param(
            Requests,
            101,
            {"dateFrom": "01/08/2024", "dateTo": "01/14/2024", "siteId": "101"},
            id="requests of a site",
        ),
        pytest.param(
            Requests, None, {"dateFrom": "01/08/2024", "dateTo": "01/14/2024"}, id="of all sites"
        ),
        pytest.param(
            Calls,
            101,
            {"dateFrom": "08/01/2024", "dateTo": "14/01/2024"},
            id="calls, whose site stands in the path",
        ),
    ],
)
def test_days_and_site_are_written_as_the_journal_has_them(
    stream: type[JournalStream], site: int | None, expected: Query
) -> None:
    bind_to = "request" if stream is Requests else "call"
    found = stream.journal.query(settings_of(), site, WEEK)
    assert found == expected | {"bindTo": bind_to}


@pytest.mark.parametrize(
    ("window", "times"),
    [
        pytest.param(WEEK, {}, id="whole days"),
        pytest.param(A_DAY, {}, id="a day"),
        pytest.param(
            span("2024-01-08T10:30:15", "2024-01-09"),
            {"timeFrom": "10:30:15"},
            id="a cut first day",
        ),
        pytest.param(
            span("2024-01-08", "2024-01-08T18:30"), {"timeTo": "18:30:00"}, id="a cut last day"
        ),
        pytest.param(AN_HOUR, {"timeFrom": "10:00:00", "timeTo": "11:00:00"}, id="an hour"),
    ],
)
def test_times_are_sent_only_within_a_day(window: DateWindow, times: Query) -> None:
    for stream in (Requests, Calls):
        sent = query(stream, window)
        found = {name: value for name, value in sent.items() if name.startswith("time")}
        assert found == times, stream
        assert not times or sent["dateFrom"] == sent["dateTo"], stream


@pytest.mark.parametrize(
    ("stream", "sites", "numbers", "is_possible"),
    [
        pytest.param(Requests, [], [], True, id="requests of all sites"),
        pytest.param(Requests, [1], [], True, id="requests of a site"),
        pytest.param(Requests, [], ["1"], True, id="requests by number"),
        pytest.param(Calls, [], [], False, id="calls of all sites"),
        pytest.param(Calls, [1], [], True, id="calls of a site"),
        pytest.param(Calls, [1], ["1"], False, id="calls by number"),
    ],
)
def test_journal_knows_whether_it_can_be_asked(
    stream: type[JournalStream], sites: list[int], numbers: list[str], *, is_possible: bool
) -> None:
    assert stream.journal.is_possible(sites, numbers) is is_possible
