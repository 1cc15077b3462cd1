"""The page that says how to make the numbers match the cabinet."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg

from sandbox import Journal, Sandbox
from tests.support.cabinet import DELETED, PAGE, SITE, created, in_february, queries
from tests.support.meltano_project import POSTGRES, pipe, tap_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import Database


def test_the_russian_page_has_the_same_queries() -> None:
    assert [query for _, query in queries("docs/ru/matching.md")] == [
        query for _, query in queries(PAGE)
    ]


def test_deleted_leads_are_found_after_the_period_is_loaded_again(
    tmp_path: Path, database: Database
) -> None:
    journal = Journal((SITE,), date(2024, 1, 30), date(2024, 3, 2), per_day=1, sample=False)
    calls = journal.calls(per_day=2)
    config: dict[str, Any] = {
        "sqlalchemy_url": database.get_uri(driver="psycopg2"),
        "default_target_schema": "tap_calltouch",
    }
    with Sandbox(journal, calls) as sandbox:
        settings = tap_config(sandbox, site_ids=[SITE], end_date="2024-03-02", window_days=90)
        pipe(tmp_path, POSTGRES, config, settings | {"start_date": "2024-01-30"})
        february = [row for row in calls.records(SITE) if in_february(created(row))]
        for row in february[3:5]:
            calls.remove(row)
        pipe(tmp_path, POSTGRES, config, settings | {"end_date": "2024-02-29"})
    ((heading, query),) = [found for found in queries() if found[0] == DELETED]
    assert heading == DELETED
    with psycopg.connect(database.get_uri()) as connection:
        assert connection.execute(query).fetchone() == (2,)
        february_sql = query.replace(query.splitlines()[-1], "")
        assert connection.execute(february_sql).fetchone() == (len(february),)
