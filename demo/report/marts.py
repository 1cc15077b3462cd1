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

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Leads of an hour are ordered by their values, so that nothing tells which came first.
LEADS = """
    WITH advertising AS (
        SELECT DISTINCT source, medium, true AS known FROM calltouch__leads
        WHERE yandex_direct_ad_id IS NOT NULL OR google_ads_creative_id IS NOT NULL
    )
    SELECT lead.site_id::VARCHAR AS site, lead.created_on AS day,
           hour(lead.created_at_local) AS hour, lead_type AS type, lead.channel,
           lead.source, lead.medium, utm_campaign AS campaign, city_name AS city,
           device_type AS device, subject AS form, array_to_string(tags, chr(10)) AS tags, {manager}
           is_target::INT AS target, is_unique_target::INT AS uniqueTarget,
           -- Whether it is the first lead of its person.
           (lead.lead_key = lead.person_key)::INT AS fresh,
           -- How many days after it the first order of its person was made.
           days_to_first_order AS toOrder,
           orders, revenue, visits, first_source AS first, last_source AS last,
           -- Whether the lead has the id of its ad, if it comes from where others have one.
           if(known, coalesce(yandex_direct_ad_id, google_ads_creative_id) IS NOT NULL, NULL)::INT
               AS ad,
           (NOT is_answered)::INT AS missed, waiting_seconds AS wait,
           if(is_answered AND duration_seconds >= 0, duration_seconds, NULL) AS talk,
           {reached}
    FROM calltouch__leads AS lead
    -- The key of a person is that of the first lead.
    LEFT JOIN (
        SELECT person_key, days_to_first_order FROM calltouch__people WHERE days_to_first_order >= 0
    ) AS person ON person.person_key = lead.lead_key
    LEFT JOIN advertising ON advertising.source IS NOT DISTINCT FROM lead.source
        AND advertising.medium IS NOT DISTINCT FROM lead.medium
    {missed_calls}
    ORDER BY ALL
"""
#: A project without the journal of calls does not have this mart.
MISSED_CALLS = "LEFT JOIN calltouch__missed_calls AS event ON event.lead_key = lead.lead_key"
REACHED = """
           -- A missed call and the redials that follow at once are one event.
           if(event.lead_key IS NULL OR got_through IS NULL, NULL,
              coalesce(minutes_to_get_through <= 24 * 60, false))::INT AS reached,
           if(minutes_to_get_through <= 24 * 60, minutes_to_get_through, NULL)::INT AS minutes
"""
COSTS = """
    SELECT day, site_id::VARCHAR AS site, channel, source, medium, campaign,
           sum(clicks)::BIGINT AS clicks, sum(cost) AS cost
    FROM calltouch__campaigns
    WHERE cost IS NOT NULL AND day BETWEEN
        (SELECT min(created_on) FROM calltouch__leads) AND
        (SELECT max(created_on) FROM calltouch__leads)
    GROUP BY ALL ORDER BY ALL
"""
SITES = "SELECT site_id::VARCHAR, mode(domain) FROM calltouch__leads GROUP BY ALL"
PERIOD = """
    SELECT min(created_on), max(created_at_local),
           max_by(created_at_local, created_at) - max(created_at)
    FROM calltouch__leads
"""


def read_marts(
    database: DuckDBPyConnection, *, loaded_until: datetime | None, managers: bool
) -> dict[str, Any]:
    """Return what the page knows, as JSON has it.

    Args:
        database: Where dbt built the marts.
        loaded_until: The instant, with its zone, before which all leads are loaded. If it is not
            known, the day of the newest lead counts as unfinished.
        managers: Whether to name the managers of the leads.
    """
    has_calls = "calltouch__missed_calls" in _tables(database)
    leads = LEADS.format(
        manager="lead.manager," if managers else "",
        reached=REACHED if has_calls else "NULL AS reached, NULL AS minutes",
        missed_calls=MISSED_CALLS if has_calls else "",
    )
    return {
        "leads": _pack(_columns(database, leads)),
        "costs": _pack(_columns(database, COSTS)),
        "period": _period(database, loaded_until),
        "sites": dict(database.execute(SITES).fetchall()),
        "managers": managers,
    }


def _tables(database: DuckDBPyConnection) -> set[str]:
    found = database.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return {name for (name,) in found}


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
