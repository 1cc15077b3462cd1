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
SIZE = (1280, 1290)


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
    """Take a picture of the upper part of a page."""
    with open_browser() as browser:
        width, height = SIZE
        tab = browser.new_page(viewport={"width": width, "height": height}, locale="en-GB")
        tab.goto(page.as_uri())
        tab.wait_for_selector("[data-drawn]")
        tab.screenshot(path=picture)


if __name__ == "__main__":
    sys.exit(main())
