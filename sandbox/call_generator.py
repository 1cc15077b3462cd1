"""Makes the calls of one site on one day from a seed: always the same ones."""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox import pools
from sandbox.clock import MOSCOW, stamp
from sandbox.generator import Maker, Record, first_id, has_edges, number_of_leads, time_of_lead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.pools import Traffic

# Far from the ids of requests, so that neither sessions nor orders of the two are mixed up.
_FIRST_ID = 2_000_000_000
_DEVICES = {"mobile": "smartphone"}


class _Plan(NamedTuple):
    """A call to be made: when, for how long, and the request that the same visitor sent before."""

    second: int
    duration: int
    request: Record | None


def calls_of_day(
    seed: int, site: int, shift: int, day: date, per_day: int, requests: Sequence[Record]
) -> list[Record]:
    """Return one site's calls of one day, in the order in which they ended.

    Args:
        seed: The journal's seed.
        site: The site's id.
        shift: Moves the ids, so that two sites share some of them and not all.
        day: The day, in Moscow.
        per_day: How many calls a usual day brings.
        requests: The site's generated requests of that day; after some of them the visitor calls.
    """
    rand = random.Random(f"calls:{seed}:{site}:{day.isoformat()}")
    midnight = datetime.combine(day, time(), MOSCOW)
    start = int(midnight.timestamp())
    people = {person.client_id: person for person in pools.visitors(seed, site)}
    strangers = (*people.values(), *pools.callers(seed, site))
    records = []
    plans = _plans(rand, day, start, number_of_leads(rand, day, per_day), requests)
    for number, plan in enumerate(plans, _FIRST_ID + first_id(day) + shift):
        request = plan.request
        someone = (people[request["client"]["clientId"]],) if request else strangers
        maker = _CallMaker(rand, site, number, someone, midnight, plan.second * 1000)
        records.append(maker.record(start + plan.second, plan.duration, request))
    return records


def _plans(
    rand: random.Random, day: date, start: int, count: int, requests: Sequence[Record]
) -> list[_Plan]:
    """Plan a day's calls, in the order in which they end: that is when a call gets its id."""
    written = [request for request in requests if request["session"]]
    calls: list[tuple[int, Record | None]] = []
    # A quarter of the calls, whose fraction counts on some days only.
    for request in rand.sample(written, min(len(written), (count + rand.randrange(4)) // 4)):
        second = request["date"] // 1000 - start + rand.randrange(60, 7200)
        if second < 86_400:
            calls.append((second, request))
    while len(calls) < count:
        calls.append((time_of_lead(rand) // 1000, None))
    if count > 1 and has_edges(day):
        calls[-2:] = (0, None), (86_399, None)
    plans = [_Plan(second, _duration(rand), request) for second, request in calls]
    return sorted(plans, key=lambda plan: (plan.second + max(plan.duration, 0), plan.second))


def _duration(rand: random.Random) -> int:
    chance = rand.random()
    if chance < 0.02:
        return rand.randrange(-30, 0)
    if chance < 0.14:
        return 0
    return rand.randrange(1200, 5400) if chance < 0.16 else rand.randrange(10, 600)


class _CallMaker(Maker):
    """Makes one call."""

    def record(self, epoch: int, duration: int, request: Record | None) -> Record:
        traffic: Traffic = self.pick(pools.TRAFFIC)
        visitor = self.visitor
        dialled = f"7495{self.site % 1000:03}{self.number(0, 8):04}"
        session: Record | None
        if request:
            session, attrs = request["session"], request["attrs"]
            visits, orders = request["mapVisits"], request["orders"]
            ads = {name: request[name] for name in ("yandexDirect", "googleAdWords")}
        else:
            attrs = {"param1": "value1"} if self.random() < 0.3 else None
            session = self.session(traffic, attrs) if self.random() > 0.25 else None
            visits = self.visits(session) if session else []
            orders = []
            if session and self.random() < traffic.deals / 2:
                orders = self.orders(epoch * 1000, session)
            ads = self.campaigns(traffic.ads if session and self.random() < 0.9 else None, traffic)
        answered = duration != 0
        target, unique = self.random() < 0.7, self.random() < 0.8
        callback = self.random() < 0.06
        speech = self.speech() if duration > 20 and self.random() < 0.5 else None
        return {
            "callId": self.id,
            "callphase": "calldisconnected",
            "attribution": 1,
            "callTags": self.tags(),
            "date": stamp(self.local),
            "duration": duration,
            "callerNumber": visitor.phone if self.random() > 0.005 else "anonymous",
            "redirectNumber": self.redirect() if answered else "undefined",
            "phoneNumber": dialled,
            "manager": self.pick(pools.MANAGERS),
            "successful": answered,
            "uniqueCall": unique,
            "targetCall": target,
            "uniqTargetCall": target and unique,
            "callbackCall": callback,
            **self.origin(session, dialled),
            "sessionId": session and session["sessionId"],
            "ctCallerId": _digest(visitor.phone),
            "clientId": session and session["guaClientId"],
            "yaClientId": session and session["yaClientId"],
            "sipCallId": _digest(f"{self.site}:{self.id}") if answered else None,
            "userAgent": session and session["browser"],
            "ip": session and session["ip"].removesuffix("/32"),
            "waitingConnect": self.number(1, 40) if answered else None,
            "callReferenceId": self.reference(epoch),
            "mapVisits": visits,
            "attrs": attrs,
            "comments": self.comments("callId"),
            "phrases": speech,
            "additionalTags": [self.pick(pools.CALL_TAGS)] if self.random() < 0.03 else [],
            "callClientUniqueId": None,
            "device": session and _DEVICES.get(session["device"], session["device"]),
            "os": session and session["os"],
            "browser": session and session["browserName"],
            "timestamp": epoch,
            # On a 24-hour clock here, so that a period can be compared; answers have the other.
            "sessionDate": session and session["sessionDate"],
            "orders": [_order(order) for order in orders],
            "order": None,
            **ads,
            "siteId": self.site,
            "siteName": f"site{self.site}.example",
            "callbackInfo": self.callback() if callback else None,
            "ctClientId": session and session["ctClientId"],
            "dcm": self.sending(),
            "phonesInText": [visitor.phone] if speech and self.random() < 0.2 else None,
            "ctGlobalId": None,
            "subPoolName": self.pick(pools.SUB_POOLS),
            "statusDetails": self.pick(pools.CONNECTED if answered else pools.NOT_CONNECTED),
            "customFields": self.custom_fields(),
            "poolType": None,
        }

    def origin(self, session: Record | None, dialled: str) -> Record:
        """Return the keys from `city` to `utmTerm`: where the caller came from."""
        utm = ("utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm")
        if session is None:
            source = dialled if self.random() < 0.6 else self.pick(pools.CALL_SOURCES)
            return {
                "city": self.pick((None, "", "moscow", "Москва")),
                "source": source,
                "medium": "offline",
                "keyword": pools.UNSET,
                **dict.fromkeys(("url", "callUrl", "ref", "hostname")),
                **dict.fromkeys(utm, pools.UNSET),
                "utmContent": "<не заполнено>",
            }
        return {
            "city": session["city"],
            "source": session["source"],
            "medium": session["medium"],
            "keyword": session["keywords"],
            "url": session["url"],
            "callUrl": self.host + self.pick(pools.PAGES),
            "ref": session["ref"] or None,
            "hostname": f"site{self.site}.example",
            **{name: session[name] for name in utm},
        }

    def campaigns(self, system: str | None, traffic: Traffic) -> Record:
        return {
            "yandexDirect": self.ads(traffic, "adId") if system == "yandex" else None,
            "googleAdWords": self.ads(traffic, "creativeId") if system == "google" else None,
        }

    def redirect(self) -> str:
        chance = self.random()
        if chance < 0.05:
            return "undefined"
        return "sip:100@pbx.example" if chance < 0.2 else f"7499{self.number(0, 5):07}"

    def reference(self, epoch: int) -> str:
        if self.random() < 0.8:
            return f"{epoch}.{self.number(1, 99_999)}"
        return str(uuid.UUID(_digest(f"reference:{self.site}:{self.id}"), version=4))

    def speech(self) -> list[Record]:
        lines = pools.SPEECH[: self.number(2, len(pools.SPEECH) + 1)]
        return [
            {"channel": channel, "time": f"00:{3 + 4 * index:02}", "message": message}
            for index, (channel, message) in enumerate(lines)
        ]

    def callback(self) -> Record:
        return {
            "callbackRequestId": self.id + 100_000_000,
            "callbackFinalAttempt": None,
            "facebookLeadgenId": None,
            "leadId": str(self.id * 7),
            "adId": None,
            "leadsCampaignName": self.pick((None, "Лиды VK: квартиры")),
            "email": self.visitor.email,
            "fields": self.typed(),
        }


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _order(order: Mapping[str, Any]) -> Record:
    """Return a request's order in the shape that it has in the calls journal."""
    created = datetime.fromtimestamp(order["dateCreated"] // 1000, MOSCOW)
    completed = order["status"] == "SUCCESS"
    return {
        "orderId": order["orderId"],
        "orderNumber": order["orderNumber"],
        "orderDate": stamp(created),
        "createdDate": stamp(created),
        "completedDate": stamp(created + timedelta(days=1)) if completed else None,
        "plannedAmount": order["sum"],
        "completedAmount": order["realSum"] if completed else None,
    }
