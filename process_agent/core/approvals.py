"""Decisions about items that wait for one."""

from __future__ import annotations

from process_agent.core.backend import Decision
from process_agent.core.commands import DecideItem, StartTimer, StopTimer, Timer, TimerKind
from process_agent.core.events import ApprovalDecided, ApprovalRequested
from process_agent.core.ids import ItemId
from process_agent.core.speaker import Speaker
from process_agent.core.turn import Approval, Turn

NOBODY_HERE = "nobody who may decide is here"


class Approvals:
    """The approvals of one thread. No answer in time means no."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._out = speaker.out

    def ask(self, turn: Turn, request: ApprovalRequested) -> None:
        """Wait for a decision, or take it at once when the operator decided for all."""
        item_id = request.ref.item_id
        turn.wait_for(Approval(request))
        if self._nobody_for(turn) and self._speaker.setting.approvals == "ask":
            self.decide(turn, item_id, False, NOBODY_HERE)
            return
        match self._speaker.setting.approvals:
            case "ask":
                self._out(StartTimer(self._timer(turn, item_id), self._speaker.setting.limits.approval))
            case "auto":
                self.decide(turn, item_id, True, "--approvals auto")
            case "deny":
                self.decide(turn, item_id, False, "--approvals deny")

    def decide(self, turn: Turn, item_id: ItemId, accepted: bool, by: str) -> bool:
        """Tell the backend. False when nothing waits, or somebody was faster."""
        approval = turn.approvals.get(item_id)
        if approval is None or approval.by is not None:
            return False
        approval.by, approval.accepted = by, accepted
        decision = Decision.ACCEPT if accepted else Decision.DECLINE
        self._out(StopTimer(self._timer(turn, item_id)))
        self._out(DecideItem(self._speaker.thread_id, turn.id, item_id, decision))
        return True

    def unwatched(self, turn: Turn) -> None:
        """Somebody views the thread no more: what nobody is left for is declined."""
        if self._nobody_for(turn):
            for item_id in tuple(turn.approvals):
                self.decide(turn, item_id, False, NOBODY_HERE)

    def _nobody_for(self, turn: Turn) -> bool:
        """Whether nobody but one who cannot be asked is there to decide."""
        return not turn.options.attended and not self._speaker.viewers.deciders - {turn.sender}

    def close(self, turn: Turn, item_id: ItemId) -> ApprovalDecided | None:
        """The item waits no more; who decided, if anybody did."""
        approval = turn.settle(item_id)
        if approval is None:
            return None
        if approval.by is None:
            self._out(StopTimer(self._timer(turn, item_id)))
            return None
        return ApprovalDecided(approval.request.ref, approval.accepted, approval.by)

    def forget(self, turn: Turn) -> None:
        """The turn is over; nothing waits any more."""
        for item_id, approval in turn.approvals.items():
            if approval.by is None:
                self._out(StopTimer(self._timer(turn, item_id)))

    def _timer(self, turn: Turn, item_id: ItemId) -> Timer:
        return Timer(TimerKind.APPROVAL, self._speaker.thread_id, turn.id, item_id)
