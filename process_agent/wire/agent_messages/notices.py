"""What the agent says beside events and replies, as agent messages (section 3.6)."""

from __future__ import annotations

from datetime import datetime

from process_agent.core.content import Json
from process_agent.core.ids import ThreadId
from process_agent.wire.agent_messages.parts import PREFIX, encode_time

_BEHIND = "You fell too far behind in this thread. What you missed is sent again now; nothing is to be done."


def encode_behind(
    thread_id: ThreadId, *, message_id: str, created_at: datetime, sender_name: str
) -> dict[str, Json]:
    """Tells a viewer that it was sent nothing for a while. What follows is a replay."""
    event: dict[str, Json] = {
        "type": "agent.event",
        "source": sender_name,
        "name": "viewer.behind",
        "kind": "message",
        "state": "completed",
        "headline": "You fell behind",
        "summary": _BEHIND,
        "details": [],
    }
    return {
        "type": f"{PREFIX}thread.event",
        "message_id": message_id,
        "created_at": encode_time(created_at),
        "metadata": {},
        "sender_name": sender_name,
        "thread_id": thread_id,
        "event": event,
    }
