"""Two tables of the leads, as text: by source and by month."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Any

from demo.texts import format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

#: Dialled numbers and names of offline advertising are one source here.
BY_SOURCE = """
    WITH leads AS (
        SELECT if(channel = 'offline', '$offline', coalesce(source, '$unknown')) AS source,
               if(channel = 'offline', '', coalesce(medium, '')) AS medium,
               leads, target_leads, orders, revenue, cost
        FROM calltouch__campaigns
    ),
    sources AS (
        SELECT source, medium, sum(leads) AS leads, sum(target_leads) AS target,
               sum(orders) AS orders, sum(revenue) AS revenue, sum(cost) AS cost,
               row_number() OVER (ORDER BY sum(leads) DESC) AS place
        FROM leads GROUP BY source, medium
    )
    SELECT if(place <= 7, source, '$others') AS "$source",
           if(place <= 7, medium, '') AS "$medium",
           sum(leads)::INT AS "$leads", sum(target)::INT AS "$target",
           sum(orders)::INT AS "$orders", sum(revenue)::BIGINT AS "$revenue",
           sum(cost)::BIGINT AS "$cost",
           -- Of the sources whose cost is known.
           (sum(cost) / sum(leads) FILTER (cost IS NOT NULL))::INT AS "$cost_per_lead"
    FROM sources GROUP BY 1, 2 ORDER BY min(place)
"""
BY_MONTH = """
    SELECT strftime(day, '%Y-%m') AS "$month", sum(calls)::INT AS "$calls",
           sum(missed_calls)::INT AS "$missed", sum(requests)::INT AS "$requests",
           sum(orders)::INT AS "$orders",
           repeat('█', (sum(leads) * 24 // max(sum(leads)) OVER ())::INT) AS "$leads"
    FROM calltouch__leads_by_day GROUP BY 1 ORDER BY 1
"""


def show(database: DuckDBPyConnection, query: str, texts: dict[str, str]) -> str:
    """Return the result of a query as lines of text.

    Args:
        database: Where the marts are.
        query: One of the queries above.
        texts: The words of a language.
    """
    found = database.execute(Template(query).substitute(texts))
    rows: list[Sequence[Any]] = [[column[0] for column in found.description or ()]]
    rows += found.fetchall()
    lines = [
        [format_number(value, texts) if isinstance(value, int) else value or "" for value in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [
        any(isinstance(value, int) for value in column) for column in zip(*rows, strict=True)
    ]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )
