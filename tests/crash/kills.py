"""Kills an agent at each of its effects, and looks at what the next one makes of what the room holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from process_agent.core import events as e
from process_agent.core.ids import MessageId, ThreadId
from tests.crash.agent import CrashAgent, Heard
from tests.crash.checks import Before, Revived, compare, go_on
from tests.crash.room import CrashRoom, Tables, Write
from tests.crash.script import Ask, answer, conversation
from tests.crash.virtual_time import VirtualLoop, virtual_loop


@dataclass(frozen=True)
class Moment:
    """Where an agent can be killed: what the room holds, what is on its way, and how much was told."""

    number: int
    what: str
    at: float
    tables: Tables
    in_flight: tuple[Write, ...]
    shown: int
    said: int


class Recording:
    """A conversation, and each moment of it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.moments: list[Moment] = []
        self.heard = Heard()
        self._chance = random.Random(seed)

    async def play(self, loop: VirtualLoop) -> None:
        room = CrashRoom(chance=self._chance)
        agent = CrashAgent(room, "first", loop.moment, lambda: answer(self._chance))
        self.heard = agent.heard

        def effect(what: str) -> None:
            heard, tables = agent.heard, dict(room.tables)
            counts = len(heard.shown), len(heard.said)
            moment = Moment(len(self.moments), what, loop.time(), tables, tuple(room.in_flight), *counts)
            self.moments.append(moment)

        room.effect = agent.backend.effect = effect
        await agent.start()
        talk = Talk(agent)
        for ask in conversation(self._chance):
            await talk.do(ask)
        await talk.all_ended()
        await agent.close()

    def before(self, moment: Moment) -> Before:
        """What was told when the agent was killed there."""
        return Before(moment.at, self.heard.shown[: moment.shown], self.heard.said[: moment.said])


class Talk:
    """One person who does what a script says."""

    def __init__(self, agent: CrashAgent) -> None:
        self._agent = agent
        self._threads: list[ThreadId] = []
        self._asked: list[MessageId] = []

    async def do(self, ask: Ask) -> None:
        agent = self._agent
        await asyncio.sleep(ask.wait)
        if ask.what == "new" or not self._threads:
            thread = await agent.new_thread(ask.text)
            self._threads += [] if thread is None else [thread]
            return
        thread = self._threads[ask.thread % len(self._threads)]
        running = agent.running(thread)
        match ask.what:
            case "interrupt" if running is not None:
                agent.interrupt(thread, running)
            case "steer" if running is not None:
                agent.steer(thread, running, ask.text)
            case "model":
                agent.change_model(thread, "gpt-5.5-mini")
            case _:
                self._asked.append(agent.turn(thread, ask.text))

    async def all_ended(self) -> None:
        """Return when everything that was asked was refused, or is over."""
        heard = self._agent.heard

        def done() -> bool | None:
            accepted = {x.body.source: x.turn_id for x in heard.shown if isinstance(x.body, e.TurnAccepted)}
            refused = {x.body.source for x in heard.shown if isinstance(x.body, e.TurnRejected)}
            ended = {x.turn_id for x in heard.shown if isinstance(x.body, e.TurnEnded)}
            over = all(accepted.get(x) in ended or x in refused for x in self._asked)
            return True if over and set(accepted.values()) <= ended else None

        await self._agent.screen.until(done)


class Aftermath:
    """What new agents make of what the room held at the moments of one recording.

    Of moments that left the room the same, one is gone on from; what was told until then is held against it
    for each of them.
    """

    def __init__(self, recording: Recording, loop: VirtualLoop, chance: random.Random) -> None:
        self._recording = recording
        self._loop = loop
        self._chance = chance
        self._revived: dict[object, Revived] = {}

    async def look_at(self, moment: Moment) -> None:
        """Raises `AssertionError` when something does not hold."""
        landed = moment.in_flight if self._chance.random() < 0.5 else ()
        state = frozenset((ref, id(table)) for ref, table in moment.tables.items())
        key = state, tuple(map(id, landed))
        revived = self._revived.get(key)
        if revived is None:
            revived = self._revived[key] = await self._revive(moment, landed)
        compare(revived, self._recording.before(moment))

    async def _revive(self, moment: Moment, landed: Sequence[Write]) -> Revived:
        """A new agent starts on what the room holds, and is asked in each thread."""
        room = CrashRoom(moment.tables)
        for write in landed:
            await write(room)
        agent = CrashAgent(room, f"next-{moment.number}", self._loop.moment)
        await agent.start()
        try:
            return await go_on(agent, room)
        finally:
            await agent.close()


def crash_everywhere(seed: int) -> int:
    """Play the conversation of a seed and kill it at each of its moments; how many those were."""
    with virtual_loop() as loop:
        recording = Recording(seed)
        loop.run_until_complete(recording.play(loop))
        aftermath = Aftermath(recording, loop, random.Random(seed))
        for moment in recording.moments:
            try:
                loop.run_until_complete(aftermath.look_at(moment))
            except Exception as error:
                where = f"seed {seed}, killed at moment {moment.number} of {len(recording.moments)}"
                error.add_note(f"{where}, {moment.at:.3f} s: {moment.what}")
                raise
        return len(recording.moments)
