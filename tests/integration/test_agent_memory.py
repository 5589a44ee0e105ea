"""What an agent keeps of turns that are over: a few hundred names, so that late requests are understood."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.content import JsonResult, LogLine
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId
from tests.fakes.agent_house import Room, said, start
from tests.fakes.backend import PlayedTurn
from tests.fakes.holdings import holdings
from tests.fakes.memory_messaging import Client

BOUNDED = {
    "ThreadTurns._ended",  # 256 of a thread
    "Admission._sources",  # 256 of a thread
    "Repeats._askers",  # 2,000 of a channel
    "_Person.items",  # 512 of a viewer and thread, and not longer than 90 s
    "Cuts._ends",
    "Cuts._times",
    "Records.modes",  # files in the folder of the test, where the agent has its own
    "TurnRecord.unsure",
}
"""What may grow with turns, each up to a limit of its own."""

TURNS = 12


@pytest.mark.parametrize("how", ["answered", "used a tool", "stopped", "failed", "lost"])
async def test_nothing_else_grows_with_the_turns_of_a_thread(tmp_path: Path, how: str) -> None:
    room = Room(tmp_path)
    async with room.agent() as agent:
        ana = room.messaging.join("ana")
        thread = await start(ana)
        number = 0

        async def turns(count: int) -> None:
            nonlocal number
            for _ in range(count):
                if number:
                    ana.send("turn.start", thread_id=thread, content=said(f"turn {number}"))
                played = await room.backend.turn(number)
                await play(ana, thread, played, how)
                number += 1
                await ana.wait("turn.ended", turn_id=played.input.turn_id)
                await ana.wait("thread.status", turn_id=played.input.turn_id, status=None)
            while holdings(agent)["TrackedFolder._settling"]:  # noqa: ASYNC110 -- files are looked at beside turns
                await asyncio.sleep(0.01)

        await turns(4)
        before = holdings(agent)
        await turns(TURNS)
        grown = {
            place: (before[place], count)
            for place, count in holdings(agent).items()
            if count >= before[place] + TURNS // 2
        }
    looked_at = {"Supervisor._threads", "ThreadTurns._ended", "Repeats._askers", "RecordNames._work"}
    assert looked_at <= before.keys()
    assert grown.keys() <= BOUNDED, grown


async def play(ana: Client, thread: str, turn: PlayedTurn, how: str) -> None:
    text, ref = ItemId(f"text of {turn.input.turn_id}"), e.ToolRef(ItemId("tool"), "codex", "shell", "codex")
    turn.say(e.Working("Thinking"), e.TextStarted(text), e.TextDelta(text, "so far"))
    match how:
        case "used a tool":
            turn.say(e.ToolStarted(ref, {"command": "ls"}), e.ToolLog(ref, (LogLine("out"),)))
            turn.say(e.ToolEnded(ref, JsonResult({"exit_code": 0})), e.TurnEnded(EndReason.COMPLETED))
        case "stopped":
            ids = {"thread_id": thread, "turn_id": turn.input.turn_id}
            source = ana.send("turn.interrupt", **ids)
            again = ana.send("turn.interrupt", **ids)
            for each in (source, again):
                await ana.wait("turn.interrupt.accepted", source_message_id=each)
            await turn.interrupted.wait()
            turn.say(e.TextEnded(text), e.TurnEnded(EndReason.INTERRUPTED))
        case "failed":
            turn.end(EndReason.FAILED)
        case "lost":
            turn.vanish()
        case _:
            turn.say(e.TextEnded(text), e.TurnEnded(EndReason.COMPLETED))
