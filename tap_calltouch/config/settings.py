"""The settings: names, types, bounds, defaults, and the API parameter that each maps to."""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import EMIT_ACTIVATE_VERSION_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping

API_URL = "https://api.calltouch.ru/calls-service/RestAPI"


class _Flag(NamedTuple):
    """How a setting adds to the records: its API parameter, what it loads, the field it fills."""

    parameter: str
    content: str
    field: str


class _Filter(NamedTuple):
    """How a setting leaves records out: its API parameter, its title, and a text about the rest."""

    parameter: str
    title: str
    text: str


_FLAGS = {
    "with_map_visits": _Flag("withMapVisits", "visits of each visitor", "mapVisits"),
    "with_yandex_direct": _Flag("withYandexDirect", "Yandex Direct ids", "yandexDirect"),
    "with_google_adwords": _Flag("withGoogleAdwords", "Google Ads ids", "googleAdWords"),
    "with_attrs": _Flag("withAttrs", "third-party parameters of the visit", "attrs"),
    "with_custom_fields": _Flag("withCustomFields", "custom fields", "customFields"),
    "with_dcm": _Flag("withDcm", "transfers to DoubleClick Campaign Manager", "dcm"),
}
_REQUEST_FLAGS = {
    "with_request_tags": _Flag("withRequestTags", "tags of each request", "RequestTags"),
    "with_widget_info": _Flag("withWidgetInfo", "what visitors entered in widgets", "widgetInfo"),
}
_CALL_FLAGS = {
    "with_call_tags": _Flag("withCallTags", "tags of each call", "callTags"),
    "with_orders": _Flag("withOrders", "orders of each call", "orders"),
    "with_comments": _Flag("withComments", "comments on each call", "comments"),
    "with_text": _Flag("withText", "recognised speech", "phrases"),
    "with_callback_info": _Flag(
        "withCallbackInfo",
        "details of the callback request",
        "callbackInfo",
    ),
}
# The text says which requests are left.
_FILTERS = {
    "subject": _Filter("subject", "Form name", "whose form name starts with this"),
    "keywords": _Filter("keywords", "Keywords", "whose search phrase contains this"),
    "city": _Filter("city", "City", "from this city (exact match, as in Sypex Geo)"),
    "source": _Filter("source", "Source", "from this source (exact match)"),
    "medium": _Filter("medium", "Medium", "from this medium (exact match)"),
    "manager": _Filter("manager", "Manager", "of this manager (exact match)"),
    "ani_value": _Filter("ani.value", "Phone number", "with this phone number"),
    "email_value": _Filter("email.value", "E-mail", "with this e-mail address"),
}
# The text is the setting with the value that is compared.
_FILTER_MODES = {
    "ani_filter_mode": _Filter("ani.filterMode", "Phone number", "ani_value"),
    "email_filter_mode": _Filter("email.filterMode", "E-mail", "email_value"),
}
_CALL_FILTERS = {
    "unique_calls_only": _Filter("uniqueOnly", "Unique calls", "unique calls"),
    "target_calls_only": _Filter("targetOnly", "Target calls", "target calls"),
    "unique_target_calls_only": _Filter(
        "uniqTargetOnly", "Unique-target calls", "unique-target calls"
    ),
    "callback_calls_only": _Filter("callbackOnly", "Callbacks", "callbacks"),
}


def _parameters(*groups: Mapping[str, _Flag] | Mapping[str, _Filter]) -> dict[str, str]:
    return {name: row.parameter for group in groups for name, row in group.items()}


# For each journal: setting -> API parameter of the same meaning.
REQUEST_PARAMETERS = {
    "bind_to": "bindTo",
    **_parameters(_FILTERS, _FILTER_MODES, _FLAGS, _REQUEST_FLAGS),
}
CALL_PARAMETERS = {
    "bind_to": "bindTo",
    "call_attribution": "attribution",
    **_parameters(_FLAGS, _CALL_FLAGS, _CALL_FILTERS),
}


def _flag(name: str, parameter: str, title: str, description: str) -> th.Property[Any]:
    return th.Property(
        name,
        th.BooleanType,
        default=False,
        title=title,
        description=f"{description} API: `{parameter}`.",
    )


def _flags(flags: Mapping[str, _Flag], note: str) -> list[th.Property[Any]]:
    return [
        _flag(
            name,
            flag.parameter,
            flag.content[0].upper() + flag.content[1:],
            f"Load {flag.content} into `{flag.field}`{note}.",
        )
        for name, flag in flags.items()
    ]


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
        description="Sites to load, by site id, each with a bookmark of its own. Calls are "
        "loaded only for sites that are named here. Empty: requests of all sites that the token "
        "can see. API: `siteId`.",
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
        description="IANA time zone for dates without an offset and for the days requested from "
        "the API.",
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
        "because records change after creation.",
    ),
    th.Property(
        "bind_to",
        th.StringType,
        default="request",
        allowed_values=["request", "session"],
        title="Bind to",
        description="Which date selects: that of the request or call, or that of its session. "
        "API: `bindTo`.",
    ),
    *(
        th.Property(
            name,
            th.StringType,
            title=row.title,
            description=f"Only requests {row.text}. API: `{row.parameter}`.",
        )
        for name, row in _FILTERS.items()
    ),
    *(
        th.Property(
            name,
            th.StringType,
            allowed_values=["startwith", "contains", "exact"],
            title=f"{row.title} filter mode",
            description=f"How `{row.text}` is compared; the API's default is `exact`. "
            f"API: `{row.parameter}`.",
        )
        for name, row in _FILTER_MODES.items()
    ),
    *_flags(_FLAGS, ", for requests and calls"),
    *_flags(_REQUEST_FLAGS, ", for requests only"),
    *_flags(_CALL_FLAGS, ", for calls only"),
    th.Property(
        "call_attribution",
        th.StringType,
        allowed_values=["0", "1"],
        title="Call attribution",
        description="Which visit a call is attributed to: the last (`0`), or the last non-direct "
        "one (`1`, the API's default). API: `attribution`.",
    ),
    *(
        _flag(name, row.parameter, row.title, f"Only {row.text}.")
        for name, row in _CALL_FILTERS.items()
    ),
    th.Property(
        "request_numbers",
        th.ArrayType(th.StringType),
        default=[],
        title="Request numbers",
        description="Load just these requests, by `requestNumber`, and no calls, and leave the "
        "bookmarks alone. API: `requests/{requestNumber}`.",
    ),
    th.Property(
        "max_concurrent_requests",
        th.IntegerType(minimum=1, maximum=5),
        default=4,
        title="Concurrent requests",
        description="API calls in flight, and answers waiting to be written, 1 to 5.",
    ),
    th.Property(
        "requests_per_second",
        th.IntegerType(minimum=1, maximum=5),
        default=5,
        title="Requests per second",
        description="API calls started per second, 1 to 5 (the API's limit for one IP address).",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1, maximum=86_400),
        default=300,
        title="Request timeout (seconds)",
        description="Seconds to wait for an answer to begin or to continue, 1 to 86400.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default=API_URL,
        title="API URL",
        description="Base URL of the API, for a proxy or a test server.",
    ),
).to_dict()

# What the SDK reads of a `batch_config`, but does not list.
_BATCH_SIZE: dict[str, Any] = th.Property(
    "batch_size",
    th.IntegerType(minimum=1, maximum=sys.maxsize),
    title="Batch Size",
    description="The largest number of records in a batch file. Default: 10000.",
).to_dict()
_STORAGE_PARAMS: dict[str, Any] = th.Property(
    "params",
    th.ObjectType(),
    title="Batch Storage Parameters",
    description="Parameters of the file system that holds the batch files, as fsspec takes them.",
).to_dict()


def add_unlisted(schema: dict[str, Any]) -> None:
    """Add to a schema with the SDK's settings what the SDK reads without listing it.

    Args:
        schema: JSON Schema of all settings, which is changed.
    """
    settings = schema["properties"]
    for name, setting in EMIT_ACTIVATE_VERSION_CONFIG["properties"].items():
        settings.setdefault(name, setting)
    settings["batch_config"] = deepcopy(settings["batch_config"])  # which all taps share
    batches = settings["batch_config"]["properties"]
    # From 0.55 on, the SDK allows any text here and fails at the first record.
    batches["encoding"]["properties"]["format"].setdefault("enum", ["jsonl", "parquet"])
    batches |= {k: v for k, v in _BATCH_SIZE.items() if k not in batches}
    storage = batches["storage"]["properties"]
    storage |= {k: v for k, v in _STORAGE_PARAMS.items() if k not in storage}
