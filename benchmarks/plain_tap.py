"""A plain SDK tap of the same schema, to compare this tap with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator
from singer_sdk.streams import RESTStream
from singer_sdk.streams.rest import HTTPRequest

if TYPE_CHECKING:
    from singer_sdk.streams.rest import PageContext

SCHEMA = Path(__file__).parent.parent / "schemas" / "requests.json"


class _Windows(BasePageNumberPaginator):
    def __init__(self, windows: int) -> None:
        super().__init__(1)
        self._windows = windows

    def has_more(self, _response: object) -> bool:
        return self.current_value < self._windows


class PlainStream(RESTStream[int]):
    """The requests journal, with nothing but defaults."""

    name = "requests"
    path = "/requests"
    primary_keys = ("siteId", "requestId")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    @property
    def url_base(self) -> str:
        """The server's URL."""
        return str(self.config["api_url"])

    def get_new_paginator(self) -> _Windows:
        """Return a paginator that asks for as many answers as the settings say."""
        return _Windows(self.config["windows"])

    def get_http_request(self, *, page: PageContext) -> HTTPRequest:
        """Return the request for one answer."""
        request = HTTPRequest(url=self.get_url(page.stream_context))
        request.params["page"] = page.next_page_token
        return request


class PlainTap(Tap):
    """A tap of one stream."""

    name = "tap-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("windows", th.IntegerType, default=1),
    ).to_dict()

    def discover_streams(self) -> list[Any]:
        """Return the only stream."""
        return [PlainStream(self)]


if __name__ == "__main__":
    PlainTap.cli()
