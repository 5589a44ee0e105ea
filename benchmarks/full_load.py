"""Short turns without a pause, until both cores are full: how many each second, and does memory stay flat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.bare_codex import bare_codex
from benchmarks.codex_turn import LABELS, talk
from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from benchmarks.programs import codex_mb, resident_mb, whole_cpu_ms
from benchmarks.stage import Stage

THREADS = 20
TURNS = 2_000
"""Of our agent; the others show their rate in less."""

SHARES = {BARE: 4, REFERENCE: 8}
"""By how much less."""

WARM_UP = 10
"""Turns of each thread before memory is looked at for the first time."""

STEPS = 4

type Run = Callable[[str, str], Awaitable[object]]


async def measure(stage: Stage, turns: int = TURNS, threads: int = THREADS) -> Section:
    """Each program for itself, with so many threads that each start their next turn when one has ended."""
    rate = Figure("turns each second", "")
    cpu = Figure("the agent's processor time for each turn", "ms")
    room = Figure("the room's processor time for each turn", "ms")
    memory = [Figure(_growth(turns * step // STEPS), "MB") for step in range(1, STEPS + 1)]
    codex = Figure("growth of its Codex in all", "MB")
    async with bare_codex(stage.folder, stage.model) as bare:
        while len(bare.threads) < threads:
            await bare.new_thread()
        run = lambda thread, text: bare.turn(text, thread)  # noqa: E731
        await _turns(bare.threads, WARM_UP, run)
        before = codex_mb(bare.pid)
        for _ in range(STEPS):
            rate.add(BARE, await _turns(bare.threads, turns // threads // STEPS // SHARES[BARE], run))
        codex.add(BARE, codex_mb(bare.pid) - before)
    for program, agent in stage.agents().items():
        async with talk(stage, agent) as talking:
            ids = [talking.thread_id]
            while len(ids) < threads:
                ids.append(await talking.chat.new_thread(talking.agent))
            await _turns(ids, WARM_UP, talking.chat.turn)
            before, codex_before = resident_mb(talking.pid), codex_mb(talking.pid)
            share = turns // threads // STEPS // SHARES.get(program, 1)
            for step in range(STEPS):
                used = whole_cpu_ms(talking.pid), whole_cpu_ms(stage.room_pid)
                rate.add(program, await _turns(ids, share, talking.chat.turn))
                cpu.add(program, (whole_cpu_ms(talking.pid) - used[0]) / share / threads)
                room.add(program, (whole_cpu_ms(stage.room_pid) - used[1]) / share / threads)
                if program == OURS:
                    memory[step].add(program, resident_mb(talking.pid) - before)
            codex.add(program, codex_mb(talking.pid) - codex_before)
    notes = (
        f"{threads} threads, each with its next short turn as soon as one has ended; an instant scripted "
        f"model. {WARM_UP} turns of each thread come before. Room, model, client and Codex share the cores; "
        f"*Codex alone* has no room. Memory of `process` over {turns} turns."
    )
    return Section("load", "Both cores full", LABELS, [rate, cpu, room, *memory, codex], notes)


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
