"""What every web server of the program shares: its socket, and a uvicorn that minds its own business."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn

from process_agent.errors import RoomError, UsageError


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
