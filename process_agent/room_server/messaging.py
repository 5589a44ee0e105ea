"""Presence, attributes and messages of one room (room protocol, sections 8 and 9). Sans-IO.

Nobody is visible before `messaging.enable`. Messages are passed on as the JSON text their sender wrote.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from process_agent.errors import WireError
from process_agent.room_server import grants
from process_agent.room_server.member import Member
from process_agent.room_server.toolkit import EMPTY, NOT_FOUND, PERMISSION_DENIED, Content, ToolError
from process_agent.wire import room_frames

_OURS = frozenset({
    "messaging.enabled", "participant.enabled", "participant.disabled", "participant.attributes",
})  # fmt: skip
"""Inner types that only the server sends; a member who could send them could fake another's presence."""

_DISMISS = "dismiss"
"""Inner type that makes a published client leave for good; only for administrators."""


class Messaging:
    """The members of a room, and the unary tools of the toolkit `messaging`."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members

    def call(self, member: Member, tool: str, arguments: Content) -> Content:
        """Run `disable`, `send` or `broadcast`. Raises `ToolError`."""
        if tool == "disable":
            self.disable(member)
        elif tool == "send":
            self.check_may_send(member)
            self._send(member, arguments.json)
        elif tool == "broadcast":
            grants.require(member.caller, "messaging", "broadcast")
            self._deliver(member, arguments.json, self._audience(member))
        else:
            raise ToolError(f"there is no tool messaging.{tool}")
        return EMPTY

    def check_may_send(self, member: Member) -> None:
        """Raise `ToolError` 1001 unless the member's token lets it send."""
        grants.require(member.caller, "messaging", "send")

    def check_may_enable(self, member: Member) -> None:
        """Raise `ToolError` 1001 unless the member's token grants messaging."""
        grants.require(member.caller, "messaging")

    def enable(self, member: Member) -> None:
        """Make a member visible; tell it who is there and the others that it came."""
        known = member.messaging
        member.messaging = True
        others = [other.describe() for other in self._audience(member)] if _may_list(member) else []
        _announce(member, member, "messaging.enabled", {"participants": others})
        if not known:
            self._tell_others(member, "participant.enabled", member.describe())

    def disable(self, member: Member) -> None:
        """Make a member invisible, also when it left."""
        if member.messaging:
            member.messaging = False
            self._tell_others(member, "participant.disabled", {"id": member.id})

    def set_attributes(self, member: Member, changed: Mapping[str, Any]) -> None:
        """Merge attributes and tell the others. The name comes from the token and stays."""
        changed = {key: value for key, value in changed.items() if key != "name"}
        member.set_attributes(changed)
        if changed and member.messaging:
            self._tell_others(member, "participant.attributes", {"attributes": changed})

    def recipient(self, participant_id: object) -> Member:
        """The visible member with an id. Raises `ToolError` 1003, which senders take as "offline"."""
        member = self._members.get(participant_id) if isinstance(participant_id, str) else None
        if member is None or not member.messaging:
            raise ToolError("the recipient is not online", code=NOT_FOUND)
        return member

    def _send(self, member: Member, message: Mapping[str, Any]) -> None:
        self._deliver(member, message, [self.recipient(message.get("to_participant_id"))])

    def _deliver(self, member: Member, message: Mapping[str, Any], recipients: Iterable[Member]) -> None:
        type_ = message.get("type")
        if not isinstance(type_, str):
            raise ToolError("a message needs a type")
        if type_ in _OURS:
            raise ToolError(f"messages of type {type_} come from the server only", code=PERMISSION_DENIED)
        if type_ == _DISMISS:
            grants.require(member.caller, "admin")
        attachment = _attachment(message.get("attachment_base64"))
        header = room_frames.write_fields(
            {
                "from_participant_id": member.id,
                "type": type_,
                "message": _object(message.get("message_json")),
            }
        )
        for recipient in recipients:
            recipient.post("messaging.send", header, attachment)

    def _audience(self, member: Member) -> list[Member]:
        return [other for other in self._members.values() if other.messaging and other is not member]

    def _tell_others(self, member: Member, type_: str, message: Mapping[str, Any]) -> None:
        for other in self._audience(member):
            if _may_list(other):
                _announce(other, member, type_, message)


def _may_list(member: Member) -> bool:
    fields = member.caller.api.get("messaging")
    return isinstance(fields, Mapping) and fields.get("list", True) is True


def _announce(to: Member, about: Member, type_: str, message: Mapping[str, Any]) -> None:
    header = room_frames.write_json({"from_participant_id": about.id, "type": type_, "message": message})
    to.post("messaging.send", header)


def _object(text: object) -> msgspec.Raw:
    """The JSON text of an object as its sender wrote it, or rewritten when it is not strict JSON."""
    if not isinstance(text, str):
        raise ToolError("message_json is not a text")
    try:
        raw = text.encode()
        fields = room_frames.read_fields(raw)
        strict = room_frames.is_strict(raw)
    except (WireError, UnicodeEncodeError) as error:
        raise ToolError("message_json is not a JSON object") from error
    return msgspec.Raw(raw if strict else room_frames.write_fields(fields))


def _attachment(text: object) -> bytes:
    if text is None:
        return b""
    if not isinstance(text, str):
        raise ToolError("attachment_base64 is not a text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolError("attachment_base64 is not base64") from error
