"""Decisions of participants about what the running turn of a thread waits for."""

from __future__ import annotations

from process_agent.core.approvals import NOTHING_WAITS
from process_agent.core.content import ErrorInfo
from process_agent.core.decisions import NO_ANSWERS, Decision
from process_agent.core.ids import ItemId
from process_agent.core.requests import Decide, Envelope
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.turn import Approval


def waiting(turns: ThreadTurns) -> list[Approval]:
    """What waits for people, oldest first."""
    turn = turns.active
    return [] if turn is None else turns.output.approvals.waiting(turn)


def decide(turns: ThreadTurns, request: Decide) -> ErrorInfo | None:
    """What a participant decided about an item; why it does not count, if it does not."""
    turn, approvals, envelope = turns.active, turns.output.approvals, request.envelope
    if turn is None or turn.id != request.turn_id:
        return approvals.refusal(envelope.sender) or NOTHING_WAITS
    error = approvals.decide(turn, request.item_id, request.decision, request.answers, envelope.sender)
    return error or _follow(turns, request.decision, envelope)


def decide_typed(
    turns: ThreadTurns, item_id: ItemId, decision: Decision, envelope: Envelope
) -> ErrorInfo | None:
    """The same, for one who is told in words what came of it."""
    turn, approvals = turns.active, turns.output.approvals
    if turn is None:
        return NOTHING_WAITS
    error = approvals.decide(turn, item_id, decision, NO_ANSWERS, envelope.sender, typed=True)
    return error or _follow(turns, decision, envelope)


def _follow(turns: ThreadTurns, decision: Decision, envelope: Envelope) -> ErrorInfo | None:
    """What a decision means for its turn."""
    if decision is Decision.CANCEL:
        turns.interrupt_running(envelope.message_id)
    elif turns.active is not None:
        turns.output.refresh(turns.active)
    return None
