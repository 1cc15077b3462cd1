"""Puts texts, data, charts and scripts into one page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import vl_convert

from demo.report.charts import charts
from demo.report.marts import read_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

FOLDER = Path(__file__).parent
#: The locales of numbers and of dates, by language.
LOCALES: dict[str, tuple[Literal["en-US", "ru-RU"], Literal["en-GB", "ru-RU"]]] = {
    "en": ("en-US", "en-GB"),
    "ru": ("ru-RU", "ru-RU"),
}


def language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the language of a person's environment: `ru`, or `en` for all others."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "ru" if next(filter(None, names), "").startswith("ru") else "en"


def read_texts(chosen: str) -> dict[str, str]:
    """Return the texts of a language."""
    texts: dict[str, str] = json.loads((FOLDER / f"{chosen}.json").read_text(encoding="utf-8"))
    return texts


def render(database: DuckDBPyConnection, chosen: str) -> str:
    """Return the page of a database in a language."""
    texts = read_texts(chosen)
    number_locale, date_locale = LOCALES[chosen]
    report = {
        "texts": texts,
        "locales": {"numbers": number_locale, "dates": date_locale},
        "numbers": vl_convert.get_format_locale(number_locale),
        "times": vl_convert.get_time_format_locale(date_locale),
        "tables": read_tables(database),
        "charts": charts(texts),
    }
    page = Template((FOLDER / "page.html").read_text(encoding="utf-8"))
    return page.substitute(
        texts,
        language=chosen,
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        report=_json(report),
        library=_script(_library()),
        script=_script((FOLDER / "page.js").read_text(encoding="utf-8")),
    )


def _library() -> str:
    """Return Vega-Embed and all below it, of the version that Altair's charts are for."""
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)


def _json(value: Any) -> str:
    """Return JSON that cannot end the element that it stands in, whatever a user typed."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _script(code: str) -> str:
    """Return JavaScript that cannot end the element that it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")
