"""State from elsewhere, and clocks that are wrong."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support.tap import TOKEN, config_for, keys, run_tap

if TYPE_CHECKING:
    from pathlib import Path


def state_of(bookmark: object, site: int | None = 101, **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"replication_key": "date", "replication_key_value": bookmark, **more}
    if site is None:
        return {"bookmarks": {"requests": entry}}
    return {"bookmarks": {"requests": {"partitions": [{"context": {"siteId": site}, **entry}]}}}


@pytest.mark.parametrize(
    "state",
    [
        state_of("2024-01-20T21:00:00.000+00:00"),
        state_of("2024-01-20T21:00:00Z"),
        state_of("2024-01-21T00:00:00+03:00"),
        state_of("2024-01-20T21:00:00.000+00:00", progress_markers={"Note": "not resumable"}),
        state_of("2024-01-20T21:00:00.000+00:00", starting_replication_value="2024-01-01"),
        {**state_of("2024-01-20T21:00:00.000+00:00"), "written_by": "another version"},
    ],
    ids=["ours", "Z", "offset", "progress markers", "starting value", "unknown keys"],
)
def test_state_is_understood(sandbox: Sandbox, tmp_path: Path, state: Any) -> None:
    config = config_for(sandbox, site_ids=[101], lookback_days=2)
    run = run_tap(config, tmp_path, state=state)
    assert run.returncode == 0, run.stderr
    assert min(call.params["dateFrom"] for call in sandbox.calls) == "01/19/2024"
    assert "bookmark 2024-01-20T21:00:00.000+00:00, look-back 2 days" in run.stderr


@pytest.mark.parametrize(
    "state",
    [
        state_of("yesterday"),
        state_of(1704067200000),
        state_of("2024-01-20", replication_key="requestId"),
        {"bookmarks": []},
        {"bookmarks": {"requests": []}},
        {"bookmarks": {"requests": {"partitions": [5]}}},
        [],
    ],
    ids=["no date", "number", "another key", "list", "stream list", "bad partition", "no object"],
)
def test_state_that_is_not_ours_is_one_plain_error(
    sandbox: Sandbox, tmp_path: Path, state: Any
) -> None:
    run = run_tap(config_for(sandbox), tmp_path, state=state)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "The state is not one of tap-calltouch" in run.stderr.splitlines()[-1]
    assert sandbox.calls == []


@pytest.mark.parametrize("name", ["config", "state", "catalog"])
def test_file_that_is_not_json_is_one_plain_error(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"bookmarks": ')
    run = run_tap(config_for(sandbox), tmp_path, arguments=[f"--{name}", str(path)])
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "is not JSON" in run.stderr.splitlines()[-1]


def test_site_without_bookmark_starts_at_the_start_and_says_so(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Bookmarks of a run without sites, or of other sites, say nothing about this one."""
    state = state_of("2024-01-20T21:00:00.000+00:00", site=None)
    run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path, state=state)
    assert min(call.params["dateFrom"] for call in sandbox.calls) == "01/01/2024"
    assert "no bookmark" in run.stderr


def test_bookmarks_never_move_back(sandbox: Sandbox, tmp_path: Path) -> None:
    state = state_of("2024-01-25T21:00:00.000+00:00")
    run = run_tap(config_for(sandbox, site_ids=[101], end_date="2024-01-20"), tmp_path, state=state)
    assert run.records
    assert run.states[-1] == state


def _bookmark(state: dict[str, Any]) -> datetime:
    (partition,) = state["bookmarks"]["requests"]["partitions"]
    return datetime.fromisoformat(partition["replication_key_value"])


@pytest.mark.parametrize("offset", [0, 3600, -3600], ids=["right", "ahead", "behind"])
def test_no_bookmark_lies_in_the_future(tmp_path: Path, offset: int) -> None:
    now = datetime.now(timezone.utc)
    yesterday = (now - timedelta(days=1)).date()
    record = {"siteId": 101, "requestId": 1, "date": int(now.timestamp() * 1000) - 7200_000}
    with Sandbox(Journal.of([record]), token=TOKEN) as sandbox:
        config = config_for(
            sandbox, site_ids=[101], start_date=yesterday.isoformat(), end_date=None
        )
        run = run_tap(config, tmp_path, environment={"CLOCK_OFFSET": str(offset)})
    assert run.returncode == 0
    assert len(run.records) == 1
    assert now - timedelta(hours=1, minutes=1) < _bookmark(run.states[-1])
    assert _bookmark(run.states[-1]) <= datetime.now(timezone.utc)


def test_bookmark_from_the_future_skips_nothing(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    record = {"siteId": 101, "requestId": 1, "date": int(now.timestamp() * 1000) - 1000}
    state = state_of((now + timedelta(days=30)).isoformat())
    with Sandbox(Journal.of([record]), token=TOKEN) as sandbox:
        start = (now - timedelta(days=3)).date().isoformat()
        config = config_for(sandbox, start_date=start, end_date=None, lookback_days=1)
        run = run_tap(config | {"site_ids": [101]}, tmp_path, state=state)
    assert len(run.records) == 1
    assert _bookmark(run.states[-1]) <= datetime.now(timezone.utc)


@pytest.mark.parametrize(
    "day", [date(2010, 3, 28), date(2010, 10, 31)], ids=["23 hours", "25 hours"]
)
def test_day_of_another_length_loses_nothing(tmp_path: Path, day: date) -> None:
    """A request every ten minutes around a change of Moscow's clock, runs that end within it."""
    begin = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) - timedelta(hours=6)
    moments = [begin + timedelta(minutes=10 * number) for number in range(36 * 6)]
    records = [
        {"siteId": 101, "requestId": number, "date": int(moment.timestamp() * 1000)}
        for number, moment in enumerate(moments)
    ]
    got: set[tuple[int, int]] = set()
    state = None
    with Sandbox(Journal.of(records), token=TOKEN, per_second=1000) as sandbox:
        for end in moments[20::24]:
            config = config_for(
                sandbox,
                site_ids=[101],
                start_date=moments[0].isoformat(),
                end_date=end.isoformat(),
                lookback_days=0,
            )
            run = run_tap(config, tmp_path, state=state)
            assert run.returncode == 0, run.stderr
            state = run.states[-1]
            got |= set(keys(run.records))
            complete = {(101, number) for number, moment in enumerate(moments) if moment < end}
            assert complete <= got
            assert _bookmark(state) <= end


def test_run_over_midnight_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The first run begins just before midnight in Moscow, the second just after it."""
    midnight = datetime(2024, 1, 10, 21, tzinfo=timezone.utc)
    records = [
        {"siteId": 101, "requestId": number, "date": int(moment.timestamp() * 1000)}
        for number, moment in enumerate(
            midnight + timedelta(seconds=20 * step) for step in range(-20, 20)
        )
    ]
    got: set[tuple[int, int]] = set()
    state = None
    for moment in (midnight - timedelta(seconds=90), midnight + timedelta(seconds=90)):
        visible = [item for item in records if item["date"] <= moment.timestamp() * 1000]
        with Sandbox(Journal.of(visible), token=TOKEN) as sandbox:
            offset = moment.timestamp() - datetime.now(timezone.utc).timestamp()
            config = config_for(
                sandbox, site_ids=[101], start_date="2024-01-08", end_date=None, lookback_days=0
            )
            environment = {"CLOCK_OFFSET": str(offset)}
            run = run_tap(config, tmp_path, state=state, environment=environment)
        state = run.states[-1]
        got |= set(keys(run.records))
        assert got == set(keys(visible))
        assert _bookmark(state) <= moment + timedelta(seconds=60)


def test_state_messages_hold_nothing_but_bookmarks(sandbox: Sandbox, tmp_path: Path) -> None:
    run = run_tap(config_for(sandbox, site_ids=[101]), tmp_path)
    for state in run.states:
        (partition,) = state["bookmarks"]["requests"]["partitions"]
        assert set(partition) == {"context", "replication_key", "replication_key_value"}
    assert len(run.states) >= 5  # one a window
    assert "token" not in json.dumps(run.states)
