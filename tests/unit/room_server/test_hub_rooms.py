"""How rooms open and make place, and what a missing list grant hides."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from process_agent.room_server import hub as hub_module
from process_agent.room_server.hub import Hub, Room
from process_agent.room_server.member import Member
from process_agent.room_server.toolkit import EMPTY, Call, Caller, Chunks, Content, SendChunk, ToolError
from process_agent.wire import room_frames
from process_agent.wire.room_frames import Message, PacketJoiner


class Outlet:
    """Keeps what a member is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._joiner = PacketJoiner()
        self._told_more = asyncio.Event()

    async def told_so_far(self, count: int) -> None:
        while len(self.told) < count:
            self._told_more.clear()
            await self._told_more.wait()

    def send(self, packets: list[bytes]) -> None:
        for packet in packets:
            message = self._joiner.feed(packet)
            if message is not None:
                header, _ = room_frames.unpack_payload(message.payload)
                self.told.append((message.type, json.loads(header)))
                self._told_more.set()

    async def drained(self) -> None:
        return

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(reason)

    def abort(self) -> None:
        raise AssertionError("aborted")


class SlowToolkit:
    """Fails when told to; closes when it may."""

    name = "storage"
    unary = frozenset({"break"})
    streamed = frozenset({"break_later"})

    def __init__(self) -> None:
        self.may_close = asyncio.Event()
        self.closed = False

    async def call(self, call: Call) -> Content:
        if call.tool == "break":
            raise RuntimeError("a defect with a secret in it")
        return EMPTY

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        await send(EMPTY)
        raise RuntimeError("a defect with a secret in it")

    async def close(self) -> None:
        await self.may_close.wait()
        self.closed = True


def join(room: Room, name: str, api: dict[str, Any] | None = None) -> tuple[Member, Outlet]:
    outlet = Outlet()
    scope = {"messaging": {}, "storage": {}} if api is None else api
    return room.join(Caller(f"id-{name}", name, "user", room.name, scope), outlet, "ws://x"), outlet


def say(room: Room, member: Member, type_: str, header: dict[str, Any]) -> None:
    room.receive(member, Message(1, type_, room_frames.pack_payload(json.dumps(header).encode())))


async def test_empty_rooms_make_place_and_come_back_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_ROOMS", 2)
    toolkits: dict[str, SlowToolkit] = {}
    hub = Hub(lambda name, _: [toolkits.setdefault(name, SlowToolkit())])
    busy = hub.room("busy")
    join(busy, "alice")
    hub.room("empty")
    other = hub.room("other")
    join(other, "bob")
    with pytest.raises(ToolError, match="closing"):
        hub.room("empty")
    toolkits["empty"].may_close.set()
    await hub._tasks.wait()
    assert toolkits["empty"].closed
    with pytest.raises(ToolError, match="rooms are in use"):
        hub.room("empty")
    assert hub.room("busy") is busy
    assert hub.toolkit("busy", "storage") is toolkits["busy"]
    assert hub.toolkit("nowhere", "storage") is None
    for toolkit in toolkits.values():
        toolkit.may_close.set()
    await hub.close()
    assert all(toolkit.closed for toolkit in toolkits.values())


async def test_a_full_room_takes_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_MEMBERS", 1)
    room = Room("demo", lambda *_: [])
    join(room, "alice")
    with pytest.raises(ToolError, match="1 members"):
        join(room, "bob")


async def test_a_defect_of_a_toolkit_is_an_answer_without_its_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    toolkit = SlowToolkit()
    toolkit.may_close.set()
    room = Room("demo", lambda *_: [toolkit])
    member, outlet = join(room, "alice")
    for tool in ("break", "break_later"):
        arguments = {"type": "empty"}
        say(
            room,
            member,
            "room.invoke_tool",
            {"toolkit": "storage", "tool": tool, "arguments": arguments, "tool_call_id": tool},
        )
    await outlet.told_so_far(7)
    assert [type_ for type_, _ in outlet.told[2:]] == [
        "__response__", "__response__", *["room.tool_call_response_chunk"] * 3,
    ]  # fmt: skip
    answers = [header.get("chunk", header) for _, header in outlet.told[2:]]
    errors = [answer for answer in answers if answer["type"] == "error"]
    assert [error["code"] for error in errors] == [1008, 1008]
    assert "secret" not in json.dumps(answers)
    assert "secret" in caplog.text
    assert answers[-1]["method"] == "close"
    await room.close()


async def test_who_may_not_list_sees_nobody() -> None:
    room = Room("demo", lambda *_: [])
    blind, told = join(room, "blind", {"messaging": {"list": False}})
    alice, _ = join(room, "alice")
    enable = {"toolkit": "messaging", "tool": "enable", "arguments": {"type": "empty"}}
    say(room, alice, "room.invoke_tool", enable)
    say(room, blind, "room.invoke_tool", enable)
    say(room, alice, "set_attributes", {"a": 1})
    room.leave(alice)
    events = [header for type_, header in told.told if type_ == "messaging.send"]
    assert events == [
        {"from_participant_id": blind.id, "type": "messaging.enabled", "message": {"participants": []}}
    ]
