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
        self._some = asyncio.Event()
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

    def put(self, message_id: int, message_type: str, data: bytes) -> None:
        """Queue a message."""
        for packet in split(Message(message_id, message_type, data), self.packet_bytes):
            self._packets.append(packet)
            self.size += len(packet)
        if self.size >= self._writable_below:
            self.drained.clear()
        self.empty.clear()
        self._some.set()

    async def write_all(self, writer: Any) -> None:
        """Write what comes to an aiohttp websocket writer, until the end. Raises `OSError` when it cannot."""
        while not self._ended:
            self._some.clear()
            while self._packets and not self._ended:
                if writer.transport.is_closing():
                    raise ConnectionResetError("the connection was closed")
                await self._write(writer, self._take())
            await self._some.wait()

    def end(self) -> None:
        """Nothing can be sent any more."""
        self._ended = True
        for event in (self.drained, self.empty, self._some):
            event.set()

    def _take(self) -> list[bytes]:
        taken = [self._packets.popleft()]
        size = len(taken[0])
        while self._packets and size < WRITE_BYTES:
            taken.append(self._packets.popleft())
            size += len(taken[-1])
        return taken

    async def _write(self, writer: Any, packets: list[bytes]) -> None:
        if writer.compress:
            for packet in packets:
                await writer.send_frame(packet, WSMsgType.BINARY)
        else:
            writer.transport.write(_frames(packets))
        if writer.protocol._paused:
            await writer.protocol._drain_helper()
        self._written(sum(map(len, packets)))

    def _written(self, size: int) -> None:
        self.size -= size
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
