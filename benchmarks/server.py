"""Serves bodies made beforehand, in a process of its own: `python -m benchmarks.server`.

It prints its port. The path says what to serve: `/KIND/RECORDS/LATENCY/ENCODING/requests`, whatever
the query: so many records, after so many seconds, `plain` or `gzip`. Records repeat after 2,000,
unless the kind is `distinct`.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from datetime import date
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from sandbox import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE = 101
DAY = date(2024, 1, 1)
DISTINCT = 2000
"""Records that differ; a larger body repeats them, so that it need not be held in memory."""


def main() -> None:
    """Serve until a signal ends the process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send a body."""
        _, kind, records, latency, encoding, *_ = self.path.split("/")
        size, parts = _body(kind, int(records), encoding)
        time.sleep(float(latency))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(size))
        if encoding == "gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for part in parts:
            self.wfile.write(part)

    def log_message(self, *_args: Any) -> None:
        """Say nothing: what is measured says it."""


@cache
def _body(kind: str, records: int, encoding: str) -> tuple[int, tuple[bytes, ...]]:
    parts = tuple(_parts(kind, records))
    if encoding == "gzip":
        packer = zlib.compressobj(wbits=31)
        parts = (*(packer.compress(part) for part in parts), packer.flush())
    return sum(map(len, parts)), parts


def _parts(kind: str, records: int) -> Iterator[bytes]:
    count = records if kind == "distinct" else DISTINCT
    whole, rest = divmod(records, count) if records else (0, 0)
    texts = _texts(kind, count) if records else ()
    block = b",".join(texts)
    yield b"["
    for number in range(whole):
        if number:
            yield b","
        yield block
    if rest:
        yield b"," * bool(whole) + b",".join(texts[:rest])
    yield b"]"


@cache
def _texts(kind: str, count: int) -> tuple[bytes, ...]:
    journal = Journal((SITE,), DAY, DAY, 2 * count, sample=False).records()[:count]
    assert len(journal) == count
    if kind == "drifted":
        journal = [_drifted(record) for record in journal]
    return tuple(
        json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() for record in journal
    )


def _drifted(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with a number as a string and a string as a number."""
    client = record["client"] | {"clientId": str(record["client"]["clientId"])}
    return record | {"client": client, "requestNumber": record["requestId"]}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
