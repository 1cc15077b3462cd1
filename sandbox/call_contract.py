"""The calls journal by evidence: which calls a query selects, and how they are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox.contract import BadQueryError, Contract, is_set

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.contract import Params, Test
    from sandbox.leads import Record

#: The keys that each parameter asks for, and what they are without it.
FLAGS: dict[str, dict[str, Any]] = {
    "withCallTags": {"callTags": None},
    "withMapVisits": {"mapVisits": None},
    "withOrders": {"orders": [], "order": None},
    "withComments": {"comments": None},
    "withYandexDirect": {"yandexDirect": None},
    "withGoogleAdwords": {"googleAdWords": None},
    "withText": {"phrases": None, "phonesInText": None},
    "withDcm": {"dcm": None},
    "withCallbackInfo": {"callbackInfo": None},
    "withCustomFields": {"customFields": None},
    "withAttrs": {"attrs": None},
}
#: The key that must be true for each parameter.
ONLY = {
    "uniqueOnly": "uniqueCall",
    "targetOnly": "targetCall",
    "uniqTargetOnly": "uniqTargetCall",
    "callbackOnly": "callbackCall",
}
# A call is in the journal when it has ended, and so many seconds after its start at the earliest.
_SOONEST = 120
_STAMP = re.compile(r"([0-9]{2}/[0-9]{2}/[0-9]{4} )([0-9]{2})(:[0-9]{2}:[0-9]{2})")


class CallContract(Contract):
    """The rules of the calls journal."""

    path = re.compile("/[^/]+/calls-diary/calls/?")
    dates = "%d/%m/%Y"
    bind_to = "call"

    def instant(self, record: Record) -> float | None:
        made = record.get("timestamp")
        return made if isinstance(made, int) else None

    def session_date(self, record: Record) -> str | None:
        text = record.get("sessionDate")
        return text if isinstance(text, str) else None

    def filters(self, params: Params) -> list[Test]:
        if params.get("attribution", "1") not in {"0", "1"}:
            raise BadQueryError(params["attribution"])
        wanted = [key for name, key in ONLY.items() if is_set(params, name)]
        return [lambda record: all(record.get(key) is True for key in wanted)]

    def exists(self, record: Record, now: datetime) -> bool:
        began, duration = self.instant(record), record.get("duration")
        lasts = max(duration if isinstance(duration, int) else 0, _SOONEST)
        return began is None or began + lasts <= now.timestamp()

    def show(self, record: Record, params: Params) -> Record:
        hidden = [keys for flag, keys in FLAGS.items() if not is_set(params, flag)]
        shown = record | {key: empty for keys in hidden for key, empty in keys.items()}
        if params.get("attribution") == "0":
            shown["attribution"] = 0
        if (text := self.session_date(record)) is not None:
            shown["sessionDate"] = _STAMP.sub(_on_12_hours, text)
        return shown


def _on_12_hours(stamp: re.Match[str]) -> str:
    day, hour, rest = stamp.groups()
    return f"{day}{int(hour) % 12 or 12:02}{rest}"


CALLS = CallContract()
