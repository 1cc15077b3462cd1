"""What the demo prints, in the person's language."""

from __future__ import annotations

import json
from pathlib import Path

from demo.report.page import language


def read_texts(chosen: str = "") -> dict[str, str]:
    """Return the texts of a language, or of the person's."""
    path = Path(__file__).with_name(f"{chosen or language()}.json")
    texts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return texts


def format_number(number: int, texts: dict[str, str]) -> str:
    """Return a number as it is written in a language."""
    return f"{number:,}".replace(",", texts["thousands"])
