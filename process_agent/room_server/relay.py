"""Open calls of a room and the way between their two ends (room protocol, sections 6.3 and 7). Sans-IO.

Every relayed call gets a call id of our own on the host's side, so that no caller can name, and so disturb,
another's call. The contents that pass are not read.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import Protocol

import msgspec

from process_agent.room_server.member import CLOSE_CHUNK, Member
from process_agent.room_server.toolkit import CONFLICT, INVALID_STATE, ToolError
from process_agent.wire import room_frames

MAX_OPEN_CALLS = 4096
"""Most calls that one member may have open at a time."""


class _Control(msgspec.Struct):
    type: str | None = None
    method: str | None = None


_CONTROL = msgspec.json.Decoder(_Control)


def is_control(content: bytes | msgspec.Raw, method: str) -> bool:
    """Whether a content is `control` with this method (`open` or `close`)."""
    try:
        control = _CONTROL.decode(content)
    except msgspec.DecodeError:
        return False
    return control.type == "control" and control.method == method


class OpenCall(Protocol):
    """A call, seen from the side of its caller."""

    def request_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        """The caller sent a chunk."""
        ...

    def caller_left(self) -> None:
        """The caller's connection ended."""
        ...


class HostedEnd(Protocol):
    """A call, seen from the side of the member who answers it."""

    def response(self, payload: bytes) -> None:
        """The host answered."""
        ...

    def response_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        """The host sent a chunk."""
        ...

    def host_left(self) -> None:
        """The host's connection ended."""
        ...


class Route:
    """The way between a caller and a host."""

    def __init__(self, caller: Member, request_id: int, call_id: str) -> None:
        self.caller = caller
        self.call_id = call_id
        self.host_call_id = uuid.uuid4().hex
        self._request_id = request_id
        self._caller_prefix = b'{"tool_call_id":' + room_frames.write_json(call_id) + b',"chunk":'
        self._host_prefix = b'{"tool_call_id":"' + self.host_call_id.encode() + b'","chunk":'
        self._chunk_type = ""
        self._host: Member | None = None

    @property
    def host(self) -> Member | None:
        """The member who answers, once known."""
        return self._host

    def ask(self, host: Member, toolkit: str, header: dict[str, object], data: bytes = b"") -> int:
        """Put the call to a host; return the message id that its answer will carry."""
        self._host = host
        self._chunk_type = f"room.tool_call_request_chunk.{toolkit}"
        fields = {**header, "caller_id": self.caller.id, "tool_call_id": self.host_call_id}
        return host.post(f"room.tool_call.{toolkit}", room_frames.write_fields(fields), data)

    def answer(self, payload: bytes) -> None:
        """Give the caller the host's answer, byte for byte."""
        self.caller.relay("__response__", payload, self._request_id)

    def refuse(self, error: ToolError) -> None:
        """Answer the caller with an error."""
        self.caller.respond_error(self._request_id, error)

    def to_host(self, chunk: msgspec.Raw, data: bytes = b"") -> None:
        """Pass a request chunk on. Nothing happens before `ask`."""
        if self._host is not None:
            self._host.post(self._chunk_type, self._host_prefix + bytes(chunk) + b"}", data)

    def to_caller(self, chunk: msgspec.Raw, data: bytes = b"") -> None:
        """Pass a response chunk on."""
        self.caller.post("room.tool_call_response_chunk", self._caller_prefix + bytes(chunk) + b"}", data)

    def fail_caller(self, error: ToolError) -> None:
        """End a stream that the caller reads, with an error."""
        header = {"type": "error", "text": error.text, "code": error.code}
        self.to_caller(msgspec.Raw(room_frames.write_json(header)))
        self.to_caller(CLOSE_CHUNK)


class Calls:
    """The open calls of a room, by caller and by host."""

    def __init__(self) -> None:
        self._by_caller: defaultdict[str, dict[str, OpenCall]] = defaultdict(dict)
        self._by_host: defaultdict[str, dict[str, HostedEnd]] = defaultdict(dict)
        self._by_message: defaultdict[str, dict[int, HostedEnd]] = defaultdict(dict)

    def open(self, caller: Member, call_id: str, call: OpenCall) -> None:
        """Enter a call. Raises `ToolError` for an id in use, or above `MAX_OPEN_CALLS`."""
        calls = self._by_caller[caller.id]
        if call_id in calls:
            raise ToolError("this tool_call_id is in use", code=CONFLICT)
        if len(calls) >= MAX_OPEN_CALLS:
            raise ToolError(f"more than {MAX_OPEN_CALLS} open calls", code=INVALID_STATE)
        calls[call_id] = call

    def close(self, caller: Member, call_id: str) -> None:
        """Forget a call on its caller's side."""
        self._by_caller[caller.id].pop(call_id, None)

    def open_hosted(self, host: Member, message_id: int, host_call_id: str, call: HostedEnd) -> None:
        """Enter a call on its host's side."""
        self._by_message[host.id][message_id] = call
        self._by_host[host.id][host_call_id] = call

    def close_hosted(self, host: Member, message_id: int, host_call_id: str) -> None:
        """Forget a call on its host's side."""
        self._by_message[host.id].pop(message_id, None)
        self._by_host[host.id].pop(host_call_id, None)

    def of_caller(self, caller: Member, call_id: str) -> OpenCall | None:
        """The call that a caller's chunk belongs to."""
        return self._by_caller[caller.id].get(call_id)

    def of_host(self, host: Member, host_call_id: str) -> HostedEnd | None:
        """The call that a host's chunk belongs to."""
        return self._by_host[host.id].get(host_call_id)

    def of_message(self, host: Member, message_id: int) -> HostedEnd | None:
        """The call that a host's answer belongs to."""
        return self._by_message[host.id].get(message_id)

    def leave(self, member: Member) -> None:
        """End all calls of a member that left."""
        for hosted in list(self._by_host[member.id].values()):
            hosted.host_left()
        for call in list(self._by_caller[member.id].values()):
            call.caller_left()
        for index in (self._by_caller, self._by_host, self._by_message):
            index.pop(member.id, None)
