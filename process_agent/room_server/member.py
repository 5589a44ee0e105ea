"""One connection in a room, as the hub sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from process_agent.room_server.toolkit import Caller, Content, ToolError
from process_agent.wire import room_frames

MAX_ATTRIBUTE_BYTES = 256 * 1024
"""Most JSON text that the attributes of one participant may take."""

CLOSE_CHUNK = msgspec.Raw(b'{"type":"control","method":"close","status_code":1000}')
"""A stream's last chunk."""


class Outlet(Protocol):
    """The way out to one client. Packets leave in the order given, those of one call together."""

    def send(self, packets: list[bytes]) -> None:
        """Queue packets. A client that lets too much pile up loses its connection."""
        ...

    async def drained(self) -> None:
        """Wait until little is queued, or the connection is gone."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End the connection with a close frame, which published clients take as final."""
        ...

    def abort(self) -> None:
        """Drop the connection without a close frame, after which published clients come back."""
        ...


class Member:
    """A participant's connection: who it is, its attributes, and the way out to it."""

    def __init__(self, caller: Caller, outlet: Outlet) -> None:
        self.caller = caller
        self.outlet = outlet
        self.attributes: dict[str, Any] = {"name": caller.name}
        self.messaging = False
        self._last_id = 0

    @property
    def id(self) -> str:
        """The participant's id."""
        return self.caller.participant_id

    def describe(self) -> dict[str, Any]:
        """The participant as others see it."""
        return {"id": self.id, "role": self.caller.role, "attributes": self.attributes}

    def set_attributes(self, changed: Mapping[str, Any]) -> None:
        """Merge attributes. Raises `ToolError` when they would take too much room."""
        merged = {**self.attributes, **changed}
        if len(room_frames.write_json(merged)) > MAX_ATTRIBUTE_BYTES:
            raise ToolError(f"attributes take more than {MAX_ATTRIBUTE_BYTES} bytes")
        self.attributes = merged

    def post(self, type_: str, header: bytes, data: bytes = b"") -> int:
        """Send one message under a new id, and return the id."""
        self._last_id += 1
        self.relay(type_, room_frames.pack_payload(header, data), self._last_id)
        return self._last_id

    def relay(self, type_: str, payload: bytes, message_id: int) -> None:
        """Send a whole payload under a given id."""
        self.outlet.send(room_frames.split(room_frames.Message(message_id, type_, payload)))

    def respond(self, request_id: int, content: Content) -> None:
        """Answer a request."""
        header = room_frames.write_json(content.header)
        self.relay("__response__", room_frames.pack_payload(header, content.data), request_id)

    def respond_error(self, request_id: int, error: ToolError) -> None:
        """Answer a request with an error."""
        self.respond(request_id, Content({"type": "error", "text": error.text, "code": error.code}))
