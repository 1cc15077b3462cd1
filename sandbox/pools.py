"""Ready-made values, so that a record costs a few picks and no formatting.

A value that comes more often stands in its pool several times.
"""

from __future__ import annotations

UNSET = "<не указано>"
UNFILLED = "<не заполнено>"

CITIES = (
    *("Москва",) * 8,
    *("moscow",) * 3,
    *("Санкт-Петербург",) * 4,
    *("Екатеринбург", "Новосибирск", "Казань", "Нижний Новгород", "Краснодар", "Ростов-на-Дону"),
    *("Самара", "Уфа", "Челябинск", "Тюмень", "Воронеж", "Йошкар-Ола", UNSET),
)
FIRST_NAMES = ("Андрей", "Ольга", "Сергей", "Алёна", "Дмитрий", "Наталья", "Иван", "Мария", "Пётр")
LAST_NAMES = ("Кузнецов", "Смирнова", "Щербаков", "Ёлкина", "Попов", "Чайка", "Шевченко", "Цой")
LATIN_NAMES = ("andrey", "olga", "sergey.k", "alena", "d-popov", "natali", "ivan", "maria", "petr")
MAIL_HOSTS = ("yandex.ru", "mail.ru", "gmail.com", "bk.ru", "пример.рф", "company.example")
MANAGERS = (None, None, None, "Вася", "Иванова Мария Петровна", "Соколов А. В.", "Жуков Егор")
SUBJECTS = (
    *("Заявка на звонок",) * 7,
    *("Заявка на звонок (мобильная)",) * 5,
    *("Обратный звонок",) * 5,
    *("Расчёт стоимости",) * 4,
    *("Запись на приём",) * 3,
    *('Форма "Узнать цену"',) * 3,
    *("Умная заявка",) * 2,
    *("Lead Ads VK",) * 2,
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
_OFFLINE = ("Визитка", "Наружная реклама", "Наружная реклама", "Карта 2ГИС", "Радио")
#: Where calls without a session come from: (source, medium, utm_source), `{}` for the number that
#: was dialled. One account names the medium, the other has placeholders there.
UNTRACKED = (
    (*(("{}", "offline", UNSET),) * 7, *((name, "offline", UNSET) for name in _OFFLINE)),
    (
        *((UNFILLED, UNFILLED, UNSET),) * 14,
        *((UNFILLED, UNFILLED, "Пул Москва"), (UNFILLED, UNFILLED, "Казань")) * 3,
        *((name, UNSET, UNSET) for name in _OFFLINE),
        ("{}", UNSET, UNSET),
    ),
)
#: The share of calls without a session that have orders.
UNTRACKED_DEALS = 0.15
CALL_TAGS = ("yclid=1234567890", "partner=Дом и сад")
_UA = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) {} Safari/537.36"
_ANDROID, _WINDOWS = "Linux; Android 13; K", "Windows NT 10.0; Win64; x64"
_IPHONE, _IPAD, _MAC = (
    "iPhone; CPU iPhone OS 17_1",
    "iPad; CPU OS 16_6",
    "Macintosh; Mac OS X 10_15",
)
_CHROME, _YANDEX = "Chrome/120.0.0.0", "Chrome/118.0.0.0 YaBrowser/23.11.0"
#: (user agent, browser, operating system, device as requests call it)
BROWSERS = (
    *((_UA.format(_ANDROID, f"{_CHROME} Mobile"), "Chrome", "Android", "mobile"),) * 9,
    *((_UA.format(_ANDROID, f"{_YANDEX} Mobile"), "YaBrowser", "Android", "mobile"),) * 4,
    *((_UA.format(_IPHONE, "Version/17.1 Mobile"), "Safari", "iOS", "mobile"),) * 8,
    *((_UA.format(_WINDOWS, _CHROME), "Chrome", "Windows", "desktop"),) * 7,
    *((_UA.format(_WINDOWS, _YANDEX), "YaBrowser", "Windows", "desktop"),) * 4,
    (_UA.format(_MAC, "Version/17.0"), "Safari", "macOS", "desktop"),
    (_UA.format(_IPAD, "Version/16.6 Mobile"), "Safari", "iOS", "tablet"),
    (_UA.format(_ANDROID, f"{_CHROME} Mobile"), "Chrome", "Android", "phablet"),
)
#: What calls call a device, where they do it otherwise.
CALL_DEVICES = {"mobile": "smartphone"}
# Flags are drawn together, as often as they occur together: none follows from the others.
_T, _F = True, False
#: (unique, target, unique-target) of a caller's first call, if it was long enough to be a talk.
CALL_FLAGS = (
    *((_T, _T, _T),) * 52,
    *((_F, _T, _F),) * 25,
    *((_F, _T, _T),) * 2,
    *((_T, _F, _F),) * 12,
    *((_F, _F, _F),) * 9,
)
#: The same of calls that nobody answered or that were over at once.
SHORT_CALL_FLAGS = (
    *((_T, _F, _F),) * 60,
    *((_F, _F, _F),) * 37,
    *((_F, _T, _F),) * 2,
    (_T, _T, _T),
)
#: The same of a caller who called a little while ago.
REPEATED_CALL_FLAGS = (
    *((_F, _T, _F),) * 9,
    *((_T, _T, _T),) * 6,
    *((_F, _T, _T),) * 2,
    *((_F, _F, _F),) * 3,
)
#: The same of requests, of which nothing is known: all of what may be.
REQUEST_FLAGS = (
    *((_T, _T, _T),) * 52,
    *((_F, _T, _F),) * 14,
    *((_F, _T, _T),) * 3,
    *((_T, _T, _F),) * 2,
    *((_T, _F, _F),) * 18,
    *((_F, _F, _F),) * 11,
)
# Weight of each hour: a night's trickle, a morning peak, a lunch dip, an evening tail.
HOURS = tuple(
    hour
    for hour, weight in enumerate(
        (2, 1, 1, 1, 1, 2, 4, 8, 16, 30, 40, 42, 36, 30, 38, 40, 38, 34, 28, 22, 18, 14, 8, 4)
    )
    for _ in range(weight)
)
