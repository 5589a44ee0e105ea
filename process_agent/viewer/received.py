"""Agent messages as a viewer receives them: the message itself and what it means."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from process_agent.core.content import Json
from process_agent.core.events import ModelChanged, SteerRejected, ThreadEvent, TurnRejected
from process_agent.core.ids import MessageId
from process_agent.core.replies import Reply, ThreadCreated, ThreadDeleted, ThreadUpdated
from process_agent.errors import WireError
from process_agent.wire.agent_messages import decode_event, decode_reply

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """One agent message. `event` and `reply` are both None when we have no type for it."""

    body: Mapping[str, Json]
    event: ThreadEvent | None = None
    reply: Reply | None = None

    @property
    def thread_id(self) -> str | None:
        """The thread the message names."""
        value = self.body.get("thread_id")
        return value if isinstance(value, str) and value else None

    @property
    def answers(self) -> MessageId | None:
        """The id of the request that this message answers for good, if it does."""
        if self.event is not None:
            body = self.event.body
            if isinstance(body, TurnRejected | SteerRejected | ModelChanged):
                return body.source
            return None
        if self.reply is None or isinstance(self.reply, ThreadCreated | ThreadUpdated | ThreadDeleted):
            return None
        return self.reply.source


def understand(body: Mapping[str, Json], now: datetime) -> Received:
    """Decode a message. One that is malformed is logged by its type and kept without a meaning."""
    try:
        event = decode_event(body, now)
        return Received(body, event, decode_reply(body) if event is None else None)
    except WireError as error:
        logger.warning("a message of the agent cannot be read: %s", error)
        return Received(body)
