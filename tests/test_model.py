"""Many runs into an upserting store, with late changes and kills, against a model."""

from __future__ import annotations

import json
import random
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support.tap import TOKEN, config_for, start_tap

if TYPE_CHECKING:
    from pathlib import Path

MOSCOW = timezone(timedelta(hours=3))  # all of 2024
CHANGING = ("manager", "yandexDirect", "RequestTags", "targetRequest")
Key = tuple[int, int]


class Store:
    """A warehouse: the last row of each key, and the state that came after whole rows."""

    def __init__(self) -> None:
        self.rows: dict[Key, dict[str, Any]] = {}
        self.state: dict[str, Any] | None = None

    def load(self, line: bytes) -> None:
        """Take one message."""
        message = json.loads(line)
        if message["type"] == "RECORD":
            record = message["record"]
            self.rows[record["siteId"], record["requestId"]] = record
        elif message["type"] == "STATE":
            self.state = message["value"]

    def bookmark(self, site: int) -> datetime | None:
        """Give a site's bookmark, if it has one."""
        requests = (self.state or {}).get("bookmarks", {}).get("requests", {})
        for partition in requests.get("partitions", []):
            if partition["context"]["siteId"] == site and "replication_key_value" in partition:
                return datetime.fromisoformat(partition["replication_key_value"])
        return None


def change(record: dict[str, Any], chance: random.Random) -> None:
    """Change a request as time does: a manager, ad ids, tags, a verdict."""
    record["manager"] = chance.choice(["Вася", "Маша", None])
    record["yandexDirect"] = chance.choice([None, {"campaignId": chance.randrange(2**62)}])
    record["RequestTags"] = [
        {"category": "", "type": "MANUAL", "names": [f"{chance.random()}"]}
    ] * chance.randrange(3)
    record["targetRequest"] = chance.random() < 0.5


def pick(record: dict[str, Any]) -> dict[str, Any]:
    """Give what changes, without fields that are null."""
    return {
        name: {key: value for key, value in item.items() if value is not None}
        if isinstance(item := record[name], dict)
        else item
        for name in CHANGING
    }


def run_until_killed(
    config: dict[str, Any], tmp_path: Path, store: Store, now: datetime, lines: int | None
) -> None:
    """Run the tap with a clock of its own, and kill it after some lines of output."""
    offset = now.timestamp() - datetime.now(timezone.utc).timestamp()
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


@pytest.mark.parametrize("seed", range(3))
def test_store_equals_the_journal_inside_the_lookback_and_is_never_behind(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    sites = [1, 2][: chance.randint(1, 2)]
    journal = Journal(sites, date(2024, 3, 1), date(2024, 4, 10), per_day=4, seed=seed)
    clock = [datetime(2024, 3, 12, 9, tzinfo=MOSCOW)]
    lookback = chance.randint(0, 5)
    store = Store()
    promised: dict[Key, dict[str, Any]] = {}
    with Sandbox(journal, token=TOKEN, per_second=1000, now=lambda: clock[0]) as sandbox:
        for _ in range(7):
            now = clock[0]
            visible = [
                record
                for record in journal.records()
                if record["date"] <= now.timestamp() * 1000 and "/2024" in record["dateStr"]
            ]
            for record in chance.sample(visible, k=min(len(visible), 25)):
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
            )
            since = {site: store.bookmark(site) for site in sites}
            while chance.random() < 0.5:
                run_until_killed(config, tmp_path, store, now, chance.randrange(150))
            run_until_killed(config, tmp_path, store, now, None)
            for record in visible:
                key = (record["siteId"], record["requestId"])
                assert key in store.rows
                bookmark = since[record["siteId"]]
                first_day = bookmark and bookmark.astimezone(MOSCOW).date() - timedelta(lookback)
                created = datetime.fromtimestamp(record["date"] / 1000, MOSCOW).date()
                if first_day is None or created >= first_day:
                    promised[key] = pick(record)
                # Older requests are as they were when the promise last held.
                assert pick(store.rows[key]) == promised[key]
            assert len(store.rows) == len(visible)
            clock[0] = now + timedelta(hours=chance.randint(6, 80))
