"""Two tables of the leads, as text: by source and by month."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Any

from demo.texts import format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

BY_SOURCE = """
    WITH sources AS (
        SELECT source, medium, sum(calls) AS calls, sum(requests) AS requests,
               sum(target_leads) AS target, sum(orders) AS orders, sum(revenue) AS revenue,
               row_number() OVER (ORDER BY sum(leads) DESC) AS place
        FROM calltouch__leads_by_day GROUP BY source, medium
    )
    SELECT if(place <= 7, coalesce(source, '$unknown'), '$others') AS "$source",
           if(place <= 7, coalesce(medium, ''), '') AS "$medium",
           sum(calls)::INT AS "$calls", sum(requests)::INT AS "$requests",
           sum(target)::INT AS "$target", sum(orders)::INT AS "$orders",
           sum(revenue)::BIGINT AS "$revenue"
    FROM sources GROUP BY 1, 2 ORDER BY min(place)
"""
BY_MONTH = """
    SELECT strftime(day, '%Y-%m') AS "$month", sum(calls)::INT AS "$calls",
           sum(requests)::INT AS "$requests", sum(orders)::INT AS "$orders",
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
        [format_number(value, texts) if isinstance(value, int) else str(value) for value in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [isinstance(value, int) for value in rows[-1]]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )
