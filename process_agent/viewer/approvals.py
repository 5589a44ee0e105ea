"""What a viewer does about requests for approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_agent.core.approvers import Approvers
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.participants import Participant
from process_agent.core.replies import RequestRejected
from process_agent.viewer.approve import Approve
from process_agent.viewer.items import ToolItem, Turn
from process_agent.viewer.received import Received

if TYPE_CHECKING:
    from process_agent.viewer.view import ThreadView


def waits_for(request: ApprovalRequested | None, me: Participant) -> str | None:
    """Who may decide, when we may not."""
    approvers = None if request is None else Approvers.of(request.approvers)
    return None if approvers is None or approvers.allow(me) else str(approvers)


class Deciding:
    """What was decided here is asked no more, until the agent says that it does not count."""

    def __init__(self, approve: Approve) -> None:
        self.approve = approve
        self.items: set[ItemId] = set()
        self.sent: dict[MessageId, ItemId] = {}
        """The items, by the message that decided."""

    def waiting(self, view: ThreadView) -> list[tuple[Turn, ToolItem]]:
        """What waits for an approval that was not given here yet, oldest first."""
        return [(t, i) for t, i in view.transcript.waiting_tools() if i.id not in self.items]

    def offers(self, view: ThreadView, me: Participant, decision: Decision) -> bool:
        """Whether we can decide so about the oldest request, here; questions are answered in words."""
        waiting = self.waiting(view) if self.approve is Approve.ASK else []
        request = waiting[0][1].request if waiting else None
        if request is None or request.questions or decision not in request.decisions:
            return False
        return waits_for(request, me) is None

    async def decide(self, view: ThreadView, decision: Decision) -> None:
        """Answer the oldest request for approval."""
        if waiting := self.waiting(view):
            turn, item = waiting[0]
            self.items.add(item.id)
            self.sent[await view.decide(turn.id, item.id, decision)] = item.id

    async def decide_alone(self, view: ThreadView, me: Participant) -> None:
        """Answer whatever we may, where the same is always answered."""
        if self.approve not in (Approve.NEVER, Approve.ALWAYS):
            return
        decision = Decision.ACCEPT if self.approve is Approve.ALWAYS else Decision.DECLINE
        while (waiting := self.waiting(view)) and waits_for(waiting[0][1].request, me) is None:
            await self.decide(view, decision)

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
