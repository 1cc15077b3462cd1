"""What the page knows: each table is one query of the marts, with the site and the day of each row.

The page sums these rows by its filters, so they hold no means and no shares.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Days of which the page shows how complete the ids of ads are.
AD_DAYS = 14

QUERIES = {
    "days": """
        SELECT site_id AS site, day, source, medium, campaign,
               sum(calls) AS calls, sum(requests) AS requests, sum(target_leads) AS target,
               sum(orders) AS orders, sum(revenue) AS revenue
        FROM calltouch__leads_by_day
        GROUP BY ALL ORDER BY ALL
    """,
    "hours": """
        SELECT site_id AS site, created_on AS day, hour(created_at_local) AS hour,
               count(*) AS leads
        FROM calltouch__leads
        GROUP BY ALL ORDER BY ALL
    """,
    # Whoever came once came from one source.
    "paths": """
        SELECT site_id AS site, created_on AS day, first_source AS first, last_source AS last,
               count(*) AS leads
        FROM calltouch__leads
        WHERE visits > 1
        GROUP BY ALL ORDER BY ALL
    """,
    # The leads that should have the id of an ad are those from where others have one.
    "ads": f"""
        WITH advertising AS (
            SELECT DISTINCT source, medium FROM calltouch__leads
            WHERE yandex_direct_ad_id IS NOT NULL OR google_ads_creative_id IS NOT NULL
        )
        SELECT site_id AS site, created_on AS day, count(*) AS leads,
               count(coalesce(yandex_direct_ad_id, google_ads_creative_id)) AS identified
        FROM calltouch__leads AS lead
        WHERE created_on > (SELECT max(created_on) FROM calltouch__leads) - {AD_DAYS}
            AND EXISTS (
                FROM advertising
                WHERE advertising.source IS NOT DISTINCT FROM lead.source
                    AND advertising.medium IS NOT DISTINCT FROM lead.medium
            )
        GROUP BY ALL ORDER BY ALL
    """,
}


def read_tables(database: DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return the tables as the page reads them, by name and column."""
    return {name: _columns(database, query) for name, query in QUERIES.items()}


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
