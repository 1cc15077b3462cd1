"""The vendor's page of the requests journal as code."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.clock import MOSCOW, stamp
from sandbox.contract import BadQueryError, Contract, is_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.contract import Params, Test
    from sandbox.leads import Record

_MODES: dict[str, Callable[[str, str], bool]] = {
    "startwith": str.startswith,
    "contains": str.__contains__,
    "exact": str.__eq__,
}
#: The parameter that asks for each object; without it the object is null.
FLAGS = {
    "withMapVisits": "mapVisits",
    "withRequestTags": "RequestTags",
    "withYandexDirect": "yandexDirect",
    "withGoogleAdwords": "googleAdWords",
    "withAttrs": "attrs",
    "withWidgetInfo": "widgetInfo",
    "withCustomFields": "customFields",
    "withDcm": "dcm",
}


class RequestContract(Contract):
    """The rules of the requests journal."""

    path = re.compile("/requests(?:/(?P<number>.*))?", re.DOTALL)
    dates = "%m/%d/%Y"
    bind_to = "request"

    def instant(self, record: Record) -> float | None:
        made = record.get("date")
        return made / 1000 if isinstance(made, int) else None

    def session_date(self, record: Record) -> str | None:
        session, made = record.get("session"), self.instant(record)
        if not isinstance(session, dict):
            return None
        text = session.get("sessionDate")
        if isinstance(text, str):
            return text
        return None if made is None else stamp(datetime.fromtimestamp(made, MOSCOW))

    def filters(self, params: Params) -> list[Test]:
        return _filters(params)

    def show(self, record: Record, params: Params) -> Record:
        hidden = [key for flag, key in FLAGS.items() if not is_set(params, flag)]
        shown = {**record, **dict.fromkeys(hidden)}
        if "attrs" in hidden:
            for key in ("session", "order", "orders"):
                if key in shown:
                    shown[key] = _without_attrs(shown[key])
        return shown


def _without_attrs(value: Any) -> Any:
    """Return a session, an order or a list of orders with every `attrs` in it null."""
    if isinstance(value, list):
        return [_without_attrs(item) for item in value]
    if not isinstance(value, dict):
        return value
    bare = {**value, "attrs": None} if "attrs" in value else dict(value)
    if "session" in bare:
        bare["session"] = _without_attrs(bare["session"])
    return bare


def _filters(params: Params) -> list[Test]:
    tests: list[Test] = []

    def add(name: str, mode: str, texts: Callable[[Record], list[Any]]) -> None:
        wanted = params.get(name)
        if mode not in _MODES:
            raise BadQueryError(mode)
        if wanted:
            match = _MODES[mode]
            tests.append(
                lambda record: any(isinstance(t, str) and match(t, wanted) for t in texts(record))
            )

    add("subject", "startwith", lambda record: [record.get("subject")])
    add("manager", "exact", lambda record: [record.get("manager")])
    add("keywords", "contains", lambda record: _inside(record, "session", "keywords"))
    add("city", "exact", lambda record: _inside(record, "session", "city"))
    add("source", "exact", lambda record: _inside(record, "session", "source"))
    add("medium", "exact", lambda record: _inside(record, "session", "medium"))
    ani_mode, email_mode = (params.get(f"{name}.filterMode", "exact") for name in ("ani", "email"))
    add("ani.value", ani_mode, lambda record: _inside(record, "client", "phones", "phoneNumber"))
    add("email.value", email_mode, lambda rec: _inside(rec, "client", "contacts", "contactValue"))
    return tests


def _inside(value: Any, *path: str) -> list[Any]:
    """Return the values at a path, through lists, whatever shape the record really has."""
    for key in path:
        parts = value if isinstance(value, list) else [value]
        value = [part.get(key) for part in parts if isinstance(part, dict)]
        value = [item for part in value for item in (part if isinstance(part, list) else [part])]
    return list(value)


REQUESTS = RequestContract()
