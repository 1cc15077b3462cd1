"""Puts texts, data, charts and scripts into one page."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import vl_convert

from demo.report.charts import charts
from demo.report.marts import read_marts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from duckdb import DuckDBPyConnection

FOLDER = Path(__file__).parent
#: The locales of numbers and of dates, by language.
LOCALES: dict[str, tuple[Literal["en-US", "ru-RU"], Literal["en-GB", "ru-RU"]]] = {
    "en": ("en-US", "en-GB"),
    "ru": ("ru-RU", "ru-RU"),
}
#: One module in the page, so each file may use what those before it define.
SCRIPTS = ("format", "leads", "choice", "numbers", "tables", "charts", "tiles", "page")


def language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the language of a person's environment: `ru`, or `en` for all others."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "ru" if next(filter(None, names), "").startswith("ru") else "en"


def read_texts(chosen: str) -> dict[str, str]:
    """Return the texts of a language."""
    path = FOLDER / "texts" / f"{chosen}.json"
    texts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return texts


def render(
    database: DuckDBPyConnection,
    chosen: str,
    *,
    loaded_until: datetime | None = None,
    currency: str = "RUB",
    managers: bool = False,
) -> str:
    """Return the page of a database.

    Args:
        database: Where dbt built the marts.
        chosen: The language in which the page opens.
        loaded_until: The instant, with its zone, before which all leads are loaded, if known.
        currency: ISO 4217 code of the amounts, which the API does not name.
        managers: Whether to name managers: names of people, in a page that is made to be shared.
    """
    report = {
        "currency": currency,
        "languages": {name: _language(name) for name in LOCALES},
        **read_marts(database, loaded_until=loaded_until, managers=managers),
    }
    texts = read_texts(chosen)
    return Template(_read("page.html")).substitute(
        language=chosen,
        title=texts["title"],
        subtitle=texts["subtitle"],
        no_script=" ".join(read_texts(name)["no_script"] for name in LOCALES),
        style=_read("page.css"),
        report=_json(report),
        library=_script(_library()),
        script=_script("\n".join(_read(f"{name}.js") for name in SCRIPTS)),
    )


@cache
def _language(name: str) -> dict[str, Any]:
    """Return all that the page needs to speak a language."""
    texts = read_texts(name)
    number_locale, date_locale = LOCALES[name]
    return {
        "texts": texts,
        "numberLocale": number_locale,
        "dateLocale": date_locale,
        "chartNumbers": vl_convert.get_format_locale(number_locale),
        "chartTimes": vl_convert.get_time_format_locale(date_locale),
        "charts": charts(texts),
    }


def _read(name: str) -> str:
    return (FOLDER / "page" / name).read_text(encoding="utf-8")


@cache
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
