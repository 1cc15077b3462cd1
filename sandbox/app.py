"""The API without sockets: a call in, an answer out."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox import recordings
from sandbox.call_contract import CALLS
from sandbox.clock import MOSCOW
from sandbox.contract import BadQueryError, Contract
from sandbox.faults import HELP_PAGE, JSON, SERVER_ERROR
from sandbox.journal import CallJournal, Records
from sandbox.request_contract import REQUESTS
from sandbox.variants import vary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sandbox.faults import Call, Fault
    from sandbox.journal import Journal
    from sandbox.leads import Record

BASE = "/calls-service/RestAPI"
HTML = "text/html;charset=UTF-8"
AUDIO = "audio/mpeg"
_HELP = "/help/"
_ADS = ("yandexDirect", "googleAdWords")
_PAGING = (("page", "1"), ("limit", "1000"))


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
    """The API over a journal of requests and one of calls.

    Attributes:
        journal: The requests.
        call_journal: The calls; none by default.
        token: The one right `clientApiId`.
        points: The daily points left; None for no limit.
        site_required: Whether `siteId` must be given for requests.
        row_limit: An answer of more rows becomes a server error.
        row_cap: How many rows a query finds at most, without a word about the others.
        now: The present: later records do not exist yet; None to serve them all.
        variants: Whether some records come in the other shapes that typed clients declare.
        ads_come_later: Whether the ids of the present day's advertisements come the next day.
        ignore_site: Whether the site has no effect.
        ignore_dates: Whether the period has no effect.
        single_as_array: Whether one request comes as an array of one.
        page_limit: How many calls a page holds at most, even if `limit` asks for more.
        empty_page_total: The `pageTotal` of no calls; None for an answer without that key.
        gzip: Whether to compress for clients that accept it.
    """

    journal: Journal
    call_journal: CallJournal = field(default_factory=lambda: CallJournal.of([]))
    token: str = "sandbox-token/with+odd=chars"
    points: int | None = None
    site_required: bool = False
    row_limit: int | None = None
    row_cap: int | None = None
    now: datetime | Callable[[], datetime] | None = None
    variants: bool = False
    ads_come_later: bool = False
    ignore_site: bool = False
    ignore_dates: bool = False
    single_as_array: bool = False
    page_limit: int = 1000
    empty_page_total: int | None = 0
    gzip: bool = True
    _points_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _arrivals: itertools.count[int] = field(
        default_factory=lambda: itertools.count(9_000_000_000), init=False, repr=False
    )

    def answer(self, call: Call, fault: Fault | None) -> Answer:
        """Answer a call on an API path, as the fault has it."""
        answer = _replacement(fault) if fault else None
        if answer is None:
            answer = _encode(fault, *self._result(call, fault))
        call.rows = answer.rows
        accepted = call.headers.get("Accept-Encoding", "")
        plain = not answer.body or answer.headers["Content-Type"] == AUDIO
        if self.gzip and "gzip" in accepted and not plain:
            answer.body = gzip.compress(answer.body, 1, mtime=0)
            answer.headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return answer

    def _result(self, call: Call, fault: Fault | None) -> tuple[int, Any]:
        """Return a status and a JSON value; a text stands for a page of HTML, bytes for a sound."""
        if call.params.get("clientApiId") != self.token:
            return 403, {"message": "Неверный токен доступа clientApiId"}
        path = call.path.removeprefix(BASE)
        if match := REQUESTS.path.fullmatch(path):
            number = match["number"]
            status, result = self._request(number) if number else self._requests(call.params)
        elif match := recordings.PATH.fullmatch(path):
            status, result = self._recording(match["site"], match["call"])
        else:
            site = path.split("/")[1]
            status, result = self._calls(site, call.params, fault)
        if status == 200 and not isinstance(result, str) and not self._charge():
            return 403, {"message": "Исчерпан суточный лимит баллов API"}
        return status, result

    def _request(self, number: str) -> tuple[int, Any]:
        record = self.journal.find(number) or self.journal.find(number.removesuffix("/"))
        if record is None or not self._exists(REQUESTS, record):
            return 404, {"message": f"Заявка {number} не найдена"}
        shown = self._show(REQUESTS, record, {})
        return 200, [shown] if self.single_as_array else shown

    def _requests(self, params: Mapping[str, str]) -> tuple[int, Any]:
        site = params.get("siteId")
        if site is None and self.site_required:
            violation = {"message": "Не указан обязательный параметр siteId"}
            return 400, {"data": {"validationErrorData": {"violations": [violation]}}}
        if site is not None and not self._knows(site):
            return 403, {"message": f"Нет доступа к личному кабинету {site}"}
        try:
            rows = self._select(REQUESTS, self.journal, params, site)
        except BadQueryError:
            return 500, SERVER_ERROR
        rows = [self._show(REQUESTS, row, params) for row in rows]
        # Nothing is promised about the order, so there is none; but it is the same every time.
        random.Random(len(rows)).shuffle(rows)
        return self._limited(rows[: self.row_cap])

    def _calls(self, site: str, params: Mapping[str, str], fault: Fault | None) -> tuple[int, Any]:
        if not self._knows(site):
            return 200, HELP_PAGE
        try:
            number, limit = (_positive(params.get(*name)) for name in _PAGING)
            rows = self._newest_calls(site, params)
        except BadQueryError:
            return 500, {"message": SERVER_ERROR["message"]}
        if "page" not in params and params["dateFrom"] != params["dateTo"]:
            message = "Без параметра page период не может быть больше одного дня"
            return 400, {"data": {"apiErrorData": {"errorMessage": message}}}
        if rows and fault and fault.kind in {"arrive", "vanish"}:
            self._drift(fault.kind, rows[0])
            rows = self._newest_calls(site, params)
        size = min(limit, self.page_limit) if "page" in params else len(rows)
        start = (number - 1) * size
        page = [self._show(CALLS, row, params) for row in rows[start : start + size]]
        status, result = self._limited(page)
        if status != 200 or "page" not in params:
            return status, result
        total = -(-len(rows) // size) if rows else self.empty_page_total
        return 200, {
            "page": number,
            **({} if total is None else {"pageTotal": total}),
            "pageSize": size,
            "recordsTotal": len(rows),
            "records": page,
        }

    def _recording(self, site: str, number: str) -> tuple[int, Any]:
        if not self._knows(site):
            return 200, HELP_PAGE
        call = self.call_journal.find(int(site), number)
        if call is None or not self._exists(CALLS, call):
            return 404, {"message": f"Звонок {number} не найден"}
        sound = recordings.recording(call)
        return (404, {"message": "Запись разговора не найдена"}) if sound is None else (200, sound)

    def _newest_calls(self, site: str, params: Mapping[str, str]) -> list[Record]:
        rows = self._select(CALLS, self.call_journal, params, site)
        return sorted(rows, key=self.call_journal.creation, reverse=True)[: self.row_cap]

    def _drift(self, kind: str, newest: Record) -> None:
        """Change the journal between two pages: another call comes first, or the first goes."""
        if kind == "arrive":
            self.call_journal.add({**newest, "callId": next(self._arrivals)})
        else:
            self.call_journal.remove(newest)

    def _select(
        self, contract: Contract, records: Records, params: Mapping[str, str], site: str | None
    ) -> list[Record]:
        """Return the full records that a query finds now."""
        one = None if site is None or self.ignore_site else int(site)
        rows = contract.select(records, params, one, by_date=not self.ignore_dates)
        return [row for row in rows if self._exists(contract, row)]

    def _limited(self, rows: list[Record]) -> tuple[int, Any]:
        if self.row_limit is not None and len(rows) > self.row_limit:
            return 500, SERVER_ERROR
        return 200, rows

    def _knows(self, site: str) -> bool:
        sites = self.journal.sites | self.call_journal.sites
        return self.ignore_site or (site.isdecimal() and (not sites or int(site) in sites))

    def _exists(self, contract: Contract, record: Record) -> bool:
        """Return whether a record has been made by now."""
        now = self._present()
        return now is None or contract.exists(record, now)

    def _present(self) -> datetime | None:
        return self.now() if callable(self.now) else self.now

    def _show(self, contract: Contract, record: Record, params: Mapping[str, str]) -> Record:
        """Return a record as an answer has it now."""
        shown = contract.show(record, params)
        now, instant = self._present(), contract.instant(record)
        if self.ads_come_later and now is not None and instant is not None:
            midnight = now.astimezone(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
            if instant >= midnight.timestamp():
                shown |= dict.fromkeys(_ADS)
        return vary(shown) if self.variants else shown

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
    if isinstance(result, str):
        return Answer(status, result.encode(), {"Content-Type": HTML})
    if isinstance(result, bytes):
        return Answer(status, result, {"Content-Type": AUDIO})
    kind = fault.kind if fault and status == 200 else None
    options = fault.options if fault else {}
    if kind == "change":
        change = options["apply"]
        result = _change_rows(result, change if callable(change) else lambda _: change)
    elif kind == "change_page" and _is_page(result):
        result = options["apply"](result)
    answer = answer_json(status, result)
    answer.rows = _count_rows(result)
    if kind == "raw":
        answer.body = options["apply"](answer.body)
    elif kind == "cut_json":
        answer.body = answer.body[: int(len(answer.body) * options["keep"])]
    return answer


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise BadQueryError(text)
    return int(text)


def _is_page(result: Any) -> bool:
    return isinstance(result, dict) and "records" in result


def _change_rows(result: Any, change: Callable[[Any], Any]) -> Any:
    """Change the rows of an answer that has any."""
    if _is_page(result):
        return {**result, "records": change(result["records"])}
    return change(result) if isinstance(result, list) else result


def _count_rows(result: Any) -> int | None:
    rows = result["records"] if _is_page(result) else result
    return len(rows) if isinstance(rows, list) else None


def answer_elsewhere(path: str) -> Answer | None:
    """Return the answer to a path that the API does not have; None if it has it."""
    for known in (REQUESTS.path, CALLS.path, recordings.PATH):
        if path.startswith(BASE) and known.fullmatch(path.removeprefix(BASE)):
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
