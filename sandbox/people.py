"""Who writes and calls: people with one device each, of whom new ones come every week."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox import pools

if TYPE_CHECKING:
    from datetime import date

# How many new people a site has in a week, and how many of them write. With about 30 leads a day,
# a person makes two, as in real journals.
_NEW = 120
_WRITERS = 80
_WEEK_IDS = 10_000
_FIRST_WEEK = 104_000


class Visitor(NamedTuple):
    """One person with one device, who may come back."""

    session: dict[str, Any]
    visit: dict[str, Any]
    name: str
    client_id: int
    phone: str
    email: str | None
    ct_client: int
    ct_global: str


def writer(rand: random.Random, seed: int, site: int, day: date) -> Visitor:
    """Return someone who writes to a site on a day, most likely someone new."""
    return rand.choice(_people(seed, site, _week(rand, day))[:_WRITERS])


def caller(rand: random.Random, seed: int, site: int, day: date) -> Visitor:
    """Return someone who calls a site on a day: one who also writes, or one who only ever calls."""
    return rand.choice(_people(seed, site, _week(rand, day)))


def find(seed: int, site: int, client_id: int) -> Visitor:
    """Return the person with an id."""
    week, number = divmod(client_id, _WEEK_IDS)
    return _people(seed, site, week)[number]


def _week(rand: random.Random, day: date) -> int:
    """Return the week in which someone came for the first time."""
    return day.toordinal() // 7 - _FIRST_WEEK - int(rand.expovariate(1))


@lru_cache(maxsize=256)
def _people(seed: int, site: int, week: int) -> tuple[Visitor, ...]:
    """Return the people who come to a site for the first time in a week; the writers are first."""
    rand = random.Random(f"people:{seed}:{site}:{week}")
    return tuple(_person(rand, week * _WEEK_IDS + number) for number in range(_NEW))


def _person(rand: random.Random, client_id: int) -> Visitor:
    agent, browser, system, device = rand.choice(pools.BROWSERS)
    address = ".".join(str(rand.randrange(1, 255)) for _ in range(4)) + "/32"
    seen = {"city": rand.choice(pools.CITIES), "ip": address}
    ct_client = rand.randrange(15 * 10**17, 17 * 10**17)
    ct_global = str(rand.randrange(15 * 10**17, 17 * 10**17))
    tracked = rand.random()
    google = f"{rand.randrange(10**9)}.{rand.randrange(10**9)}" if tracked < 0.6 else None
    # Those who only call have 20 digits: beyond 64 bits.
    least = 10**18 if client_id % _WEEK_IDS < _WRITERS else 10**19
    yandex = str(rand.randrange(least, least * 10)) if tracked > 0.3 else None
    ids = {"guaClientId": google, "ctClientId": ct_client, "ctGlobalId": ct_global}
    name = f"{rand.choice(pools.FIRST_NAMES)} {rand.choice(pools.LAST_NAMES)}"
    mail = f"{rand.choice(pools.LATIN_NAMES)}{client_id}@{rand.choice(pools.MAIL_HOSTS)}"
    return Visitor(
        session={
            **seen,
            "browser": agent,
            "browserName": browser,
            "os": system,
            "device": device,
            **ids,
            "yaClientId": yandex,
            "attribution": 1,
        },
        visit={**seen, "userAgent": agent, **ids},
        name=name if rand.random() < 0.75 else "",
        client_id=client_id,
        phone=f"79{rand.randrange(10**9):09d}",
        email=mail if rand.random() < 0.6 else None,
        ct_client=ct_client,
        ct_global=ct_global,
    )
