"""The wire: how a server is reached, and how much of what it sends is ever held. Between the `openai` client and the sockets.

Every connection goes to an address that was looked up and checked once in this process; every read counts against the bytes and the time of the one
call that it belongs to, down to the headers, so that neither ten megabytes nor an endless drip keeps a run. What is packed is not unpacked, no redirect
is followed, no proxy of the environment asked.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from agents.asking.origins import Address, Origin, leads_astray, literal

MOST_BYTES = 2**20  # of one answer, headers included
SLICE = 0.5  # seconds: how soon a wait notices that the run is to end


class Exceeded(Exception):
    """An answer is longer, or takes longer, than it may, or the run ends: what, in words."""


class Astray(Exception):
    """A name leads where it may not."""


class Wire(httpcore2.NetworkBackend):
    """Connections to one origin. `call` bounds what happens in it, thread by thread; `close` ends all waits."""

    def __init__(self, origin: Origin, allowed: str | None = None):
        self.origin, self._allowed, self._plain = origin, allowed, httpcore2.SyncBackend()
        self._address: Address | None = literal(origin.host)
        self._lock, self._own, self._ended = threading.Lock(), threading.local(), threading.Event()

    @contextmanager
    def call(self, seconds: float) -> Iterator[None]:
        """One call of this thread's: so long, and `MOST_BYTES`."""
        self._own.until, self._own.left = time.monotonic() + seconds, MOST_BYTES
        try:
            yield
        finally:
            self._own.until = None

    def close(self) -> None:
        """End all waits, in whatever thread."""
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Wait, unless the run is to end. Raises `Exceeded` if it is."""
        if self._ended.wait(seconds):
            raise Exceeded("the run ends")

    def left(self) -> float:
        """Seconds that the call of this thread still has. Raises `Exceeded`."""
        until = getattr(self._own, "until", None)
        if self._ended.is_set() or until is None:
            raise Exceeded("the run ends")
        if (left := until - time.monotonic()) <= 0:
            raise Exceeded("no whole answer in time")
        return float(left)

    def took(self, count: int) -> None:
        """Count bytes. Raises `Exceeded`."""
        self._own.left -= count
        if self._own.left < 0:
            raise Exceeded(f"an answer of more than {MOST_BYTES} bytes")

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:  # fmt: skip
        """A connection to the origin, wherever the request says it goes."""
        if (host.strip("[]"), port) != (self.origin.host, self.origin.port):
            raise Astray("a request to another host than the one that was allowed")
        return Counted(self._plain.connect_tcp(str(self._resolved()), port, self.left(), socket_options=socket_options), self)

    def _resolved(self) -> Address:
        """The address, looked up once. Raises `Astray`, OSError."""
        with self._lock:
            if self._address is None:
                try:
                    found = socket.getaddrinfo(self.origin.host, self.origin.port, type=socket.SOCK_STREAM)
                except (OSError, UnicodeError):
                    raise Astray(f"the name {self.origin.host} cannot be looked up") from None
                addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
                for address in addresses:  # a name with one address inside the network is not followed to its others either
                    if why := leads_astray(self.origin, address, self._allowed):
                        raise Astray(why)
                self._address = sorted(addresses, key=lambda a: a.version)[0]
            return self._address


class Counted(httpcore2.NetworkStream):
    """A connection of which every read counts."""

    def __init__(self, inner: httpcore2.NetworkStream, wire: Wire):
        self._inner, self._wire = inner, wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            try:
                found = self._inner.read(max_bytes, min(SLICE, self._wire.left()))
            except httpcore2.ReadTimeout:
                continue
            self._wire.took(len(found))
            return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._wire.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> httpcore2.NetworkStream:
        return Counted(self._inner.start_tls(ssl_context, server_hostname, self._wire.left()), self._wire)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Transport(httpx2.BaseTransport):
    """What the client sends through."""

    def __init__(self, wire: Wire, most: int):
        context = httpx2.create_ssl_context(trust_env=False) if wire.origin.scheme == "https" else None
        self._pool = httpcore2.ConnectionPool(ssl_context=context, max_connections=most, keepalive_expiry=30.0, network_backend=wire)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request. Raises what the wire raises, and httpcore's errors."""
        url = httpcore2.URL(scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path)
        sent = httpcore2.Request(method=request.method, url=url, headers=request.headers.raw, content=request.stream, extensions=request.extensions)
        answer = self._pool.handle_request(sent)
        packed = next((value for name, value in answer.headers if name.lower() == b"content-encoding" and value.lower() != b"identity"), None)
        if packed is not None:
            answer.close()
            raise Exceeded("an answer that is packed, which was not asked for")
        return httpx2.Response(status_code=answer.status, headers=answer.headers, stream=Body(answer))

    def close(self) -> None:
        self._pool.close()


class Body(httpx2.SyncByteStream):
    """The body of an answer."""

    def __init__(self, answer: httpcore2.Response):
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
