"""What the page knows: one row for each lead, without anything that names a person.

The page sums these rows by its filters, so they hold no means and no shares.
"""

from __future__ import annotations

import base64
import gzip
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Leads of an hour are ordered by their values, so that nothing tells which came first.
LEADS = """
    WITH advertising AS (
        SELECT DISTINCT source, medium, true AS known FROM calltouch__leads
        WHERE yandex_direct_ad_id IS NOT NULL OR google_ads_creative_id IS NOT NULL
    )
    SELECT site_id::VARCHAR AS site, created_on AS day, hour(created_at_local) AS hour,
           lead_type AS type, lead.source, lead.medium, utm_campaign AS campaign, city,
           coalesce(is_target, false)::INT AS target,
           coalesce(is_unique_target, false)::INT AS uniqueTarget,
           orders, revenue, visits, first_source AS first, last_source AS last,
           -- Whether the lead has the id of its ad, if it comes from where others have one.
           if(known, coalesce(yandex_direct_ad_id, google_ads_creative_id) IS NOT NULL, NULL)::INT
               AS ad
    FROM calltouch__leads AS lead
    LEFT JOIN advertising ON advertising.source IS NOT DISTINCT FROM lead.source
        AND advertising.medium IS NOT DISTINCT FROM lead.medium
    ORDER BY ALL
"""
LOADED = """
    SELECT site_id::VARCHAR, lead_type, bool_or(lead_type = 'request' OR orders > 0),
           bool_or(visits > 0)
    FROM calltouch__leads GROUP BY ALL
"""
SITES = "SELECT site_id::VARCHAR, mode(site_name) FROM stg_calltouch__calls GROUP BY ALL"
PERIOD = """
    SELECT min(created_on), max(created_at_local),
           max_by(created_at_local, created_at) - max(created_at)
    FROM calltouch__leads
"""


def read_marts(database: DuckDBPyConnection, loaded_until: datetime | None) -> dict[str, Any]:
    """Return what the page knows, as JSON has it.

    Args:
        database: Where dbt built the marts.
        loaded_until: The instant, with its zone, before which all leads are loaded. If it is not
            known, the day of the newest lead counts as unfinished.
    """
    return {
        "leads": _pack(_columns(database, LEADS)),
        "period": _period(database, loaded_until),
        "loaded": {
            f"{site} {kind}": {"orders": orders, "visits": visits}
            for site, kind, orders, visits in database.execute(LOADED).fetchall()
        },
        "sites": _site_names(database),
    }


def _period(
    database: DuckDBPyConnection, loaded_until: datetime | None
) -> dict[str, str | None] | None:
    """Return the first day, the last whole day and how new the leads are, in the marts' zone."""
    first, newest, offset = database.execute(PERIOD).fetchone() or (None, None, None)
    if first is None:
        return None
    if loaded_until:
        loaded_until = loaded_until.astimezone(timezone.utc).replace(tzinfo=None) + offset
    whole = (loaded_until or newest).date() - timedelta(days=1)
    return {
        "first": first.isoformat(),
        "last": max(first, whole).isoformat(),
        "newest": newest.isoformat(timespec="minutes"),
        "loadedUntil": loaded_until.isoformat(timespec="minutes") if loaded_until else None,
    }


def _site_names(database: DuckDBPyConnection) -> dict[str, str]:
    """Return the names of the sites that have calls, since requests do not have them."""
    try:
        names = dict(database.execute(SITES).fetchall())
    except duckdb.CatalogException:
        return {}
    return {site: name for site, name in names.items() if name}


def _columns(database: DuckDBPyConnection, query: str) -> dict[str, Any]:
    found = database.execute(query)
    names = [column[0] for column in found.description or ()]
    rows = found.fetchall()
    return {name: _column([row[place] for row in rows]) for place, name in enumerate(names)}


def _column(values: list[Any]) -> Any:
    """Return the values of a column; texts and days, which repeat, as places in a list."""
    if any(isinstance(value, str | date) for value in values):
        different = list(dict.fromkeys(values))
        places = {value: place for place, value in enumerate(different)}
        return {
            "values": [
                value.isoformat() if isinstance(value, date) else value for value in different
            ],
            "places": [places[value] for value in values],
        }
    return [float(value) if isinstance(value, Decimal) else value for value in values]


def _pack(value: Any) -> str:
    """Return JSON as gzip makes it small and base64 makes it text."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
