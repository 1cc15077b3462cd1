"""What requests and calls have in common: how many come when, and the parts of one lead."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import pools
from sandbox.clock import stamp
from sandbox.traffic import TRAFFIC

if TYPE_CHECKING:
    import random
    from datetime import date, datetime

    from sandbox.people import Visitor
    from sandbox.traffic import Traffic

Record = dict[str, Any]

#: How long before its lead a session may have been, at most.
SESSION_AGE = timedelta(days=21)

#: The request of the vendor's page, as valid JSON, with the page's other samples.
SAMPLE: Record = json.loads(Path(__file__).with_name("sample.json").read_text(encoding="utf-8"))

# Ids grow with the day and leave room for a busy one.
_IDS_PER_DAY = 100_000
_FIRST_ORDINAL = 730_000
_WEEK = (1.2, 1.25, 1.2, 1.2, 1.15, 0.6, 0.4)


def number_of_leads(rand: random.Random, day: date, per_day: int) -> int:
    """Return how many leads a day brings, by weekday, season and chance."""
    season = 1 + 0.25 * math.sin((day.timetuple().tm_yday - 45) / 365.25 * 4 * math.pi)
    return round(per_day * _WEEK[day.weekday()] * season * rand.uniform(0.85, 1.15))


def time_of_lead(rand: random.Random) -> int:
    """Return the milliseconds since midnight at which a lead comes."""
    hour = pools.HOURS[int(rand.random() * len(pools.HOURS))]
    return hour * 3_600_000 + int(rand.random() * 3_600_000)


def has_edges(day: date) -> bool:
    """Return whether leads come in the first and in the last instant of this day."""
    return day.toordinal() % 5 == 0


def first_id(day: date) -> int:
    """Return the first id of a day."""
    return (day.toordinal() - _FIRST_ORDINAL) * _IDS_PER_DAY


def in_order_of(sample: Record, record: Record) -> Record:
    """Put keys into the order of the vendor's sample, and others behind them."""
    return {key: record[key] for key in (*filter(record.__contains__, sample), *record)}


class Maker:
    """Makes the parts of one lead.

    Attributes:
        random: The source of chance.
        site: The site's id.
        id: The lead's id.
        visitor: Whose lead it is.
        local: When it came, in Moscow.
        host: The site's address.
    """

    def __init__(
        self, rand: random.Random, site: int, number: int, visitor: Visitor, local: datetime
    ) -> None:
        self.random = rand.random
        self.site = site
        self.id = number
        self.visitor = visitor
        self.local = local
        self.host = f"https://site{site}.example/"

    def pick(self, pool: Any) -> Any:
        # Several times faster than Random.choice.
        return pool[int(self.random() * len(pool))]

    def number(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low))

    def session(self, traffic: Traffic, attrs: dict[str, str] | None) -> Record:
        # Most sessions are the visit that sent the form; some are weeks old.
        seconds = self.number(15, 3600)
        if self.random() < 0.15:
            seconds = self.number(86_400, int(SESSION_AGE.total_seconds()))
        session = {
            "keywords": traffic.phrase,
            **self.visitor.session,
            **traffic.fields,
            "url": self.host + self.pick(pools.PAGES),
            "sessionId": self.id + 400_000_000,
            "sessionDate": stamp(self.local - timedelta(seconds=seconds)),
            "additionalTags": [],
            "attrs": attrs,
        }
        return in_order_of(SAMPLE["session"], session)

    def visits(self, session: Record) -> list[Record]:
        """Return the visits before the lead; the session's own is the last."""
        visits = []
        for back in reversed(range(self.pick((0, 1, 1, 2, 2, 3, 4, 6)))):
            traffic: Traffic = self.pick(TRAFFIC)
            began = self.local - timedelta(days=23 + back, seconds=self.number(0, 80_000))
            visit = {
                **traffic.fields,
                "sessionDate": stamp(began),
                **self.visitor.visit,
                "sessionId": session["sessionId"] - back * 1013,
                "url": self.host + self.pick(pools.PAGES),
                "additionalTags": [],
                "keyword": traffic.phrase,
            }
            visits.append(in_order_of(SAMPLE["mapVisits"][0], visit))
        if visits:
            own = {"keyword": session["keywords"], "additionalTags": []}
            visits[-1].update({key: session[key] for key in visits[-1] if key in session} | own)
        return visits

    def orders(self, epoch_ms: int) -> list[Record]:
        """Return one or two orders in the shape that they have in requests, without a session."""
        orders = []
        for number in range(self.id * 2, self.id * 2 + self.number(1, 3)):
            amount, delay = self.number(5, 900) * 100, self.number(60, 5 * 86_400)
            money, status = f"{amount}.0000", self.pick(pools.ORDER_STATUSES)
            orders.append(
                {
                    "orderId": number,
                    "callId": None,
                    "dateCreated": (epoch_ms // 1000 + delay) * 1000,
                    "status": status,
                    "realSum": money,
                    "offered": None,
                    "sent": (self.local + timedelta(seconds=delay)).strftime("%d.%m.%Y"),
                    "sum": money,
                    "isMarked": None,
                    "commentsCount": 0,
                    "currentAmount": amount,
                    "orderNumber": self.pick((str(number), f"СДЕЛКА-{number}")),
                    "orderSum": money,
                    "orderStatus": status,
                    "orderComments": self.pick(pools.ORDER_COMMENTS),
                }
            )
        return orders

    def tags(self) -> list[Record]:
        return [
            {"category": "", "type": self.pick(pools.TAG_TYPES), "names": [*names]}
            for names in (self.pick(pools.TAG_NAMES) for _ in range(self.number(0, 4)))
        ]

    def custom_fields(self) -> list[Record]:
        if self.random() > 0.2:
            return []
        values = {"name": self.visitor.name, "birthday": f"19{self.number(60, 99)}-07-15"}
        return [{"field": field, "value": value} for field, value in values.items()]

    def ads(self, traffic: Traffic, ad_key: str) -> Record:
        return {
            "campaignId": traffic.campaign,
            "adGroupId": self.number(5 * 10**9, 6 * 10**11),
            # Real ids of this kind are beyond what a double can hold.
            ad_key: 17 * 10**17 + self.id,
            "criteriaId": self.number(10**9, 5 * 10**10),
        }

    def campaigns(self, traffic: Traffic) -> Record:
        """Return the ids of the advertisement that brought the lead, if they are known."""
        system = traffic.ads if self.random() < 0.9 else None
        return {
            "yandexDirect": self.ads(traffic, "adId") if system == "yandex" else None,
            "googleAdWords": self.ads(traffic, "creativeId") if system == "google" else None,
        }

    def comments(self, key: str) -> list[Record]:
        """Return comments; `key` is what they call the lead's id."""
        return [
            {
                "commentId": self.id * 3 + index,
                key: self.id,
                "comment": self.pick(pools.COMMENTS),
                "partyId": 19_688 + index,
                "partyName": self.pick(("API", "operator@example.ru")),
            }
            for index in range(self.pick((0, 0, 0, 1, 1, 2)))
        ]

    def typed(self) -> list[Record]:
        """Return the fields of a form on the site, with what the visitor typed."""
        return [
            {"name": "Имя", "value": self.visitor.name},
            {"name": "Номер телефона", "value": f"+{self.visitor.phone}"},
        ]

    def sending(self) -> Record | None:
        if self.random() > 0.05:
            return None
        failed = self.random() < 0.3
        return {
            "profileIdDCM": 1_411_789,
            "floodlightConfigurationId": "10355394",
            "floodlightActivityId": str(10_501_000 + self.id % 1000),
            "requestStatus": "ERROR" if failed else "SUCCESS",
            "requestErrors": "HTTP_AUTH_ERROR" if failed else None,
        }
