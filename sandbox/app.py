"""The API without sockets: a call in, an answer out."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.contract import BadInquiryError, select, show
from sandbox.faults import HELP_PAGE, JSON, SERVER_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandbox.faults import Call, Fault
    from sandbox.journal import Journal

BASE = "/calls-service/RestAPI"
HTML = "text/html;charset=UTF-8"
_HELP = "/help/"


@dataclass
class Answer:
    """What goes back."""

    status: int
    body: bytes
    headers: dict[str, str]
    rows: int | None = None


class Pace:
    """At most so many calls in any second from one address; the others are turned away."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.rejected = 0
        self._accepted: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def admit(self, address: str, now: float) -> bool:
        """Return whether a call that came now may go on."""
        with self._lock:
            recent = self._accepted.setdefault(address, deque())
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= self.per_second:
                self.rejected += 1
                return False
            recent.append(now)
            return True


@dataclass
class Api:
    """The documented API over one journal.

    Attributes:
        journal: the requests.
        token: the one right `clientApiId`.
        points: the daily points left; None for no limit.
        site_required: whether `siteId` must be given.
        row_limit: an answer of more rows becomes a server error.
        now: the present: later requests do not exist yet; None to serve them all.
        ignore_site: whether `siteId` has no effect.
        single_as_array: whether one request comes as an array of one.
        gzip: whether to compress for clients that accept it.
    """

    journal: Journal
    token: str = "sandbox-token/with+odd=chars"
    points: int | None = None
    site_required: bool = False
    row_limit: int | None = None
    now: datetime | Callable[[], datetime] | None = None
    ignore_site: bool = False
    single_as_array: bool = False
    gzip: bool = True
    _points_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def answer(self, call: Call, fault: Fault | None) -> Answer:
        """Answer a call on an API path, as the fault has it."""
        answer = _replacement(fault) if fault else None
        if answer is None:
            answer = _encode(fault, *self._result(call))
        call.rows = answer.rows
        accepted = call.headers.get("Accept-Encoding", "")
        if self.gzip and "gzip" in accepted and answer.body:
            answer.body = gzip.compress(answer.body, 1, mtime=0)
            answer.headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return answer

    def _result(self, call: Call) -> tuple[int, Any]:
        if call.params.get("clientApiId") != self.token:
            return 403, {"message": "Неверный токен доступа clientApiId"}
        number = call.path.removeprefix(f"{BASE}/requests").removeprefix("/")
        status, result = self._one(number) if number else self._journal(call)
        if status == 200 and not self._charge():
            return 403, {"message": "Исчерпан суточный лимит баллов API"}
        return status, result

    def _one(self, number: str) -> tuple[int, Any]:
        record = self.journal.find(number) or self.journal.find(number.removesuffix("/"))
        if record is None or not self._exists(record):
            return 404, {"message": f"Заявка {number} не найдена"}
        shown = show(record, {})
        return 200, [shown] if self.single_as_array else shown

    def _journal(self, call: Call) -> tuple[int, Any]:
        site = call.params.get("siteId")
        if site is None and self.site_required:
            violation = {"message": "Не указан обязательный параметр siteId"}
            return 400, {"data": {"validationErrorData": {"violations": [violation]}}}
        if site is not None and not self.ignore_site and not self._known(site):
            return 403, {"message": f"Нет доступа к личному кабинету {site}"}
        try:
            rows = select(self.journal, call.params, by_site=not self.ignore_site)
        except BadInquiryError:
            return 500, SERVER_ERROR
        rows = [show(row, call.params) for row in rows if self._exists(row)]
        if self.row_limit is not None and len(rows) > self.row_limit:
            return 500, SERVER_ERROR
        # Nothing is promised about the order, so there is none; but it is the same every time.
        random.Random(len(rows)).shuffle(rows)
        return 200, rows

    def _known(self, site: str) -> bool:
        sites = self.journal.sites
        return site.isdecimal() and (not sites or int(site) in sites)

    def _exists(self, record: dict[str, Any]) -> bool:
        """Return whether a request has been made by now."""
        made = record.get("date")
        now = self.now() if callable(self.now) else self.now
        return now is None or not isinstance(made, int) or made <= now.timestamp() * 1000

    def _charge(self) -> bool:
        with self._points_lock:
            if self.points is None:
                return True
            if self.points <= 0:
                return False
            self.points -= 1
            return True


def answer_json(status: int, value: Any) -> Answer:
    """Return an answer of JSON, in UTF-8 and without needless escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # UTF-8 has no lone surrogates; this writes them as the \udXXX that JSON has for them.
    return Answer(status, text.encode("utf-8", "backslashreplace"), {"Content-Type": JSON})


def _encode(fault: Fault | None, status: int, result: Any) -> Answer:
    """Pack an answer; a fault may spoil a good one on the way."""
    kind = fault.kind if fault and status == 200 else None
    options = fault.options if fault else {}
    if kind == "change" and isinstance(result, list):
        change = options["apply"]
        result = change(result) if callable(change) else change
    answer = answer_json(status, result)
    if isinstance(result, list):
        answer.rows = len(result)
    if kind == "raw":
        answer.body = options["apply"](answer.body)
    elif kind == "cut_json":
        answer.body = answer.body[: int(len(answer.body) * options["keep"])]
    return answer


def outside(path: str) -> Answer | None:
    """Return the answer to a path that is not of the journal; None if it is of the journal."""
    if path == f"{BASE}/requests" or path.startswith(f"{BASE}/requests/"):
        return None
    if path == _HELP:
        return Answer(200, HELP_PAGE.encode(), {"Content-Type": HTML})
    return Answer(302, b"", {"Location": _HELP, "Content-Type": HTML})


def _replacement(fault: Fault) -> Answer | None:
    """Return the answer of a fault that does not care what was asked."""
    options = fault.options
    if fault.kind == "status":
        body = options["body"]
        if body is None:
            answer = answer_json(options["status"], SERVER_ERROR)
        else:
            data = body.encode() if isinstance(body, str) else body
            answer = Answer(options["status"], data, {"Content-Type": JSON})
        answer.headers |= options["headers"]
        return answer
    if fault.kind == "body":
        return Answer(200, options["body"], {"Content-Type": options["content_type"]})
    if fault.kind == "html":
        return Answer(options["status"], options["body"].encode(), {"Content-Type": HTML})
    if fault.kind == "redirect":
        headers = {"Location": options["location"], "Content-Type": HTML}
        return Answer(options["status"], b"", headers)
    return None
