"""Many runs into an upserting store, with late changes and kills, against a model."""

from __future__ import annotations

import json
import random
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from sandbox.call_contract import CALLS
from sandbox.request_contract import REQUESTS
from tests.support.repetitions import times
from tests.support.streams import MOSCOW, STREAMS
from tests.support.tap import TOKEN, config_for, start_tap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streams import Stream

CHANGING = ("manager", "yandexDirect", "RequestTags", "callTags", "targetRequest", "targetCall")
CONTRACTS = {"calls": CALLS, "requests": REQUESTS}
Key = tuple[str, int, int]
Record = dict[str, Any]


class Store:
    """A warehouse: the last row of each key, and the state that came after whole rows."""

    def __init__(self) -> None:
        self.rows: dict[Key, Record] = {}
        self.state: dict[str, Any] | None = None

    def load(self, line: bytes) -> None:
        """Take one message."""
        message = json.loads(line)
        if message["type"] == "RECORD":
            self.rows[key_of(STREAMS[message["stream"]], message["record"])] = message["record"]
        elif message["type"] == "STATE":
            self.state = message["value"]

    def bookmark(self, stream: Stream, site: int) -> datetime | None:
        """Return the bookmark of a site, if it has one."""
        bookmark = stream.bookmark(self.state, site) if self.state else None
        return datetime.fromisoformat(bookmark) if bookmark else None


def key_of(stream: Stream, record: Record) -> Key:
    return stream.name, record["siteId"], record[stream.key]


def change(record: Record, chance: random.Random) -> None:
    """Change a record as time does: a manager, ad ids, tags, a verdict."""
    tags = [{"category": "", "type": "MANUAL", "names": [f"{chance.random()}"]}]
    changes = {
        "manager": chance.choice(["Вася", "Маша", None]),
        "yandexDirect": chance.choice([None, {"campaignId": chance.randrange(2**62)}]),
        **dict.fromkeys(("RequestTags", "callTags"), tags * chance.randrange(3)),
        **dict.fromkeys(("targetRequest", "targetCall"), chance.random() < 0.5),
    }
    record |= {name: value for name, value in changes.items() if name in record}


def changing(record: Record) -> Record:
    """Return what changes, without fields that are null."""
    return {
        name: {key: value for key, value in item.items() if value is not None}
        if isinstance(item := record[name], dict)
        else item
        for name in CHANGING
        if name in record
    }


def run_until_killed(
    config: dict[str, Any], tmp_path: Path, store: Store, now: datetime, lines: int | None
) -> None:
    """Run the tap with a clock of its own, and kill it after some lines of output."""
    offset = now.timestamp() - datetime.now(MOSCOW).timestamp()
    environment = {"CLOCK_OFFSET": str(offset)}
    with start_tap(config, tmp_path, state=store.state, environment=environment) as process:
        assert process.stdout
        assert process.stderr
        for number, line in enumerate(process.stdout):
            if number == lines:
                process.kill()
                break
            store.load(line)
        process.stdout.close()
        error = process.stderr.read().decode()
    assert lines is not None or process.returncode == 0, error


@pytest.mark.parametrize("seed", range(times(3, 30)))
def test_store_equals_the_journals_inside_the_lookback_and_is_never_behind(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    sites = [1, 2][: chance.randint(1, 2)]
    days = date(2024, 3, 1), date(2024, 4, 10)
    journal = Journal(sites, *days, per_day=4, seed=seed, sample=False)
    clock = [datetime(2024, 3, 12, 9, tzinfo=MOSCOW)]
    lookback = chance.randint(0, 5)
    store = Store()
    promised: dict[Key, Record] = {}
    with Sandbox(
        journal, journal.calls(per_day=4), token=TOKEN, per_second=10_000, now=lambda: clock[0]
    ) as sandbox:
        for _ in range(7):
            now = clock[0]
            visible = [
                (stream, record)
                for stream in STREAMS.values()
                for record in stream.records(sandbox)
                if CONTRACTS[stream.name].exists(record, now)
            ]
            for _, record in chance.sample(visible, k=min(len(visible), 50)):
                change(record, chance)
            config = config_for(
                sandbox,
                start_date="2024-03-01",
                end_date=None,
                lookback_days=lookback,
                window_days=chance.randint(1, 9),
                max_concurrent_requests=chance.randint(1, 5),
                with_yandex_direct=True,
                with_request_tags=True,
                with_call_tags=True,
            )
            since = {
                (stream.name, site): store.bookmark(stream, site)
                for stream in STREAMS.values()
                for site in sites
            }
            while chance.random() < 0.5:
                run_until_killed(config, tmp_path, store, now, chance.randrange(300))
            run_until_killed(config, tmp_path, store, now, None)
            for stream, record in visible:
                bookmark = since[stream.name, record["siteId"]]
                first_day = bookmark and bookmark.astimezone(MOSCOW).date() - timedelta(lookback)
                created = datetime.fromtimestamp(record[stream.instant] / stream.ticks, MOSCOW)
                key = key_of(stream, record)
                if first_day is None or created.date() >= first_day:
                    promised[key] = changing(record)
                # Else it is as it was when this last held. A call is only there when it has ended.
                assert key in promised or stream.name == "calls"
            assert {key: changing(row) for key, row in store.rows.items()} == promised
            clock[0] = now + timedelta(hours=chance.randint(6, 80))
