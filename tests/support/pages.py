"""Reads the pages of the documentation, so that tests can run what they print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    text: str


def blocks(page: str, heading: str) -> list[Block]:
    """Return the blocks below a heading, up to the next heading.

    Args:
        page: The page's path in the project.
        heading: The text of the heading, at any level.
    """
    (section,) = [text for title, text in sections(page) if title.lstrip("# ") == heading]
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", section, _BLOCK)]


def sections(page: str) -> list[tuple[str, str]]:
    """Return each heading of a page, with its level's number signs, and the text below it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    parts = re.split(r"(^```.*?^```$)", text, flags=_BLOCK)
    found = [("", "")]
    for number, part in enumerate(parts):
        if number % 2:  # code, where a line may begin with `#`
            found[-1] = (found[-1][0], found[-1][1] + part)
            continue
        first, *others = re.split(r"^(#+ .+)\n", part, flags=re.MULTILINE)
        found[-1] = (found[-1][0], found[-1][1] + first)
        found += zip(others[::2], others[1::2], strict=True)
    return found


_BLOCK = re.DOTALL | re.MULTILINE
