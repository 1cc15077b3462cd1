"""Takes the picture of README: `python -m demo.screenshot`, or `make screenshot`."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from demo.browser import open_browser
from demo.pipeline import ROOT, build, load
from demo.report.page import render

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".demo" / "screenshot"
UNTIL = date(2025, 9, 30)
WIDTH = 1280


def main() -> int:
    """Load a year that is always the same one, and take a picture of its report."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    options = ("--state-id-suffix=screenshot", "--full-refresh")
    if status := load(FOLDER, sandbox=("--until", UNTIL.isoformat()), meltano=options):
        return status
    page = FOLDER / "leads.html"
    with duckdb.connect(build(FOLDER), read_only=True) as database:
        page.write_text(render(database, "en"), encoding="utf-8")
    picture = ROOT / "docs" / "leads.png"
    take(page, picture)
    print(picture)
    return 0


def take(page: Path, picture: Path) -> None:
    """Take a picture of a page down to the end of the table of sources."""
    with open_browser() as browser:
        tab = browser.new_page(viewport={"width": WIDTH, "height": WIDTH})
        tab.goto(page.as_uri())
        tab.wait_for_selector("[data-drawn]")
        end = tab.eval_on_selector(
            "#sources", "table => table.parentElement.offsetTop + table.parentElement.offsetHeight"
        )
        tab.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": end + 14})


if __name__ == "__main__":
    sys.exit(main())
