"""Where visits come from: channels, their campaigns, and how often they end in an order."""

from __future__ import annotations

import random
from typing import NamedTuple
from zlib import crc32

from sandbox.pools import PHRASES, UNFILLED, UNSET


class Traffic(NamedTuple):
    """Where a visit came from: the session's fields, and the advertising system if any.

    Attributes:
        fields: What a session says of it.
        phrase: What the visitor searched for.
        ads: The advertising system; None if it was no advertisement.
        campaign: The campaign's id in that system.
        deals: The share of requests with orders.
    """

    fields: dict[str, str]
    phrase: str
    ads: str | None
    campaign: int
    deals: float


# (share in percent, source, medium, referrer, advertising system, share with orders)
_CHANNELS = (
    (30, "yandex", "cpc", "", "yandex", 0.19),
    (14, "google", "cpc", "", "google", 0.15),
    (17, "(direct)", "(none)", "", None, 0.26),
    (15, "yandex", "organic", "https://yandex.ru/", None, 0.23),
    (8, "google", "organic", "https://www.google.com/", None, 0.18),
    (7, "vk", "social", "https://away.vk.com/", None, 0.08),
    (4, "2gis.ru", "referral", "https://2gis.ru/moscow/firm/4504127908", None, 0.3),
    (3, "email", "newsletter", "", None, 0.34),
    (2, "Соцсети: Telegram", UNFILLED, "", None, 0.12),
)
# The campaigns of the channels whose links are tagged, with weights.
_CAMPAIGNS = {
    ("yandex", "cpc"): (
        ("Поиск | Москва", 6),
        ("Поиск | Бренд", 4),
        ("РСЯ | Ретаргетинг", 3),
        ("Мастер кампаний", 2),
        ("РСЯ | Интересы", 2),
    ),
    ("google", "cpc"): (("Search | Moscow", 4), ("Performance Max", 3), ("Search | Brand", 2)),
    ("vk", "social"): (("vk_lookalike_2", 3), ("vk_retarget", 2)),
    ("email", "newsletter"): (("digest", 2), ("акция_20%", 1)),
}


def _traffic() -> tuple[Traffic, ...]:
    rand = random.Random("traffic")
    entries = []
    for share, source, medium, ref, ads, deals in _CHANNELS:
        campaigns = _CAMPAIGNS.get((source, medium), ())
        for _ in range(share * 5):
            phrase = rand.choice(PHRASES)
            searched = "(not provided)" if medium == "organic" and rand.random() < 0.7 else phrase
            name = UNSET
            if campaigns:
                names, weights = zip(*campaigns, strict=True)
                (name,) = rand.choices(names, weights)
            fields = {
                "source": source,
                "medium": medium,
                "ref": ref,
                "utmSource": source if campaigns else UNSET,
                "utmMedium": medium if campaigns else UNSET,
                "utmTerm": phrase if ads else UNSET,
                "utmContent": f"ad_{rand.randrange(10**9, 10**10)}|pos:{rand.randrange(1, 5)}"
                if ads
                else UNSET,
                "utmCampaign": name,
            }
            known = searched if ads or medium == "organic" else "(not set)"
            campaign = 30_000_000 + crc32(f"{source} {name}".encode()) % 70_000_000
            entries.append(Traffic(fields, known, ads, campaign, deals))
    return tuple(entries)


TRAFFIC = _traffic()
