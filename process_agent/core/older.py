"""What a viewer reads where the turns before those it got are left out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

from process_agent.core import events as e
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.turn_output import NOTICE

ITEM = ItemId(f"{NOTICE}older")
TEXT = "Older turns are not shown: this thread is longer than what is loaded at once."

_NAMESPACE = uuid.UUID("b1d5b5cf-9f0e-4f43-93c5-0c2a6f0f4b57")


def notice(first: e.ThreadEvent, agent_name: str) -> Iterator[e.ThreadEvent]:
    """One line of commentary in the turn of the first event shown. It is never stored; its ids are the same
    each time, so that a client which opens the thread again shows it once.
    """
    bodies: tuple[e.EventBody, ...] = (
        e.TextStarted(ITEM, "commentary"),
        e.TextDelta(ITEM, TEXT, "commentary"),
        e.TextEnded(ITEM, "commentary"),
    )
    for number, body in enumerate(bodies):
        message_id = MessageId(str(uuid.uuid5(_NAMESPACE, f"{first.thread_id}\n{number}")))
        yield replace(first, message_id=message_id, body=body, sender_name=agent_name)
