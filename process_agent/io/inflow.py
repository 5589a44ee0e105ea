"""What a child says: handed over as it comes, or kept until somebody reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HIGH_WATER: Final = 512 * 1024
"""Bytes that wait to be read above which nothing more is taken from the pipe."""

PIECE: Final = 16 * 1024
"""Bytes taken from the pipe in one turn of the event loop: what is made of them takes a hundred times as long
as reading them, and others wait for their turn meanwhile.
"""

LARGEST_PIECE: Final = 1024 * 1024
"""The same while much waits: turns of a busy event loop are long and few, and whoever takes little in each
falls behind without end. Words that come together cost less than apart, too.
"""

GROWTH: Final = 4
"""How many times as much as a piece had the next one may have."""

type Take = Callable[[bytes], None]


class Inflow(asyncio.Protocol):
    """The reading end of one pipe. One task reads at a time, by `read` or by `read_all`.

    A stream reader wakes its task for every piece, which costs two more turns of the event loop than handing
    the piece over; for a child that says much in small pieces that is most of the reading.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._take: Take | None = None
        self._over: asyncio.Future[None] | None = None
        self._more = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._most = 0

    async def read(self) -> bytes:
        """The next bytes; empty at the end. Raises `OSError` when the pipe broke."""
        while not self._kept and not self._ended:
            self._more.clear()
            await self._more.wait()
        if not self._kept and self._error is not None:
            raise self._error
        return self._taken()

    async def read_all(self, take: Take) -> None:
        """Hand every piece to `take` until the end. Raises what `take` raises, and hands over nothing more,
        and `OSError` when the pipe broke.
        """
        if kept := self._taken():
            take(kept)
        if self._error is not None:
            raise self._error
        if self._ended:
            return
        over = self._over = asyncio.get_running_loop().create_future()
        self._take = take
        try:
            await over
        finally:
            self._take = self._over = None

    def rest(self, seconds: float) -> None:
        """Leave in the pipe what comes within so many seconds, or until `go_on`."""
        if self._rest is None and self._transport is not None and not self._ended:
            self._transport.pause_reading()
            self._rest = asyncio.get_running_loop().call_later(seconds, self.go_on)

    def go_on(self) -> None:
        """Rest no longer. Idempotent."""
        if self._rest is None:
            return
        self._rest.cancel()
        self._rest = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Nothing more is read from the pipe. Idempotent."""
        self.go_on()
        if self._transport is not None:
            self._transport.close()

    # --- From the transport ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        if not isinstance(transport, asyncio.ReadTransport):
            raise TypeError("a pipe that can be read is needed")
        self._transport = transport
        self._limit_to(PIECE)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._limit_to(min(max(PIECE, GROWTH * len(data)), LARGEST_PIECE))
        if self._take is None:
            self._keep(data)
            return
        try:
            self._take(data)
        except Exception as error:  # noqa: BLE001 -- it is raised where `read_all` is awaited
            self._take = None
            if self._over is not None and not self._over.done():
                self._over.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._ended, self._error = True, exc
        self._more.set()
        if self._over is None or self._over.done():
            return
        if exc is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(exc)

    def _limit_to(self, most: int) -> None:
        """Take so many bytes from the pipe at once."""
        if most != self._most:
            self._most = most
            setattr(self._transport, "max_size", most)  # noqa: B010 -- asyncio's own, which no stub names

    def _keep(self, data: bytes) -> None:
        self._kept += data
        self._more.set()
        if len(self._kept) > HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()

    def _taken(self) -> bytes:
        taken = bytes(self._kept)
        self._kept.clear()
        if self._transport is not None and not self._ended:
            self._transport.resume_reading()
        return taken
