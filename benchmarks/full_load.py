"""Short turns without a pause, until both cores are full: how many each second, and does memory stay flat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.bare_codex import bare_codex
from benchmarks.codex_turn import LABELS, talk
from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from benchmarks.programs import codex_mb, resident_mb, whole_cpu_ms
from benchmarks.stage import Agent, Stage

THREADS = 20
TURNS = 2_000
"""Of our agent; the others show their rate in less."""

SHARES = {BARE: 4, REFERENCE: 8}
"""By how much less."""

WARM_UP = 10
"""Turns of each thread before memory is looked at for the first time."""

STEPS = 4

type Run = Callable[[str, str], Awaitable[object]]


class _Figures:
    """What is measured of each program."""

    def __init__(self, turns: int) -> None:
        self.rate = Figure("turns each second", "")
        self.cpu = Figure("the agent's processor time for each turn", "ms")
        self.room = Figure("the room's processor time for each turn", "ms")
        self.memory = [Figure(_growth(turns * step // STEPS), "MB") for step in range(1, STEPS + 1)]
        self.codex = Figure("growth of its Codex in all", "MB")


async def measure(stage: Stage, turns: int = TURNS, threads: int = THREADS) -> Section:
    """Each program for itself, with so many threads that each start their next turn when one has ended."""
    figures, broken = _Figures(turns), ""
    async with bare_codex(stage.folder, stage.model) as bare:
        while len(bare.threads) < threads:
            await bare.new_thread()

        def run(thread: str, text: str) -> Awaitable[object]:
            return bare.turn(text, thread)

        await _turns(bare.threads, WARM_UP, run)
        before = codex_mb(bare.pid)
        for _ in range(STEPS):
            figures.rate.add(BARE, await _turns(bare.threads, turns // threads // STEPS // SHARES[BARE], run))
        figures.codex.add(BARE, codex_mb(bare.pid) - before)
    for program, agent in stage.agents().items():
        try:
            await _agent(
                stage, program, agent, figures, turns // threads // STEPS // SHARES.get(program, 1), threads
            )
        except (RuntimeError, TimeoutError) as error:
            if program == OURS:
                raise
            broken = (
                f" {LABELS[program]} was left out from here on: {str(error) or 'a turn did not end in 60 s'}."
            )
    notes = (
        f"{threads} threads, each with its next short turn as soon as one has ended; an instant scripted "
        f"model. {WARM_UP} turns of each thread come before. Room, model, client and Codex share the cores; "
        f"*Codex alone* has no room. Memory of `process` over {turns} turns." + broken
    )
    shown = [figures.rate, figures.cpu, figures.room, *figures.memory, figures.codex]
    return Section("load", "Both cores full", LABELS, shown, notes)


async def _agent(
    stage: Stage, program: str, agent: Agent, figures: _Figures, share: int, threads: int
) -> None:
    """`share` turns of each thread in each step."""
    async with talk(stage, agent) as talking:
        ids = [talking.thread_id]
        while len(ids) < threads:
            ids.append(await talking.chat.new_thread(talking.agent))
        await _turns(ids, WARM_UP, talking.chat.turn)
        before, codex_before = resident_mb(talking.pid), codex_mb(talking.pid)
        for step in range(STEPS):
            used = whole_cpu_ms(talking.pid), whole_cpu_ms(stage.room_pid)
            figures.rate.add(program, await _turns(ids, share, talking.chat.turn))
            figures.cpu.add(program, (whole_cpu_ms(talking.pid) - used[0]) / share / threads)
            figures.room.add(program, (whole_cpu_ms(stage.room_pid) - used[1]) / share / threads)
            if program == OURS:
                figures.memory[step].add(program, resident_mb(talking.pid) - before)
        figures.codex.add(program, codex_mb(talking.pid) - codex_before)


def _growth(turns: int) -> str:
    return f"growth of the agent after {turns:,} turns"


async def _turns(threads: list[str], turns: int, run: Run) -> float:
    """So many turns in each thread; returns how many ended each second."""

    async def one(thread: str) -> None:
        for number in range(turns):
            await run(thread, f"say {number}")

    began = time.perf_counter()
    await asyncio.gather(*map(one, threads))
    return len(threads) * turns / (time.perf_counter() - began)
