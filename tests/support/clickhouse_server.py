"""ClickHouse's HTTP interface over chDB, which is ClickHouse's engine as a library.

Run as `python clickhouse_server.py FOLDER` with an interpreter that has chDB; nothing else is
needed. It prints its port and serves, one query at a time, until it is terminated. It knows no
sessions, no compression and no users.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session

# An insert names the format of the data that follow it; VALUES are a part of the query's text.
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s.*?)\sFORMAT\s+(\w+)\s", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"Code: (\d+)")
# Options of the interface; all others are settings of the query.
_NO_SETTINGS = {
    "client_protocol_version",
    "database",
    "query_id",
    "session_id",
    "wait_end_of_query",
}


class Engine:
    """The engine, which answers one query at a time."""

    def __init__(self, folder: str) -> None:
        """Open the databases in a folder."""
        self._session = Session(folder)
        self._lock = threading.Lock()

    def answer(self, query: bytes, options: dict[str, str], default_format: str) -> bytes:
        """Run a query.

        Args:
            query: Its text, with the data of an insert behind it.
            options: `database`, settings, and `param_NAME` for each parameter.
            default_format: The format of the answer, unless the query names one.

        Raises:
            RuntimeError: The engine refused it.
            ValueError: It is no text.
        """
        settings = {name: options[name] for name in options.keys() - _NO_SETTINGS}
        parameters = {
            name.removeprefix("param_"): settings.pop(name)
            for name in list(settings)
            if name.startswith("param_")
        }
        with self._lock, tempfile.NamedTemporaryFile() as data:
            if insert := _INSERT.match(query):
                # The library takes queries as text only, and data may be binary.
                data.write(query[insert.end() :])
                data.flush()
                into, data_format = (part.decode() for part in insert.groups())
                query = f"{into} SELECT * FROM file('{data.name}', '{data_format}')".encode()
            self._session.query(f"USE `{options.get('database') or 'default'}`")
            self._set({name: f"'{value}'" for name, value in settings.items()})
            try:
                result = self._session.query(query.decode(), default_format, params=parameters)
            finally:
                self._set(dict.fromkeys(settings, "DEFAULT"))
            return bytes(result.bytes())

    def _set(self, settings: dict[str, str]) -> None:
        if settings:
            pairs = ", ".join(f"{name} = {value}" for name, value in settings.items())
            self._session.query(f"SET {pairs}")


class Handler(BaseHTTPRequestHandler):
    """A connection of a client."""

    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        """Answer `/ping`, or a query in the address."""
        if self.path == "/ping":
            self._send(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        """Run a query that is the body, or stands in the address with its data in the body."""
        options = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        parts = (options.pop("query", "").encode(), self._body())
        query = b"\n".join(part for part in parts if part)
        default_format = options.pop("default_format", "") or self.headers.get(
            "X-ClickHouse-Format", "TabSeparated"
        )
        try:
            answer = self.engine.answer(query, options, default_format)
        except (RuntimeError, ValueError) as error:
            code = _CODE.search(str(error))
            headers = {"X-ClickHouse-Exception-Code": code[1] if code else "0"}
            self._send(500, f"{error}\n".encode(), headers)
        else:
            self._send(200, answer, {"X-ClickHouse-Format": default_format})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if "Transfer-Encoding" not in self.headers:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until terminated."""
    Handler.engine = Engine(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
