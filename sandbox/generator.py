"""Makes the requests of one site on one day from a seed: always the same ones."""

from __future__ import annotations

import json
import math
import random
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import pools
from sandbox.clock import MOSCOW, stamp

if TYPE_CHECKING:
    from sandbox.pools import Traffic, Visitor

Record = dict[str, Any]

#: How long before its request a session may have been, at most.
SESSION_AGE = timedelta(days=21)

#: The request of the vendor's page, as valid JSON, with the page's other samples.
SAMPLE: Record = json.loads(Path(__file__).with_name("sample.json").read_text(encoding="utf-8"))

# Ids grow with the day and leave room for a busy one.
_IDS_PER_DAY = 100_000
_FIRST_ORDINAL = 730_000
_WEEK = (1.2, 1.25, 1.2, 1.2, 1.15, 0.6, 0.4)


def requests_of_day(seed: int, site: int, shift: int, day: date, per_day: int) -> list[Record]:
    """Return one site's requests of one day, in order of creation.

    Args:
        seed: The journal's seed.
        site: The site's id.
        shift: Moves the ids, so that two sites share some of them and not all.
        day: The day, in Moscow.
        per_day: How many requests a usual day brings.
    """
    rand = random.Random(f"{seed}:{site}:{day.isoformat()}")
    count = number_of_leads(rand, day, per_day)
    times = sorted(time_of_lead(rand) for _ in range(count))
    if count > 1 and has_edges(day):
        # The first and the last instant of a day are where a wrong border shows.
        times[0], times[-1] = 0, 86_399_999
    midnight = datetime.combine(day, time(), MOSCOW)
    start = round(midnight.timestamp() * 1000)
    people = pools.visitors(seed, site)
    first = first_id(day) + shift
    return [
        _RequestMaker(rand, site, first + index, people, midnight, time_of_day).record(
            start + time_of_day
        )
        for index, time_of_day in enumerate(times)
    ]


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


def _in_order_of(sample: Record, record: Record) -> Record:
    """Put keys into the order of the vendor's sample, and others behind them."""
    return {key: record[key] for key in (*filter(record.__contains__, sample), *record)}


class Maker:
    """Makes the parts of one lead that requests and calls have in common."""

    def __init__(
        self,
        rand: random.Random,
        site: int,
        number: int,
        people: tuple[Visitor, ...],
        midnight: datetime,
        time_of_day: int,
    ) -> None:
        self.random = rand.random
        self.site = site
        self.id = number
        self.visitor = self.pick(people)
        self.local = midnight + timedelta(seconds=time_of_day // 1000)
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
        return _in_order_of(SAMPLE["session"], session)

    def visits(self, session: Record) -> list[Record]:
        """Return the visits before the lead; the session's own is the last."""
        visits = []
        for back in reversed(range(self.pick((0, 1, 1, 2, 2, 3, 4, 6)))):
            traffic: Traffic = self.pick(pools.TRAFFIC)
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
            visits.append(_in_order_of(SAMPLE["mapVisits"][0], visit))
        if visits:
            own = {"keyword": session["keywords"], "additionalTags": []}
            visits[-1].update({key: session[key] for key in visits[-1] if key in session} | own)
        return visits

    def orders(self, epoch_ms: int, session: Record) -> list[Record]:
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
                    "session": {key: session[key] for key in SAMPLE["session"]},
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


class _RequestMaker(Maker):
    """Makes one request."""

    def record(self, epoch_ms: int) -> Record:
        traffic: Traffic = self.pick(pools.TRAFFIC)
        visitor = self.visitor
        subject = self.pick(pools.SUBJECTS)
        attrs = {"param1": "value1", "utm_id": str(self.id)} if self.random() < 0.3 else None
        session = self.session(traffic, attrs) if self.random() > 0.04 else None
        orders = self.orders(epoch_ms, session) if session and self.random() < traffic.deals else []
        target, unique = self.random() < 0.7, self.random() < 0.8
        ads = traffic.ads if session and self.random() < 0.9 else None
        external = (
            self.pick(pools.EXTERNAL_NUMBERS).format(self.id) if self.random() < 0.08 else None
        )
        return {
            "date": epoch_ms,
            "comments": self.comments("requestId"),
            "requestType": self.pick(pools.REQUEST_TYPES),
            "dateStr": stamp(self.local),
            "manager": self.pick(pools.MANAGERS),
            "session": session,
            "subject": subject,
            "uniqTargetRequest": target and unique,
            "requestUrl": self.host + self.pick(pools.PAGES),
            "siteId": self.site,
            "mapVisits": self.visits(session) if session else [],
            "uniqueRequest": unique,
            "widgetInfo": self.widget() if subject in pools.WIDGET_SUBJECTS else None,
            "RequestTags": self.tags(),
            "requestNumber": external or str(self.id),
            "requestId": self.id,
            "client": self.client(),
            "orders": orders,
            "targetRequest": target,
            "status": self.pick(("NOT_SET", "NOT_SET", "PROCESSED")),
            "order": orders[0] if orders and self.random() < 0.9 else None,
            "yandexDirect": self.ads(traffic, "adId") if ads == "yandex" else None,
            "googleAdWords": self.ads(traffic, "creativeId") if ads == "google" else None,
            "dcm": [sending] if (sending := self.sending()) else [],
            "customFields": self.custom_fields(),
            "attrs": dict(attrs) if attrs else None,
            "ctClientId": visitor.ct_client if session else None,
            "ctGlobalId": visitor.ct_global if session else None,
        }

    def client(self) -> Record:
        person, mail = self.visitor, self.visitor.email
        phone = {"phoneNumber": person.phone, "phoneType": "OTHER"}
        return {
            "fio": person.name,
            "clientId": person.client_id,
            "phones": [phone] if self.random() > 0.05 else [],
            "contacts": [{"contactType": "EMAIL", "contactValue": mail}] if mail else [],
        }

    def widget(self) -> Record:
        name, number = self.typed()
        return {"fields": [name, {**number, "type": "phone", "title": None}]}
