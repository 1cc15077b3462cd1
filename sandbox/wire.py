"""The sockets: keep-alive, and answers that break off, drip or never come."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.exceptions import NotFound
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sandbox.app import Answer
    from sandbox.faults import Fault

_PIECE = 64 * 1024


class Exchange(NamedTuple):
    """A call's answer, the fault on its way, and what to call when it has been sent."""

    answer: Answer
    fault: Fault | None
    done: Callable[[], None]


class Server(ThreadedWSGIServer):
    """A threaded server that can be closed at any time and leaves nothing behind."""

    # Threads that are waited for, where daemons would be left to themselves.
    daemon_threads = False

    def __init__(
        self, respond: Callable[[Request], Exchange], tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen on a free port of the loopback interface.

        Args:
            respond: Answers a request.
            tls: Makes the server speak TLS.
        """
        self.respond = respond
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__("127.0.0.1", 0, NotFound(), _Handler)
        # Not handed to werkzeug, which would wait for each handshake before the next connection.
        self.ssl_context = tls
        # A short poll, since closing waits for the next one.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.005,))
        self._thread.start()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; its handshake takes place when its own thread reads from it."""
        connection, address = super().get_request()
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().close_request(request)

    def stop(self) -> None:
        """Stop listening, wake whoever sleeps, hang up on everyone and wait for the threads."""
        self.closing.set()
        self.shutdown()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()


class _Handler(WSGIRequestHandler):
    """Werkzeug's handler, with an answer written by hand: it closes each connection, we do not."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request."""
        request = Request(self.make_environ())
        # What is not read would be taken for the next request.
        request.get_data()
        answer, fault, done = self.server.respond(request)
        try:
            self._send(answer, fault, done)
        finally:
            done()

    def _send(self, answer: Answer, fault: Fault | None, done: Callable[[], None]) -> None:
        kind = fault.kind if fault else None
        options = fault.options if fault else {}
        if kind == "reset":
            done()
            self._reset()
            return
        if kind == "stall":
            self.server.closing.wait(options["seconds"])
        framing = options.get("framing", "length")
        if framing == "close":
            self.close_connection = True
        head = self._head(answer, framing)
        body = b"" if self.command == "HEAD" else answer.body
        if kind == "slow":
            self.wfile.write(head)
            self._drip(body, options["seconds"], done)
        elif kind in {"truncate", "reset_body", "stall_body"}:
            kept = int(len(body) * options["keep"])
            size = b"%x\r\n" % len(body) if framing == "chunked" else b""
            self.wfile.write(head + size + body[:kept])
            if kind == "stall_body":
                self.server.closing.wait(options["seconds"])
                self._write(body[kept:], done)
            elif kind == "reset_body":
                done()
                self._reset()
            self.close_connection |= kind == "truncate"
        else:
            self._write(head + body, done)

    def _head(self, answer: Answer, framing: str) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        headers = dict(answer.headers)
        if framing == "length":
            headers["Content-Length"] = str(len(answer.body))
        elif framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if self.close_connection:
            headers["Connection"] = "close"
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, data: bytes, done: Callable[[], None]) -> None:
        """Write an answer's end; the call is over before its last piece, for clients are quick."""
        last = max(0, len(data) - _PIECE)
        self.wfile.write(data[:last])
        done()
        self.wfile.write(data[last:])

    def _drip(self, body: bytes, seconds: float, done: Callable[[], None]) -> None:
        pieces = 20
        size = len(body) // pieces
        for _ in range(pieces - 1):
            self.server.closing.wait(seconds / pieces)
            self.wfile.write(body[:size])
            body = body[size:]
        self.server.closing.wait(seconds / pieces)
        self._write(body, done)

    def _reset(self) -> None:
        """Close with RST: at once and without a farewell."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The socket really closes when the file on it has.
        self.rfile.close()
        self.connection.close()

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  (werkzeug's name)
        """Keep quiet: the calls are in `Sandbox.calls`."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
