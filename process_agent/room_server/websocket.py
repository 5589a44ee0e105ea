"""The websocket of one client: uvicorn's sans-IO protocol, with four differences.

- Data goes past ASGI: packets are handed to the room as they arrive, and whole messages are written in one
  go, which costs a fraction of a task switch and a system call per packet.
- What waits for a slow client is bounded; above the bound its connection is dropped.
- A shutdown and an unanswered ping drop the TCP connection without a close frame, because published
  clients take every close frame as final and come back after anything else.
- Text frames end the connection with 1003: no client of the protocol sends them.

uvicorn's class is internal to it; the attributes used here are pinned by the contract tests.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "process.room"
"""Key of the ASGI extension that holds the `RoomLink` of a websocket."""

MAX_BACKLOG_BYTES = 32 * 1024 * 1024
"""What may wait for one client; a message that finds more than this waiting costs it its connection."""

DRAINED_BYTES = 1024 * 1024
"""Streams of built-in toolkits wait until no more than this is queued for their reader."""

_WRITE_BYTES = 256 * 1024
"""Most bytes given to the transport at once, so that pings do not wait behind the whole backlog."""

_CLOSE_SECONDS = 5.0
"""How long a client has to answer a close frame."""


class Outbox:
    """The frames that wait for one client. Not thread-safe."""

    def __init__(self, link: RoomLink) -> None:
        self._link = link
        self._loop = link.loop
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._scheduled = False
        self._paused = False
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def backlog(self) -> int:
        """Bytes that have not reached the operating system."""
        return self._waiting_bytes + self._link.transport.get_write_buffer_size()

    def send(self, packets: list[bytes]) -> None:
        """Queue packets; all that one turn of the event loop brings leaves in one write."""
        if self._link.over:
            return
        if self.backlog > MAX_BACKLOG_BYTES:
            self._link.logger.warning("dropped a client that does not read: %d bytes wait", self.backlog)
            self.abort()
            return
        for packet in packets:
            head = _frame_head(len(packet))
            self._waiting += (head, packet)
            self._waiting_bytes += len(head) + len(packet)
        if self._waiting_bytes > DRAINED_BYTES:
            self._drained.clear()
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    async def drained(self) -> None:
        """Wait until at most `DRAINED_BYTES` are queued, or the connection is gone."""
        await self._drained.wait()

    def close(self, code: int, reason: str) -> None:
        """Send what waits and a close frame."""
        if self._link.over:
            return
        self.write(everything=True)
        self._link.end(code, reason)
        self.gone()

    def abort(self) -> None:
        """Drop the connection."""
        self._link.transport.abort()
        self.gone()

    def pause(self) -> None:
        """The transport has enough."""
        self._paused = True

    def resume(self) -> None:
        """The transport takes more."""
        self._paused = False
        self.write()

    def gone(self) -> None:
        """Nothing more will be sent."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._drained.set()

    def write(self, *, everything: bool = False) -> None:
        """Give the transport what it takes."""
        while self._waiting and (everything or not self._paused) and not self._link.over:
            batch: list[bytes] = []
            size = 0
            while self._waiting and size < _WRITE_BYTES:
                piece = self._waiting.popleft()
                batch.append(piece)
                size += len(piece)
            self._waiting_bytes -= size
            self._link.transport.write(b"".join(batch))
        if self._waiting_bytes <= DRAINED_BYTES:
            self._drained.set()

    def _flush(self) -> None:
        self._scheduled = False
        self.write()


class RoomLink(WebSocketsSansIOProtocol):
    """One client's websocket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outbox = Outbox(self)
        self._receive: Callable[[bytes], None] | None = None

    @property
    def over(self) -> bool:
        """Whether the end of the connection has begun."""
        return bool(self.close_sent or self.disconnected or self.transport.is_closing())

    def attach(self, receive: Callable[[bytes], None]) -> None:
        """From now on hand each binary message to `receive`, at once."""
        self._receive = receive

    def end(self, code: int, reason: str) -> None:
        """Send a close frame; the connection ends with the client's answer, or soon without it."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)

    def handle_connect(self, event: Any) -> None:
        """Make the link known to the application."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][EXTENSION] = {"link": self}

    def send_receive_event_to_app(self) -> None:
        """Hand a complete websocket message to the room."""
        if self._receive is None:
            super().send_receive_event_to_app()
            return
        frames, self.frames = self.frames, []
        if self.over:
            return
        if self.curr_msg_data_type == "text":
            self.outbox.close(1003, "the room protocol has binary frames only")
            return
        self._receive(frames[0] if len(frames) == 1 else b"".join(frames))

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        super().pause_writing()
        self.outbox.pause()

    def resume_writing(self) -> None:
        """The transport's buffer has room."""
        super().resume_writing()
        self.outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        self.outbox.gone()

    def shutdown(self) -> None:
        """The server stops: drop the connection so that the client comes back."""
        self.stop_keepalive()
        self.transport.abort()

    def keepalive_timeout(self) -> None:
        """A ping stayed unanswered: drop the connection so that a client that only slept comes back."""
        self.pong_timer = None
        self.transport.abort()


def _frame_head(length: int) -> bytes:
    """The header of an unmasked, final, binary websocket frame (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((0x82, length))
    if length < 65_536:
        return struct.pack(">BBH", 0x82, 126, length)
    return struct.pack(">BBQ", 0x82, 127, length)
