"""The report: what it holds, and what Chromium shows of it, against the tables that dbt made."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pytest
from filelock import FileLock

from demo.browser import open_browser
from demo.report.page import FOLDER, LOCALES, language, read_texts, render
from demo.tables import BY_MONTH, BY_SOURCE, show
from demo.texts import read_texts as read_demo_texts
from sandbox import Journal, Sandbox
from tests.support.dbt import build
from tests.support.meltano_project import JSONL, ROOT, pipe, tap_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


Rows = list[tuple[Any, ...]]
CHARTS = ("days", "hours", "paths", "ads")
FIRST, LAST = date(2024, 1, 1), date(2024, 3, 10)
EVENING = datetime(2024, 3, 10, 20, 59, 59, tzinfo=timezone.utc)
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
    """The tables of two journals; made once for all of pytest's workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    tables = folder / "tables"
    with FileLock(folder / "report.lock"):
        if not tables.exists():
            files, new = folder / "report", folder / "new"
            files.mkdir()
            new.mkdir()
            _load(files)
            # Views name their database by the file, so the folder is renamed instead.
            places = {"CALLTOUCH_JSONL": str(files), "CALLTOUCH_DUCKDB": str(new / "leads.duckdb")}
            build(files, "--target", "duckdb", **places)
            new.rename(tables)
    return tables / "leads.duckdb"


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
def pages(database: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page in each language."""
    written = {}
    with duckdb.connect(database, read_only=True) as connection:
        for chosen in LOCALES:
            written[chosen] = tmp_path_factory.mktemp("page") / f"{chosen}.html"
            written[chosen].write_text(render(connection, chosen), encoding="utf-8")
    return written


@pytest.fixture
def page(pages: dict[str, Path]) -> Path:
    """The English page."""
    return pages["en"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@contextmanager
def opened(
    browser: Browser, page: Path, width: int = 1280, scheme: Any = "light"
) -> Iterator[Page]:
    """Open a page; it may ask for nothing but itself, and say nothing on the console."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_selector("[data-drawn]")
    yield tab
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
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


def read_tables(page: Path) -> dict[str, Rows]:
    """Read the data of a page as the page itself does."""
    text = page.read_text(encoding="utf-8")
    found = re.search(
        r'<script type="application/json" id="report">(.*?)</script>', text, re.DOTALL
    )
    assert found
    tables = json.loads(found[1])["tables"]

    def values(column: Any) -> list[Any]:
        if isinstance(column, dict):
            return [column["values"][place] for place in column["places"]]
        return list(column)

    return {
        name: list(zip(*map(values, columns.values()), strict=True))
        for name, columns in tables.items()
    }


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (
            "days",
            """
            SELECT site_id, created_on::VARCHAR, source, medium, utm_campaign,
                   count(*) FILTER (lead_type = 'call'), count(*) FILTER (lead_type = 'request'),
                   count(*) FILTER (is_target), sum(orders), sum(revenue)::DOUBLE
            FROM calltouch__leads GROUP BY ALL
            """,
        ),
        (
            "hours",
            """
            SELECT site_id, created_on::VARCHAR, hour(created_at + INTERVAL 3 HOUR), count(*)
            FROM (
                SELECT site_id, created_on, created_at FROM stg_calltouch__calls
                UNION ALL SELECT site_id, created_on, created_at FROM stg_calltouch__requests
            ) GROUP BY ALL
            """,
        ),
        (
            "paths",
            """
            SELECT site_id, created_on::VARCHAR, first, last, count(*) FROM (
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
            ) USING (lead) GROUP BY ALL
            """,
        ),
        (
            "ads",
            """
            SELECT site_id, created_on::VARCHAR, count(*),
                   count(coalesce(yandex_direct_ad_id, google_ads_creative_id))
            FROM calltouch__leads
            WHERE medium = 'cpc' AND created_on > DATE '2024-03-10' - 14 GROUP BY ALL
            """,
        ),
    ],
)
def test_the_data_in_the_page_is_that_of_the_tables(
    database: Path, page: Path, table: str, text: str
) -> None:
    rows = read_tables(page)[table]
    assert rows
    assert Counter(rows) == Counter(query(database, text))


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
    sources = query(
        database,
        f"SELECT coalesce(source, 'unknown') || coalesce(' ' || medium, ''), {measures} {leads} "
        "GROUP BY source, medium",
    )
    campaigns = query(
        database,
        f"SELECT utm_campaign, {measures} {leads} AND utm_campaign IS NOT NULL GROUP BY 1",
    )
    (without,) = query(database, f"SELECT {measures} {leads} AND utm_campaign IS NULL")
    with opened(browser, page) as tab:
        choose(tab, choice)
        names = ("leads", "target", "orders", "revenue", "conversion")
        shown = [tab.get_attribute(f"#total-{name}", "data-value") for name in names]
        assert [float(value or "nan") for value in shown] == pytest.approx(total)
        check_table(read_table(tab, "sources"), sources, [("Total", *total)])
        ends = [("no campaign", *without), ("Total", *total)]
        check_table(read_table(tab, "campaigns"), campaigns, ends)


def read_table(tab: Page, name: str) -> Rows:
    script = """table => [...table.querySelectorAll("tbody tr, tfoot tr")].map(row => [
        row.cells[0].querySelector(".name").textContent,
        ...[...row.cells].slice(1).map(cell => Number(cell.dataset.value)),
    ])"""
    return [tuple(row) for row in tab.eval_on_selector(f"#{name}", script)]


def check_table(shown: Rows, expected: Rows, ends: Rows) -> None:
    """Check the eleven largest rows, the sum of the others, and the rows at the end."""
    largest = sorted(expected, key=lambda row: -row[1])
    others = largest[11:]
    top, rest = shown[: len(largest[:11])], shown[len(largest[:11]) :]
    assert [row[1] for row in top] == [row[1] for row in largest[:11]]
    known = {row[0]: pytest.approx(row[1:]) for row in expected}
    assert len({row[0] for row in top}) == len(top)
    assert all(row[1:] == known[row[0]] for row in top)
    if others:
        left = {row[0] for row in expected} - {row[0] for row in top}
        sums = [sum(row[place] for row in expected if row[0] in left) for place in range(1, 5)]
        assert rest.pop(0) == (f"others ({len(left)})", *sums, pytest.approx(sums[2] / sums[0]))
    assert [row[0] for row in rest] == [row[0] for row in ends]
    assert [row[1:] for row in rest] == [pytest.approx(row[1:]) for row in ends]


def read_marks(tab: Page, chart: str, role: str) -> list[dict[str, str]]:
    """Read what the marks of a chart say to a screen reader, which is what they show."""
    script = "marks => marks.map(mark => mark.getAttribute('aria-label'))"
    labels = tab.eval_on_selector_all(f"#{chart} [aria-roledescription='{role}']", script)
    return [dict(part.split(": ", 1) for part in label.split("; ")) for label in labels]


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
            titles = ("Calls", "Requests", "Calls, 7-day mean", "Requests, 7-day mean")
            shown = read_marks(tab, "days", "rule mark")
            assert [mark["Day"] for mark in shown] == [
                f"{row[0].day} {row[0]:%B %Y}" for row in found
            ]
            assert [[number(mark[title]) for title in titles] for mark in shown] == [
                [None if value is None else pytest.approx(value, abs=0.051) for value in row[1:]]
                for row in found
            ]
            dots = read_marks(tab, "days", "circle")
            drawn = Counter((dot["kind"], number(dot[dot["kind"].lower()])) for dot in dots)
            assert drawn == Counter(
                pair for row in found for pair in (("Calls", row[1]), ("Requests", row[2]))
            )
            # A line says where it begins.
            lines = read_marks(tab, "days", "line mark")
            begun = [number(line[f"{line['kind'].lower()}Mean"]) for line in lines]
            if found[0][3] is not None:
                assert begun == pytest.approx(found[0][3:])


def test_the_chart_of_hours_follows_the_filters(
    browser: Browser, database: Path, page: Path
) -> None:
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            cells = [
                (cell["Weekday"], int(cell["Hour"]), number(cell["Leads"]))
                for cell in read_marks(tab, "hours", "rect mark")
            ]
            assert len({cell[:2] for cell in cells}) == len(cells) == 7 * 24
            assert Counter(cell for cell in cells if cell[2]) == Counter(
                query(
                    database,
                    "SELECT strftime(created_at_local, '%a'), hour(created_at_local), count(*) "
                    f"FROM calltouch__leads WHERE {where(choice)} GROUP BY ALL",
                )
            )


def test_the_chart_of_visits_follows_the_filters(
    browser: Browser, database: Path, page: Path
) -> None:
    folded = False
    with opened(browser, page) as tab:
        for choice in CHOICES:
            choose(tab, choice)
            shown = {
                (cell["First source"], cell["Last source"]): number(cell["Leads"])
                for cell in read_marks(tab, "paths", "rect mark")
            }
            found = query(
                database,
                "SELECT coalesce(first_source, 'unknown'), coalesce(last_source, 'unknown'), "
                f"count(*) FROM calltouch__leads WHERE {where(choice)} AND visits > 1 GROUP BY ALL",
            )
            names = {first for first, _ in shown}
            label = next((name for name in names if name.startswith("others")), "")
            ends: Counter[str] = Counter()
            expected: Counter[tuple[str, str]] = Counter()
            for first, last, leads in found:
                ends.update({first: leads})
                ends.update({last: leads})
                cell = (first if first in names else label, last if last in names else label)
                expected.update({cell: leads})
            assert {cell: leads for cell, leads in shown.items() if leads} == expected
            others = ends.keys() - names
            assert label == (f"others ({len(others)})" if others else "")
            folded = folded or bool(label)
            assert all(ends[other] <= ends[name] for other in others for name in names - {label})
    assert folded, "no choice had more sources than the chart has rows"


def test_the_chart_of_the_newest_day_follows_the_site(
    browser: Browser, database: Path, page: Path
) -> None:
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
            bars = {
                (bar["Day"], bar["Ad id"]): number(bar["Leads"])
                for bar in read_marks(tab, "ads", "bar")
            }
            expected: dict[tuple[str, str], int] = {}
            for day, leads, missing in found:
                name = f"{day.day} {day:%b}"
                expected |= {
                    (name, "With ad id"): leads - missing,
                    (name, "Without ad id"): missing,
                }
            assert bars == expected
            _, leads, missing = found[-1]
            assert leads == missing > 0
            usual = sum(row[2] for row in found[:-1]) / sum(row[1] for row in found[:-1])
            assert tab.inner_text("#ads-note").startswith(
                f"{missing} of {leads} leads from advertising on 10 March 2024 have no ad id; "
                f"on the days before, {usual:.1%} have none."
            )


def number(text: str) -> float | None:
    return None if text == "null" else float(text.replace(",", ""))


def test_headings_sort_the_tables(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        for place, name in enumerate(("leads", "target", "orders", "revenue", "conversion"), 1):
            tab.click(f"#campaigns [data-column={name}]")
            shown = [row[place] for row in read_table(tab, "campaigns")[:11]]
            assert shown == sorted(shown, reverse=True)
            sorted_by = "#campaigns th[aria-sort] [data-column]"
            assert tab.get_attribute(sorted_by, "data-column") == name
            assert tab.get_attribute(":focus", "data-column") == name


def test_buttons_choose_the_period(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        for button, first in (
            ("30 days", LAST - timedelta(days=29)),
            ("All", FIRST),
            ("90 days", LAST - timedelta(days=89)),
        ):
            tab.click(f"button >> text='{button}'")
            period = tab.input_value("#from"), tab.input_value("#to")
            assert period == (first.isoformat(), LAST.isoformat())
            assert tab.locator("[aria-pressed=true]").all_inner_texts() == [button]


def test_a_period_without_leads_says_so(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        assert tab.is_hidden("#empty")
        choose(tab, Choice("", date(2023, 1, 1), date(2023, 1, 2)))
        assert tab.inner_text("#empty") == "No leads in this period."
        assert tab.get_attribute("#total-leads", "data-value") == "0"
        assert "with_map_visits" in tab.inner_text("#paths-note")


def test_what_users_typed_is_text(browser: Browser, page: Path) -> None:
    with opened(browser, page) as tab:
        choose(tab, Choice("202", FIRST, LAST))
        assert NASTY in [row[0] for row in read_table(tab, "campaigns")]


@pytest.mark.parametrize("chosen", LOCALES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_is_readable(
    browser: Browser, pages: dict[str, Path], width: int, scheme: str, chosen: str
) -> None:
    with opened(browser, pages[chosen], width, scheme) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        for chart in CHARTS:
            box = tab.locator(f"#{chart} svg").bounding_box()
            assert box
            assert box["width"] > 300
            assert box["x"] + box["width"] <= width
            marks = tab.locator(f"#{chart} svg [aria-roledescription]")
            assert marks.count() > 5
        clipped = """cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1)
            .map(cell => cell.textContent)"""
        assert tab.eval_on_selector_all("th, td:not(:first-child), .total *", clipped) == []
        small = """all => all.filter(one => one.textContent.trim()
            && parseFloat(getComputedStyle(one).fontSize) < 11).map(one => one.outerHTML)"""
        assert tab.eval_on_selector_all("body *:not(script), svg text", small) == []
        for selector in ("h1", "td", "#subtitle", ".note", ".total .value", "svg text"):
            assert contrast(tab, selector) >= 4.5, selector


def contrast(tab: Page, selector: str) -> float:
    """Return the contrast of a text with what it stands on, as WCAG defines it."""
    script = """first => {
        const style = getComputedStyle(first);
        let ground = first;
        const clear = "rgba(0, 0, 0, 0)";
        while (getComputedStyle(ground).backgroundColor === clear) ground = ground.parentElement;
        const ink = first instanceof SVGElement ? style.fill : style.color;
        return [ink, getComputedStyle(ground).backgroundColor];
    }"""
    colors = tab.eval_on_selector(selector, script)
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
        tab.wait_for_function(f"({fill})(document.querySelector('#hours svg text')) !== '{light}'")
        assert contrast(tab, "#hours svg text") >= 4.5


# Languages and the command


def test_languages_have_the_same_texts() -> None:
    english, *others = (read_texts(chosen) for chosen in LOCALES)
    assert {path.stem for path in FOLDER.glob("*.json")} == set(LOCALES)
    for texts in others:
        assert list(texts) == list(english)
        for name, text in texts.items():
            assert sorted(re.findall(r"{\w+}|with_\w+", text)) == sorted(
                re.findall(r"{\w+}|with_\w+", english[name])
            )


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
    duckdb_file: Path, out: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo.report", "--duckdb", duckdb_file, "--out", out],
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
        (empty, f"{empty} has no marts. Build them with dbt first"),
    ):
        result = run_command(path, out)
        assert result.returncode == 1
        assert result.stderr.startswith(message)
        assert "Traceback" not in result.stderr
    assert not out.exists()
