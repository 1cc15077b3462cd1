"""The plain tap and its streams. Nothing of `tap_calltouch` must come in."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from singer_sdk import SchemaDirectory, StreamSchema, Tap
from singer_sdk import typing as th
from singer_sdk.streams import RESTStream

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import requests
    from singer_sdk.helpers.types import Context, Record

MOSCOW = ZoneInfo("Europe/Moscow")
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
LOOKBACK_DAYS = 10


class ReferenceStream(RESTStream[Any]):
    """A journal. A subclass is a table of what is special about it.

    Attributes:
        dates: The format of `dateFrom` and `dateTo`.
        params: Further parameters of each call.
        instants: Paths of the fields that count time from 1970, without the brackets of arrays.
        per_second: How many units of them make a second.
    """

    dates: ClassVar[str]
    params: ClassVar[dict[str, str]] = {}
    instants: tuple[str, ...]
    per_second: ClassVar[int]
    schema = StreamSchema(SchemaDirectory(SCHEMAS))

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["api_url"])

    @property
    @override
    def partitions(self) -> list[dict[str, Any]] | None:
        return [{"siteId": site} for site in self.config["site_ids"]] or None

    @override
    def get_url_params(self, context: Context | None, next_page_token: Any) -> dict[str, Any]:
        start = _moscow(self.config["start_date"])
        if bookmark := self.get_starting_replication_key_value(context):
            start = max(start, _moscow(bookmark) - timedelta(days=LOOKBACK_DAYS))
        end = _moscow(self.config["end_date"])
        flags = [name for name, value in self.config.items() if name.startswith("with_") and value]
        return {
            "clientApiId": self.config["api_token"],
            "dateFrom": start.strftime(self.dates),
            "dateTo": end.strftime(self.dates),
            **{_camel_case(name): "true" for name in flags},
            **self.params,
            **(context or {}),
        }

    @override
    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        answer = response.json()
        yield from answer if isinstance(answer, list) else answer["records"]

    @override
    def post_process(self, row: Record, context: Context | None = None) -> Record | None:
        for path in self.instants:
            _write_instants(row, path.split("."), self.per_second)
        return row


class Requests(ReferenceStream):
    """The requests journal."""

    name = "requests"
    path = "/requests"
    primary_keys = ("siteId", "requestId")
    replication_key = "date"
    dates = "%m/%d/%Y"
    instants: tuple[str, ...] = ("date", "orders.dateCreated", "order.dateCreated")
    per_second = 1000


class Calls(ReferenceStream):
    """The calls journal."""

    name = "calls"
    path = "/{siteId}/calls-diary/calls"
    primary_keys = ("siteId", "callId")
    replication_key = "timestamp"
    dates = "%d/%m/%Y"
    params: ClassVar[dict[str, str]] = {"page": "1"}
    instants: tuple[str, ...] = ("timestamp",)
    per_second = 1


class ReferenceTap(Tap):
    """The plain tap."""

    name = "tap-calltouch"
    journals: ClassVar[Sequence[type[ReferenceStream]]] = (Calls, Requests)
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("api_token", th.StringType, required=True),
        th.Property("site_ids", th.ArrayType(th.IntegerType), default=[]),
        th.Property("start_date", th.DateType, required=True),
        th.Property("end_date", th.DateType, required=True),
    ).to_dict()

    @override
    def discover_streams(self) -> Sequence[ReferenceStream]:
        return [journal(self) for journal in self.journals]


def _moscow(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.astimezone(MOSCOW) if instant.tzinfo else instant.replace(tzinfo=MOSCOW)


def _camel_case(setting: str) -> str:
    first, *others = setting.split("_")
    return first + "".join(part.capitalize() for part in others)


def _write_instants(value: Any, path: list[str], per_second: int) -> None:
    """Put RFC 3339 texts into the fields of a path that hold numbers, through arrays."""
    if isinstance(value, list):
        for item in value:
            _write_instants(item, path, per_second)
    elif isinstance(value, dict) and len(path) > 1:
        _write_instants(value.get(path[0]), path[1:], per_second)
    elif isinstance(value, dict) and type(value.get(path[0])) is int:
        instant = datetime.fromtimestamp(value[path[0]] / per_second, timezone.utc)
        value[path[0]] = instant.isoformat(timespec="milliseconds")
