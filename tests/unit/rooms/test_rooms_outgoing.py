"""What a connection sends: whole messages as masked frames, in order, joined in few writes, and bounded."""

from __future__ import annotations

import asyncio
import struct

import pytest
from aiohttp import WSMsgType

from process_agent.io.tasks import Tasks
from process_agent.rooms.outgoing import Outgoing
from process_agent.wire.room_frames import Message, PacketJoiner


class Transport:
    """Remembers each write, and pauses its protocol when asked to."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.closing


class Protocol:
    """Paused until `resume`."""

    def __init__(self) -> None:
        self._paused = False
        self._free = asyncio.Event()

    async def _drain_helper(self) -> None:
        await self._free.wait()

    def resume(self) -> None:
        self._paused = False
        self._free.set()


class Writer:
    """What is used of aiohttp's websocket writer."""

    def __init__(self, compress: int = 0) -> None:
        self.compress = compress
        self.transport = Transport()
        self.protocol = Protocol()
        self.compressed: list[bytes] = []

    async def send_frame(self, message: bytes, opcode: int) -> None:
        assert opcode == WSMsgType.BINARY
        self.compressed.append(message)


def packets(stream: bytes) -> list[bytes]:
    """The payloads of the frames in a stream of bytes."""
    found: list[bytes] = []
    while stream:
        assert stream[0] == 0x82  # final, binary, not compressed
        assert stream[1] & 0x80  # masked
        length, at = stream[1] & 0x7F, 2
        if length == 126:
            (length,), at = struct.unpack_from(">H", stream, 2), 4
        mask, body = stream[at : at + 4], stream[at + 4 : at + 4 + length]
        assert len(body) == length
        found.append(bytes(byte ^ mask[place % 4] for place, byte in enumerate(body)))
        stream = stream[at + 4 + length :]
    return found


def messages(found: list[bytes]) -> list[Message]:
    joiner = PacketJoiner()
    return [message for packet in found if (message := joiner.feed(packet)) is not None]


async def loop_came_round() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_comes_together_leaves_in_one_write() -> None:
    outgoing, writer, tasks = Outgoing(1 << 20), Writer(), Tasks("test")
    tasks.start(outgoing.write_all(writer), "write")
    sent = [Message(1, "a", b""), Message(2, "b", b"x" * 100), Message(3, "c", bytes(range(256)) * 20)]
    for message in sent:
        outgoing.put(message.id, message.type, message.payload)
    assert not outgoing.empty.is_set()
    await outgoing.empty.wait()
    assert len(writer.transport.writes) == 1
    assert messages(packets(writer.transport.writes[0])) == sent
    outgoing.put(4, "later", b"y")
    await outgoing.empty.wait()
    assert messages(packets(writer.transport.writes[1])) == [Message(4, "later", b"y")]
    assert outgoing.size == 0
    outgoing.end()
    await tasks.wait()


async def test_senders_wait_while_the_socket_is_full() -> None:
    outgoing, writer, tasks = Outgoing(5_000), Writer(), Tasks("test")
    writer.protocol._paused = True
    tasks.start(outgoing.write_all(writer), "write")
    outgoing.put(1, "a", b"x" * 6_000)
    assert not outgoing.drained.is_set()
    await loop_came_round()
    assert len(writer.transport.writes) == 1  # given to the socket, which does not take it yet
    outgoing.put(2, "b", b"y")
    await loop_came_round()
    assert len(writer.transport.writes) == 1
    assert not outgoing.drained.is_set()
    writer.protocol.resume()
    await outgoing.empty.wait()
    assert outgoing.drained.is_set()
    assert [message.id for message in messages(packets(b"".join(writer.transport.writes)))] == [1, 2]
    outgoing.end()
    await tasks.wait()


async def test_a_big_backlog_leaves_in_pieces() -> None:
    outgoing, writer, tasks = Outgoing(1 << 30), Writer(), Tasks("test")
    sent = [Message(number, "a", bytes([number]) * 200_000) for number in range(1, 6)]
    for message in sent:
        outgoing.put(message.id, message.type, message.payload)
    tasks.start(outgoing.write_all(writer), "write")
    await outgoing.empty.wait()
    assert len(writer.transport.writes) > 2
    assert messages([packet for write in writer.transport.writes for packet in packets(write)]) == sent
    outgoing.end()
    await tasks.wait()


async def test_a_room_that_asked_for_compression_gets_it() -> None:
    outgoing, writer, tasks = Outgoing(1 << 20), Writer(compress=15), Tasks("test")
    tasks.start(outgoing.write_all(writer), "write")
    outgoing.put(7, "a", b"z" * 3_000)
    await outgoing.empty.wait()
    assert writer.transport.writes == []
    assert messages(writer.compressed) == [Message(7, "a", b"z" * 3_000)]
    outgoing.end()
    await tasks.wait()


async def test_a_connection_that_closes_is_an_error_of_the_operating_system() -> None:
    outgoing, writer = Outgoing(1 << 20), Writer()
    writer.transport.closing = True
    outgoing.put(1, "a", b"x")
    with pytest.raises(OSError, match="closed"):
        await outgoing.write_all(writer)


async def test_nobody_waits_for_what_ended() -> None:
    outgoing, writer, tasks = Outgoing(10), Writer(), Tasks("test")
    writer.protocol._paused = True
    outgoing.put(1, "a", b"x" * 100)
    outgoing.end()
    await outgoing.drained.wait()
    await outgoing.empty.wait()
    await tasks.start(outgoing.write_all(writer), "write")
    assert writer.transport.writes == []
