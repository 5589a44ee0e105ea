"""Whatever happens to calls between agent and room: each row once, in order, and nobody is told too early."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from process_agent.core import events as e
from process_agent.core.ids import ItemId
from process_agent.core.room import TableRef
from process_agent.core.turn_output import UNSAVED
from tests.crash.agent import CrashAgent
from tests.crash.checks import Before, compare, go_on, rows_are_sound
from tests.crash.kills import Talk
from tests.crash.link import NONE, Faults, Link
from tests.crash.room import CrashRoom
from tests.crash.script import Step, answer, conversation
from tests.crash.virtual_time import VirtualLoop, virtual_loop

CONVERSATIONS = 240
SHARDS = 4
TWICE = 0.05
"""Chance that a call is carried out twice, in every other conversation."""


def stored_ends(room: CrashRoom, thread: str) -> set[str]:
    *namespace, name = thread.removeprefix("dataset://").split("/")
    if TableRef(name, tuple(namespace)) not in room.tables:
        return set()
    rows = room.columns(thread, ["turn_id", "type"])
    return {row["turn_id"] for row in rows if row["type"] == "meshagent.agent.turn.ended"}


async def talk(seed: int, loop: VirtualLoop) -> Counter[str]:
    chance = random.Random(seed)
    room = CrashRoom(chance=chance)
    link = Link(room, chance)
    agent = CrashAgent(link, "first", loop.moment, lambda: answer(chance))
    await agent.start()
    link.suffer(Faults(twice=TWICE if seed % 2 else 0.0))
    early: list[e.ThreadEvent] = []

    def watch(event: e.ThreadEvent) -> None:
        match event.body:
            case e.TurnEnded(_, error) if error is None or "not stored" not in error.message:
                if event.turn_id not in stored_ends(room, event.thread_id):
                    early.append(event)

    agent.screen.watch = watch
    people = Talk(agent)
    for ask in conversation(chance):
        await people.do(ask)
    await people.all_ended()
    assert not early, f"told to be over before that was stored: {early}"
    await agent.all_stored()
    link.suffer(NONE)
    await agent.close()
    again = CrashAgent(Link(room), "next", loop.moment)
    await again.start()
    shown = agent.heard.shown
    compare(await go_on(again, room, doubled=bool(seed % 2)), Before(loop.time(), shown, agent.heard.said))
    await again.close()
    return link.seen


@pytest.mark.timeout(180)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_row_is_stored_once_and_in_order(shard: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(shard * 1000, shard * 1000 + CONVERSATIONS // SHARDS):
        with virtual_loop() as loop:
            try:
                seen += loop.run_until_complete(talk(seed, loop))
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise
    assert all(seen[kind] for kind in ("late", "lost", "unanswered", "refused", "twice", "outage"))


async def long_turn(loop: VirtualLoop, away_from: float, away_for: float) -> tuple[CrashAgent, CrashRoom]:
    """A turn that speaks for 20 s, in which the room is away for a while."""
    room = CrashRoom()
    link = Link(room)
    item = ItemId("long")
    said: list[e.BackendEvent] = [e.TextDelta(item, f"{number} ") for number in range(200)]
    script = [Step(0.1, event) for event in (*said, e.TurnEnded(e.EndReason.COMPLETED))]
    agent = CrashAgent(link, "first", loop.moment, lambda: script)
    await agent.start()
    assert await agent.new_thread("speak") is not None
    await asyncio.sleep(away_from)
    link.away(away_for)
    return agent, room


def statuses(agent: CrashAgent) -> list[str | None]:
    return [x.body.text for x in agent.heard.shown if isinstance(x.body, e.Status)]


@pytest.mark.parametrize("seconds", [1.0, 7.0, 60.0])
def test_people_see_that_what_they_read_is_not_saved_yet(seconds: float) -> None:
    with virtual_loop() as loop:

        async def main() -> None:
            agent, room = await long_turn(loop, 5.0, seconds)
            people = Talk(agent)
            await people.all_ended()
            await agent.all_stored()
            told = statuses(agent)
            assert f"Thinking · {UNSAVED}" in told
            assert told[-1] is None
            ended = [x.body for x in agent.heard.shown if isinstance(x.body, e.TurnEnded)]
            late = seconds > 20
            assert [body.error is not None and body.error.code == "not_stored" for body in ended] == [late]
            thread = agent.heard.shown[0].thread_id
            rows_are_sound(room, thread)
            assert stored_ends(room, thread)
            await agent.close()

        loop.run_until_complete(main())
