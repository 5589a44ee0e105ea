"""How many calls of the room's tables a turn takes: each is a round trip and a write of the room's."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from process_agent.core import events as e
from process_agent.core.ids import ItemId, ThreadId
from tests.crash.agent import CrashAgent, Screen
from tests.crash.room import CrashRoom
from tests.crash.script import SHORT, Step
from tests.crash.virtual_time import virtual_loop

MOST_CALLS = 3
"""Of a short turn: what was asked, what came of it, and the list of threads."""

QUIET_SECONDS = 30.0
"""After which nothing is put off any more."""

THINKING_SECONDS = 0.7

_ITEM = ItemId("answer")
USUAL = [
    Step(THINKING_SECONDS, e.TextStarted(_ITEM)),
    *(Step(0.02, e.TextDelta(_ITEM, f"word {number} ")) for number in range(20)),
    Step(0.0, e.TextEnded(_ITEM)),
    Step(0.05, e.TurnEnded(e.EndReason.COMPLETED)),
]
"""A model that thinks for a while, as they do, and answers with a sentence."""


class OrderedRoom(CrashRoom):
    """Takes rows and messages over one connection, as the local room does."""

    in_order = True


class OrderedScreen(Screen):
    in_order = True


async def settled_agent(room: CrashRoom, agent: CrashAgent) -> ThreadId:
    """A thread that had a turn, and nothing left to do for it."""
    await agent.start()
    agent.runner.start()
    thread = await agent.new_thread("begin")
    assert thread is not None
    await asyncio.sleep(QUIET_SECONDS)
    return thread


async def calls_of_turn(agent: CrashAgent, room: CrashRoom, thread: ThreadId) -> Counter[tuple[str, str]]:
    before = len(room.calls)
    source = agent.turn(thread, "and then?")
    assert isinstance((await agent.ended(source)).body, e.TurnEnded)
    await asyncio.sleep(QUIET_SECONDS)
    return Counter(room.calls[before:])


@pytest.mark.parametrize("script", [SHORT, USUAL], ids=["at once", "usual"])
@pytest.mark.parametrize("ordered", [True, False], ids=["in order", "not in order"])
def test_a_short_turn_takes_three_calls(script: list[Step], ordered: bool) -> None:
    with virtual_loop() as loop:

        async def main() -> Counter[tuple[str, str]]:
            room = OrderedRoom() if ordered else CrashRoom()
            agent = CrashAgent(room, "first", loop.moment, lambda: script)
            if ordered:
                agent.screen.__class__ = OrderedScreen
            thread = await settled_agent(room, agent)
            calls = await calls_of_turn(agent, room, thread)
            await agent.close()
            return calls

        calls = loop.run_until_complete(main())
    assert calls.total() <= MOST_CALLS, calls
    assert calls["update", "index"] == 1
