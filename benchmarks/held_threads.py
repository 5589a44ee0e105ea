"""How many open threads one agent holds, and what each costs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks.chat import Chat, joined
from benchmarks.codex_turn import talk
from benchmarks.figures import OURS, Figure, Section
from benchmarks.llm_turn import scripted
from benchmarks.programs import cpu_ms, resident_mb
from benchmarks.stage import LLM_MODEL, Agent, Stage
from benchmarks.store_cost import LABELS

COUNTS = (100, 1_000, 2_000)
REFERENCE_MOST = 100
"""Threads the reference is asked to hold: of 200 turns at once it loses some."""

AT_ONCE = 20
"""Threads that are made, and turns that run, at the same time."""

OF_ONE = 500
"""Threads that one participant starts: an agent lets one start 600 a minute."""

AGAIN = 20
"""Turns in one thread while all of them are open."""

SETTLE_SECONDS = 3.0


class _Held:
    """The threads of one agent, and who views them."""

    def __init__(self, stage: Stage, agent: Agent, stack: AsyncExitStack) -> None:
        self._stage, self._agent, self._stack = stage, agent, stack
        self.threads: list[tuple[Chat, str]] = []

    async def grow(self, count: int) -> None:
        """Open threads until there are so many, each with a turn that ended."""
        while len(self.threads) < count:
            chat = await self._viewer(len(self.threads) // OF_ONE)
            more = min(AT_ONCE, count - len(self.threads), OF_ONE - len(self.threads) % OF_ONE)
            agent = await chat.see(self._agent.name)
            made = [(chat, await chat.new_thread(agent)) for _ in range(more)]
            await _turns(made, "first")
            self.threads += made

    async def _viewer(self, number: int) -> Chat:
        if len(self.threads) % OF_ONE and self.threads:
            return self.threads[-1][0]
        token = self._stage.token(f"viewer-{number}-of-{self._agent.name}")
        return await self._stack.enter_async_context(joined(self._stage.room_url, token))


async def measure(stage: Stage, counts: Sequence[int] = COUNTS) -> Section:
    """Each program for itself: threads are opened, each has a turn and stays open; then all have another."""
    memory = {n: Figure(f"{n:,} open threads: the agent's memory for each", "MB") for n in counts}
    whole = {n: Figure(f"{n:,} open threads: the agent's memory", "MB") for n in counts}
    rate = {n: Figure(f"{n:,} open threads, a turn in each: turns each second", "") for n in counts}
    cpu = {n: Figure(f"{n:,} open threads: the agent's processor time for each turn", "ms") for n in counts}
    alone = {n: Figure(f"{n:,} open threads, a turn in one: request to end", "ms") for n in counts}
    idle = {
        n: Figure(f"{n:,} open threads, no turn: the agent's processor time a second", "ms") for n in counts
    }
    for program, agent in stage.agents(LLM_MODEL).items():
        async with AsyncExitStack() as stack:
            talking = await stack.enter_async_context(talk(stage, agent))
            held = _Held(stage, agent, stack)
            await held.grow(1)
            before = resident_mb(talking.pid)
            for count in counts if program == OURS else [n for n in counts if n <= REFERENCE_MOST]:
                await held.grow(count)
                idle[count].add(program, await _idle(talking.pid))
                now = resident_mb(talking.pid)
                whole[count].add(program, now)
                memory[count].add(program, (now - before) / (count - 1))
                used, began = cpu_ms(talking.pid), time.perf_counter()
                for start in range(0, count, AT_ONCE):
                    await _turns(held.threads[start : start + AT_ONCE], "again")
                rate[count].add(program, count / (time.perf_counter() - began))
                cpu[count].add(program, (cpu_ms(talking.pid) - used) / count)
                chat, thread = held.threads[0]
                for number in range(AGAIN):
                    turn = await chat.turn(thread, scripted(f"one {number}"))
                    alone[count].add(program, turn.ended_ms)
    notes = (
        "Threads of a language model that are opened one after the other, each viewed over a stream of its "
        f"own and with a turn that ended; then another turn in each, {AT_ONCE} at a time. Nothing is "
        "released while somebody views it. Memory is resident, of the agent alone; for each thread, above "
        f"what it had with one. The reference is not asked to hold more than {REFERENCE_MOST}: of 200 turns "
        "at once it loses some."
    )
    figures = [figure for n in counts for figure in (whole[n], memory[n], rate[n], cpu[n], alone[n], idle[n])]
    return Section("store-threads", "Threads that one agent holds", LABELS, figures, notes)


async def _turns(threads: Sequence[tuple[Chat, str]], text: str) -> None:
    turns = await asyncio.gather(*(chat.turn(thread, scripted(text)) for chat, thread in threads))
    if wrong := [turn.text for turn in turns if turn.text != text]:
        raise RuntimeError(f"{len(wrong)} answers were others, like {wrong[0]!r}")


async def _idle(pid: int) -> float:
    """Milliseconds of processor time in a second in which nobody asks for anything."""
    await asyncio.sleep(SETTLE_SECONDS)
    before = cpu_ms(pid)
    await asyncio.sleep(SETTLE_SECONDS)
    return (cpu_ms(pid) - before) / SETTLE_SECONDS
