"""What keeps the socket busy without getting anywhere is given up in time."""

from __future__ import annotations

import io
import logging
import signal
import time
from contextlib import contextmanager, nullcontext, suppress
from http.client import HTTPConnection, HTTPResponse
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.exceptions import ProtocolError

from tap_calltouch.api import deadlines
from tap_calltouch.api.client import Client
from tap_calltouch.api.connections import receiving_error, sending_error
from tap_calltouch.api.deadlines import LimitedAdapter
from tap_calltouch.api.errors import HeavyAnswerError, SiteError
from tap_calltouch.config.checks import fill_defaults
from tap_calltouch.config.settings import SETTINGS
from tap_calltouch.config.typed import Settings
from tests.support.tap import start_tap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def trickle(start: bytes, drop: bytes, pause: float = 0.05, end: bytes = b"") -> Iterator[str]:
    """Serve an answer of which a little comes now and then, for ever if it has no end.

    Yields:
        The URL.
    """

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            with suppress(OSError):
                self.wfile.write(start)
                for _ in range(40 if end else 100_000):
                    self.wfile.write(drop)
                    time.sleep(pause)
                self.wfile.write(end)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def client_of(url: str, timeout: int = 1) -> Client:
    config = {
        "api_url": url,
        "api_token": "s3cret",
        "start_date": "2024-01-01",
        "request_timeout": timeout,
    }
    return Client(Settings.of(fill_defaults(config, SETTINGS)), logging.getLogger(__name__))


@pytest.mark.parametrize(
    ("start", "drop", "said"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X", "did not answer within 1 s", id="header"),
        pytest.param(
            b"", b"HTTP/1.1 100 Continue\r\n\r\n", "did not answer within 1 s", id="continue"
        ),
        pytest.param(CHUNKED, b"1\r\n \r\n", "less than 1 KB a second", id="body"),
        pytest.param(CHUNKED, b"0", "less than 1 KB a second", id="size of a chunk"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
            b" ",
            "less than 1 KB a second",
            id="body of known length",
        ),
    ],
)
def test_answer_that_trickles_is_heavy(start: bytes, drop: bytes, said: str) -> None:
    with trickle(start, drop) as url, pytest.raises(HeavyAnswerError, match=said):
        client_of(url).get("/requests", {}, "Site", expected="array", heavy_tries=1)


def test_body_that_is_slow_all_the_time_that_it_has_is_heavy() -> None:
    """At 700 bytes a second for two seconds."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with trickle(start, b" " * 35) as url, pytest.raises(HeavyAnswerError, match="for 2 s"):
        client_of(url, timeout=2).get("/requests", {}, "Site", expected="array", heavy_tries=1)


@pytest.mark.parametrize(
    ("causes", "reason"),
    [
        pytest.param([], "ConnectionError", id="no words: the name of its kind"),
        pytest.param(["no route"], "no route", id="a text"),
        pytest.param(["/?clientApiId=s3cret"], "/?clientApiId=***", id="the token"),
        pytest.param(
            [ProtocolError("Connection aborted.", OSError(104, "Connection reset by peer"))],
            "Connection aborted.: [Errno 104] Connection reset by peer",
            id="a text and an error",
        ),
    ],
)
def test_reason_of_a_failure_is_said_in_words(causes: list[Any], reason: str) -> None:
    settings = client_of("http://localhost").settings
    error = requests.ConnectionError(*causes)
    said = [str(f(error, settings)) for f in (sending_error, receiving_error)]
    assert said == [f"the connection failed ({reason})."] * 2


def test_answer_that_is_slow_but_comes_is_waited_for() -> None:
    """Two seconds, twice the time-out, at 20 KB a second."""
    drop = b"400\r\n" + b" " * 1024 + b"\r\n"
    with trickle(CHUNKED + b"1\r\n[\r\n", drop, end=b"1\r\n]\r\n0\r\n\r\n") as url:
        answer = client_of(url).get("/requests", {}, "Site", expected="array", heavy_tries=1)
        answer.close()
    assert answer.count == 0


def test_sigterm_ends_a_tap_that_waits_for_a_trickle(tmp_path: Path) -> None:
    with trickle(CHUNKED, b"1\r\n \r\n") as url:
        config = {"api_token": "a-token", "api_url": url, "start_date": "2024-01-01"}
        process = start_tap(config, tmp_path)
        assert process.stderr
        assert any(b"windows of up to" in line for line in process.stderr)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
        process.stderr.close()
        assert process.stdout
        process.stdout.close()


def test_an_error_does_not_repeat_the_token() -> None:
    body = b'{"message": "no project for s3cret"}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        trickle(head, b"", pause=0, end=body) as url,
        pytest.raises(SiteError, match=r"no project for \*\*\*"),
    ):
        client_of(url).get("/any", {}, "Any", expected="array")


def test_answers_can_be_debugged_as_those_of_http_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(HTTPConnection, "debuglevel", 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with trickle(head, b"", pause=0, end=b"[]") as url:
        client_of(url).get("/any", {}, "Any", expected="array").close()
    assert "reply: 'HTTP/1.1 200 OK" in capsys.readouterr().out


class Wire(io.RawIOBase):
    """A connection with a time-out of ten seconds, whose chunks take some seconds of its own clock.

    Attributes:
        timeouts: What the time-out was set to.
    """

    def __init__(self, *chunks: tuple[float, bytes]) -> None:
        self.timeouts: list[float] = []
        self._now = 1000.0
        self._chunks = iter(chunks)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        seconds, chunk = next(self._chunks)
        self._now += seconds
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def makefile(self, _: str) -> io.BufferedReader:
        """Stand for that of a socket."""
        return io.BufferedReader(self)

    def gettimeout(self) -> float:
        """Stand for that of a socket."""
        return 10.0

    def settimeout(self, seconds: float) -> None:
        """Stand for that of a socket."""
        self.timeouts.append(seconds)

    def monotonic(self) -> float:
        """Stand for that of `time`."""
        return self._now


def response_of(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> HTTPResponse:
    """Return the response that the tap reads from a connection; its headers are read."""
    monkeypatch.setattr(deadlines, "monotonic", wire.monotonic)
    request = requests.Request("GET", "http://localhost").prepare()
    pool = LimitedAdapter().get_connection_with_tls_context(request, verify=True)
    response: HTTPResponse = pool.ConnectionCls.response_class(wire)
    response.begin()
    return response


def test_headers_have_one_time_out_together_and_the_body_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = Wire((3, b"HTTP/1.1 200 OK\r\n"), (3, b"Content-Length: 0\r\n"), (3, b"\r\n"))
    response = response_of(wire, monkeypatch)
    assert wire.timeouts == [10, 7, 4, 10]
    assert response.read() == b""


@pytest.mark.parametrize(
    ("sizes", "is_too_slow"),
    [
        pytest.param([1024] * 21, False, id="a kilobyte a second"),
        pytest.param([*[1024] * 9, 1023, 1], True, id="a byte less"),
        pytest.param([*[1024] * 19, 1023, 1], True, id="a byte less in the next ten seconds"),
    ],
)
def test_body_may_be_as_slow_as_a_kilobyte_a_second(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], *, is_too_slow: bool
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {sum(sizes)}\r\n\r\n".encode()
    response = response_of(Wire((0, head), *((1, b"x" * size) for size in sizes)), monkeypatch)
    with pytest.raises(TimeoutError) if is_too_slow else nullcontext():
        assert response.read() == b"x" * sum(sizes)


def test_connection_is_given_back_with_its_response(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire((0, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"))
    response = response_of(wire, monkeypatch)
    file = response.fp
    response.close()
    assert (wire.closed, file.closed) == (True, True)
