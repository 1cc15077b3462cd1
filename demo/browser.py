"""Starts Chromium without a window and without the network; `python -m demo.browser` gets one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import Error, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserType

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


class NoBrowserError(RuntimeError):
    """There is no Chromium on this machine, and none can be downloaded."""

    def __init__(self) -> None:
        super().__init__("Install Chromium, for example with: apt-get install chromium")


def find_chromium() -> str | None:
    """Return the path of the system's browser, if it has one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run the browser with a new profile while the block lasts.

    It is the system's or, where there is none, the one that Playwright downloads once.

    Raises:
        NoBrowserError: If neither is to be had.
    """
    with sync_playwright() as playwright:
        browser = _launch(playwright.chromium)
        try:
            yield browser
        finally:
            browser.close()


def _launch(chromium: BrowserType) -> Browser:
    if path := find_chromium():
        return chromium.launch(executable_path=path, args=[*_OPTIONS])
    try:
        return chromium.launch(args=[*_OPTIONS])
    except Error:  # it has not been downloaded yet
        install = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
        subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    try:
        return chromium.launch(args=[*_OPTIONS])
    except Error as error:
        raise NoBrowserError from error


if __name__ == "__main__":
    try:
        with open_browser():
            pass
    except NoBrowserError as error:
        sys.exit(str(error))
