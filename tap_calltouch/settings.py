"""The settings: names, types, bounds, defaults, and the API parameter that each maps to."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

API_URL = "https://api.calltouch.ru/calls-service/RestAPI"
FILTER_MODES = ["startwith", "contains", "exact"]
_FLAGS = {
    "with_map_visits": ("withMapVisits", "the visits of each visitor", "mapVisits"),
    "with_request_tags": ("withRequestTags", "the tags of each request", "RequestTags"),
    "with_yandex_direct": ("withYandexDirect", "the Yandex Direct ids", "yandexDirect"),
    "with_google_adwords": ("withGoogleAdwords", "the Google Ads ids", "googleAdWords"),
    "with_attrs": ("withAttrs", "the custom parameters of the visit", "attrs"),
    "with_widget_info": ("withWidgetInfo", "what visitors entered in widgets", "widgetInfo"),
    "with_custom_fields": ("withCustomFields", "the custom fields", "customFields"),
    "with_dcm": ("withDcm", "the DoubleClick Campaign Manager uploads", "dcm"),
}
_FILTERS = {
    "subject": ("Form name", "whose form name starts with this"),
    "keywords": ("Keywords", "whose search phrase contains this"),
    "city": ("City", "from the city of exactly this name (names as in Sypex Geo)"),
    "source": ("Source", "from exactly this source"),
    "medium": ("Medium", "from exactly this medium"),
    "manager": ("Manager", "of the manager of exactly this name"),
}
# Settings whose API parameter has the same meaning and value: setting -> parameter.
PARAMETERS = {"bind_to": "bindTo", **{name: name for name in _FILTERS}} | {
    name: parameter for name, (parameter, *_) in _FLAGS.items()
}


def _value_filter(name: str, title: str, what: str) -> th.Property[Any]:
    return th.Property(
        name,
        th.ObjectType(
            th.Property(
                "value",
                th.StringType,
                title=title,
                description=f"Only requests with this {what}. API: `{name}.value`.",
            ),
            th.Property(
                "filter_mode",
                th.StringType,
                allowed_values=FILTER_MODES,
                title=f"{title} filter mode",
                description=f"How `{name}.value` is compared; the API's default is `exact`. "
                f"API: `{name}.filterMode`.",
            ),
        ),
        title=f"{title} filter",
        description=f"Only requests with a certain {what}.",
    )


SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property(
        "api_token",
        th.StringType,
        required=True,
        secret=True,
        title="API token",
        description="Token for the statistics API of your Calltouch account. API: `clientApiId`.",
    ),
    th.Property(
        "site_ids",
        th.ArrayType(th.IntegerType(minimum=1)),
        default=[],
        title="Site IDs",
        description="Sites (account ids) to load, each with a bookmark of its own. "
        "Empty: whatever the token shows. API: `siteId`.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        required=True,
        title="Start date",
        description="First date or date-time to load. API: `dateFrom`, `timeFrom`.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Last date to load (that whole day is included), or the date-time before which "
        "to load. Default: now. API: `dateTo`, `timeTo`.",
    ),
    th.Property(
        "timezone",
        th.StringType,
        default="Europe/Moscow",
        title="Time zone",
        description="IANA name of the zone of dates without an offset and of the days asked for.",
    ),
    th.Property(
        "window_days",
        th.IntegerType(minimum=1, maximum=90),
        default=7,
        title="Window (days)",
        description="Days to ask for in one API call, 1 to 90.",
    ),
    th.Property(
        "lookback_days",
        th.IntegerType(minimum=0, maximum=365),
        default=10,
        title="Look-back (days)",
        description="Days before the bookmark to load again in each run, 0 to 365, "
        "since requests change after they are made.",
    ),
    th.Property(
        "bind_to",
        th.StringType,
        default="request",
        allowed_values=["request", "session"],
        title="Bind to",
        description="Whether dates select by the date of the request or of the session. "
        "API: `bindTo`.",
    ),
    *(
        th.Property(
            name,
            th.StringType,
            title=title,
            description=f"Only requests {which}. API: `{name}`.",
        )
        for name, (title, which) in _FILTERS.items()
    ),
    _value_filter("ani", "Phone number", "phone number"),
    _value_filter("email", "E-mail", "e-mail address"),
    *(
        th.Property(
            name,
            th.BooleanType,
            default=False,
            title=f"With {field}",
            description=f"Load {what} into `{field}`. API: `{parameter}`.",
        )
        for name, (parameter, what, field) in _FLAGS.items()
    ),
    th.Property(
        "request_numbers",
        th.ArrayType(th.StringType),
        default=[],
        title="Request numbers",
        description="Load just these requests, by `requestNumber`, and leave the bookmark alone. "
        "API: `requests/{requestNumber}`.",
    ),
    th.Property(
        "max_concurrent_requests",
        th.IntegerType(minimum=1, maximum=5),
        default=4,
        title="Concurrent requests",
        description="API calls in flight or waiting to be written, 1 to 5.",
    ),
    th.Property(
        "requests_per_second",
        th.DecimalType(exclusive_minimum=0, maximum=5),
        default=5,
        title="Requests per second",
        description="API calls started per second, above 0, at most 5 (the API's limit for one "
        "IP address).",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1),
        default=300,
        title="Request timeout (seconds)",
        description="Seconds to wait for the API to answer or to go on answering.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default=API_URL,
        title="API URL",
        description="Base URL of the API, for a proxy or a test server.",
    ),
).to_dict()
