"""Answers `/usage` in a turn of its own."""

from __future__ import annotations

from collections.abc import Iterator

from process_agent.agent.metering import Metering
from process_agent.agent.tools.tool import Report
from process_agent.core.content import ErrorInfo
from process_agent.core.events import BackendEvent, EndReason, TextDelta, TextEnded, TextStarted, TurnEnded
from process_agent.core.ids import ItemId, ThreadId, TurnId
from process_agent.core.usage import UsageQuestion
from process_agent.errors import RoomError
from process_agent.metering import words


async def answer_usage(
    metering: Metering, question: UsageQuestion, thread_id: ThreadId, turn_id: TurnId, report: Report
) -> None:
    """Report the answer as events of the turn, the last a `TurnEnded`."""
    ledger = metering.ledger
    today = metering.clock().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if ledger is None:
        text = words.NOT_KEPT
    else:
        try:
            text = words.usage_text(await ledger.records(thread_id, today), thread_id, today, question)
        except RoomError as error:
            failed = ErrorInfo(f"The usage cannot be read: {error}", "usage_not_available")
            report(turn_id, TurnEnded(EndReason.FAILED, failed))
            return
    for event in _said(turn_id, text):
        report(turn_id, event)


def _said(turn_id: TurnId, text: str) -> Iterator[BackendEvent]:
    item = ItemId(f"{turn_id}:usage")
    yield TextStarted(item, "final_answer")
    yield TextDelta(item, text, "final_answer")
    yield TextEnded(item, "final_answer")
    yield TurnEnded(EndReason.COMPLETED)
