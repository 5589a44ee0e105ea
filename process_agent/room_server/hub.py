"""The hub: what the members of a room say to the room and to each other (room protocol, 5 to 9).

Messages of one connection are handled one after another and without waiting; only calls to built-in
toolkits run as tasks.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from process_agent.errors import WireError
from process_agent.io.tasks import Tasks
from process_agent.room_server import grants
from process_agent.room_server.builtin import BuiltinCall
from process_agent.room_server.hosting import Hosting, check_on_behalf
from process_agent.room_server.listing import ListRequest, builtin_listing
from process_agent.room_server.member import Member, Outlet
from process_agent.room_server.messaging import Messaging
from process_agent.room_server.relay import Calls, Route
from process_agent.room_server.streams import MessageStream
from process_agent.room_server.toolkit import (
    EMPTY,
    INVALID_STATE,
    Call,
    Caller,
    Content,
    ToolError,
    Toolkit,
    json_content,
)
from process_agent.wire import room_frames, room_offers
from process_agent.wire.room_frames import Message

logger = logging.getLogger(__name__)

MAX_ROOMS = 256
"""Most rooms open at a time; empty ones make place for others."""

MAX_MEMBERS = 1024
"""Most connections of one room."""

_SCOPES = {"mounts": "containers"}
"""Built-in toolkits whose scope in a token has another name than they."""

type Fields = dict[str, msgspec.Raw]
type Announce = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Sends a message of a type, with a JSON object, to all members of the room."""

type OpenToolkits = Callable[[str, Announce], Sequence[Toolkit]]
"""Makes the built-in toolkits of the room with a name."""


class Room:
    """One room: its members, their open calls, and its toolkits."""

    def __init__(self, name: str, open_toolkits: OpenToolkits) -> None:
        self.name = name
        self.members: dict[str, Member] = {}
        self._tasks = Tasks(f"room {name}")
        self._calls = Calls()
        self._messaging = Messaging(self.members)
        self._hosting = Hosting(self._calls)
        self._listings = ListRequest(self._hosting, self.members)
        self.toolkits = {toolkit.name: toolkit for toolkit in open_toolkits(name, self._announce)}
        self._handlers: dict[str, Callable[[Member, int, Fields, bytes], None]] = {
            "room.invoke_tool": self._invoke,
            "room.list_toolkits": self._list_toolkits,
            "room.register_toolkit": self._register_toolkit,
            "room.unregister_toolkit": self._unregister_toolkit,
            "room.tool_call_request_chunk": self._request_chunk,
            "room.tool_call_response_chunk": self._response_chunk,
            "set_attributes": self._set_attributes,
        }

    def join(self, caller: Caller, outlet: Outlet, url: str) -> Member:
        """Take in a connection and greet it. Raises `ToolError` when the room is full."""
        if len(self.members) >= MAX_MEMBERS:
            raise ToolError(f"the room has {MAX_MEMBERS} members", code=INVALID_STATE)
        member = Member(caller, outlet)
        self.members[member.id] = member
        session = uuid.uuid4().hex
        ready = {
            "room_name": self.name,
            "room_url": url,
            "session_id": session,
            room_offers.MEMBER: room_offers.OURS,
        }
        init = {"type": "init", "participantId": member.id, "attributes": member.attributes}
        member.post("room_ready", room_frames.write_json(ready))
        member.post("connected", room_frames.write_json(init))
        return member

    def leave(self, member: Member) -> None:
        """Let go of a connection that ended: its presence, its toolkits, its calls."""
        if self.members.pop(member.id, None) is None:
            return
        self._messaging.disable(member)
        self._hosting.leave(member)
        self._calls.leave(member)

    def receive(self, member: Member, message: Message) -> None:
        """Handle one message. One that makes no sense is answered with an error, whether asked for or not."""
        try:
            if message.type == "room.tool_call_response":
                self._response(member, message)
                return
            header, data = room_frames.unpack_payload(message.payload)
            handler = self._handlers.get(message.type)
            if handler is None:
                raise ToolError(f"the room does not know messages of type {message.type!r}")
            handler(member, message.id, room_frames.read_fields(header), data)
        except WireError as error:
            member.respond_error(message.id, ToolError(error.message))
        except ToolError as error:
            member.respond_error(message.id, error)

    async def close(self) -> None:
        """End all calls and make the toolkits durable."""
        await self._tasks.close()
        for toolkit in self.toolkits.values():
            try:
                await toolkit.close()
            except Exception:
                logger.exception("toolkit %s of room %s did not close well", toolkit.name, self.name)

    async def _announce(self, type_: str, header: dict[str, Any]) -> None:
        text = room_frames.write_json(header)
        for member in list(self.members.values()):
            member.post(type_, text)

    def _invoke(self, member: Member, request_id: int, fields: Fields, data: bytes) -> None:
        toolkit_name, tool = _text(fields, "toolkit"), _text(fields, "tool")
        if toolkit_name is None or tool is None:
            raise ToolError("a call needs a toolkit and a tool")
        call_id = _text(fields, "tool_call_id") or uuid.uuid4().hex
        participant_id = _text(fields, "participant_id")
        arguments = fields.get("arguments", msgspec.Raw(b'{"type":"empty"}'))
        if participant_id is None and toolkit_name == "messaging":
            self._invoke_messaging(member, request_id, tool, call_id, Content(_header(arguments), data))
            return
        toolkit = None if participant_id else self.toolkits.get(toolkit_name)
        if toolkit is not None:
            content = Content(_header(arguments), data)
            self._invoke_builtin(member, request_id, toolkit, Call(member.caller, tool, content, call_id))
            return
        on_behalf_of_id = _text(fields, "on_behalf_of_id")
        check_on_behalf(member, on_behalf_of_id)
        registration = self._hosting.find(member, toolkit_name, participant_id)
        request = {"name": tool, "arguments": arguments, "on_behalf_of_id": on_behalf_of_id}
        self._hosting.call(registration, Route(member, request_id, call_id), request, data)

    def _invoke_messaging(
        self, member: Member, request_id: int, tool: str, call_id: str, arguments: Content
    ) -> None:
        if tool == "stream":
            self._messaging.check_may_send(member)
            MessageStream(self._calls, self._messaging, Route(member, request_id, call_id))
        elif tool == "enable":
            self._messaging.check_may_enable(member)
            member.respond(request_id, EMPTY)
            self._messaging.enable(member)
        else:
            member.respond(request_id, self._messaging.call(member, tool, arguments))

    def _invoke_builtin(self, member: Member, request_id: int, toolkit: Toolkit, call: Call) -> None:
        call_id = call.tool_call_id or ""
        if call.tool not in toolkit.streamed and call.tool not in toolkit.unary:
            raise ToolError(f"there is no tool {toolkit.name}.{call.tool}")
        grants.require(member.caller, _SCOPES.get(toolkit.name, toolkit.name))
        builtin = BuiltinCall(member, request_id, call, lambda: self._calls.close(member, call_id))
        self._calls.open(member, call_id, builtin)
        builtin.start(toolkit, self._tasks)

    def _response(self, member: Member, message: Message) -> None:
        hosted = self._calls.of_message(member, message.id)
        if hosted is None:
            return
        try:
            room_frames.unpack_payload(message.payload)
        except WireError:
            header = room_frames.write_json({"type": "error", "text": "the host's answer was malformed"})
            hosted.response(room_frames.pack_payload(header))
            raise
        hosted.response(message.payload)

    def _request_chunk(self, member: Member, request_id: int, fields: Fields, data: bytes) -> None:
        if member.caller.waits_for_chunks:
            member.respond(request_id, EMPTY)
        call = self._calls.of_caller(member, _text(fields, "tool_call_id") or "")
        if call is not None and "chunk" in fields:
            call.request_chunk(fields["chunk"], data)

    def _response_chunk(self, member: Member, _id: int, fields: Fields, data: bytes) -> None:
        hosted = self._calls.of_host(member, _text(fields, "tool_call_id") or "")
        if hosted is not None and "chunk" in fields:
            hosted.response_chunk(fields["chunk"], data)

    def _set_attributes(self, member: Member, _id: int, fields: Fields, _data: bytes) -> None:
        changed = {key: room_frames.read_json(raw) for key, raw in fields.items() if key != "__meshagent__"}
        self._messaging.set_attributes(member, changed)

    def _list_toolkits(self, member: Member, request_id: int, fields: Fields, _data: bytes) -> None:
        participant_id, name = _text(fields, "participant_id"), _text(fields, "participant_name")
        if participant_id is None and name is None:
            tools = {**self._hosting.visible_to(member), **builtin_listing(self.toolkits)}
            member.respond(request_id, json_content({"tools": tools}))
            return
        limit = room_frames.read_json(fields["timeout"]) if "timeout" in fields else None
        wait = self._listings.answer(member, request_id, participant_id, name, limit)
        if wait is not None:
            self._tasks.start(wait, "list_toolkits")

    def _register_toolkit(self, member: Member, request_id: int, fields: Fields, _data: bytes) -> None:
        registration_id = self._hosting.register(member, fields)
        member.respond(request_id, json_content({"id": registration_id}))
        self._listings.registered()

    def _unregister_toolkit(self, member: Member, request_id: int, fields: Fields, _data: bytes) -> None:
        self._hosting.unregister(member, _text(fields, "id"))
        member.respond(request_id, EMPTY)


class Hub:
    """All rooms of one server. Rooms open when somebody joins."""

    def __init__(self, open_toolkits: OpenToolkits) -> None:
        self._open_toolkits = open_toolkits
        self._rooms: dict[str, Room] = {}
        self._closing: set[str] = set()
        self._tasks = Tasks("hub")

    def room(self, name: str) -> Room:
        """The room with a name. Raises `ToolError` when too many are in use, or it is closing just now."""
        if name in self._closing:
            raise ToolError("the room is closing", code=INVALID_STATE)
        room = self._rooms.pop(name, None)
        if room is None:
            self._make_place()
            room = Room(name, self._open_toolkits)
        self._rooms[name] = room
        return room

    def toolkit(self, room: str, name: str) -> Toolkit | None:
        """A built-in toolkit of a room that is open."""
        opened = self._rooms.get(room)
        return None if opened is None else opened.toolkits.get(name)

    def has_agent(self, room: str, name: str) -> bool:
        """Whether an agent of this name is in a room."""
        opened = self._rooms.get(room)
        members = () if opened is None else opened.members.values()
        return any(m.caller.role == "agent" and m.caller.name == name for m in members)

    async def close(self) -> None:
        """Close all rooms."""
        await self._tasks.wait()
        await self._tasks.close()
        rooms, self._rooms = list(self._rooms.values()), {}
        await asyncio.gather(*(room.close() for room in rooms))

    def _make_place(self) -> None:
        """Close the empty room that was joined longest ago, when there are too many."""
        if len(self._rooms) < MAX_ROOMS:
            return
        empty = next((room for room in self._rooms.values() if not room.members), None)
        if empty is None:
            raise ToolError(f"{MAX_ROOMS} rooms are in use", code=INVALID_STATE)
        del self._rooms[empty.name]
        self._closing.add(empty.name)
        closing = self._tasks.start(empty.close(), f"close room {empty.name}")
        closing.add_done_callback(lambda _: self._closing.discard(empty.name))


def _text(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    """A text field; None when it is missing, null or empty. Raises `WireError` for other types."""
    raw = fields.get(name)
    value = None if raw is None else room_frames.read_json(raw)
    if value is not None and not isinstance(value, str):
        raise WireError(f"{name} is not a text")
    return value or None


def _header(arguments: msgspec.Raw) -> dict[str, Any]:
    header = room_frames.read_json(arguments)
    if not isinstance(header, dict):
        raise ToolError("arguments are not a content")
    return header
