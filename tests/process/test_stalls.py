"""What keeps the socket busy without getting anywhere is given up in time."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import requests

from tap_calltouch.api.client import Client
from tap_calltouch.api.connections import receiving_error, sending_error
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
        client_of(url).get("/requests", {}, "Site", heavy_tries=1)


def test_body_that_is_slow_all_the_time_that_it_has_is_heavy() -> None:
    """At 700 bytes a second for two seconds."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with trickle(start, b" " * 35) as url, pytest.raises(HeavyAnswerError, match="for 2 s"):
        client_of(url, timeout=2).get("/requests", {}, "Site", heavy_tries=1)


def test_failure_without_words_has_the_name_of_its_kind() -> None:
    settings = client_of("http://localhost").settings
    error = requests.ConnectionError()
    said = [str(f(error, settings)) for f in (sending_error, receiving_error)]
    assert said == ["the connection failed (ConnectionError)."] * 2


def test_answer_that_is_slow_but_comes_is_waited_for() -> None:
    """Two seconds, twice the time-out, at 20 KB a second."""
    drop = b"400\r\n" + b" " * 1024 + b"\r\n"
    with trickle(CHUNKED + b"1\r\n[\r\n", drop, end=b"1\r\n]\r\n0\r\n\r\n") as url:
        answer = client_of(url).get("/requests", {}, "Site", heavy_tries=1)
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
        client_of(url).get("/any", {}, "Any")


def test_answers_can_be_debugged_as_those_of_http_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(HTTPConnection, "debuglevel", 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with trickle(head, b"", pause=0, end=b"[]") as url:
        client_of(url).get("/any", {}, "Any").close()
    assert "reply: 'HTTP/1.1 200 OK" in capsys.readouterr().out
