"""The sandbox that tests use: the API behind a real server."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers

from sandbox.app import BASE, Answer, Api, Pace, answer_elsewhere, answer_json
from sandbox.faults import Call, Fault
from sandbox.wire import Exchange, Server

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self
    from werkzeug.wrappers import Request


@dataclass
class Sandbox(Api):
    """A local Calltouch API, on a free port while the `with` block lasts.

    Attributes:
        per_second: How many calls an address may make in a second.
        latency: Seconds before each answer.
        date_header: The header `Date` of answers: a text as it is, an instant, a shift from the
            right time, or None for no such header.
        tls: Makes the server speak HTTPS; its certificate must be for 127.0.0.1.
        calls: Every HTTP request got, of both journals, in order of arrival.
        faults: What goes wrong; the first that applies does.
    """

    per_second: float = 5
    latency: float = 0.0
    date_header: str | datetime | timedelta | None = None
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list, init=False)
    faults: list[Fault] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Prepare the counters."""
        self._pace = Pace(self.per_second)
        self._lock = threading.Lock()
        self._in_progress = 0
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._server = Server(self._respond, self.tls)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.stop()

    @property
    def url(self) -> str:
        """The API's base, to which `/requests` or `/SITE/calls-diary/calls` is added."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._running.port}{BASE}"

    @property
    def rejected(self) -> int:
        """How many calls were more than `per_second`."""
        return self._pace.rejected

    @property
    def _running(self) -> Server:
        if self._server is None:
            message = "the sandbox runs inside its with block only"
            raise RuntimeError(message)
        return self._server

    def _respond(self, request: Request) -> Exchange:
        with self._lock:
            self._in_progress += 1
            call = Call(
                method=request.method,
                path=request.path,
                params=request.args.to_dict(),
                headers=Headers(request.headers.to_wsgi_list()),
                started=time.monotonic(),
                concurrent=self._in_progress,
            )
            self.calls.append(call)
        once = threading.Semaphore(1)

        def done() -> None:
            # Called when all is sent, and again in case it never was.
            if once.acquire(blocking=False):
                with self._lock:
                    self._in_progress -= 1

        answer, fault = self._decide(request, call)
        if (date := self._date()) is not None:
            answer.headers.setdefault("Date", date)
        if fault is None or fault.kind != "reset":
            call.status = answer.status
        return Exchange(answer, fault, done)

    def _date(self) -> str | None:
        at = self.date_header
        if isinstance(at, timedelta):
            at = datetime.now(timezone.utc) + at
        if isinstance(at, datetime):
            return format_datetime(at.astimezone(timezone.utc), usegmt=True)
        return at

    def _decide(self, request: Request, call: Call) -> tuple[Answer, Fault | None]:
        answer = answer_elsewhere(call.path)
        if answer is not None:
            return answer, None
        if request.method != "GET":
            refusal = answer_json(405, {"message": "Метод не поддерживается"})
            refusal.headers["Allow"] = "GET"
            return refusal, None
        if not self._pace.admit(request.remote_addr or "", call.started):
            return answer_json(429, {"message": "Превышено число запросов в секунду"}), None
        self._running.closing.wait(self.latency)
        fault = next((fault for fault in self.faults if fault.claim(call)), None)
        return self.answer(call, fault), fault
