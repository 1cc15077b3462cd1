"""Makes the costs of the advertising that brings the leads: always the same ones from a seed."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from typing import TYPE_CHECKING, TextIO

from sandbox.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.leads import Record

COLUMNS = (
    "date",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "campaign_id",
    "campaign_name",
    "ad_group_id",
    "ad_id",
    "impressions",
    "clicks",
    "cost",
    "currency",
    "vat_included",
)
#: What a click costs in each source, in roubles.
_PRICES = {"yandex": 70, "google": 55, "vk": 30}


def costs_of_days(seed: int, first: date, last: date, leads_per_day: int) -> Iterator[Record]:
    """Yield what each campaign cost on each day.

    Yandex Direct names its campaigns by id, and links carry utm values; the others have the latter.

    Args:
        seed: Another seed, other costs.
        first: The first day.
        last: The last day.
        leads_per_day: How many leads all sites bring on a usual day.
    """
    weights: dict[tuple[str, str, str, int], int] = {}
    for entry in TRAFFIC:
        fields = entry.fields
        if fields["utmSource"] in _PRICES:
            name = (fields["utmSource"], fields["utmMedium"], fields["utmCampaign"], entry.campaign)
            weights[name] = weights.get(name, 0) + 1
    for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
        rand = random.Random(f"costs:{seed}:{day.isoformat()}")
        for (source, medium, campaign, number), weight in weights.items():
            leads = leads_per_day * weight / len(TRAFFIC)
            # Of some twenty people who click, one becomes a lead.
            clicks = round(20 * leads * rand.uniform(0.6, 1.4))
            cost = clicks * _PRICES[source] * rand.uniform(0.8, 1.2)
            in_direct = source == "yandex"
            yield {
                "date": day.isoformat(),
                "utm_source": source,
                "utm_medium": medium,
                "utm_campaign": campaign,
                "campaign_id": number if in_direct else None,
                "campaign_name": campaign,
                "impressions": clicks * rand.randrange(15, 40),
                "clicks": clicks,
                "cost": f"{cost:.2f}",
                "currency": "RUB",
                "vat_included": "false",
            }


def write_costs(file: TextIO, rows: Iterator[Record]) -> None:
    """Write costs as a CSV file with a line of column names."""
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
