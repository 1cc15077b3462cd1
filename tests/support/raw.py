"""A server that answers each call with the same bytes, whatever they are."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class RawServer:
    """A server on loopback.

    Attributes:
        address: Its host and port.
        calls: The first line of each call.
    """

    address: str
    calls: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://{self.address}"


@contextmanager
def serve(answer: bytes) -> Iterator[RawServer]:
    """Answer each call with some bytes, and close the connection."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().strip()
            while self.rfile.readline().strip():
                pass
            if line:
                raw.calls.append(line)
                self.wfile.write(answer)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        raw = RawServer(f"127.0.0.1:{server.server_address[1]}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield raw
        server.shutdown()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return the bytes of an answer over HTTP."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body
