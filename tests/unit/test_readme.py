"""README is short, and says the same in both languages."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from docs import plugin
from tests.support.pages import ROOT, sections

#: Each page in both languages.
PAIRS = {
    "README.md": "README.ru.md",
    "docs/settings.md": "docs/ru/settings.md",
    "docs/fields.md": "docs/ru/fields.md",
}


@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_readme_is_short(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 170


@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_readme_gives_the_defaults_of_the_settings(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    settings = {setting["name"]: setting for setting in plugin.settings()}
    assert len(rows) == 5  # and the flags
    for setting, default in rows:
        if setting in plugin.required():
            assert default in {"required", "обязательна"}
        else:
            assert default == f"`{json.dumps(settings[setting]['value'])}`"


@pytest.mark.parametrize(("english", "russian"), PAIRS.items())
def test_both_languages_say_the_same(english: str, russian: str) -> None:
    """Each paragraph, list item and row of a table has the same numbers, names and files."""
    pairs = zip(sections(english), sections(russian), strict=True)
    for (title, text), (russian_title, russian_text) in pairs:
        assert title.count("#") == russian_title.count("#")
        items = zip(paragraphs(text), paragraphs(russian_text), strict=True)
        for item, russian_item in items:
            assert facts(item) == facts(russian_item), (item, russian_item)


def paragraphs(text: str) -> list[str]:
    return re.split(r"\n\n|\n(?=[|-] )", text)


def facts(text: str) -> tuple[Counter[str], ...]:
    """Return the numbers, the names in snake case and the files that a text names."""
    text = re.sub(r"(README|docs)(\.ru|/ru)", r"\1", text)  # the same page
    text = re.sub(r"\.\./", "", text)
    digits = re.sub(r"(?<=\d)[, ](?=\d{3}\b)", "", text)
    numbers = re.findall(r"\d+(?:[.,]\d+)?", digits)
    names = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)
    files = re.findall(r"[\w./-]+\.(?:html|json|jsonl|md|png|sh|yaml|yml)\b|\bLICENSE\b", text)
    return Counter(number.replace(",", ".") for number in numbers), Counter(names), Counter(files)


def test_readmes_have_the_same_blocks_and_code() -> None:
    english, russian = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ru.md")
    )
    for pattern in (r"^```\w+\n.*?^```$", r"(?<!`)`[^`\n]+`(?!`)"):
        found = [
            sorted(re.findall(pattern, text, re.DOTALL | re.MULTILINE))
            for text in (english, russian)
        ]
        assert found[0] == found[1]
        assert found[0]
