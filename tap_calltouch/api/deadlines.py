"""Ends API calls that keep the socket busy without getting anywhere.

A time-out of a socket begins anew with each byte that arrives. Here the headers as a whole must
arrive within it, and the body must not be slower than a kilobyte a second.
"""

from __future__ import annotations

import io
from http.client import HTTPResponse
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from typing_extensions import override

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

SLOWEST = 1024  # bytes a second


class _Limited(io.RawIOBase):
    """What arrives at a socket, until that takes too long."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._timeout = sock.gettimeout() or inf
        self._began = monotonic()
        self._is_body = False
        self._size = 0

    def begin_body(self) -> None:
        """Let the low speed limit count from now on."""
        self._sock.settimeout(self._timeout)
        self._is_body, self._began, self._size = True, monotonic(), 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int | None:
        left = self._began + self._timeout - monotonic()
        if left <= 0:
            if not self._is_body or self._size < SLOWEST * self._timeout:
                raise TimeoutError
            self._began, self._size = monotonic(), 0
        elif not self._is_body:
            self._sock.settimeout(left)
        number: int | None = self._raw.readinto(buffer)
        self._size += number or 0
        return number

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(HTTPResponse):
    """A response whose headers and body must not take too long."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._limited = _Limited(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._limited)

    @override
    def begin(self) -> None:
        super().begin()
        self._limited.begin_body()


class LimitedAdapter(HTTPAdapter):
    """Sends requests over connections with such responses, through proxies too."""

    @override
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = pool.ConnectionCls
        if kind.response_class is not _LimitedResponse:
            attributes = {"response_class": _LimitedResponse}
            pool.ConnectionCls = type(kind.__name__, (kind,), attributes)
        return pool
