"""Starts the Chromium of the system, without a window and without the network."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of the program; raise if there is none."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        message = "Install Chromium, for example with: apt-get install chromium"
        raise RuntimeError(message)
    return path


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run the browser with a new profile while the block lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*_OPTIONS])
        try:
            yield browser
        finally:
            browser.close()
