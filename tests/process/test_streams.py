"""Streams are tables: what the two are called, and what a third needs."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import SchemaDirectory, StreamSchema

from sandbox.app import Answer
from sandbox.wire import Exchange, Server
from tap_calltouch.api.client import Pace
from tap_calltouch.api.query import Journal
from tap_calltouch.journal import JournalStream
from tap_calltouch.streams import STREAMS
from tap_calltouch.tap import TapCalltouch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from werkzeug.wrappers import Request


@pytest.mark.parametrize("stream", STREAMS)
def test_table_of_a_stream_fits_its_schema(stream: type[JournalStream]) -> None:
    tap = TapCalltouch(config={"api_token": "x", "start_date": "2024-01-01"})
    found = tap.streams[stream.name]
    fields = found.schema["properties"]
    assert list(fields)[:3] == [*found.primary_keys, found.replication_key]
    assert found.primary_keys[0] == "siteId"
    assert fields[found.replication_key]["format"] == "date-time"


# A third journal.

SCHEMA = {
    "type": "object",
    "properties": {
        "siteId": {"type": "integer"},
        "dealId": {"type": "integer"},
        "createdAt": {"type": "string", "format": "date-time"},
        "title": {"type": ["string", "null"]},
        "closedAt": {"type": ["string", "null"], "format": "date-time"},
    },
}
FIRST = datetime(2024, 1, 1, 9, tzinfo=timezone.utc)
DEALS = [
    {
        "dealId": number,
        "createdAt": int((FIRST + number * timedelta(hours=10)).timestamp()),
        "title": f"Сделка {number}",
        "closedAt": None if number % 2 else int(FIRST.timestamp()),
        "note": "unknown to the schema",
    }
    for number in range(60)
]


class DealsApi:
    """A server with an empty journal of requests and of calls, and some deals in pages of four."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self._server = Server(self._respond)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        self._server.stop()

    def _respond(self, request: Request) -> Exchange:
        params = request.args.to_dict()
        found: list[dict[str, Any]] = []
        if request.path == "/101/deals":
            self.asked.append(params)
            found = [
                deal
                for deal in DEALS
                if params["dateFrom"] <= self._day(deal["createdAt"]) <= params["dateTo"]
            ][::-1]
        start = (int(params.get("page", "1")) - 1) * 4
        page = {
            "pageTotal": -(-len(found) // 4),
            "recordsTotal": len(found),
            "records": found[start : start + 4],
        }
        content = json.dumps([] if request.path == "/requests" else page).encode()
        answer = Answer(200, content, {"Content-Type": "application/json"})
        return Exchange(answer, None, lambda: None)

    @staticmethod
    def _day(seconds: Any) -> str:
        moscow = timezone(timedelta(hours=3))
        return f"{datetime.fromtimestamp(seconds, moscow):%Y-%m-%d}"


@pytest.fixture
def api() -> Iterator[DealsApi]:
    api = DealsApi()
    yield api
    api.stop()


@pytest.fixture
def third(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tap have a third stream: a table and a schema, nothing else."""
    (tmp_path / "deals.json").write_text(json.dumps(SCHEMA), encoding="utf-8")

    class Deals(JournalStream):
        name = "deals"
        primary_keys = ("siteId", "dealId")
        replication_key = "createdAt"
        schema = StreamSchema(SchemaDirectory(tmp_path))
        journal = Journal(
            path="/{site}/deals",
            date_format="%Y-%m-%d",
            parameters={"bind_to": "bindTo", "subject": "title"},
            epoch_unit="s",
            bind_to="deal",
            page_size=4,
        )

    monkeypatch.setattr("tap_calltouch.tap.STREAMS", (*STREAMS, Deals))
    monkeypatch.setattr(Pace, "MARGIN", 0.0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def sync(api: DealsApi, capsys: pytest.CaptureFixture[str], state: Any = None) -> list[Any]:
    """Run the tap in this process, and return its messages."""
    config = {
        "api_token": "token",
        "api_url": api.url,
        "site_ids": [101],
        "start_date": "2024-01-01",
        "end_date": "2024-01-31",
        "subject": "Сделка",
        "lookback_days": 1,
    }
    capsys.readouterr()
    TapCalltouch(config=config, state=state).sync_all()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("third")
def test_third_journal_needs_a_table_and_a_schema_only(
    api: DealsApi, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    messages = sync(api, capsys)
    records = [item["record"] for item in messages if item["type"] == "RECORD"]
    assert {item["stream"] for item in messages if item["type"] == "RECORD"} == {"deals"}
    assert sorted(record["dealId"] for record in records) == list(range(60))
    (first,) = [record for record in records if record["dealId"] == 0]
    assert first == {
        "siteId": 101,
        "dealId": 0,
        "createdAt": "2024-01-01T09:00:00.000+00:00",
        "title": "Сделка 0",
        "closedAt": "2024-01-01T09:00:00.000+00:00",
    }
    assert all(
        (asked["bindTo"], asked["title"], asked["limit"]) == ("deal", "Сделка", "4")
        for asked in api.asked
    )
    assert "(please report them): note (string)" in caplog.text


@pytest.mark.usefixtures("third")
def test_third_journal_goes_on_from_its_bookmark(
    api: DealsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, last = sync(api, capsys)
    (partition,) = last["value"]["bookmarks"]["deals"]["partitions"]
    assert partition == {
        "context": {"siteId": 101},
        "replication_key": "createdAt",
        "replication_key_value": "2024-01-31T21:00:00.000+00:00",
    }
    api.asked.clear()
    sync(api, capsys, last["value"])
    assert {asked["dateFrom"] for asked in api.asked} == {"2024-01-31"}
