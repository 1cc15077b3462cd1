"""The report: what it holds, and what Chromium shows of it, against the tables that dbt made."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from statistics import median
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pytest

from demo.browser import open_browser
from demo.report.page import FOLDER, LOCALES, language, read_texts, render
from demo.tables import BY_MONTH, BY_SOURCE, show
from demo.texts import read_texts as read_demo_texts
from sandbox import Journal, Sandbox
from tests.support.dbt import run
from tests.support.meltano_project import JSONL, ROOT, pipe, tap_config
from tests.support.once import made_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page


Rows = list[tuple[Any, ...]]
CHARTS = ("days", "hours", "calls", "paths", "ads")
FIRST, LAST = date(2024, 1, 1), date(2024, 3, 10)
EVENING = datetime(2024, 3, 10, 20, 59, 59, tzinfo=timezone.utc)
#: The end of the last day, in Moscow.
MIDNIGHT = datetime(2024, 3, 10, 21, tzinfo=timezone.utc)
DEVICE = """
    CASE device_type WHEN 'desktop' THEN 'Desktop' WHEN 'mobile' THEN 'Phone'
                     WHEN 'tablet' THEN 'Tablet' ELSE device_type END
"""
#: Costs of about the size that they have.
COSTS = """
    UPDATE calltouch__campaigns SET cost = 7000 + hash(campaign) % 1000, clicks = 10
    WHERE channel = 'cpc' AND campaign IS NOT NULL
"""
#: What a user of Calltouch may type.
NASTY = "</script><script>throw 1</script>{{ $title }} Поиск & <b>сети</b>"


class Choice(NamedTuple):
    """What the filters of the page say."""

    site: str
    first: date
    last: date


CHOICES = [
    Choice("", LAST - timedelta(days=29), LAST),
    Choice("", FIRST, LAST),
    Choice("202", date(2024, 2, 3), date(2024, 2, 19)),
    Choice("101", date(2024, 2, 5), date(2024, 2, 5)),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of two journals."""

    def make(folder: Path) -> None:
        _load(folder)
        # Views name their database by its file, which keeps its name when the folder gets another.
        places = {"CALLTOUCH_JSONL": str(folder), "CALLTOUCH_DUCKDB": str(folder / "leads.duckdb")}
        run(folder, "--target", "duckdb", **places)

    return made_once(tmp_path_factory, "tables", make) / "leads.duckdb"


def _load(files: Path) -> None:
    journal = Journal([101, 202], FIRST, LAST, per_day=6, sample=False)
    for row in journal.records(202)[:40]:
        if row["session"]:
            row["session"]["utmCampaign"] = NASTY
        for number, visit in enumerate(row["mapVisits"]):
            visit["source"] = f"partner-{number}.example"
    config = {"destination_path": str(files), "do_timestamp_file": False}
    with Sandbox(
        journal, journal.calls(per_day=9), now=EVENING, ads_come_later=True, per_second=1000
    ) as sandbox:
        settings = tap_config(
            sandbox,
            site_ids=[101, 202],
            start_date=FIRST.isoformat(),
            end_date=LAST.isoformat(),
            window_days=31,
            with_orders=True,
        )
        pipe(files, JSONL, config, settings)


@pytest.fixture(scope="module")
def page(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of whole days."""
    return write(database, tmp_path_factory.mktemp("page"), loaded_until=MIDNIGHT)


def write(
    database: Path, folder: Path, loaded_until: datetime | None = None, *, managers: bool = False
) -> Path:
    with duckdb.connect(database, read_only=True) as connection:
        text = render(connection, "en", loaded_until=loaded_until, managers=managers)
    path = folder / "leads.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def changed(database: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the page of tables that SQL changed."""

    def write_changed(*statements: str) -> Path:
        # Views name their database by its file, so the copy keeps the name.
        (tmp_path / "tables").mkdir()
        copy = Path(shutil.copy(database, tmp_path / "tables"))
        with duckdb.connect(copy) as connection:
            for statement in statements:
                connection.execute(statement)
        return write(copy, tmp_path, loaded_until=MIDNIGHT)

    return write_changed


@pytest.fixture(scope="module")
def full_page(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with all of its cards, so with costs and managers."""
    folder = tmp_path_factory.mktemp("full")
    copy = Path(shutil.copy(database, folder))
    with duckdb.connect(copy) as connection:
        connection.execute(COSTS)
    return write(copy, folder, loaded_until=MIDNIGHT, managers=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@contextmanager
def opened(
    browser: Browser, page: Path, width: int = 1280, scheme: Any = "light", address: str = ""
) -> Iterator[Page]:
    """Open a page; it may ask for nothing but itself, and say nothing on the console."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{page.as_uri()}{address}")
    tab.wait_for_selector("[data-drawn]")
    yield tab
    assert said == []
    # A file is saved from the page's own memory.
    own = ("data:", "blob:", page.as_uri())
    assert [url for url in asked if not url.startswith(own)] == []
    tab.close()


def choose(tab: Page, choice: Choice) -> None:
    tab.select_option("#site", choice.site)
    tab.fill("#from", choice.first.isoformat())
    tab.fill("#to", choice.last.isoformat())


def query(database: Path, text: str) -> Rows:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(text).fetchall()


def where(choice: Choice) -> str:
    site = f"AND site_id = {choice.site}" if choice.site else ""
    return f"created_on BETWEEN '{choice.first}' AND '{choice.last}' {site}"


# What the page holds


def read_report(page: Path) -> dict[str, Any]:
    """Read what the page knows, with its leads as rows."""
    text = page.read_text(encoding="utf-8")
    found = re.search(
        r'<script type="application/json" id="report">(.*?)</script>', text, re.DOTALL
    )
    assert found
    report: dict[str, Any] = json.loads(found[1])
    columns = json.loads(gzip.decompress(base64.b64decode(report["leads"])))

    def values(column: Any) -> list[Any]:
        if isinstance(column, dict):
            return [column["values"][place] for place in column["places"]]
        return list(column)

    report["leads"] = [
        dict(zip(columns, row, strict=True))
        for row in zip(*map(values, columns.values()), strict=True)
    ]
    return report


def test_the_page_has_a_row_for_each_lead(database: Path, page: Path) -> None:
    names = ["site", "day", "hour", "type", "channel", "source", "medium", "campaign", "city"]
    names += [
        "device",
        "form",
        "tags",
        "toOrder",
        "target",
        "uniqueTarget",
        "orders",
        "revenue",
        "ad",
        "missed",
        "wait",
        "talk",
    ]
    shown = Counter(tuple(lead[name] for name in names) for lead in read_report(page)["leads"])
    assert shown == Counter(
        query(
            database,
            """
            SELECT site_id::VARCHAR, created_on::VARCHAR, hour(created_at + INTERVAL 3 HOUR),
                   lead_type, channel, source, medium, utm_campaign, city_name, device_type,
                   subject, array_to_string(tags, chr(10)),
                   (SELECT days_to_first_order FROM calltouch__people AS person
                    WHERE person.person_key = lead_key AND days_to_first_order >= 0),
                   is_target::INT,
                   is_unique_target::INT, orders, revenue::DOUBLE,
                   CASE WHEN medium = 'cpc' THEN
                       if(yandex_direct_ad_id > 0 OR google_ads_creative_id > 0, 1, 0)
                   END,
                   if(is_answered, 0, if(lead_type = 'call', 1, NULL)), waiting_seconds,
                   CASE WHEN is_answered AND duration_seconds >= 0 THEN duration_seconds END
            FROM calltouch__leads
            """,
        )
    )


def test_the_page_knows_the_first_and_the_last_of_several_visits(
    database: Path, page: Path
) -> None:
    shown = Counter(
        tuple(lead[name] for name in ("site", "day", "first", "last"))
        for lead in read_report(page)["leads"]
        if (lead["visits"] or 0) > 1
    )
    assert shown == Counter(
        query(
            database,
            """
            SELECT site_id::VARCHAR, created_on::VARCHAR, first, last FROM (
                SELECT site_id, call_key AS lead, min_by(source, visit_number) AS first,
                       max_by(source, visit_number) AS last
                FROM stg_calltouch__call_visits GROUP BY ALL HAVING count(*) > 1
                UNION ALL
                SELECT site_id, 'r' || request_key, min_by(source, visit_number),
                       max_by(source, visit_number)
                FROM stg_calltouch__request_visits GROUP BY ALL HAVING count(*) > 1
            ) JOIN (
                SELECT call_key AS lead, created_on FROM stg_calltouch__calls
                UNION ALL SELECT 'r' || request_key, created_on FROM stg_calltouch__requests
            ) USING (lead)
            """,
        )
    )


def test_the_page_names_no_person(database: Path, page: Path) -> None:
    text = json.dumps(read_report(page), ensure_ascii=False)
    persons = query(
        database,
        """
        SELECT unnest([caller_number, visitor_id::VARCHAR, manager]) FROM stg_calltouch__calls
        UNION SELECT unnest([phone, email, name, manager]) FROM calltouch__leads
        """,
    )
    names = [str(name) for (name,) in persons if name]
    assert len(names) > 1000
    assert [name for name in names if name in text] == []


def test_the_page_is_small(page: Path) -> None:
    assert page.stat().st_size < 2_000_000


# What the page shows


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_totals_and_tables_follow_the_filters(
    browser: Browser, database: Path, page: Path, choice: Choice
) -> None:
    measures = (
        "count(*), count(*) FILTER (is_target), sum(orders)::INT, sum(revenue)::DOUBLE, "
        "sum(orders) / count(*)"
    )
    leads = f"FROM calltouch__leads WHERE {where(choice)}"
    (total,) = query(database, f"SELECT {measures} {leads}")
    (unique,) = query(database, f"SELECT count(*) FILTER (is_unique_target) {leads}")
    with opened(browser, page) as tab:
        choose(tab, choice)
        names = ("leads", "target", "orders", "revenue", "conversion")
        assert [tile(tab, name) for name in names] == pytest.approx(total)
        assert tile(tab, "uniqueTarget") == unique[0]
        for table, column, missing in (
            ("sources", "source || coalesce(' ' || medium, '')", "unknown"),
            ("campaigns", "utm_campaign", "no utm_campaign"),
            ("cities", "city_name", "unknown"),
            ("devices", DEVICE, "unknown"),
        ):
            named = query(
                database, f"SELECT {column}, {measures} {leads} AND {column} IS NOT NULL GROUP BY 1"
            )
            (without,) = query(database, f"SELECT {measures} {leads} AND {column} IS NULL")
            ends = [(missing, *without)] if without[0] else []
            check_table(read_table(tab, table), named, [*ends, ("Total", *total)])


@pytest.mark.parametrize("choice", CHOICES[1:3], ids=str)
def test_forms_and_tags_follow_the_filters(
    browser: Browser, database: Path, page: Path, choice: Choice
) -> None:
    """Of requests alone; and a lead with several tags counts for each, but once in the sums."""
    measures = (
        "count(*), count(*) FILTER (is_target), sum(orders)::INT, sum(revenue)::DOUBLE, "
        "sum(orders) / count(*)"
    )
    leads = f"FROM calltouch__leads WHERE {where(choice)}"
    by_tag = f"FROM (SELECT *, unnest(tags) AS tag {leads}) GROUP BY tag"
    with opened(browser, page) as tab:
        choose(tab, choice)
        requests = f"{leads} AND lead_type = 'request'"
        (total,) = query(database, f"SELECT {measures} {requests}")
        named = query(database, f"SELECT subject, {measures} {requests} GROUP BY 1")
        (nameless,) = [row for row in named if row[0] is None]
        named.remove(nameless)
        ends = [("no name", *nameless[1:]), ("Total", *total)]
        check_table(read_table(tab, "forms"), named, ends)
        (total,) = query(database, f"SELECT {measures} {leads} AND tags IS NOT NULL")
        named = query(database, f"SELECT tag, {measures} {by_tag}")
        assert sum(row[1] for row in named) > total[0]
        *rows, last = read_table(tab, "tags")
        assert last == ("Total", *(pytest.approx(value) for value in total))
        check_table(rows, named, [])
        name, count, *_ = rows[0]
        tab.click(f"#tags button:has-text('{name}')")
        assert tile(tab, "leads") == count
        assert f"Tag: {name}" in tab.inner_text("#chips")


def test_half_of_the_first_orders_come_within_days(
    browser: Browser, database: Path, page: Path
) -> None:
    days = query(
        database,
        "SELECT days_to_first_order FROM calltouch__people WHERE days_to_first_order >= 0",
    )
    half = math.ceil(median(day for (day,) in days))
    with opened(browser, page, address="#period=all") as tab:
        shown = tab.inner_text("#total-conversion .detail >> nth=0")
        assert shown == (
            f"from lead to order; half of first orders within {half} "
            f"{'day' if half == 1 else 'days'} of the first lead"
        )


def tile(tab: Page, name: str) -> float:
    return float(tab.get_attribute(f"#total-{name}", "data-value") or "nan")


def read_table(tab: Page, name: str) -> Rows:
    script = """table => [...table.querySelectorAll("tbody tr, tfoot tr")].map(row => [
        row.cells[0].querySelector(".name").textContent,
        ...[...row.cells].slice(1).map(cell => Number(cell.dataset.value)),
    ])"""
    return [tuple(row) for row in tab.eval_on_selector(f"#{name}", script)]


def check_table(shown: Rows, expected: Rows, ends: Rows) -> None:
    """Check the largest rows, the sum of the others, and the rows at the end."""
    largest = sorted(expected, key=lambda row: -row[1])
    if len(largest) > 12:
        largest = largest[:11]
    top, rest = shown[: len(largest)], shown[len(largest) :]
    assert [row[1] for row in top] == [row[1] for row in largest]
    known = {row[0]: pytest.approx(row[1:]) for row in expected}
    assert len({row[0] for row in top}) == len(top)
    assert all(row[1:] == known[row[0]] for row in top)
    if len(expected) > len(largest):
        left = {row[0] for row in expected} - {row[0] for row in top}
        sums = [sum(row[place] for row in expected if row[0] in left) for place in range(1, 5)]
        assert rest.pop(0) == (f"{len(left)} others", *sums, pytest.approx(sums[2] / sums[0]))
    assert [row[0] for row in rest] == [row[0] for row in ends]
    assert [row[1:] for row in rest] == [pytest.approx(row[1:]) for row in ends]


def read_chart(tab: Page, chart: str) -> list[tuple[Any, ...]]:
    """Read the numbers of a chart, from the table that stands below it."""
    script = """table => [...table.querySelectorAll("tbody tr")].map(
        row => [...row.cells].map(cell => cell.textContent))"""
    rows = tab.eval_on_selector(f"#{chart}-numbers table", script)
    return [tuple(map(number, row)) for row in rows]


def number(text: str) -> Any:
    if text == "–":
        return None
    return float(text.replace(",", "")) if re.fullmatch(r"[\d,.]+", text) else text


def read_marks(tab: Page, chart: str, shape: str, *fields: str) -> list[tuple[Any, ...]]:
    """Read fields of what the marks of a shape are drawn from."""
    script = """(groups, fields) => groups.flatMap(group => [...group.children])
        .map(mark => fields.map(field => mark.__data__.datum[field] ?? null))"""
    selector = f"#{chart} svg g[class*='mark-{shape} role-mark']"
    return [tuple(mark) for mark in tab.eval_on_selector_all(selector, script, list(fields))]


def test_the_chart_of_days_follows_the_filters(
    browser: Browser, database: Path, page: Path
) -> None:
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            site = f"AND site_id = {choice.site}" if choice.site else ""
            found = query(
                database,
                f"""
                WITH calendar AS (
                    SELECT unnest(generate_series(DATE '{FIRST}', '{LAST}', INTERVAL 1 DAY)) AS day
                ), counts AS (
                    SELECT day,
                           (SELECT count(*) FROM stg_calltouch__calls
                            WHERE created_on = day {site}) AS calls,
                           (SELECT count(*) FROM stg_calltouch__requests
                            WHERE created_on = day {site}) AS requests
                    FROM calendar
                ), means AS (
                    SELECT *, count(*) OVER week AS days, avg(calls) OVER week AS calls_mean,
                           avg(requests) OVER week AS requests_mean
                    FROM counts WINDOW week AS (ORDER BY day ROWS 6 PRECEDING)
                )
                SELECT day, calls, requests, if(days = 7, calls_mean, NULL),
                       if(days = 7, requests_mean, NULL)
                FROM means WHERE day BETWEEN '{choice.first}' AND '{choice.last}' ORDER BY day
                """,
            )
            expected = [
                (
                    f"{day.day} {day:%B %Y}",
                    calls,
                    requests,
                    *(None if mean is None else pytest.approx(mean, abs=0.051) for mean in means),
                )
                for day, calls, requests, *means in found
            ]
            assert read_chart(tab, "days") == expected
            fields = ("date", "calls", "requests", "callsMean", "requestsMean")
            assert read_marks(tab, "days", "rect", *fields) == expected
            dots = Counter(read_marks(tab, "days", "symbol", "date", "kind", "calls", "requests"))
            assert dots == Counter(
                (row[0], kind, row[1], row[2]) for row in expected for kind in ("Calls", "Requests")
            )


def test_the_chart_of_hours_follows_the_filters(
    browser: Browser, database: Path, page: Path
) -> None:
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            cells = read_chart(tab, "hours")
            assert read_marks(tab, "hours", "rect", "weekday", "hour", "leads") == cells
            assert len({cell[:2] for cell in cells}) == len(cells) == 7 * 24
            assert Counter(cell for cell in cells if cell[2]) == Counter(
                query(
                    database,
                    "SELECT strftime(created_at_local, '%a'), hour(created_at_local), count(*) "
                    f"FROM calltouch__leads WHERE {where(choice)} GROUP BY ALL",
                )
            )
            weekday, hour, most = max(cells, key=lambda cell: cell[2])
            note = f"Most leads come on {weekday} at {hour:.0f}: {most:.0f}."
            assert tab.inner_text("#hours-note") == note


def test_the_card_of_calls_follows_the_filters(
    browser: Browser, database: Path, page: Path
) -> None:
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            calls = query(
                database,
                "SELECT lead_key, is_answered, waiting_seconds, duration_seconds, "
                f"hour(created_at_local) FROM calltouch__leads WHERE {where(choice)} "
                "AND lead_type = 'call' AND is_answered IS NOT NULL",
            )
            expected = Counter(
                (hour, "Answered" if answered else "Missed calls")
                for _, answered, _, _, hour in calls
            )
            bars = read_chart(tab, "calls")
            assert [bar[:2] for bar in bars] == [
                (hour, state) for hour in range(24) for state in ("Answered", "Missed calls")
            ]
            assert {bar[:2]: bar[2] for bar in bars if bar[2]} == expected
            marks = read_marks(tab, "calls", "rect", "hour", "state", "leads")
            assert Counter(marks) == Counter(bars)
            missed = [call for call in calls if not call[1]]
            assert tile(tab, "missed") == pytest.approx(len(missed) / len(calls))
            assert tab.inner_text("#total-missed .detail >> nth=0") == (
                f"{len(missed):,} of {len(calls):,} calls"
            )
            waits = [call[2] for call in calls if call[1] and call[2] is not None]
            talks = [call[3] for call in calls if call[1] and call[3] >= 0]
            shown = {
                name: tab.inner_text(f"#calls-{name} .value")
                for name in ("reached", "wait", "talk")
            }
            assert shown["wait"] == f"{Decimal(median(waits)).quantize(1, ROUND_HALF_UP)} sec"
            minutes, seconds = map(int, shown["talk"].split(":"))
            assert 60 * minutes + seconds == pytest.approx(median(talks), abs=0.5)
            events = query(
                database,
                "SELECT minutes_to_get_through FROM calltouch__missed_calls "
                f"WHERE {where(choice)} AND got_through IS NOT NULL",
            )
            reached = [time for (time,) in events if time is not None and time <= 1440]
            share = f"{len(reached) / len(events):.1%}" if events else "–"
            assert shown["reached"] == share


def test_new_people_are_those_whose_first_lead_it_is(
    browser: Browser, database: Path, page: Path
) -> None:
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            (people,) = query(
                database,
                "SELECT count(*) FROM calltouch__people WHERE "
                + where(choice).replace("created_on", "first_lead_on"),
            )
            assert tile(tab, "fresh") == people[0]


def test_costs_are_those_of_the_campaigns(
    browser: Browser, page: Path, changed: Callable[..., Path]
) -> None:
    with opened(browser, page) as tab:
        assert tab.locator("#totals .total").count() == 8
        assert tab.is_hidden("#spending-card")
    paid = changed(COSTS)
    tables = paid.parent / "tables" / "leads.duckdb"
    with opened(browser, paid) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            rows = query(
                tables,
                "SELECT campaign, sum(cost)::DOUBLE, sum(leads)::INT, sum(orders)::INT, "
                "sum(revenue)::DOUBLE FROM calltouch__campaigns "
                f"WHERE {where(choice).replace('created_on', 'day')} "
                "GROUP BY campaign HAVING sum(cost) > 0 ORDER BY 2 DESC",
            )
            rows.append(("Total", *(sum(row[place] for row in rows) for place in range(1, 5))))
            shown = read_table(tab, "spending")
            assert [row[0] for row in shown] == [row[0] for row in rows]
            for line, (_, cost, leads, orders, revenue) in zip(shown, rows, strict=True):
                per_order = cost / orders if orders else math.inf
                assert line[1:] == pytest.approx(
                    (cost, leads, cost / leads, per_order, revenue / cost)
                )
            *_, total = shown
            names = ("cost", "costPerLead", "costPerOrder", "return")
            tiles = [tile(tab, name) for name in names]
            assert tiles == pytest.approx([total[1], *total[3:]])
        # How a cost divides among cities, nobody knows.
        tab.goto(f"{paid.as_uri()}#period=all&city=Уфа")
        assert "absent" in (tab.get_attribute("#total-cost", "class") or "")
        assert tab.inner_text("#total-cost .value") == "–"


def test_managers_are_named_only_if_asked_for(
    browser: Browser, database: Path, page: Path, tmp_path: Path
) -> None:
    with opened(browser, page) as tab:
        assert tab.is_hidden("#managers-card")
    out = tmp_path / "leads.html"
    assert run_command(database, out, "--managers", LC_ALL="C").returncode == 0
    with opened(browser, out, address="#period=all") as tab:
        shown = {row[0]: row[1] for row in read_table(tab, "managers")}
        found = query(
            database,
            "SELECT coalesce(manager, 'none'), count(*) FROM calltouch__leads "
            f"WHERE created_on < '{LAST}' GROUP BY 1",
        )
        del shown["Total"]
        assert shown == dict(found)


def test_the_chart_of_visits_follows_the_filters(
    browser: Browser, database: Path, page: Path
) -> None:
    folded = False
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            cells = read_chart(tab, "paths")
            assert read_marks(tab, "paths", "rect", "first", "last", "leads") == cells
            shown = {cell[:2]: cell[2] for cell in cells}
            found = query(
                database,
                "SELECT coalesce(first_source, 'unknown'), coalesce(last_source, 'unknown'), "
                f"count(*) FROM calltouch__leads WHERE {where(choice)} AND visits > 1 GROUP BY ALL",
            )
            names = {first for first, _ in shown}
            label = next((name for name in names if name.endswith(" others")), "")
            ends: Counter[str] = Counter()
            expected: Counter[tuple[str, str]] = Counter()
            for first, last, leads in found:
                ends.update({first: leads})
                ends.update({last: leads})
                cell = (first if first in names else label, last if last in names else label)
                expected.update({cell: leads})
            assert {cell: leads for cell, leads in shown.items() if leads} == expected
            others = ends.keys() - names
            assert label == (f"{len(others)} others" if others else "")
            folded = folded or bool(label)
            assert all(ends[other] <= ends[name] for other in others for name in names - {label})
    assert folded, "no choice had more sources than the chart has rows"


def test_the_chart_of_ads_follows_the_site(browser: Browser, database: Path, page: Path) -> None:
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            site = f"AND site_id = {choice.site}" if choice.site else ""
            found = query(
                database,
                "SELECT created_on, count(*), "
                "count(*) FILTER (coalesce(yandex_direct_ad_id, google_ads_creative_id) IS NULL) "
                f"FROM calltouch__leads WHERE medium = 'cpc' {site} "
                f"AND created_on > DATE '{LAST}' - 14 GROUP BY 1 ORDER BY 1",
            )
            expected = []
            for day, leads, missing in found:
                name = f"{day.day} {day:%b}"
                expected += [
                    (name, "With ad id", leads - missing),
                    (name, "Without ad id", missing),
                ]
            assert read_chart(tab, "ads") == expected
            assert read_marks(tab, "ads", "rect", "date", "state", "leads") == expected
            _, leads, missing = found[-1]
            assert leads == missing > 0
            usual = sum(row[2] for row in found[:-1]) / sum(row[1] for row in found[:-1])
            assert tab.inner_text("#ads-note").startswith(
                f"{missing} of {leads} leads from advertising on 10 March 2024 have no ad id. "
                f"On the {len(found) - 1} days before, {usual:.1%} had none."
            )


@pytest.mark.parametrize("language", LOCALES)
def test_what_the_pointer_shows_has_a_value_for_each_name(
    browser: Browser, page: Path, language: str
) -> None:
    """Hover every chart in steps; a tooltip that names what does not exist says `undefined`."""
    texts = read_texts(language)
    with opened(browser, page, address=f"#language={language}&period=all") as tab:
        for chart in tab.locator(".chart:visible").all():
            chart.scroll_into_view_if_needed()
            box = chart.bounding_box()
            assert box
            seen = set()
            for x in range(0, 100, 4):
                for y in range(30, 90, 20):
                    tab.mouse.move(
                        box["x"] + box["width"] * x / 100, box["y"] + box["height"] * y / 100
                    )
                    tip = tab.locator("#vg-tooltip-element.visible")
                    if tip.count():
                        seen.add(tip.inner_text())
            assert len(seen) > 5
            for text in seen:
                assert not re.search("undefined|NaN|null|Infinity", text), text
                cells = [cell.strip() for cell in re.split(r"[\t\n]+", text) if cell.strip()]
                assert len(cells) % 2 == 0
                assert set(cells[::2]) <= set(texts.values())
        assert not re.search("undefined|NaN|null|Infinity", tab.inner_text("body"))


# Filters


def test_a_row_filters_the_page_and_a_chip_takes_it_back(
    browser: Browser, database: Path, page: Path
) -> None:
    with opened(browser, page, address="#period=all") as tab:
        whole = tile(tab, "leads")
        for table, column, name in (
            ("sources", "source || ' ' || medium", "google cpc"),
            ("campaigns", "utm_campaign", "Поиск | Москва"),
            ("campaigns", "coalesce(utm_campaign, '')", "no utm_campaign"),
            ("cities", "city_name", "Уфа"),
            ("channels", "channel", "Search"),
            ("sites", "site_id::VARCHAR", "site202.example"),
        ):
            values = {"no utm_campaign": "", "site202.example": "202", "Search": "organic"}
            value = values.get(name, name)
            (expected,) = query(
                database, f"SELECT count(*) FROM calltouch__leads WHERE {column} = '{value}'"
            )
            tab.get_by_role("button", name=name, exact=True).locator(
                f"visible=true >> xpath=self::*[ancestor::table[@id='{table}']]"
            ).click()
            assert tile(tab, "leads") == expected[0] < whole
            days = read_chart(tab, "days")
            assert sum(row[1] + row[2] for row in days) == expected[0]
            assert sum(row[2] for row in read_chart(tab, "hours")) == expected[0]
            assert read_table(tab, table)[0][0] == name
            while chips := tab.locator(".chip").all():
                chips[0].click()
            assert tile(tab, "leads") == whole


def test_two_rows_filter_together_and_again_is_back(
    browser: Browser, database: Path, page: Path
) -> None:
    (expected,) = query(
        database,
        "SELECT count(*) FROM calltouch__leads "
        "WHERE source = 'yandex' AND medium = 'cpc' AND city_name = 'Москва'",
    )
    with opened(browser, page, address="#period=all") as tab:
        tab.click("#sources button:has-text('yandex cpc')")
        yandex = tile(tab, "leads")
        tab.click("#cities button:has-text('Москва')")
        assert tile(tab, "leads") == expected[0]
        tab.go_back()
        assert tile(tab, "leads") == yandex
        tab.go_forward()
        assert tile(tab, "leads") == expected[0]
        # The address is the choice: who gets it sees the same.
        with opened(browser, page, address="#" + tab.url.partition("#")[2]) as other:
            for part in ("#chips", "#period", "#totals", "table", ".note"):
                texts = [page.locator(part).all_inner_texts() for page in (tab, other)]
                assert texts[0] == texts[1]
        tab.click("#cities button:has-text('Москва')")
        assert tile(tab, "leads") == yandex


def test_headings_sort_both_ways_and_by_name(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        for place, name in enumerate(("leads", "target", "orders", "revenue", "conversion"), 1):
            for direction in ("descending", "ascending"):
                if name != "leads" or direction == "ascending":
                    tab.click(f"#campaigns [data-column={name}]")
                shown = [row[place] for row in read_table(tab, "campaigns")[:11]]
                assert shown == sorted(shown, reverse=direction == "descending")
                heading = "#campaigns th[aria-sort]"
                assert tab.get_attribute(heading, "aria-sort") == direction
                assert tab.get_attribute(f"{heading} button", "data-column") == name
        assert tab.get_attribute(":focus", "data-column") == "conversion"
        tab.click("#cities [data-column=name]")
        names = [row[0] for row in read_table(tab, "cities")]
        assert names[:3] == ["Воронеж", "Екатеринбург", "Йошкар-Ола"]
        tab.click("#cities [data-column=name]")
        assert [row[0] for row in read_table(tab, "cities")][-2:] == ["unknown", "Total"]


def test_other_rows_can_be_unfolded(browser: Browser, database: Path, page: Path) -> None:
    (sources,) = query(
        database,
        "SELECT count(DISTINCT (source, medium)) FROM calltouch__leads WHERE source IS NOT NULL",
    )
    with opened(browser, page, address="#period=all") as tab:
        unfold = tab.locator("#sources [aria-expanded]")
        assert unfold.inner_text() == f"{sources[0] - 11} others"
        unfold.click()
        assert tab.locator("#sources tbody [aria-pressed]").count() == sources[0] + 1
        tab.click("#sources [aria-expanded]")
        assert tab.locator("#sources tbody [aria-pressed]").count() == 12


@pytest.mark.parametrize(("language", "separator", "comma"), [("en", ",", "."), ("ru", ";", ",")])
def test_tables_are_saved_as_spreadsheets_read_them(
    browser: Browser, changed: Callable[..., Path], language: str, separator: str, comma: str
) -> None:
    formula = "=HYPERLINK('https://example.com')"
    page = changed(
        f"UPDATE calltouch__leads SET utm_campaign = {quoted(formula)} "
        "WHERE utm_campaign = 'digest'"
    )
    with opened(browser, page, address=f"#language={language}&period=all") as tab:
        with tab.expect_download() as saving:
            tab.click("#campaigns-save button")
        assert saving.value.suggested_filename == f"campaigns_{FIRST}_{LAST}.csv"
        text = Path(saving.value.path()).read_text(encoding="utf-8-sig")
        heading, *rows = csv.reader(text.splitlines(), delimiter=separator)
        texts = read_texts(language)
        assert heading == [
            texts[name]
            for name in ("campaign", "leads", "target", "orders", "revenue", "conversion")
        ]
        tab.click("#campaigns [aria-expanded]")
        shown = {row[0]: row[1:] for row in read_table(tab, "campaigns")}
        del shown[texts["total"]], shown[texts["fewer"]]
        saved = {row[0]: [float(cell.replace(comma, ".")) for cell in row[1:]] for row in rows}
        shown[""] = shown.pop(texts["no_campaign"])
        shown["'" + formula] = shown.pop(formula)
        assert saved.keys() == shown.keys()
        for name, values in shown.items():
            assert saved[name] == pytest.approx(values, abs=1e-6)
        # Each chart has a file too.
        tab.click("#ads-numbers summary")
        with tab.expect_download() as saving:
            tab.click("#ads-numbers .save")
        assert len(Path(saving.value.path()).read_text(encoding="utf-8").splitlines()) == 29


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# Periods


def test_buttons_choose_the_period(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        # There are 70 days.
        assert tab.is_hidden("[data-period='90']")
        for button, first in (("30 days", LAST - timedelta(days=29)), ("All", FIRST)):
            tab.click(f"button >> text='{button}'")
            period = tab.input_value("#from"), tab.input_value("#to")
            assert period == (first.isoformat(), LAST.isoformat())
            pressed = tab.locator("[data-period][aria-pressed=true]")
            assert pressed.all_inner_texts() == [button]


@pytest.mark.parametrize(
    ("address", "period"),
    [
        ("from=2024-02-20&to=2024-02-10", ("2024-02-10", "2024-02-20")),
        ("from=2023-05-01&to=2024-01-05", ("2024-01-01", "2024-01-05")),
        ("from=2024-03-01&to=2031-01-01", ("2024-03-01", "2024-03-10")),
        ("from=2023-01-01&to=2023-01-02", ("2024-01-01", "2024-01-01")),
        ("from=yesterday&to=today", ("2024-01-01", "2024-03-10")),
        ("period=90", ("2024-01-01", "2024-03-10")),
        ("period=30", ("2024-02-10", "2024-03-10")),
    ],
)
def test_a_period_has_only_days_with_data(
    browser: Browser, database: Path, page: Path, address: str, period: tuple[str, str]
) -> None:
    with opened(browser, page, address=f"#{address}") as tab:
        assert (tab.input_value("#from"), tab.input_value("#to")) == period
        first, last = map(date.fromisoformat, period)
        (found,) = query(
            database,
            "SELECT count(*), sum(orders) FROM calltouch__leads "
            f"WHERE {where(Choice('', first, last))}",
        )
        assert tile(tab, "leads") == found[0]
        a_day = float(found[1]) / ((last - first).days + 1)
        shown = tab.inner_text("#total-orders .detail >> nth=0").removesuffix(" a day")
        assert float(shown) == pytest.approx(a_day, abs=0.051)


def sign_of(change: float) -> str:
    return "▲" if change > 0 else "▼" if change else "="


def test_changes_are_those_since_the_period_before(
    browser: Browser, database: Path, page: Path
) -> None:
    def sums(first: date, last: date) -> Rows:
        return query(
            database,
            "SELECT count(*), sum(orders)::INT, sum(orders) / count(*) FROM calltouch__leads "
            f"WHERE {where(Choice('', first, last))}",
        )

    with opened(browser, page) as tab:
        choose(tab, Choice("", date(2024, 2, 11), date(2024, 3, 10)))
        (now,), (before,) = (
            sums(date(2024, 2, 11), LAST),
            sums(date(2024, 1, 13), date(2024, 2, 10)),
        )
        for place, name in enumerate(("leads", "orders")):
            change = round(100 * (now[place] / before[place] - 1))
            sign = sign_of(change)
            shown = f"{sign} {abs(change)}% vs the 29\xa0days before"
            assert tab.inner_text(f"#total-{name} .change") == shown
        points = round(100 * (now[2] - before[2]), 1)
        sign = sign_of(points)
        shown = f"{sign} {abs(points)}".removesuffix(".0")
        assert tab.inner_text("#total-conversion .change").startswith(f"{shown}\xa0pp vs")
        # The days before are not all there.
        choose(tab, Choice("", date(2024, 2, 1), LAST))
        assert tab.locator(".change").count() == 0


def test_changes_are_also_those_since_the_same_weekdays_a_year_ago(
    browser: Browser, database: Path, changed: Callable[..., Path]
) -> None:
    page = changed(
        "UPDATE calltouch__leads SET created_on = created_on - 329 WHERE created_on < '2024-02-10'"
    )

    def leads(first: date) -> int:
        chosen = where(Choice("", first, first + timedelta(days=6)))
        ((found,),) = query(database, f"SELECT count(*) FROM calltouch__leads WHERE {chosen}")
        return int(found)

    with opened(browser, page) as tab:
        choose(tab, Choice("", date(2024, 2, 20), date(2024, 2, 26)))
        now = leads(date(2024, 2, 20))
        # Those of the 16th of January are said to be of the 21st of February 2023, a Tuesday, too.
        for place, (first, since) in enumerate(
            [
                (date(2024, 2, 13), "vs the 7\xa0days before"),
                (date(2024, 1, 16), "vs the same days a year ago"),
            ]
        ):
            change = round(100 * (now / leads(first) - 1))
            sign = sign_of(change)
            shown = tab.locator("#total-leads .change").nth(place).inner_text()
            assert shown == f"{sign} {abs(change)}% {since}"
        # The days of a year ago are not all there.
        choose(tab, Choice("", date(2024, 1, 5), LAST))
        assert "a year ago" not in tab.inner_text("#totals")


def test_there_is_no_change_from_nothing(browser: Browser, changed: Callable[..., Path]) -> None:
    page = changed(
        "UPDATE calltouch__leads SET orders = 0, revenue = 0 WHERE created_on < '2024-02-10'"
    )
    with opened(browser, page, address="#period=30") as tab:
        assert tab.locator("#total-leads .change").count() == 1
        assert tab.locator("#total-orders .change, #total-revenue .change").count() == 0


def test_the_day_that_is_not_over_is_apart(
    browser: Browser, database: Path, tmp_path: Path
) -> None:
    """Without a word on how far the leads are loaded, the day of the newest is not over."""
    page = write(database, tmp_path)
    before = LAST - timedelta(days=1)
    with opened(browser, page, address="#period=all") as tab:
        (found,) = query(
            database, f"SELECT count(*) FROM calltouch__leads WHERE created_on < '{LAST}'"
        )
        assert tile(tab, "leads") == found[0]
        assert tab.get_attribute("#to", "max") == tab.input_value("#to") == before.isoformat()
        *_, whole, unfinished = read_chart(tab, "days")
        assert whole[0] == "9 March 2024"
        assert None not in whole
        (counts,) = query(
            database,
            "SELECT count(*) FILTER (lead_type = 'call'), count(*) FILTER (lead_type = 'request') "
            f"FROM calltouch__leads WHERE created_on = '{LAST}'",
        )
        assert unfinished == ("10 March 2024 (not over)", *counts, None, None)
        # Its dots are hollow, and no line goes to them.
        fills = "marks => marks.map(mark => [mark.__data__.datum.date, mark.getAttribute('fill')])"
        dots = tab.eval_on_selector_all("#days g[class*='mark-symbol role-mark'] > *", fills)
        assert {date for date, fill in dots if fill == "transparent"} == {unfinished[0]}
        assert "10 Mar is not over" in tab.inner_text("#days-note")
        (newest,) = query(database, "SELECT max(created_at_local) FROM calltouch__leads")
        assert tab.inner_text("#period").endswith(f"newest lead {newest[0]:%-d %b, %H:%M}")
        tab.fill("#to", "2024-03-05")
        assert read_chart(tab, "days")[-1][0] == "5 March 2024"
        assert "not over" not in tab.inner_text("#days-note")


def test_the_page_says_until_when_leads_are_loaded(
    browser: Browser, database: Path, tmp_path: Path
) -> None:
    page = write(database, tmp_path, loaded_until=MIDNIGHT - timedelta(hours=3, minutes=5))
    with opened(browser, page) as tab:
        assert tab.inner_text("#period").endswith(" · loaded until 10 Mar, 20:55")
        assert tab.input_value("#to") == "2024-03-09"
    # Days without leads are whole days too, if they are loaded.
    page = write(database, tmp_path, loaded_until=MIDNIGHT + timedelta(days=2))
    with opened(browser, page, address="#period=30") as tab:
        assert tab.input_value("#to") == "2024-03-12"
        assert [row[1:3] for row in read_chart(tab, "days")[-2:]] == [(0, 0), (0, 0)]


def test_one_unfinished_day_is_all_there_is(
    browser: Browser, changed: Callable[..., Path], tmp_path: Path
) -> None:
    changed(f"DELETE FROM calltouch__leads WHERE created_on < '{LAST}'")
    page = write(tmp_path / "tables" / "leads.duckdb", tmp_path)
    with opened(browser, page) as tab:
        assert tile(tab, "leads") > 0
        assert tab.input_value("#from") == tab.input_value("#to") == LAST.isoformat()
        assert tab.locator("[data-period]:visible").all_inner_texts() == ["All"]


# What is not there


def test_a_choice_without_leads_says_so(browser: Browser, page: Path) -> None:
    with opened(browser, page, address="#city=Atlantis") as tab:
        assert tab.inner_text("main") == "No leads in this selection."
        tab.click(".chip")
        assert tile(tab, "leads") > 0
        box = tab.locator("#days svg").bounding_box()
        assert box
        assert box["width"] > 1000


def test_no_leads_at_all_say_so(browser: Browser, changed: Callable[..., Path]) -> None:
    with opened(browser, changed("DELETE FROM calltouch__leads")) as tab:
        assert tab.inner_text("main") == "There are no leads in the marts. Load some first."
        assert tab.is_hidden("form")


def test_orders_of_calls_that_are_not_loaded_are_not_0(
    browser: Browser, database: Path, changed: Callable[..., Path]
) -> None:
    page = changed(
        "UPDATE calltouch__leads SET has_orders_loaded = false, orders = NULL, revenue = NULL "
        "WHERE lead_type = 'call'"
    )
    text = (
        "SELECT sum(orders)::INT, count(*), "
        "(SELECT count(*) FROM calltouch__leads WHERE lead_type = 'call') "
        "FROM calltouch__leads WHERE lead_type = 'request'"
    )
    (found,) = query(database, text)
    orders, requests, calls = found
    with opened(browser, page, address="#period=all") as tab:
        assert tile(tab, "orders") == orders
        assert tile(tab, "conversion") == pytest.approx(orders / requests)
        assert tab.inner_text("#partial").startswith(
            f"The orders of {calls:,} leads are not loaded: set with_orders."
        )
        # The sources of which there are calls only.
        unknown = [row for row in read_table(tab, "sources") if math.isnan(row[3])]
        assert unknown
        assert all(math.isnan(row[4]) and math.isnan(row[5]) for row in unknown)
        tab.click(f"#sources button:has-text('{unknown[0][0]}')")
        for name in ("orders", "revenue", "conversion"):
            shown = tab.locator(f"#total-{name}")
            assert "absent" in (shown.get_attribute("class") or "")
            assert shown.locator(".value").inner_text() == "–"
            assert shown.locator(".detail").inner_text() == "Not loaded: set with_orders."
        assert tab.is_hidden("#partial")


def test_a_project_without_calls_has_a_page_of_requests(
    browser: Browser, database: Path, changed: Callable[..., Path]
) -> None:
    page = changed(
        "DROP TABLE calltouch__missed_calls",
        "DELETE FROM calltouch__leads WHERE lead_type = 'call'",
    )
    text = "SELECT count(*) FROM calltouch__leads WHERE lead_type = 'request'"
    (requests,) = query(database, text)
    with opened(browser, page, address="#period=all") as tab:
        assert tile(tab, "leads") == requests[0]
        assert tab.inner_text("#total-missed .value") == "–"
        assert tab.inner_text("#calls-note") == "No calls in this selection."
        assert tab.is_hidden("#calls")
        assert tab.is_hidden("#calls-figures")


def test_visits_and_ads_that_are_not_loaded_say_how_to_load_them(
    browser: Browser, page: Path, changed: Callable[..., Path]
) -> None:
    gone = changed(
        "UPDATE calltouch__leads SET visits = NULL, first_source = NULL, last_source = NULL, "
        "yandex_direct_ad_id = NULL, google_ads_creative_id = NULL"
    )
    with opened(browser, gone) as tab:
        for name, setting in (("paths", "with_map_visits"), ("ads", "with_yandex_direct")):
            assert tab.is_hidden(f"#{name}")
            assert tab.is_hidden(f"#{name}-numbers")
            note = tab.inner_text(f"#{name}-note")
            assert note.startswith("Not loaded.")
            assert setting in note
    # That is not the same as none in a choice.
    with opened(browser, page, address="#medium=offline") as tab:
        assert "with_" not in tab.inner_text("#paths-card") + tab.inner_text("#ads-card")
        assert tab.is_hidden("#ads")


def test_without_javascript_a_sentence_says_why(browser: Browser, page: Path) -> None:
    tab = browser.new_page(java_script_enabled=False)
    tab.goto(page.as_uri())
    assert tab.is_visible("body noscript")
    assert "JavaScript" in tab.inner_text("body noscript")
    assert tab.is_hidden("form")
    assert tab.is_hidden("main")
    tab.close()


def test_what_users_typed_is_text(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        choose(tab, Choice("202", FIRST, LAST))
        assert NASTY in [row[0] for row in read_table(tab, "campaigns")]
        tab.locator("#campaigns button", has_text=NASTY[:20]).click()
        assert NASTY in tab.inner_text("#chips")
        with opened(browser, page, address="#" + tab.url.partition("#")[2]) as other:
            assert other.inner_text("#totals") == tab.inner_text("#totals")


# For whom it is


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_is_readable(
    browser: Browser, full_page: Path, width: int, scheme: str, language: str
) -> None:
    with opened(browser, full_page, width, scheme, f"#language={language}") as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        for chart in CHARTS:
            box = tab.locator(f"#{chart} svg").bounding_box()
            assert box
            assert box["width"] > min(width - 60, 300)
            assert box["x"] + box["width"] <= width
        clipped = """cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1)
            .map(cell => cell.textContent)"""
        assert tab.eval_on_selector_all("th, td, .total *, .name, .chip", clipped) == []
        small = """all => all.filter(one => one.textContent.trim()
            && parseFloat(getComputedStyle(one).fontSize) < 11).map(one => one.outerHTML)"""
        assert tab.eval_on_selector_all("body *:not(script, style), svg text", small) == []
        for selector in ("h1", "td", "th button", ".quiet", ".note", "summary", ".total .value"):
            assert contrast(tab, selector) >= 4.5, selector
        assert min(contrasts(tab, "svg g[class*=mark-text] text")) >= 4.5
        for shape in ("#days g[class*=mark-symbol] path", "#ads g[class*=mark-rect] path"):
            assert min(contrasts(tab, shape)) >= 3


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_whole_names_above_their_numbers(
    browser: Browser, changed: Callable[..., Path], width: int
) -> None:
    name = "Поиск | Москва и область | Ремонт квартир под ключ | Бренд и конкуренты | 2024"
    page = changed(
        f"UPDATE calltouch__leads SET utm_campaign = '{name}' WHERE utm_campaign = 'Поиск | Москва'"
    )
    with opened(browser, page, width, address="#language=ru&period=all") as tab:
        label = tab.locator(f"#campaigns button:has-text('{name}')")
        assert label.inner_text() == name
        above = label.bounding_box()
        below = label.locator("xpath=ancestor::tr/td[1]").bounding_box()
        assert above
        assert below
        assert above["x"] >= 0
        assert above["x"] + above["width"] <= width
        assert below["y"] >= above["y"] + above["height"]
        assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_screen_readers_get_sentences_instead_of_marks(browser: Browser, page: Path) -> None:
    for chosen in LOCALES:
        texts = read_texts(chosen)
        with opened(browser, page, address=f"#language={chosen}") as tab:
            assert tab.get_attribute("html", "lang") == chosen
            for chart in CHARTS:
                heard = tab.locator(f"#{chart}-card [role=img]").aria_snapshot()
                words = tab.inner_text(f"#{chart}-title"), tab.inner_text(f"#{chart}-note")
                # One image, with nothing in it; YAML quotes what has a colon.
                assert re.fullmatch(r"""- '?img "[^\n]+"'?""", heard)
                assert all(word in heard for part in words for word in part.split()[:3])
                assert tab.inner_text(f"#{chart}-numbers summary") == texts["as_table"]
            heard = tab.locator("body").aria_snapshot()
            assert not re.search("X-axis|Y-axis|datum|leads: |day: |hour: ", heard)
            tab.click("[data-period='30']")
            assert 0 < len(tab.inner_text("#status").split()) <= 10
            assert tab.locator("[aria-live], [role=status], [role=alert]").count() == 1


def test_print_has_everything_and_nothing_to_press(browser: Browser, page: Path) -> None:
    with opened(browser, page, scheme="dark") as tab:
        tab.evaluate(
            """addEventListener("afterprint", () => { window.after = widths(); });
            window.widths = () => [...document.querySelectorAll(".chart svg")]
                .map(chart => chart.getBoundingClientRect().width);
            addEventListener("beforeprint", () => { window.before = widths(); });"""
        )
        screen = tab.evaluate("widths()")
        assert tab.pdf(format="A4")
        assert max(tab.evaluate("before")) <= 672
        assert tab.evaluate("after") == screen
        # A4 less its margins.
        tab.set_viewport_size({"width": 703, "height": 900})
        tab.emulate_media(media="print")
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.evaluate("document.documentElement.scrollWidth") == 703
        assert max(tab.evaluate("widths()")) <= 672
        assert tab.locator("form:visible, summary:visible, .save:visible").count() == 0
        assert "10 Mar 2024" in tab.inner_text("#period")
        colors = "one => [getComputedStyle(one).printColorAdjust, getComputedStyle(one).color]"
        assert tab.eval_on_selector(".bar i", colors)[0] == "exact"
        assert contrast(tab, "h1") >= 4.5
        assert tab.eval_on_selector("body", colors)[1] == "rgb(35, 38, 43)"
        style = "one => getComputedStyle(one).display"
        assert tab.eval_on_selector("thead", style) == "table-header-group"
        assert tab.eval_on_selector("tr", "one => getComputedStyle(one).breakInside") == "avoid"


def contrast(tab: Page, selector: str) -> float:
    return contrast_of(*tab.locator(f"{selector}:visible").first.evaluate(COLORS))


def contrasts(tab: Page, selector: str) -> list[float]:
    pairs = tab.eval_on_selector_all(selector, f"all => all.map({COLORS})")
    return [contrast_of(*pair) for pair in pairs]


#: The colours of a text or shape and of what it stands on.
COLORS = """first => {
    const style = getComputedStyle(first);
    if (first.matches(".mark-text.role-mark text")) { // It stands on a cell of its chart.
        const { first: from, last: to } = first.__data__.datum;
        const cells = first.ownerSVGElement.querySelectorAll(".mark-rect.role-mark path");
        const cell = [...cells].find(({ __data__: { datum: other } }) =>
            other.first === from && other.last === to);
        return [style.fill, getComputedStyle(cell).fill];
    }
    let ground = first;
    const clear = "rgba(0, 0, 0, 0)";
    while (getComputedStyle(ground).backgroundColor === clear) {
        if (ground === document.documentElement) break;
        ground = ground.parentElement;
    }
    const under = getComputedStyle(ground).backgroundColor;
    const hollow = style.fill === "none" || style.fill === clear;
    const paint = hollow ? style.stroke : style.fill;
    const ink = first instanceof SVGElement ? paint : style.color;
    return [ink, under === clear ? "rgb(255, 255, 255)" : under];
}"""


def contrast_of(*colors: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""
    first, second = sorted(luminance(*map(int, re.findall(r"\d+", color)[:3])) for color in colors)
    return (second + 0.05) / (first + 0.05)


def luminance(*channels: int) -> float:
    shares = [channel / 255 for channel in channels]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_charts_take_the_colours_of_the_scheme_at_once(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        fill = "text => getComputedStyle(text).fill"
        light = tab.eval_on_selector("#hours svg text", fill)
        tab.emulate_media(color_scheme="dark")
        assert tab.eval_on_selector("#hours svg text", fill) != light


def test_the_page_changes_its_language(browser: Browser, page: Path) -> None:
    english, russian = read_texts("en"), read_texts("ru")
    with opened(browser, page) as tab:
        leads = tile(tab, "leads")
        tab.click("[data-language=ru]")
        tab.wait_for_selector(f"#days svg text:has-text('{russian['calls']}')")
        assert tab.get_attribute("html", "lang") == "ru"
        assert tab.title() == f"{russian['title']}: {russian['subtitle']}"
        assert tile(tab, "leads") == leads
        shown = tab.inner_text("body")
        assert "₽" in tab.inner_text("#total-revenue")
        for name in ("days", "sources", "hours", "paths", "tables_note", "last_30", "made"):
            assert russian[name] in shown
            assert english[name] not in shown
        assert "language=ru" in tab.url


def test_amounts_have_the_currency_that_was_asked_for(
    browser: Browser, database: Path, tmp_path: Path
) -> None:
    out = tmp_path / "leads.html"
    assert run_command(database, out, "--currency", "EUR").returncode == 0
    with opened(browser, out, address="#language=en") as tab:
        assert tab.inner_text("#total-revenue .value").startswith("€")


# Languages and the command


def test_languages_have_the_same_texts() -> None:
    english, *others = (read_texts(chosen) for chosen in LOCALES)
    assert {path.stem for path in FOLDER.glob("texts/*.json")} == set(LOCALES)
    for texts in others:
        assert list(texts) == list(english)
        for name, text in texts.items():
            shown, expected = (
                set(re.findall(r"{\w+}|with_\w+", one)) for one in (text, english[name])
            )
            # One of something need not say that it is one.
            assert shown - {"{count}"} == expected - {"{count}"}
            assert shown == expected or name.endswith("_one")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LC_MESSAGES": "en_GB"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "ru_RU"}, "ru"),
        ({"LANG": "ru", "LC_ALL": ""}, "ru"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(
    environment: dict[str, str], expected: str
) -> None:
    assert language(environment) == expected


def run_command(
    duckdb_file: Path, out: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo.report", "--duckdb", duckdb_file, "--out", out, *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_counts_every_lead_in_both_of_its_tables(database: Path) -> None:
    texts = read_demo_texts("en")
    names = ("calls", "missed", "requests", "leads", "orders")
    text = """
        SELECT sum(calls)::INT, sum(missed_calls)::INT, sum(requests)::INT, sum(leads)::INT,
               sum(orders)::INT
        FROM calltouch__leads_by_day
    """
    total = dict(zip(names, query(database, text)[0], strict=True))
    with duckdb.connect(database, read_only=True) as connection:
        for table, counted in (
            (BY_SOURCE, ("leads", "orders")),
            (BY_MONTH, ("calls", "missed", "requests", "orders")),
        ):
            found = connection.execute(Template(table).substitute(texts))
            columns = [column[0] for column in found.description or ()]
            rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
            for name in counted:
                assert sum(row[name] for row in rows) == total[name]
            heading, *lines = show(connection, table, texts).splitlines()
            assert heading.split()[0] == columns[0]
            assert len(lines) == len(rows)


def test_the_command_writes_the_page(database: Path, tmp_path: Path) -> None:
    out = tmp_path / "leads.html"
    result = run_command(database, out, LC_ALL="ru_RU.UTF-8")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{out}\n", "")
    assert '<html lang="ru">' in out.read_text(encoding="utf-8")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    nothing, text, empty = (tmp_path / name for name in ("nothing", "text", "empty.duckdb"))
    text.write_text("no database")
    duckdb.connect(empty).close()
    out = tmp_path / "leads.html"
    for path, message in (
        (nothing, f"There is no file {nothing}."),
        (text, f"{text} cannot be read: "),
        (empty, f"{empty} does not have the marts. Build them with dbt first"),
    ):
        result = run_command(path, out)
        assert result.returncode == 1
        assert result.stderr.startswith(message)
        assert "Traceback" not in result.stderr
    assert not out.exists()
