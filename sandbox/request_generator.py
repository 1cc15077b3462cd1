"""Makes the requests of one site on one day from a seed: always the same ones."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from sandbox import people, pools
from sandbox.clock import MOSCOW, stamp
from sandbox.leads import (
    SAMPLE,
    Maker,
    Record,
    first_id,
    has_edges,
    in_order_of,
    number_of_leads,
    time_of_lead,
)
from sandbox.traffic import TRAFFIC

if TYPE_CHECKING:
    from sandbox.traffic import Traffic


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
    records = []
    for number, time_of_day in enumerate(times, first_id(day) + shift):
        visitor = people.writer(rand, seed, site, day)
        local = midnight + timedelta(seconds=time_of_day // 1000)
        maker = _RequestMaker(rand, site, number, visitor, local)
        records.append(maker.record(start + time_of_day))
    return records


class _RequestMaker(Maker):
    """Makes one request."""

    def record(self, epoch_ms: int) -> Record:
        subject = self.pick(pools.SUBJECTS)
        unique, target, unique_target = self.pick(pools.REQUEST_FLAGS)
        number = str(self.id)
        if self.random() < 0.08:
            number = self.pick(pools.EXTERNAL_NUMBERS).format(self.id)
        record = {
            "date": epoch_ms,
            "comments": self.comments("requestId"),
            "requestType": self.pick(pools.REQUEST_TYPES),
            "dateStr": stamp(self.local),
            "manager": self.pick(pools.MANAGERS),
            "subject": subject,
            "requestUrl": self.host + self.pick(pools.PAGES),
            "siteId": self.site,
            "widgetInfo": self.widget() if subject in pools.WIDGET_SUBJECTS else None,
            "RequestTags": self.tags(),
            "requestNumber": number,
            "requestId": self.id,
            "client": self.client(),
            "uniqueRequest": unique,
            "targetRequest": target,
            "uniqTargetRequest": unique_target,
            "status": self.pick(("NOT_SET", "NOT_SET", "PROCESSED")),
            "dcm": [sending] if (sending := self.sending()) else [],
            "customFields": self.custom_fields(),
            **(self.visited(epoch_ms) if self.random() > 0.04 else _unvisited()),
        }
        if self.random() < 0.5:  # one client and the webhook know this key
            record["hostname"] = f"site{self.site}.example" if record["session"] else None
        return in_order_of(SAMPLE, record)

    def visited(self, epoch_ms: int) -> Record:
        """Return what is known of a request that was sent with the id of a session."""
        traffic: Traffic = self.pick(TRAFFIC)
        attrs = {"param1": "value1", "utm_id": str(self.id)} if self.random() < 0.3 else None
        session = self.session(traffic, attrs)
        orders = self.orders(epoch_ms) if self.random() < traffic.deals else []
        for order in orders:
            order["session"] = dict(session)
        return {
            "session": session,
            "mapVisits": self.visits(session),
            "orders": orders,
            "order": orders[0] if orders and self.random() < 0.9 else None,
            **self.campaigns(traffic),
            "attrs": dict(attrs) if attrs else None,
            "ctClientId": self.visitor.ct_client,
            "ctGlobalId": self.visitor.ct_global,
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


def _unvisited() -> Record:
    """Return the same as `_RequestMaker.visited`, of a request that was sent without a session."""
    keys = (
        "session",
        "order",
        "yandexDirect",
        "googleAdWords",
        "attrs",
        "ctClientId",
        "ctGlobalId",
    )
    return {**dict.fromkeys(keys), "mapVisits": [], "orders": []}
