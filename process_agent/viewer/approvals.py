"""What a viewer does about requests for approval."""

from __future__ import annotations

from enum import StrEnum

from process_agent.core.approvers import Approvers
from process_agent.core.events import ApprovalRequested
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.participants import Participant
from process_agent.core.replies import RequestRejected
from process_agent.viewer.received import Received


class Approve(StrEnum):
    """Who answers: the person at this terminal, other participants, or nobody, always the same."""

    ASK = "ask"
    WAIT = "wait"
    NEVER = "never"
    ALWAYS = "always"


def waits_for(request: ApprovalRequested | None, me: Participant) -> str | None:
    """Who may decide, when we may not."""
    approvers = None if request is None else Approvers.of(request.approvers)
    return None if approvers is None or approvers.allow(me) else str(approvers)


class Decided:
    """What was decided here: asked no more, until the agent says that it does not count."""

    def __init__(self) -> None:
        self.items: set[ItemId] = set()
        self.sent: dict[MessageId, ItemId] = {}
        """The items, by the message that decided."""

    def refused(self, received: Received) -> str | None:
        """Why a decision of ours does not count, when a message says so. Its item waits still, or was decided
        by somebody else.
        """
        refused = received.reply
        if not isinstance(refused, RequestRejected) or refused.source not in self.sent:
            return None
        self.items.discard(self.sent.pop(refused.source))
        return refused.error.message

    def clear(self) -> None:
        """Another thread is shown."""
        self.items.clear()
        self.sent.clear()
