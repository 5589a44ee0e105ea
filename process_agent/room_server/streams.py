"""Messaging streams between two members (room protocol, section 9.1). Sans-IO.

The first chunk of the opener names the other side. Until that side accepts, further chunks wait here,
because a published client takes a chunk before its acceptance as a protocol error.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from process_agent.errors import WireError
from process_agent.room_server.member import CLOSE_CHUNK, Member
from process_agent.room_server.messaging import Messaging
from process_agent.room_server.relay import Calls, Route, is_control
from process_agent.room_server.toolkit import INVALID_STATE, NOT_FOUND, ToolError
from process_agent.wire import room_frames

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Most that an opener may send before the other side accepts."""

_OPEN = msgspec.Raw(b'{"type":"control","method":"open"}')


class _State(enum.Enum):
    OPENED = "opened"
    ASKED = "asked"
    ACCEPTED = "accepted"
    ENDED = "ended"


class MessageStream:
    """One stream, from `messaging.stream` to its end."""

    def __init__(self, calls: Calls, messaging: Messaging, route: Route) -> None:
        self._calls = calls
        self._messaging = messaging
        self._route = route
        self._state = _State.OPENED
        self._waiting: list[tuple[msgspec.Raw, bytes]] = []
        self._waiting_bytes = 0
        self._message_id = 0
        calls.open(route.caller, route.call_id, self)

    def request_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        """The opener sent a chunk."""
        if is_control(chunk, "close"):
            self._opener_closed()
        elif self._state is _State.ACCEPTED:
            self._route.to_host(chunk, data)
        elif self._state is _State.ASKED:
            self._wait(chunk, data)
        elif self._state is _State.OPENED:
            self._ask(chunk, data)

    def caller_left(self) -> None:
        """The opener's connection ended."""
        self._route.to_host(CLOSE_CHUNK)
        self._end()

    def response(self, payload: bytes) -> None:
        """The other side accepted, or answered anything else to reject."""
        if self._state is not _State.ASKED:
            return
        header, _ = room_frames.unpack_payload(payload)
        self._route.answer(payload)
        if not is_control(header, "open"):
            self._end()
            return
        self._state = _State.ACCEPTED
        accepted = {"type": "json", "json": {"kind": "accepted", "stream_id": self._route.host_call_id}}
        self._route.to_caller(msgspec.Raw(room_frames.write_json(accepted)))
        for chunk, data in self._waiting:
            self._route.to_host(chunk, data)
        self._waiting = []

    def response_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        """The other side sent a chunk."""
        if self._state is _State.ACCEPTED:
            self._route.to_caller(chunk, data)
            if is_control(chunk, "close"):
                self._end()

    def host_left(self) -> None:
        """The other side's connection ended."""
        if self._state is _State.ACCEPTED:
            self._route.to_caller(CLOSE_CHUNK)
        else:
            self._route.refuse(ToolError("the recipient left before it accepted the stream", code=NOT_FOUND))
        self._end()

    def _ask(self, chunk: msgspec.Raw, data: bytes) -> None:
        try:
            message = _first_message(chunk)
            host = self._messaging.recipient(message.pop("to_participant_id", None))
        except (ToolError, WireError) as error:
            self._refuse(error if isinstance(error, ToolError) else ToolError(error.message))
            return
        self._state = _State.ASKED
        self._message_id = self._route.ask(
            host, "messaging", {"name": "stream", "on_behalf_of_id": None, "arguments": _OPEN}
        )
        self._calls.open_hosted(host, self._message_id, self._route.host_call_id, self)
        first = {"type": "json", "json": {**message, "from_participant_id": self._route.caller.id}}
        self._route.to_host(msgspec.Raw(room_frames.write_json(first)), data)

    def _wait(self, chunk: msgspec.Raw, data: bytes) -> None:
        self._waiting_bytes += len(chunk) + len(data)
        if self._waiting_bytes <= MAX_WAITING_BYTES:
            self._waiting.append((chunk, data))
            return
        self._route.to_host(CLOSE_CHUNK)
        self._refuse(ToolError(f"more than {MAX_WAITING_BYTES} bytes before the stream was accepted"))

    def _opener_closed(self) -> None:
        self._route.to_host(CLOSE_CHUNK)
        if self._state is _State.ACCEPTED:
            self._route.to_caller(CLOSE_CHUNK)
            self._end()
        else:
            self._refuse(ToolError("the stream was closed before it was accepted", code=INVALID_STATE))

    def _refuse(self, error: ToolError) -> None:
        self._route.refuse(error)
        self._end()

    def _end(self) -> None:
        self._state = _State.ENDED
        self._waiting = []
        self._calls.close(self._route.caller, self._route.call_id)
        host: Member | None = self._route.host
        if host is not None:
            self._calls.close_hosted(host, self._message_id, self._route.host_call_id)


def _first_message(chunk: msgspec.Raw) -> dict[str, Any]:
    content = room_frames.read_json(chunk)
    message = content.get("json") if isinstance(content, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ToolError("the first chunk of a stream is not a message")
    return message
