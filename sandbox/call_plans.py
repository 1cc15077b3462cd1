"""Who calls when on one day, for how long, and who calls again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time
from typing import TYPE_CHECKING, NamedTuple

from sandbox import people
from sandbox.clock import MOSCOW
from sandbox.leads import Record, has_edges, number_of_leads, time_of_lead

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from datetime import date

    from sandbox.people import Visitor


@dataclass(eq=False)
class Caller:
    """Someone who calls, and may call again a little later.

    Attributes:
        visitor: Who it is.
        request: The request that the same person sent before, if any.
        origin: What is the same in all of the calls.
    """

    visitor: Visitor
    request: Record | None
    origin: Record = field(default_factory=dict)


class Plan(NamedTuple):
    """A call to be made; one that nobody answers has no duration."""

    second: int
    duration: int
    caller: Caller
    repeated: bool


def plans_of_day(
    rand: random.Random, seed: int, site: int, day: date, per_day: int, requests: Sequence[Record]
) -> list[Plan]:
    """Plan one site's calls of one day, in the order in which they end.

    Args:
        rand: The source of chance.
        seed: The journal's seed.
        site: The site's id.
        day: The day, in Moscow.
        per_day: How many calls a usual day brings.
        requests: The site's generated requests of that day.
    """
    plans: list[Plan] = []
    for second, request in _first_calls(rand, day, per_day, requests):
        if request:
            visitor = people.find(seed, site, request["client"]["clientId"])
        else:
            visitor = people.caller(rand, seed, site, day)
        plans += _calls_of(rand, second, Caller(visitor, request))
    # That is when a call gets its id.
    return sorted(plans, key=lambda plan: (plan.second + max(plan.duration, 0), plan.second))


def _first_calls(
    rand: random.Random, day: date, per_day: int, requests: Sequence[Record]
) -> list[tuple[int, Record | None]]:
    """Return when callers call for the first time on a day, and what each of them wrote before."""
    start = int(datetime.combine(day, time(), MOSCOW).timestamp())
    count = round(number_of_leads(rand, day, per_day) * 0.9)  # the others call again
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
    return calls


def _calls_of(rand: random.Random, second: int, caller: Caller) -> list[Plan]:
    """Plan what a caller does: calls, and in some cases calls again, mostly within a minute."""
    duration = _duration(rand, second)
    plans = [Plan(second, duration, caller, repeated=False)]
    if rand.random() < (0.6 if duration == 0 else 0.06):
        wait = rand.randrange(24, rand.choice((60, 60, 60, 240, 7200)))
        again = second + max(duration, 0) + wait
        if again < 86_400:
            plans.append(Plan(again, _duration(rand, again), caller, repeated=True))
    return plans


def _duration(rand: random.Random, second: int) -> int:
    """Return the seconds of a call: none if it is missed, which one in eight is, most at night."""
    if rand.random() < (0.08 if 9 <= second // 3600 < 21 else 0.38):
        return 0
    chance = rand.random()
    if chance < 0.02:
        return rand.randrange(-30, 0)
    return rand.randrange(1200, 5400) if chance < 0.04 else rand.randrange(10, 600)
