"""A listener for short questions over HTTP: a login's way back, a container's health. Every answer is a line
of text, and ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import h11

from process_agent.errors import UsageError

REQUEST_SECONDS: Final = 5.0
"""How long a connection has to ask."""
MAX_CONNECTIONS: Final = 32
"""Open at once; further ones are closed without an answer."""
MAX_HEAD: Final = 16 * 1024
"""Bytes of a request before its body, which is never read."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One request: method, target with its query, and the `Host` it was sent to."""

    method: str
    target: str
    host: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The status of an answer, and its text."""

    status: int
    text: str


class SmallServer:
    """Listens from `start` to `close`. `answer` is called for every request and does not wait."""

    def __init__(self, hosts: Sequence[str], port: int, answer: Callable[[Asking], Reply]) -> None:
        self._hosts = hosts
        self._port = port
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open = 0

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        if self._server is None:
            raise RuntimeError("it does not listen")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen. Raises `UsageError` for an address that cannot be listened on."""
        try:
            self._server = await asyncio.start_server(self._connected, list(self._hosts), self._port)
        except OSError as error:
            place = f"{self._hosts[0]}:{self._port}"
            raise UsageError(f"{place} cannot be listened on: {error.strerror or error}.") from error

    async def close(self) -> None:
        """Stop listening; answers under way are cut. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            server.close_clients()
            await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._serve(reader, writer)
        except (TimeoutError, OSError, h11.RemoteProtocolError):
            writer.transport.abort()  # nobody there, or nobody who speaks HTTP
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        event = http.next_event()
        while event is h11.NEED_DATA:
            http.receive_data(await reader.read(MAX_HEAD))
            event = http.next_event()
        if not isinstance(event, h11.Request):
            return
        host = dict(event.headers).get(b"host", b"").decode("latin-1")
        asking = Asking(event.method.decode("latin-1"), event.target.decode("latin-1"), host)
        reply = self._answer(asking) if asking.method in ("GET", "HEAD") else Reply(405, "GET only")
        body = f"{reply.text}\n".encode()
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("connection", "close"),
        ]
        head = http.send(h11.Response(status_code=reply.status, headers=headers))
        said = b"" if asking.method == "HEAD" else body
        writer.write((head or b"") + said)
        await writer.drain()
