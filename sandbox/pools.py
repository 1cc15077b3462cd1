"""Ready-made values, so that a record costs a few picks and no formatting."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

UNSET = "<не указано>"

CITIES = (
    *("Москва",) * 8,
    *("Санкт-Петербург",) * 4,
    *("Екатеринбург", "Новосибирск", "Казань", "Нижний Новгород", "Краснодар", "Ростов-на-Дону"),
    *("Самара", "Уфа", "Челябинск", "Тюмень", "Воронеж", "Йошкар-Ола", "moscow", UNSET),
)
FIRST_NAMES = ("Андрей", "Ольга", "Сергей", "Алёна", "Дмитрий", "Наталья", "Иван", "Мария", "Пётр")
LAST_NAMES = ("Кузнецов", "Смирнова", "Щербаков", "Ёлкина", "Попов", "Чайка", "Шевченко", "Цой")
LATIN_NAMES = ("andrey", "olga", "sergey.k", "alena", "d-popov", "natali", "ivan", "maria", "petr")
MAIL_HOSTS = ("yandex.ru", "mail.ru", "gmail.com", "bk.ru", "пример.рф", "company.example")
MANAGERS = (None, None, None, "Вася", "Иванова Мария Петровна", "Соколов А. В.", "Жуков Егор")
SUBJECTS = (
    "Заявка на звонок",
    "Заявка на звонок (мобильная)",
    "Обратный звонок",
    "Расчёт стоимости",
    "Запись на приём",
    'Форма "Узнать цену"',
    "Умная заявка",
    "Lead Ads VK",
    "",
)
WIDGET_SUBJECTS = frozenset({"Умная заявка", "Lead Ads VK"})
COMMENTS = (
    "Перезвонить после обеда\n",
    "Не дозвонились, повторить завтра\n",
    "Клиент просил КП на почту; бюджет до 150 000 ₽\n",
    "Дубль, см. заявку выше",
    "Интересует рассрочка,\r\nпервый взнос 20 %\n",
    "Спам? \u200bпроверить 🙂",
    "",
)
TAG_NAMES = (
    ["Тег заявки"],
    ["Целевая"],
    ["Новостройки,Ипотека"],
    ["Повторный клиент", "VIP"],
    ["Запись, первичный приём"],
    ["Брак"],
)
TAG_TYPES = ("AUTO-CT", "AUTO-PN", "AUTO-PR", "WEB-API", "MANUAL")
REQUEST_TYPES = ("CLIENT_ORDER", "CLIENT_ORDER", "CLIENT_ORDER", "CALLBACK", "WIDGET", None)
ORDER_STATUSES = ("PENDING", "IN_PROGRESS", "SUCCESS", "CANCELED")
EXTERNAL_NUMBERS = ("CRM/2024/{}", "Заказ {}", "{}-A B", "WEB#{}?f=1", "100%_{}", "lead:{}")
ORDER_COMMENTS = ("", "", "", "Комментарий к сделке\n")
PAGES = ("", "catalog/", "price/", "contacts/", "akcii/skidka-20/", "uslugi/расчёт/", "blog/?id=7")
PHRASES = (
    "купить квартиру в москве",
    "остекление балкона цена",
    "стоматология рядом",
    "ремонт под ключ",
    "доставка бетона м300",
    "аренда спецтехники недорого",
    "школа английского языка",
    "натяжные потолки отзывы",
)
SPEECH = (
    (1, "Добрый день, компания слушает"),
    (0, "Здравствуйте, я по объявлению"),
    (0, "Сколько это стоит?"),
    (1, "Сейчас посчитаю, оставайтесь на линии"),
    (0, "А в субботу вы работаете?"),
    (1, "Записала вас на среду, до свидания"),
)
CONNECTED = (
    "Connected. The disconnect came from the callers side",
    "Connected. The disconnect came from the operators side",
)
NOT_CONNECTED = ("Not connected. No answer", "Not connected. The line is busy")
SUB_POOLS = (None, None, "Основной", "Контекст: Москва")
CALL_SOURCES = ("Визитка", "Наружная реклама", "Карта 2ГИС")
CALL_TAGS = ("yclid=1234567890", "Источник: партнёр")
_UA = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) {} Safari/537.36"
BROWSERS = (
    (_UA.format("Windows NT 10.0; Win64; x64", "Chrome/120.0.0.0"), "Chrome", "Windows", "desktop"),
    (
        _UA.format("Windows NT 10.0; Win64; x64", "Chrome/118.0.0.0 YaBrowser/23.11.0"),
        "YaBrowser",
        "Windows",
        "desktop",
    ),
    (_UA.format("Linux; Android 13; K", "Chrome/120.0.0.0 Mobile"), "Chrome", "Android", "mobile"),
    (_UA.format("iPhone; CPU iPhone OS 17_1", "Version/17.1 Mobile"), "Safari", "iOS", "mobile"),
    (_UA.format("iPad; CPU OS 16_6", "Version/16.6 Mobile"), "Safari", "iOS", "tablet"),
    (_UA.format("Macintosh; Intel Mac OS X 10_15_7", "Version/17.0"), "Safari", "macOS", "desktop"),
)
# Weight of each hour: a night's trickle, a morning peak, a lunch dip, an evening tail.
HOURS = tuple(
    hour
    for hour, weight in enumerate(
        (2, 1, 1, 1, 1, 2, 4, 8, 16, 30, 40, 42, 36, 30, 38, 40, 38, 34, 28, 22, 18, 14, 8, 4)
    )
    for _ in range(weight)
)


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
    (2, "Соцсети: Telegram", "<не заполнено>", "", None, 0.12),
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


@lru_cache(maxsize=64)
def visitors(seed: int, site: int) -> tuple[Visitor, ...]:
    """Return the people who visit one site, of whom some write and some call."""
    return _people(random.Random(f"visitors:{seed}:{site}"), range(800), 10**18)


@lru_cache(maxsize=64)
def callers(seed: int, site: int) -> tuple[Visitor, ...]:
    """Return the people who visit one site and only ever call; their Yandex ids have 20 digits."""
    return _people(random.Random(f"callers:{seed}:{site}"), range(800, 1200), 10**19)


def _people(rand: random.Random, numbers: range, first_yandex: int) -> tuple[Visitor, ...]:
    """Make people.

    Args:
        rand: The source of chance.
        numbers: Their numbers.
        first_yandex: The lowest Yandex id; all have as many digits.
    """
    people = []
    for number in numbers:
        agent, browser, system, device = rand.choice(BROWSERS)
        city = rand.choice(CITIES)
        address = ".".join(str(rand.randrange(1, 255)) for _ in range(4)) + "/32"
        ct_client = rand.randrange(15 * 10**17, 17 * 10**17)
        ct_global = str(rand.randrange(15 * 10**17, 17 * 10**17))
        tracked = rand.random()
        google = f"{rand.randrange(10**9)}.{rand.randrange(10**9)}" if tracked < 0.6 else None
        yandex = str(rand.randrange(first_yandex, first_yandex * 10)) if tracked > 0.3 else None
        ids = {"guaClientId": google, "ctClientId": ct_client, "ctGlobalId": ct_global}
        seen = {"city": city, "ip": address}
        mail = f"{rand.choice(LATIN_NAMES)}{number}@{rand.choice(MAIL_HOSTS)}"
        people.append(
            Visitor(
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
                name=rand.choice(
                    (f"{rand.choice(FIRST_NAMES)} {rand.choice(LAST_NAMES)}",) * 3 + ("",)
                ),
                client_id=600_000 + number * 7,
                phone=f"79{rand.randrange(10**9):09d}",
                email=mail if rand.random() < 0.6 else None,
                ct_client=ct_client,
                ct_global=ct_global,
            )
        )
    return tuple(people)
