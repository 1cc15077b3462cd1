"""The SDK's smallest tap, to compare start-up with."""

from __future__ import annotations

from typing import Any

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.streams import RESTStream


class SmallStream(RESTStream[int]):
    """A stream of one field."""

    name = "small"
    path = "/small"
    url_base = "http://127.0.0.1"
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()


class SmallTap(Tap):
    """A tap of one stream and no settings."""

    name = "tap-small"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Any]:
        """Return the only stream."""
        return [SmallStream(self)]


if __name__ == "__main__":
    SmallTap.cli()
