"""Misbehaviour that a test can order."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.datastructures import Headers

JSON = "application/json;charset=UTF-8"
#: The body of a real failure of this endpoint.
SERVER_ERROR = {
    "errorCode": "500",
    "message": "При обработке вашего запроса произошла ошибка. "
    "Обратитесь в службу технической поддержки.",
}
HELP_PAGE = (
    "<!DOCTYPE html><html lang='ru'><head><title>Calltouch API</title></head>"
    "<body><h1>Справка по API</h1><p>Такого метода нет.</p></body></html>"
)


@dataclass
class Call:
    """One request that the sandbox got."""

    method: str
    path: str
    params: dict[str, str]
    headers: Headers
    #: When it came, by `time.monotonic`.
    started: float
    #: How many were in progress, this one included.
    concurrent: int
    #: The status sent, set before the first byte leaves; None if the connection is reset instead.
    status: int | None = None
    #: How many records were in the answer; None if it was no journal.
    rows: int | None = None

    @property
    def journal(self) -> str:
        """The journal that was asked: `requests` or `calls`."""
        return "calls" if "/calls-diary/" in self.path else "requests"


# Each kind's options, with what they are unless told otherwise.
KINDS: dict[str, dict[str, Any]] = {
    # In place of the answer:
    "status": {"status": 500, "body": None, "headers": {}},
    "body": {"body": b"", "content_type": JSON},
    "redirect": {"location": "/help/", "status": 302},
    "html": {"body": HELP_PAGE, "status": 200},
    # To the calls journal, before the answer: a further call comes first, or the first one goes.
    "arrive": {},
    "vanish": {},
    # To the answer, before it is packed: its rows, or the whole page object of the calls journal.
    "change": {"apply": lambda rows: rows},
    "change_page": {"apply": lambda page: page},
    "raw": {"apply": lambda body: body},
    "cut_json": {"keep": 0.5},
    # To its way down the wire; framing is length, chunked or close:
    "truncate": {"keep": 0.5, "framing": "length"},
    "reset": {},
    "reset_body": {"keep": 0.5},
    "stall": {"seconds": 60.0},
    "slow": {"seconds": 1.0},
    "stall_body": {"seconds": 60.0, "keep": 0.5},
}


def is_later_page(call: Call) -> bool:
    """Return whether a call asks for a page after the first: when a journal can have drifted."""
    return call.params.get("page", "1") != "1"


class Fault:
    """Something that goes wrong with some calls."""

    def __init__(
        self,
        kind: str,
        when: Callable[[Call], bool] = lambda _: True,
        times: int | None = None,
        **options: Any,
    ) -> None:
        """Describe a fault.

        Args:
            kind: One of `KINDS`.
            when: Which calls it befalls.
            times: How many calls at most; None for all.
            options: What `KINDS` lists for the kind.
        """
        unknown = options.keys() - KINDS[kind].keys()
        if unknown:
            message = f"{kind} has no option {', '.join(sorted(unknown))}"
            raise TypeError(message)
        self.kind = kind
        self.options = {**KINDS[kind], **options}
        self._when = when
        self._left = times
        self._lock = threading.Lock()

    def claim(self, call: Call) -> bool:
        """Return whether the fault befalls this call, and count it."""
        with self._lock:
            if self._left == 0 or not self._when(call):
                return False
            if self._left is not None:
                self._left -= 1
            return True
