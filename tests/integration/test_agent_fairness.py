"""One participant floods the agent; another still gets an answer, and can stop what waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.agent.provisions import STARTING
from process_agent.agent.runner import CREATING
from tests.fakes.agent_house import Room, said, start

FLOOD = 150


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def test_a_flood_of_threads_does_not_keep_another_waiting(room: Room) -> None:
    async with room.agent():
        ana, ben = room.messaging.join("ana"), room.messaging.join("ben")
        for number in range(FLOOD):
            ana.send("thread.start", content=said(f"flood {number}"))
        ben.send("thread.start", content=said("just this"))
        number = 0
        while (turn := await room.backend.turn(number)).text != "just this":
            turn.end()  # each makes place for the next
            number += 1
        assert number <= 2 * (STARTING + CREATING)
        turn.answer("here you are")
        await ben.wait("turn.ended")
        while number < FLOOD:
            number += 1
            (await room.backend.turn(number)).end()
        assert len(ana.all("thread.started")) == FLOOD


async def test_a_turn_that_waits_to_begin_can_be_stopped(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        room.backend.opening.clear()
        threads = [await start(ana, f"turn {number}") for number in range(STARTING + 1)]
        last = await ana.wait("turn.started", thread_id=threads[-1])
        ana.send("turn.interrupt", thread_id=threads[-1], turn_id=last["turn_id"])
        ended = await ana.wait("turn.ended", turn_id=last["turn_id"])
        assert ended["error"]["code"] == "cancelled"
        room.backend.opening.set()
        for number in range(STARTING):
            (await room.backend.turn(number)).end()
        await ana.wait("turn.ended")


async def test_turns_that_say_nothing_for_long_keep_nobody_out(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        for number in range(STARTING + 1):
            await start(ana, f"silent {number}")
        assert (await room.backend.turn(STARTING)).text == f"silent {STARTING}"
