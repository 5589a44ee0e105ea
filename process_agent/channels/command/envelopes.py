"""What passes between agent and channel program: agent messages with who sent them, or to whom. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant, of_channel
from process_agent.errors import WireError
from process_agent.wire.agent_messages import PREFIX
from process_agent.wire.msgpack_frames import json_message
from process_agent.wire.participant_token import ROLES

MAX_ID = 1_000
"""Characters of a participant's id."""

TOLD_TO_ALL = frozenset(
    PREFIX + kind
    for kind in ("thread.started", "thread.start.rejected", "turn.start.rejected", "turn.steer.rejected")
)
"""Answers that the published agent gives without `to_participant_id`: its channels take them only so."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from the program. `to` is set on what is not meant for the agent."""

    message: dict[str, Json]
    sender: Participant | None = None
    to: str | None = None


def is_capability(value: Mapping[Any, Any], capability: str) -> bool:
    """Whether a first value proves that we started the program. Takes as long for every wrong guess."""
    given = value.get("capability")
    return isinstance(given, str) and hmac.compare_digest(
        given.encode("utf-8", "replace"), capability.encode()
    )


def read_envelope(value: Mapping[Any, Any], *, channel: str, users: bool) -> Inbound:
    """A later value. `users` lets senders be people, who may approve, and be who they say they are. Raises
    `WireError`.
    """
    # Sound, the only binary data of a message, has no taker in this agent.
    message, _sound = json_message(value.get("data"), "data")
    to = value.get("to_participant_id")
    if to is not None and not isinstance(to, str):
        raise WireError("to_participant_id must be text")
    sender = value.get("sender")
    return Inbound(message, None if sender is None else _sender(sender, channel, users=users), to)


def _sender(value: Any, channel: str, *, users: bool) -> Participant:
    sender, _ = json_message(value, "sender")
    participant_id, attributes = sender.get("id"), sender.get("attributes")
    if not isinstance(participant_id, str) or not 0 < len(participant_id.strip()) <= MAX_ID:
        raise WireError(f"sender.id must be text of 1 to {MAX_ID} characters")
    if attributes is None:
        attributes = {}
    if not isinstance(attributes, dict):
        raise WireError("sender.attributes must be a map")
    claimed = attributes.get("role", "user")
    role = claimed if users and isinstance(claimed, str) and claimed in ROLES else "agent"
    known = Participant(ParticipantId(participant_id), role, attributes)
    return known if users else replace(known, acts_for=of_channel(channel, known.name))


def envelope(message: Mapping[str, Json], participant: Participant | None) -> dict[str, Json]:
    """A message for the program; None when it is about a thread and for whoever the program likes."""
    sent: dict[str, Json] = {"data": dict(message)}
    if participant is None:
        return sent
    sent["sender"] = {"id": participant.id, "attributes": dict(participant.attributes)}
    if message.get("type") not in TOLD_TO_ALL:
        sent["to_participant_id"] = participant.id
    return sent
