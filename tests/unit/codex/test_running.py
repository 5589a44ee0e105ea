from __future__ import annotations

from contextlib import aclosing

from backends.codex.running import GivenUp, RunningTurn
from process_agent.core.events import TurnEnded
from process_agent.core.ids import TurnId


async def test_a_reader_that_leaves_with_the_last_event_leaves_a_turn_that_is_over() -> None:
    """Otherwise it would count as abandoned, and its Codex thread would be thrown away after each turn."""
    turn = RunningTurn(TurnId("t"), "/workspace", "ask")
    turn.hear(GivenUp())
    async with aclosing(turn.events()) as events:  # type: ignore[type-var]
        async for event in events:
            if isinstance(event, TurnEnded):
                assert turn.over.is_set()
                break
    assert turn.over.is_set()
