"""What waits to be sent over one websocket, and the frames it is sent in.

The published protocol sends a message as two or more websocket frames; its client writes each of them on its
own, with a task switch for each message, a system call for each frame, and a room that wakes for each. Here
everything that one turn of the event loop brings leaves in one write.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from random import Random
from typing import Any

from aiohttp import WSMsgType
from aiohttp._websocket.helpers import websocket_mask

from process_agent.wire.room_frames import Message, split
from process_agent.wire.room_offers import PUBLISHED_PACKET

WRITE_BYTES = 1 << 18
"""Bytes given to the transport at once at most, so that pings do not wait behind everything."""

_BINARY = 0x82
_MASKED = 0x80
_MASK = 4
_RANDOM = Random()  # noqa: S311 -- masks keep a page from choosing the bytes on the wire, and we are no page
_LONG = struct.Struct(">BBH")


class Outgoing:
    """The messages of one connection that are not yet with the socket. Not thread-safe."""

    def __init__(self, writable_below: int) -> None:
        self._writable_below = writable_below
        self._packets: deque[bytes] = deque()
        self._writer: Any = None
        self._free = False
        """Whether the task that writes has nothing to do."""
        self._due = False
        self._taken = 0
        """Bytes given to the transport, which has not taken them yet."""
        self._waits = asyncio.Event()
        self._ended = False
        self.packet_bytes = PUBLISHED_PACKET
        """Payload bytes in one packet."""
        self.size = 0
        """Bytes that wait."""
        self.drained = asyncio.Event()
        """Set while less than `writable_below` waits, or nothing can be sent any more."""
        self.empty = asyncio.Event()
        """Set while nothing waits, or nothing can be sent any more."""
        self.drained.set()
        self.empty.set()

    def put(self, message_id: int, message_type: str, data: bytes, *, with_next: bool = False) -> None:
        """Queue a message. One that leaves `with_next` waits for what the next turn of the event loop brings:
        a request alone would have the room at work on it while people wait for the message behind it.
        """
        for packet in split(Message(message_id, message_type, data), self.packet_bytes):
            self._packets.append(packet)
            self.size += len(packet)
        if self.size >= self._writable_below:
            self.drained.clear()
        self.empty.clear()
        if self._writer is not None and not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            loop.call_soon(*(loop.call_soon, self._write_now) if with_next else (self._write_now,))

    async def write_all(self, writer: Any) -> None:
        """Write what comes to an aiohttp websocket writer, until the end. Raises `OSError` when it cannot.

        It wakes only where writing has to wait; a task that woke for each message would take longer than the
        message.
        """
        self._writer = writer
        try:
            while not self._ended:
                await self._catch_up(writer)
                self._waits.clear()
                self._free = True
                await self._waits.wait()
                self._free = False
        finally:
            self._writer = None

    def _write_now(self) -> None:
        """Write what waits, unless that has to wait for the transport: then the task does."""
        self._due = False
        writer = self._writer
        if writer is None or not self._free or self._ended:
            return
        while self._packets and not (self._taken or writer.compress or writer.transport.is_closing()):
            self._write_frames(writer)
        if self._packets or self._taken:
            self._free = False
            self._waits.set()

    async def _catch_up(self, writer: Any) -> None:
        await self._until_taken(writer)
        while self._packets and not self._ended:
            if writer.transport.is_closing():
                raise ConnectionResetError("the connection was closed")
            if writer.compress:
                packets = self._take()
                self._taken = sum(map(len, packets))
                for packet in packets:
                    await writer.send_frame(packet, WSMsgType.BINARY)
            else:
                self._write_frames(writer)
            await self._until_taken(writer)

    async def _until_taken(self, writer: Any) -> None:
        if self._taken and writer.protocol._paused:
            await writer.protocol._drain_helper()
        self._written()

    def _write_frames(self, writer: Any) -> None:
        packets = self._take()
        writer.transport.write(_frames(packets))
        self._taken = sum(map(len, packets))
        if not writer.protocol._paused:
            self._written()

    def end(self) -> None:
        """Nothing can be sent any more."""
        self._ended = True
        for event in (self.drained, self.empty, self._waits):
            event.set()

    def _take(self) -> list[bytes]:
        taken = [self._packets.popleft()]
        size = len(taken[0])
        while self._packets and size < WRITE_BYTES:
            taken.append(self._packets.popleft())
            size += len(taken[-1])
        return taken

    def _written(self) -> None:
        """The socket took what it was given."""
        self.size -= self._taken
        self._taken = 0
        if self.size < self._writable_below:
            self.drained.set()
        if self.size == 0:
            self.empty.set()


def _frames(packets: list[bytes]) -> bytes:
    """Each packet as a final, binary, masked websocket frame (RFC 6455, section 5.2)."""
    masks = _RANDOM.randbytes(_MASK * len(packets))
    pieces: list[bytes | bytearray] = []
    for number, packet in enumerate(packets):
        length, mask, body = len(packet), masks[number * _MASK : (number + 1) * _MASK], bytearray(packet)
        if length < 126:
            pieces.append(bytes((_BINARY, _MASKED | length)))
        else:  # a packet is far below 64 KiB
            pieces.append(_LONG.pack(_BINARY, _MASKED | 126, length))
        websocket_mask(mask, body)
        pieces += (mask, body)
    return b"".join(pieces)
