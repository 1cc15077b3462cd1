"""README is short, and says the same in both languages."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
import yaml

from docs import plugin
from tests.support.pages import ROOT, blocks, sections

#: Each page in both languages.
PAIRS = {
    "README.md": "README.ru.md",
    "docs/settings.md": "docs/ru/settings.md",
    "docs/fields.md": "docs/ru/fields.md",
    "docs/promises.md": "docs/ru/promises.md",
    "docs/choosing.md": "docs/ru/choosing.md",
    "docs/targets.md": "docs/ru/targets.md",
    "docs/recipes.md": "docs/ru/recipes.md",
    "docs/failures.md": "docs/ru/failures.md",
}
#: Pages of tables, in which one language may name a parameter once more.
TABLES = {"docs/settings.md", "docs/fields.md"}
FENCE = re.compile(r"^```\w+\n.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_readme_is_short(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 200


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


@pytest.mark.parametrize(
    ("english", "russian"), [pair for pair in PAIRS.items() if pair[0] not in TABLES]
)
def test_both_languages_have_the_same_blocks_and_code(english: str, russian: str) -> None:
    """But for comments, which are in the language of the page."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in (english, russian)]
    fences = [
        [re.sub(r"(?<= )# .+", "#", block) for block in re.findall(FENCE, text)] for text in texts
    ]
    assert fences[0] == fences[1]
    codes = [
        sorted(" ".join(code.split()) for code in re.findall(r"`[^`]+`", re.sub(FENCE, "", text)))
        for text in texts
    ]
    assert codes[0] == codes[1]


@pytest.mark.parametrize("heading", ["With Meltano", "With a plain pipe"])
def test_quick_starts_load_what_the_tables_and_the_page_need(heading: str) -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    wanted = project["plugins"]["extractors"][0]["config"]
    texts = [block.text for block in blocks("README.md", heading)]
    (text,) = [text for text in texts if "with_orders" in text]
    printed = yaml.safe_load(text)
    if "plugins" in printed:
        printed = printed["plugins"]["extractors"][0]["config"]
    flags = [{key for key in config if key.startswith("with_")} for config in (printed, wanted)]
    assert flags[0] == flags[1]
