"""Toolkits that participants host, and calls to them (room protocol, section 7). Sans-IO."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from process_agent.room_server import grants
from process_agent.room_server.member import CLOSE_CHUNK, Member
from process_agent.room_server.relay import Calls, Route, is_control
from process_agent.room_server.toolkit import (
    ALREADY_EXISTS,
    INVALID_STATE,
    NOT_FOUND,
    OPERATION_FAILED,
    PERMISSION_DENIED,
    ToolError,
)
from process_agent.wire import room_frames

MAX_REGISTRATIONS = 256
"""Most toolkits that one member may host."""

MAX_REGISTRATION_BYTES = 1024 * 1024
"""Longest registration, as JSON text."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One hosted toolkit. `listing` is what `room.list_toolkits` says of it."""

    id: str
    name: str
    host: Member
    public: bool
    listing: Mapping[str, Any]


class Hosting:
    """The hosted toolkits of a room."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._registrations: dict[str, Registration] = {}

    def register(self, host: Member, request: Mapping[str, msgspec.Raw]) -> str:
        """Enter a toolkit and return its registration id. Raises `ToolError`."""
        values = {key: room_frames.read_json(raw) for key, raw in request.items() if key != "__meshagent__"}
        name, public = values.get("name"), values.get("public") is True
        grants.require(host.caller, "agents", f"register_{'public' if public else 'private'}_toolkit")
        if not isinstance(name, str) or not name or not isinstance(values.get("tools", {}), dict):
            raise ToolError("a toolkit needs a name and an object of tools")
        if name == "messaging":
            raise ToolError("messaging is the room's own toolkit", code=ALREADY_EXISTS)
        if sum(map(len, request.values())) > MAX_REGISTRATION_BYTES:
            raise ToolError(f"a registration is larger than {MAX_REGISTRATION_BYTES} bytes")
        own = [r for r in self._registrations.values() if r.host is host]
        if any(r.name == name for r in own):
            raise ToolError(f"you host a toolkit {name!r} already", code=ALREADY_EXISTS)
        if len(own) >= MAX_REGISTRATIONS:
            raise ToolError(f"you host {MAX_REGISTRATIONS} toolkits already", code=INVALID_STATE)
        registration_id = uuid.uuid4().hex
        listing = _listing(values, host)
        self._registrations[registration_id] = Registration(registration_id, name, host, public, listing)
        return registration_id

    def unregister(self, host: Member, registration_id: object) -> None:
        """Remove a toolkit. Raises `ToolError` 1003 unless the member registered it."""
        registration = self._registrations.get(registration_id) if isinstance(registration_id, str) else None
        if registration is None or registration.host is not host:
            raise ToolError("you have no registration with this id", code=NOT_FOUND)
        del self._registrations[registration.id]

    def leave(self, member: Member) -> None:
        """Remove the toolkits of a member that left."""
        gone = [r.id for r in self._registrations.values() if r.host is member]
        for registration_id in gone:
            del self._registrations[registration_id]

    def visible_to(self, member: Member) -> dict[str, Mapping[str, Any]]:
        """Listings of the toolkits that a member can call by name alone."""
        return {r.name: r.listing for r in self._choices(member)}

    def hosted_by(self, hosts: Iterable[Member]) -> dict[str, Mapping[str, Any]]:
        """Listings of all toolkits of these members, private ones too."""
        ids = {host.id for host in hosts}
        return {r.name: r.listing for r in self._registrations.values() if r.host.id in ids}

    def find(self, caller: Member, name: str, participant_id: str | None) -> Registration:
        """The toolkit a call is meant for. Raises `ToolError` when there is none or it is not granted."""
        if participant_id is None:
            choices = self._choices(caller)
        else:
            choices = [r for r in self._registrations.values() if r.host.id == participant_id]
        found = [r for r in choices if r.name == name]
        if not found:
            raise ToolError(f"there is no toolkit {name!r}")
        grants.require(caller.caller, "agents", "use_tools")
        grants.require_listed(caller.caller, "agents", "allowed_toolkits", name)
        return found[-1]

    def call(self, registration: Registration, route: Route, request: Mapping[str, Any], data: bytes) -> None:
        """Put a call to its host. `request` has `name`, `arguments` and `on_behalf_of_id`."""
        _HostedCall(self._calls, registration, route).start(request, data)

    def _choices(self, caller: Member) -> list[Registration]:
        """What the caller can reach by name: public toolkits, the latest last, then its own."""
        registrations = list(self._registrations.values())
        public = [r for r in registrations if r.public and r.host is not caller]
        return public + [r for r in registrations if r.host is caller]


class _HostedCall:
    """One call between two members: unanswered, then perhaps streaming, then over."""

    def __init__(self, calls: Calls, registration: Registration, route: Route) -> None:
        self._calls = calls
        self._toolkit = registration.name
        self._host = registration.host
        self._route = route
        self._message_id = 0
        self._streaming = False
        self._asked_as_stream = False

    def start(self, request: Mapping[str, Any], data: bytes) -> None:
        self._calls.open(self._route.caller, self._route.call_id, self)
        self._asked_as_stream = is_control(request["arguments"], "open")
        self._message_id = self._route.ask(self._host, self._toolkit, dict(request), data)
        self._calls.open_hosted(self._host, self._message_id, self._route.host_call_id, self)

    def request_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        self._route.to_host(chunk, data)

    def caller_left(self) -> None:
        if self._asked_as_stream:
            self._route.to_host(CLOSE_CHUNK)
        self._end()

    def response(self, payload: bytes) -> None:
        if self._streaming:
            return
        header, _ = room_frames.unpack_payload(payload)
        self._route.answer(payload)
        if is_control(header, "open"):
            self._streaming = True
        else:
            self._end()

    def response_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        self._route.to_caller(chunk, data)
        if self._streaming and is_control(chunk, "close"):
            self._end()

    def host_left(self) -> None:
        error = ToolError(f"the participant that hosts {self._toolkit!r} left", code=OPERATION_FAILED)
        if self._streaming:
            self._route.fail_caller(error)
        else:
            self._route.refuse(error)
        self._end()

    def _end(self) -> None:
        self._calls.close(self._route.caller, self._route.call_id)
        self._calls.close_hosted(self._host, self._message_id, self._route.host_call_id)


def check_on_behalf(caller: Member, on_behalf_of_id: str | None) -> None:
    """Only agents and tools act for others. Raises `ToolError` 1001."""
    if on_behalf_of_id not in (None, caller.id) and caller.caller.role == "user":
        raise ToolError("users act for themselves only", code=PERMISSION_DENIED)


def _listing(values: Mapping[str, Any], host: Member) -> dict[str, Any]:
    annotations = values.get("annotations")
    return {
        "title": values.get("title") or "",
        "description": values.get("description") or "",
        "participant_id": host.id,
        "annotations": annotations if isinstance(annotations, dict) else {},
        "tools": values.get("tools", {}),
    }
