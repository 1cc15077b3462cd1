"""`make demo` and `make leads`, with the local API, Meltano, dbt and the page."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from demo.leads import COST_COLUMNS, NEEDED, count_api_calls
from demo.texts import read_texts
from sandbox import Journal, Sandbox
from sandbox.costs import costs_of_days, write_costs
from tests.support.meltano_project import BIN, JSONL, install
from tests.support.pages import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLES = [f"TAP_CALLTOUCH_{name.upper()}" for name in NEEDED]
SITE, TOKEN, DAYS = 4711, "not-of-the-demo", 40
TODAY = datetime.now(timezone.utc).date()
FIRST = TODAY - timedelta(days=DAYS)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what both commands need, with plugins that are installed already."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("demo", "sandbox", "transform"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (tap,), (loader,) = (project["plugins"][kind] for kind in ("extractors", "loaders"))
    del tap["pip_url"], loader["pip_url"]
    tap["executable"] = str(BIN / "tap-calltouch")
    loader["executable"] = str(install(JSONL) / "venv" / "bin" / "target-jsonl")
    (folder / "meltano.yml").write_text(yaml.safe_dump(project), encoding="utf-8")
    return folder


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An API with a token and a site that are not those of the demo."""
    journal = Journal((SITE,), FIRST, TODAY - timedelta(days=1), per_day=3, sample=False)
    with Sandbox(journal, journal.calls(per_day=3), token=TOKEN, per_second=100) as sandbox:
        yield sandbox


def run(module: str, folder: Path, **variables: str) -> tuple[int, str]:
    """Run a module of the checkout; return its status and both outputs as a pipe gets them."""
    own = {key: value for key, value in os.environ.items() if "CALLTOUCH" not in key}
    result = subprocess.run(
        [sys.executable, "-m", module],
        cwd=folder,
        env=own | {"LC_ALL": "C.UTF-8", "TAP_CALLTOUCH_LOGLEVEL": "INFO", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


def count_screen_lines(output: str) -> int:
    """Return how many lines an output takes on a terminal of 80 columns."""
    return sum(max(1, -(-len(line) // 80)) for line in output.splitlines())


def test_demo_fits_on_a_screen_and_loads_only_what_is_new(checkout: Path) -> None:
    status, output = run("demo", checkout)
    assert status == 0, output
    assert count_screen_lines(output) <= 40
    texts = read_texts("en")
    assert output.startswith(texts["first"])  # before all that follows, though it is piped
    # As a word: the fraction of a second in a time may end in the same digits.
    log = (checkout / ".demo" / "meltano.log").read_text(encoding="utf-8")
    assert not re.search(r"\b429\b", log)
    address = (checkout / ".demo" / "leads.html").as_uri()
    assert output.splitlines()[-1] == texts["page"].format(address=address)
    (first,) = re.findall(r"This run loaded ([\d,]+) rows", output)

    status, output = run("demo", checkout, LC_ALL="ru_RU.UTF-8")
    assert status == 0, output
    assert count_screen_lines(output) <= 40
    assert output.startswith("Выгрузка всего, что появилось или могло измениться: с ")
    words = re.findall(r"[a-z]{4,}(?=\s[a-z]{4,})", re.sub(r"`.+?`", "", output))
    assert set(words) <= {"yandex", "google"}  # names of sources
    again = re.search(r"выгружено строк: ([\d\xa0]+)\.", output)
    assert again
    assert 0 < int(again[1].replace("\xa0", "")) < int(first.replace(",", "")) / 10


def test_both_languages_have_the_same_texts() -> None:
    english, russian = read_texts("en"), read_texts("ru")
    assert english.keys() == russian.keys()
    for name, text in english.items():
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", russian[name])


def test_leads_of_ones_own(checkout: Path, sandbox: Sandbox) -> None:
    """A wrong token loads nothing; a second run loads only what may have changed."""
    settings = {
        "TAP_CALLTOUCH_API_URL": sandbox.url,
        "TAP_CALLTOUCH_API_TOKEN": TOKEN,
        "TAP_CALLTOUCH_SITE_IDS": str(SITE),  # without brackets
        "TAP_CALLTOUCH_START_DATE": FIRST.isoformat(),
    }
    status, output = run("demo.leads", checkout, **settings | {"TAP_CALLTOUCH_API_TOKEN": "wrong"})
    assert status == 1
    assert output.startswith("Nothing was loaded. ")
    assert "403" in output
    assert len(output.splitlines()) == 1
    assert not (checkout / "leads").exists()
    sandbox.calls.clear()

    costs = checkout.parent / "costs.csv"
    with costs.open("w", encoding="utf-8") as file:
        write_costs(file, costs_of_days(1, FIRST, TODAY, leads_per_day=6))
    journals = [sandbox.journal.records(), sandbox.call_journal.records()]
    first_load, rows = sum(map(len, journals)), []
    for number, calls in enumerate((4, 2)):
        if number:  # as files have it that come from a spreadsheet
            costs.write_text(costs.read_text("utf-8").replace(",", ";"), encoding="utf-8")
        status, output = run("demo.leads", checkout, **settings, CALLTOUCH_COSTS=str(costs))
        assert status == 0, output
        assert f"at least {calls} API calls" in output
        assert len(sandbox.calls) == 2 + calls  # one for each journal checks the token
        sandbox.calls.clear()
        rows.append(count_lines(checkout / "leads"))
    assert rows[0] == first_load
    assert 0 < rows[1] - rows[0] < first_load / 2

    page = checkout / "leads" / "leads.html"
    assert output.splitlines()[-1].endswith(page.as_uri())
    with duckdb.connect(checkout / "leads" / "calltouch.duckdb", read_only=True) as database:
        query = "SELECT sum(requests), sum(calls) FROM calltouch__leads_by_day"
        assert database.execute(query).fetchall() == [tuple(map(len, journals))]
        (cost,) = database.execute("SELECT sum(cost) FROM calltouch__campaigns").fetchall()
        query = f"SELECT sum(cost::DECIMAL(18, 2)) FROM '{costs}'"
        assert database.execute(query).fetchone() == cost
    paths = [checkout / "leads", *(checkout / "leads").rglob("*")]
    assert not [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    written = [path for path in checkout.rglob("*") if path.is_file() and "run" not in path.parts]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


def count_lines(folder: Path) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("*.jsonl"))


def test_leads_are_not_in_git() -> None:
    ignored = subprocess.run(["git", "check-ignore", "leads/leads.html"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_the_printed_costs_have_the_columns_that_are_read() -> None:
    (block,) = blocks("docs/dbt.md", "Costs")
    assert set(block.text.splitlines()[0].split(",")) == set(COST_COLUMNS)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "Set TAP_CALLTOUCH_API_TOKEN, TAP_CALLTOUCH_SITE_IDS, TAP_CALLTOUCH_START_DATE first"),
        (
            dict.fromkeys(VARIABLES, "1") | {"CALLTOUCH_COSTS": "nowhere.csv"},
            "CALLTOUCH_COSTS names a file that does not exist: nowhere.csv",
        ),
        (
            dict.fromkeys(VARIABLES, "1") | {"CALLTOUCH_COSTS": "meltano.yml"},
            "meltano.yml, which CALLTOUCH_COSTS names, lacks the columns date, campaign_id, ",
        ),
        (dict.fromkeys(VARIABLES, "1"), "Nothing was loaded. Setting `start_date` must be a date"),
    ],
    ids=["nothing", "no costs", "wrong costs", "a wrong date"],
)
def test_what_is_wrong_is_one_sentence(
    checkout: Path, variables: dict[str, str], sentence: str
) -> None:
    status, output = run("demo.leads", checkout, **variables)
    assert status == 1
    assert output.startswith(sentence)
    assert len(output.splitlines()) == 1
    assert not (checkout / "leads").exists()


NOTHING: dict[str, dict[int, str]] = {"calls": {}, "requests": {}}


@pytest.mark.parametrize(
    ("changes", "bookmarks", "count"),
    [
        ({}, NOTHING, 2 * 2 * 4),
        ({"site_ids": ["1"]}, NOTHING, 2 * 4),
        ({"start_date": "2024-03-31T12:00:00+03:00"}, NOTHING, 2 * 2 * 1),
        ({"end_date": "2024-01-30"}, NOTHING, 2 * 2 * 1),
        ({"end_date": "2025-01-30"}, NOTHING, 2 * 2 * 4),
        ({"start_date": "2024-04-02"}, NOTHING, 0),
        ({}, NOTHING | {"calls": {1: "2024-03-31T20:00:00+00:00"}}, 4 + 4 + 4 + 1),
        ({}, NOTHING | {"calls": {1: "2024-01-02T20:00:00+00:00"}}, 2 * 2 * 4),
    ],
)
def test_count_of_api_calls(
    changes: dict[str, Any], bookmarks: dict[str, dict[int, str]], count: int
) -> None:
    """Of two sites and 92 days."""
    config = {"site_ids": [1, 2], "start_date": "2024-01-01", "window_days": 30}
    config |= {"lookback_days": 10} | changes
    assert count_api_calls(config, bookmarks, date(2024, 4, 1)) == count
