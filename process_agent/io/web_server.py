"""What every web server of the program shares: its socket, and a uvicorn that minds its own business."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from process_agent.errors import RoomError, UsageError
from process_agent.io.tasks import Tasks


def bind(host: str, port: int, fix: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `RoomError` when the port is taken and `UsageError`
    for an address that is not ours, both with `fix`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms a message) off only for sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise RoomError(f"Port {port} on {host} is in use by another program.", fix=fix) from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"It is not possible to listen on {host}, port {port}: {reason}.", fix=fix
        ) from error
    return listener


class HastyHttp(H11Protocol):
    """HTTP/1.1 for callers who have little to say: a request that is not there in time is not waited for, and
    connections that have said nothing yet make way for new ones.

    uvicorn's own limits count such connections, and do not end them.
    """

    request_seconds: float = 10.0
    """How long a request may take, from the connection or the last answer to the end of its body."""
    max_connections: int = 64
    """Open at once. For a further one, that is cut whose request is on its way for the longest time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def unheard(self) -> bool:
        """Whether the request is still on its way."""
        return self._deadline is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """See asyncio."""
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > self.max_connections:
            waiting = [each for each in self.connections if isinstance(each, HastyHttp) and each.unheard]
            min(waiting, key=lambda each: each.due).cut()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        if self.conn.their_state not in _SPEAKING:
            self._heard()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._heard()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self._await_request()
        super().on_response_complete()
        if self.conn.their_state not in _SPEAKING:  # the next request was there already
            self._heard()

    @property
    def due(self) -> float:
        """When a request that is on its way is not waited for any longer, by the clock of the loop."""
        return 0.0 if self._deadline is None else self._deadline.when()

    def cut(self) -> None:
        """End the connection without an answer."""
        self._heard()
        self.transport.abort()

    def _await_request(self) -> None:
        self._heard()
        self._deadline = self.loop.call_later(self.request_seconds, self.cut)

    def _heard(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


_SPEAKING: Final = (h11.IDLE, h11.SEND_BODY)
"""What a caller is doing whose request is not whole."""


class QuietServer(uvicorn.Server):
    """A server that says when it is ready, sleeps until it stops, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Begin to shut down."""
        self.should_exit = True
        self._leaving.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait for `leave`; uvicorn's own wakes ten times a second."""
        await self.on_tick(0)
        await self._leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def quiet_config(app: Any, **more: Any) -> uvicorn.Config:
    """What every server here has: no log of requests (it prints query strings, which carry tokens), nothing
    in answers about itself, no trust in what proxies say. `more` are settings of uvicorn.
    """
    common: dict[str, Any] = {
        "http": "h11",
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "log_level": logging.WARNING,
        "proxy_headers": False,
        "server_header": False,
        "date_header": False,
    }
    return uvicorn.Config(app, **(common | more))


class BackgroundServer:
    """A server beside other work. Its port is taken when it is made; `stop` releases it."""

    def __init__(self, name: str, place: tuple[str, int], fix: str, config: uvicorn.Config) -> None:
        """Raises what `bind` raises, with `fix`."""
        self._socket = bind(*place, fix)
        self.port: int = self._socket.getsockname()[1]
        self._server = QuietServer(config)
        self._tasks = Tasks(name)

    async def start(self) -> None:
        """Serve in the background; returns when the server answers."""
        self._tasks.start(self._server.serve(sockets=[self._socket]), "serve")
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Stop listening and end the connections. Idempotent."""
        self._server.leave()
        await self._tasks.wait()
        self._socket.close()
