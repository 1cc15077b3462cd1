"""The marts worked out in Python from the journals as the API has them, without SQL.

Each function returns what a table has to hold, by columns that its caller names.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sandbox.journal import Records

Row = dict[str, Any]
PLACEHOLDERS = {"", "<не указано>", "<не заполнено>", "(not set)", "(not provided)", "(none)"}
#: The channels of the sources and media that visits of the journals have.
CHANNELS: dict[tuple[str | None, str | None], str] = {
    ("yandex", "cpc"): "cpc",
    ("google", "cpc"): "cpc",
    ("(direct)", None): "direct",
    ("yandex", "organic"): "organic",
    ("google", "organic"): "organic",
    ("vk", "social"): "social",
    ("2gis.ru", "referral"): "maps",
    ("email", "newsletter"): "email",
    ("Соцсети: Telegram", None): "social",
}
_MOSCOW = timedelta(hours=3)


class Order(NamedTuple):
    """An order as it counts, for the first of its leads."""

    amount: Decimal | None
    made_on: date | None
    paid: bool
    cancelled: bool


@dataclass
class Lead:
    """A call or a request with what the journals say of it, under the names of the mart."""

    row: Row
    kind: str
    number: int
    created: datetime
    visit: Row
    target: bool
    unique: bool
    unique_target: bool
    answered: bool | None = None
    orders: list[Order] = field(default_factory=list)

    @property
    def site(self) -> int:
        return int(self.row["siteId"])

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.site}-{self.number}"

    @property
    def local(self) -> datetime:
        return self.created + _MOSCOW

    @property
    def day(self) -> date:
        return self.local.date()

    @property
    def source(self) -> str | None:
        return known(self.visit.get("source"))

    @property
    def medium(self) -> str | None:
        return known(self.visit.get("medium"))

    @property
    def campaign(self) -> str | None:
        return known(self.visit.get("utmCampaign"))

    @property
    def channel(self) -> str:
        if self.kind == "call" and self.row["sessionId"] is None:
            return "maps" if self.source == "Карта 2ГИС" else "offline"
        return CHANNELS[self.source, self.medium] if self.visit else "unknown"

    @property
    def direct_campaign(self) -> int | None:
        return (self.row["yandexDirect"] or {}).get("campaignId")

    @property
    def place(self) -> tuple[Any, ...]:
        """What `calltouch__leads_by_day` and `calltouch__campaigns` group by."""
        origin = (self.source, self.medium, self.campaign)
        return (self.site, self.day, *origin, self.channel, self.direct_campaign)

    @property
    def revenue(self) -> Decimal:
        return sum((order.amount or Decimal(0) for order in self.orders), Decimal(0))

    @property
    def phone(self) -> str | None:
        if self.kind == "call":
            return phone(self.row["callerNumber"])
        numbers = [phone(item["phoneNumber"]) for item in self.row["client"]["phones"]]
        return next(filter(None, numbers), None)

    @property
    def email(self) -> str | None:
        if self.kind == "call":
            typed = (self.row["callbackInfo"] or {}).get("email")
            return typed and email(typed)
        contacts = [email(item["contactValue"]) for item in self.row["client"]["contacts"]]
        return next(filter(None, contacts), None)

    @property
    def identity(self) -> tuple[str, Any] | None:
        """Who it is: the strongest of number, address and visitor."""
        visitor = self.row["ctClientId"]
        known_ids = (("phone", self.phone), ("email", self.email), ("visitor", visitor))
        return next(((kind, value) for kind, value in known_ids if value), None)

    @property
    def talk(self) -> int:
        return max(self.row["duration"], 0) if self.answered else 0

    @property
    def yandex_id(self) -> str | None:
        return self.visit.get("yaClientId")

    @property
    def first_comment(self) -> str | None:
        texts = [item["comment"] for item in self.row["comments"]]
        return next((text for text in texts if text.strip(" ")), None)

    def visits(self) -> list[Row]:
        """Return the visits up to the day of the lead."""
        return [
            visit
            for visit in self.row["mapVisits"] or []
            if (made := local(visit["sessionDate"])) is None or made.date() <= self.day
        ]


def leads_of(requests: Records, calls: Records) -> list[Lead]:
    """Return the leads in order of time; an order belongs to the first of its leads."""
    leads = []
    for row in requests.records():
        created = instant(row["date"])
        assert created
        flags = row["targetRequest"], row["uniqueRequest"], row["uniqTargetRequest"]
        leads.append(Lead(row, "request", row["requestId"], created, row["session"] or {}, *flags))
    for row in calls.records():
        created = instant(row["timestamp"] * 1000)
        assert created
        flags = row["targetCall"], row["uniqueCall"], row["uniqTargetCall"]
        ended = row["callphase"] != "callconnected"
        answered = row["successful"] if ended else None
        leads.append(Lead(row, "call", row["callId"], created, row, *flags, answered))
    leads.sort(key=lambda lead: (lead.created, lead.key))
    links: dict[tuple[int, int], list[tuple[Lead, Row]]] = defaultdict(list)
    for lead in leads:
        for order in lead.row["orders"]:
            links[lead.site, order["orderId"]].append((lead, order))
    for linked in links.values():
        linked[0][0].orders.append(_join([order for _, order in linked]))
    return leads


def _join(orders: Sequence[Row]) -> Order:
    """Return one order of what several leads say of it."""
    amounts = [money(order.get("sum") or order.get("plannedAmount")) for order in orders]
    days = []
    for order in orders:
        made = instant(order.get("dateCreated"))
        days.append(made + _MOSCOW if made else local(order.get("createdDate")))
    paid = any(order.get("status") == "SUCCESS" or order.get("completedDate") for order in orders)
    return Order(
        amounts[0] if amounts[0] is not None else max(filter(None, amounts), default=None),
        min((made.date() for made in days if made), default=None),
        paid,
        not paid and any(order.get("status") == "CANCELED" for order in orders),
    )


def people_of(leads: Iterable[Lead]) -> list[list[Lead]]:
    """Return the leads of each person of a site, in order of time."""
    people: dict[tuple[int, Any], list[Lead]] = defaultdict(list)
    for lead in leads:
        if lead.identity:
            people[lead.site, lead.identity].append(lead)
    return [*people.values()]


class Event(NamedTuple):
    """Missed calls of one number, each at most a minute after the one before."""

    calls: list[Lead]
    contact: Lead | None


def missed_of(leads: Sequence[Lead]) -> list[Event]:
    """Return the events of missed calls, by walking through the leads of each number."""
    numbers: dict[Any, list[Lead]] = defaultdict(list)
    for lead in leads:
        if lead.kind == "request" or lead.answered is not None:
            numbers[lead.site, lead.phone or lead.key].append(lead)
    events: list[Event] = []
    for history in numbers.values():
        before: Lead | None = None
        for place, lead in enumerate(history):
            if lead.kind == "request":
                continue
            if not lead.answered:
                again = before and not before.answered
                if again and lead.created - before.created <= timedelta(seconds=60):  # type: ignore[union-attr]
                    events[-1].calls.append(lead)
                else:
                    later = (
                        item for item in history[place:] if item.kind == "request" or item.answered
                    )
                    events.append(Event([lead], next(later, None)))
            before = lead
    return events


class Cost(NamedTuple):
    """A row of the table of costs."""

    day: date
    source: str | None
    medium: str | None
    campaign: str | None
    campaign_id: int | None
    clicks: int
    cost: Decimal


def costs_of(rows: Iterable[Row]) -> Iterator[Cost]:
    """Read the rows of a CSV file of costs."""
    for row in rows:
        yield Cost(
            date.fromisoformat(row["date"]),
            row["utm_source"] or None,
            row["utm_medium"] or None,
            row["utm_campaign"] or None,
            int(row["campaign_id"]) if row["campaign_id"] else None,
            int(row["clicks"]),
            Decimal(row["cost"]),
        )


def is_brought_by(lead: Lead, cost: Cost) -> bool:
    """Whether a cost is one for a lead."""
    if lead.day != cost.day:
        return False
    if lead.direct_campaign and cost.campaign_id:
        return lead.direct_campaign == cost.campaign_id
    if not lead.direct_campaign and cost.campaign_id and lead.campaign == str(cost.campaign_id):
        return True
    utm = tuple(known(lead.visit.get(name)) for name in ("utmSource", "utmMedium", "utmCampaign"))
    return bool(cost.source) and utm == (cost.source, cost.medium, cost.campaign)


class Share(NamedTuple):
    """What falls to a place of the costs of leads there."""

    costs: int = 0
    clicks: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)


def cost_by_place(leads: Sequence[Lead], costs: Iterable[Cost]) -> dict[tuple[Any, ...], Share]:
    """Divide each cost equally among its leads, and add up what falls to each place."""
    shares: dict[tuple[Any, ...], Share] = {}

    def add(place: tuple[Any, ...], cost: Cost, parts: int) -> None:
        old = shares.get(place, Share())
        shares[place] = Share(
            old.costs + 1,
            old.clicks + Fraction(cost.clicks, parts),
            old.cost + Fraction(cost.cost) / parts,
        )

    for cost in costs:
        brought = [lead for lead in leads if is_brought_by(lead, cost)]
        for lead in brought:
            add(lead.place, cost, len(brought))
        if not brought:
            channel = "cpc" if cost.campaign_id else CHANNELS[cost.source, cost.medium]
            origin = (cost.source, cost.medium, cost.campaign)
            add((None, cost.day, *origin, channel, cost.campaign_id), cost, 1)
    return shares


def metrica_calls(leads: Sequence[Lead], first: date, today: date) -> list[tuple[Any, ...]]:
    """Return the rows of the file of calls, from the first day to the one before today."""
    firsts = {
        next((lead.key for lead in person if lead.kind == "call"), None)
        for person in people_of(leads)
    }
    return [
        (
            lead.yandex_id,
            round(lead.created.replace(tzinfo=timezone.utc).timestamp()),
            int(lead.row["sessionId"] is None),
            *_price(lead),
            f"+{lead.row['phoneNumber']}",
            lead.talk,
            lead.row["waitingConnect"],
            int(not lead.answered),
            int(lead.key in firsts) if lead.identity else None,
            ", ".join(sorted({tag for tag, _ in tags(lead.row)})) or None,
            lead.row["callUrl"],
            None,
        )
        for lead in leads
        if lead.kind == "call" and lead.answered is not None and _is_for_metrica(lead, first, today)
    ]


def metrica_conversions(leads: Sequence[Lead], first: date, today: date) -> list[tuple[Any, ...]]:
    """Return the rows of the file of conversions, from the first day to the one before today."""
    return [
        (
            lead.yandex_id,
            "calltouch_lead",
            int(lead.created.replace(tzinfo=timezone.utc).timestamp()),
            *_price(lead),
        )
        for lead in leads
        if lead.target and _is_for_metrica(lead, first, today)
    ]


def yandex_orders(leads: Sequence[Lead]) -> list[tuple[Any, ...]]:
    """Return the rows of the file of orders."""
    rows = []
    for lead in leads:
        mail = lead.email if lead.email and lead.email.isascii() else None
        identifiers = (lead.yandex_id, md5(mail), md5(lead.phone))
        status = "IN_PROGRESS"
        if lead.orders and all(order.cancelled for order in lead.orders):
            status = "CANCELLED"
        if any(order.paid for order in lead.orders):
            status = "PAID"
        if any(identifiers):
            revenue, currency = _price(lead)
            made = lead.local.strftime("%Y-%m-%d %H:%M:%S")
            rows.append((lead.key, made, None, *identifiers, status, revenue, None, None, currency))
    return rows


def _price(lead: Lead) -> tuple[Decimal | None, str | None]:
    return (lead.revenue, "RUB") if lead.orders else (None, None)


def _is_for_metrica(lead: Lead, first: date, today: date) -> bool:
    return bool(lead.yandex_id) and first <= lead.day < today


def phone(text: str) -> str | None:
    """Return a number as digits with the code of its country."""
    if any(character.isalpha() for character in text):
        return None
    digits = "".join(filter(str.isdigit, text))
    if len(digits) == 10:
        return f"7{digits}"
    if len(digits) == 11 and digits[0] == "8":
        return f"7{digits[1:]}"
    return digits if 11 <= len(digits) <= 15 else None


def email(text: str) -> str | None:
    """Return an address in lower case."""
    text = text.strip().lower()
    name, _, host = text.partition("@")
    return text if name and "." in host.strip(".") and " " not in text else None


def md5(text: str | None) -> str | None:
    return text and hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def tags(row: Row) -> list[tuple[str, str]]:
    return [
        (tag.strip(), group["type"])
        for group in row.get("RequestTags", row.get("callTags")) or []
        for name in group["names"]
        for tag in name.split(",")
    ]


def known(text: str | None) -> str | None:
    return None if text in PLACEHOLDERS else text


def instant(epoch_ms: int | None) -> datetime | None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc).replace(tzinfo=None)
    return None if epoch_ms is None else epoch + timedelta(milliseconds=epoch_ms)


def local(text: str | None) -> datetime | None:
    return read(text, "%d/%m/%Y %H:%M:%S")


def day(text: str) -> date | None:
    found = read(text, "%d.%m.%Y")
    return found and found.date()


def read(text: str | None, form: str) -> datetime | None:
    try:
        return datetime.strptime(text or "", form)  # noqa: DTZ007 - a wall time
    except ValueError:
        return None


def money(text: str | None) -> Decimal | None:
    return Decimal(text) if text and text[0].isdigit() else None
