from __future__ import annotations

from contextlib import aclosing

from backends.codex.app_server import Lost
from backends.codex.frame import Frame
from backends.codex.running import GivenUp, RunningTurn
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, EndReason, TextDelta, ToolStarted, TurnEnded
from process_agent.core.ids import TurnId
from process_agent.core.usage import Usage
from process_agent.wire.jsonrpc import Notification, Request
from tests.unit.codex.replay import FakeServer


async def test_a_reader_that_leaves_with_the_last_event_leaves_a_turn_that_is_over() -> None:
    """Otherwise it would count as abandoned, and its Codex thread would be thrown away after each turn."""
    turn = RunningTurn(Frame(TurnId("t"), "/workspace"))
    turn.hear(GivenUp())
    async with aclosing(turn.events()) as events:
        async for event in events:
            if isinstance(event, TurnEnded):
                assert turn.over.is_set()
                break
    assert turn.over.is_set()


async def test_a_turn_that_is_started_again_does_not_hear_of_the_death_before() -> None:
    """Otherwise it would end as lost while the next Codex runs it."""
    turn = RunningTurn(Frame(TurnId("t"), "/workspace"))
    turn.goes_to(FakeServer(), "thread", Usage())  # type: ignore[arg-type]
    turn.hear(Notification("warning", {"message": "kept"}))
    turn.hear(Lost())
    turn.goes_to(FakeServer(), "other", Usage())  # type: ignore[arg-type]
    turn.accepted("turn")
    turn.hear(Notification("turn/completed", {"turn": {"id": "turn", "status": "completed"}}))
    events = [event async for event in turn.events()]
    assert events[-1] == TurnEnded(EndReason.COMPLETED)
    assert [event.arguments for event in events if isinstance(event, ToolStarted)] == [{"message": "kept"}]


async def test_no_more_words_come_from_a_turn_that_is_being_stopped() -> None:
    """But for what Codex says of an item at its end, which holds all of it."""
    turn = RunningTurn(Frame(TurnId("t"), "/workspace"))
    turn.goes_to(FakeServer(), "thread", Usage())  # type: ignore[arg-type]
    turn.accepted("turn")

    def hear(method: str, **params: object) -> None:
        turn.hear(Notification(method, {"turnId": "turn", **params}))

    item = {"type": "agentMessage", "id": "i", "text": ""}
    hear("item/started", item=item)
    hear("item/agentMessage/delta", itemId="i", delta="before ")
    turn.interrupted = True
    hear("item/agentMessage/delta", itemId="i", delta="after")
    ended = {"turn": {"id": "turn", "status": "interrupted"}}
    turn.hear(Notification("turn/completed", ended))
    events = [event async for event in turn.events()]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["before "]
    assert events[-1] == TurnEnded(EndReason.INTERRUPTED)


def test_a_second_question_about_an_item_is_not_answered_by_a_late_yes_to_the_first() -> None:
    """Like the retry of a command outside the sandbox: whoever said yes twice saw only the first question."""
    turn = RunningTurn(Frame(TurnId("t"), "/workspace"))
    server = FakeServer()
    turn.goes_to(server, "thread", Usage())  # type: ignore[arg-type]
    turn.accepted("turn")
    item = {
        "type": "commandExecution",
        "id": "i",
        "command": "ls",
        "cwd": "/workspace",
        "status": "inProgress",
    }
    turn.take(Notification("item/started", {"turnId": "turn", "item": item}))
    asked = []
    for number in (1, 2):
        params = {"turnId": "turn", "itemId": "i", "command": "ls"}
        events = turn.take(Request(number, "item/commandExecution/requestApproval", params))
        asked += [event.ref.item_id for event in events if isinstance(event, ApprovalRequested)]
        if number == 1:
            assert turn.decide(asked[0], Decision.ACCEPT)
    assert len(set(asked)) == 2
    assert not turn.decide(asked[0], Decision.ACCEPT)
    assert turn.decide(asked[1], Decision.DECLINE)


async def test_words_that_come_together_are_told_as_one() -> None:
    turn = RunningTurn(Frame(TurnId("t"), "/workspace"))
    turn.goes_to(FakeServer(), "thread", Usage())  # type: ignore[arg-type]
    turn.accepted("turn")
    item = {"type": "agentMessage", "id": "i", "text": ""}
    turn.hear(Notification("item/started", {"turnId": "turn", "item": item}))
    for text in ("one ", "two ", "three"):
        turn.hear(Notification("item/agentMessage/delta", {"turnId": "turn", "itemId": "i", "delta": text}))
    turn.hear(Notification("turn/completed", {"turn": {"id": "turn", "status": "completed"}}))
    events = [event async for event in turn.events()]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["one two three"]
