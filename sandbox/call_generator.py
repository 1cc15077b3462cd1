"""Makes the calls of one site on one day from a seed: always the same ones."""

from __future__ import annotations

import hashlib
import random
import uuid
from copy import deepcopy
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sandbox import pools
from sandbox.call_plans import plans_of_day
from sandbox.clock import MOSCOW, stamp
from sandbox.leads import Maker, Record, first_id
from sandbox.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.call_plans import Plan
    from sandbox.traffic import Traffic

# Far from the ids of requests, so that neither sessions nor orders of the two are mixed up.
_FIRST_ID = 2_000_000_000
# What is shorter is no talk, and hardly ever a target call.
_TALK = 30
_UTM = ("utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm")
# The keys of a call in the order of real ones; those that nothing fills are null.
_KEYS = """
callId callphase attribution callTags date duration callerNumber redirectNumber phoneNumber manager
successful uniqueCall targetCall uniqTargetCall callbackCall city source medium keyword url callUrl
ref hostname utmSource utmMedium utmCampaign utmContent utmTerm sessionId ctCallerId clientId
yaClientId sipCallId userAgent ip waitingConnect callReferenceId mapVisits attrs comments phrases
additionalTags callClientUniqueId device os browser timestamp sessionDate orders order yandexDirect
googleAdWords siteId siteName callbackInfo ctClientId dcm phonesInText ctGlobalId subPoolName
statusDetails customFields poolType
"""
_BLANK: Record = dict.fromkeys(_KEYS.split())


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
    plans = plans_of_day(rand, seed, site, day, per_day, requests)
    records = []
    for number, plan in enumerate(plans, _FIRST_ID + first_id(day) + shift):
        local = midnight + timedelta(seconds=plan.second)
        maker = _CallMaker(rand, site, number, plan.caller.visitor, local)
        records.append(maker.record(start + plan.second, plan))
    return records


class _CallMaker(Maker):
    """Makes one call."""

    def record(self, epoch: int, plan: Plan) -> Record:
        caller = plan.caller
        if not plan.repeated:
            caller.origin = self.origin(epoch, caller.request)
        origin = deepcopy(caller.origin) if plan.repeated else caller.origin
        # Orders follow the first call that was answered.
        if plan.duration:
            caller.origin = origin | {"orders": []}
        else:
            origin = origin | {"orders": []}
        return {
            **_BLANK,
            "callId": self.id,
            "callphase": "calldisconnected",
            "attribution": 1,
            "date": stamp(self.local),
            "timestamp": epoch,
            **origin,
            **self.talk(plan),
            "callReferenceId": self.reference(epoch),
            "callTags": self.tags(),
            "manager": self.pick(pools.MANAGERS),
            "comments": self.comments("callId"),
            "additionalTags": [self.pick(pools.CALL_TAGS)] if self.random() < 0.03 else [],
            "callbackCall": (callback := self.random() < 0.06),
            "callbackInfo": self.callback() if callback else None,
            "dcm": self.sending(),
            "customFields": self.custom_fields(),
        }

    def talk(self, plan: Plan) -> Record:
        """Return how the call went, and the flags that Calltouch gave it."""
        answered, short = plan.duration != 0, plan.duration < _TALK
        flags = pools.REPEATED_CALL_FLAGS if plan.repeated else pools.CALL_FLAGS
        unique, target, unique_target = self.pick(pools.SHORT_CALL_FLAGS if short else flags)
        speech = self.speech() if plan.duration > 20 and self.random() < 0.5 else None
        # Hardly ever, an answered call has no time of waiting, or a missed one has it.
        waited = answered != (self.random() < 0.004)
        return {
            "duration": plan.duration,
            "redirectNumber": self.redirect() if answered else "undefined",
            "successful": answered,
            "uniqueCall": unique,
            "targetCall": target,
            "uniqTargetCall": unique_target,
            "sipCallId": _digest(f"{self.site}:{self.id}") if answered else None,
            "waitingConnect": self.number(1, 40) if waited else None,
            "phrases": speech,
            "phonesInText": [self.visitor.phone] if speech and self.random() < 0.2 else None,
            "statusDetails": self.pick(pools.CONNECTED if answered else pools.NOT_CONNECTED),
        }

    def origin(self, epoch: int, request: Record | None) -> Record:
        """Return who calls which number, and what brought them: the same in repeated calls."""
        dialled = f"7495{self.site % 1000:03}{self.number(0, 8):04}"
        if request or self.random() > 0.25:
            brought = self.tracked(epoch, request)
        else:
            brought = self.untracked(epoch, dialled)
        return {
            "callerNumber": self.visitor.phone if self.random() > 0.005 else "anonymous",
            "ctCallerId": _digest(self.visitor.phone),
            "phoneNumber": dialled,
            "siteId": self.site,
            "siteName": f"site{self.site}.example",
            "subPoolName": self.pick(pools.SUB_POOLS),
            **brought,
        }

    def tracked(self, epoch: int, request: Record | None) -> Record:
        """Return what is known of a visit; that of the request if the caller wrote before."""
        traffic: Traffic = self.pick(TRAFFIC)
        if request:
            session, attrs, visits = request["session"], request["attrs"], request["mapVisits"]
            orders = request["orders"]
            ads = {name: request[name] for name in ("yandexDirect", "googleAdWords")}
        else:
            attrs = {"param1": "value1"} if self.random() < 0.3 else None
            session = self.session(traffic, attrs)
            visits = self.visits(session)
            orders = self.orders(epoch * 1000) if self.random() < traffic.deals / 2 else []
            ads = self.campaigns(traffic)
        return {
            "city": session["city"],
            "source": session["source"],
            "medium": session["medium"],
            "keyword": session["keywords"],
            "url": session["url"],
            "callUrl": self.host + self.pick(pools.PAGES),
            "ref": session["ref"] or None,
            "hostname": f"site{self.site}.example",
            **{name: session[name] for name in _UTM},
            "sessionId": session["sessionId"],
            # On a 24-hour clock here, so that a period can be compared; answers have the other.
            "sessionDate": session["sessionDate"],
            "clientId": session["guaClientId"],
            "yaClientId": session["yaClientId"],
            "ctClientId": session["ctClientId"],
            "userAgent": session["browser"],
            "ip": session["ip"].removesuffix("/32"),
            "device": pools.CALL_DEVICES.get(session["device"], session["device"]),
            "os": session["os"],
            "browser": session["browserName"],
            "mapVisits": visits,
            "attrs": attrs,
            **ads,
            "orders": [_order(order) for order in orders],
        }

    def untracked(self, epoch: int, dialled: str) -> Record:
        """Return what is known of a call without a session, by the habits of the site's account."""
        source, medium, utm_source = self.pick(pools.UNTRACKED[self.site % 2])
        orders = self.orders(epoch * 1000) if self.random() < pools.UNTRACKED_DEALS else []
        return {
            "city": self.pick((None, "", "moscow", "Москва")),
            "source": source.format(dialled),
            "medium": medium,
            "keyword": pools.UNSET,
            **dict.fromkeys(_UTM, pools.UNSET),
            "utmSource": utm_source,
            "utmContent": pools.UNFILLED,
            "mapVisits": [],
            "orders": [_order(order) for order in orders],
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
