"""Whatever clients send, a room answers or ignores it, and its other members are well."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.room_server.developer import DeveloperToolkit
from process_agent.room_server.hub import Room
from process_agent.room_server.toolkit import Caller
from process_agent.wire import participant_token, room_frames, room_offers
from process_agent.wire.room_frames import Message, PacketJoiner

TYPES = [
    "room.invoke_tool",
    "room.tool_call_request_chunk",
    "room.tool_call_response",
    "room.tool_call_response_chunk",
    "room.list_toolkits",
    "room.register_toolkit",
    "room.unregister_toolkit",
    "set_attributes",
    "nonsense",
]
CHUNKS = [
    {"type": "control", "method": "open"},
    {"type": "control", "method": "close"},
    {"type": "json", "json": {"to_participant_id": "1", "type": "t", "message_json": "{}"}},
    {"type": "json", "json": {"to_participant_id": "2", "type": "t", "message_json": "{}"}},
    {"type": "json", "json": {"type": "t", "message_json": "{}", "to_participant_id": "0"}},
    {"type": "text", "text": "x"},
    {"type": "error", "text": "x"},
    {},
    [],
    None,
    5,
]
FIELDS = {
    "toolkit": st.sampled_from(["messaging", "developer", "math", "nonsense", "", None, 5]),
    "tool": st.sampled_from(
        ["enable", "disable", "send", "broadcast", "stream", "logs", "log", "add", "", 5]
    ),
    "tool_call_id": st.sampled_from(["a", "b", None, "", 5]),
    "arguments": st.sampled_from(CHUNKS),
    "chunk": st.sampled_from(CHUNKS),
    "participant_id": st.sampled_from([None, "0", "1", "2", "3", 5]),
    "participant_name": st.sampled_from([None, "0", "x"]),
    "on_behalf_of_id": st.sampled_from([None, "0", "x"]),
    "timeout": st.sampled_from([None, 0, "x"]),
    "name": st.sampled_from(["math", "messaging", "", None]),
    "public": st.booleans(),
    "tools": st.sampled_from([{}, {"add": {}}, [], None]),
    "id": st.sampled_from(["x", None, 5]),
}
headers = st.fixed_dictionaries({}, optional=FIELDS)
payloads = headers.map(lambda header: room_frames.pack_payload(json.dumps(header).encode())) | st.binary(
    max_size=20
)
said = st.tuples(st.integers(0, 2), st.integers(0, 6), st.sampled_from(TYPES), payloads)


type Said = tuple[int, int, str, bytes]
"""Which member said it, the message's id, type and payload."""


class Received:
    """A way out that keeps what arrives."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._joiner = PacketJoiner()

    def send(self, packets: list[bytes]) -> None:
        for packet in packets:
            message = self._joiner.feed(packet)
            if message is not None:
                header, _ = room_frames.unpack_payload(message.payload)
                json.loads(header)
                self.messages.append(message)

    async def drained(self) -> None:
        return

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed: {code} {reason}")

    def abort(self) -> None:
        raise AssertionError("aborted")


@settings(max_examples=200)
@given(st.lists(said, max_size=40), st.lists(st.integers(0, 2), max_size=3))
def test_nothing_a_client_says_breaks_the_room(said: list[Said], leave: list[int]) -> None:
    asyncio.run(_play(said, leave))


async def _play(said: list[Said], leave: list[int]) -> None:
    room = Room("demo", lambda *_: [DeveloperToolkit()])
    outlets = [Received() for _ in range(3)]
    members = [room.join(_caller(str(n)), outlet, "ws://x") for n, outlet in enumerate(outlets)]
    for who, id_, type_, payload in said:
        if members[who].id in room.members:
            room.receive(members[who], Message(id_, type_, payload))
            await asyncio.sleep(0)
    for who in leave:
        room.leave(members[who])
    witness = Received()
    last = room.join(_caller("witness"), witness, "ws://x")
    header: dict[str, Any] = {"toolkit": "messaging", "tool": "enable", "arguments": {"type": "empty"}}
    room.receive(last, Message(7, "room.invoke_tool", room_frames.pack_payload(json.dumps(header).encode())))
    kinds = [message.type for message in witness.messages]
    assert kinds == ["room_ready", "connected", "__response__", "messaging.send"]
    offered = frozenset([room_offers.INSERT_ROWS, room_offers.READ_ROWS, room_offers.READ_END])
    assert room_offers.offers_of(witness.messages[0].payload).tools == offered
    for member in members:
        room.leave(member)
    room.leave(last)
    await room.close()
    assert not room.members


def _caller(name: str) -> Caller:
    return Caller(name, name, "user", "demo", participant_token.default_api("user"))
