"""Takes the pictures of README: `python -m demo.screenshot`, or `make screenshot`."""

from __future__ import annotations

import shutil
import sys
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from demo.__main__ import API, write_demo_costs
from demo.browser import open_browser
from demo.pipeline import ROOT, Pipeline
from sandbox.clock import MOSCOW

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".demo" / "screenshot"
UNTIL = date(2025, 9, 30)
WIDTH = 1280
#: The picture of each language.
PICTURES = {"en": ROOT / "docs" / "leads.png", "ru": ROOT / "docs" / "ru" / "leads.png"}


def main() -> int:
    """Load a year that is always the same one, and take pictures of its page."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    *options, end = API
    pipeline = Pipeline(FOLDER, prefix=[*options, "--until", UNTIL.isoformat(), end])
    pipeline.load("Rows loaded:")
    database = pipeline.build(
        "Tables built with dbt:", write_demo_costs(FOLDER / "costs.csv", UNTIL)
    )
    for language, picture in PICTURES.items():
        midnight = datetime.combine(UNTIL + timedelta(days=1), time.min, MOSCOW)
        pipeline.write_page(database, language, midnight)
        take(pipeline.page, picture)
        print(picture)
    return 0


def take(page: Path, picture: Path) -> None:
    """Take a picture of a page down to the end of the table of channels."""
    with open_browser() as browser:
        tab = browser.new_page(viewport={"width": WIDTH, "height": WIDTH})
        tab.goto(page.as_uri())
        tab.wait_for_selector("[data-drawn]")
        end = tab.eval_on_selector(
            "#channels-card", "card => card.getBoundingClientRect().bottom + scrollY"
        )
        tab.screenshot(
            path=picture,
            clip={"x": 0, "y": 0, "width": WIDTH, "height": end + 14},
            full_page=True,
        )


if __name__ == "__main__":
    sys.exit(main())
