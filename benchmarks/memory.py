"""Whether the agent's memory grows with the number of turns, however many there were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.codex_turn import talk
from benchmarks.figures import OURS, Figure, Section
from benchmarks.llm_turn import open_threads, scripted
from benchmarks.programs import resident_mb
from benchmarks.stage import LLM_MODEL, MODEL, Stage

THREADS = 20
CLEARED_AFTER = 25
"""Turns of a thread before it is cleared: what a model remembers of a conversation has to be in memory."""

WARM_UP = 1_000
WARM_UP_SECONDS = 100.0
"""What was sent is remembered for 90 s, for a viewer that comes back: then it does not grow."""

STEPS = (1_000, 2_000, 4_000, 8_000)
CODEX_STEPS = (500, 1_000, 2_000)
SETTLE_SECONDS = 2.0

LABELS = {OURS: "`process join`"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom the turns are for, and how they say what to answer."""

    section: str
    title: str
    what: str
    model: str
    prompt: Callable[[str], str]


LLM = Asked("memory", "Memory over many turns", "a language model", LLM_MODEL, scripted)
CODEX = Asked("memory-codex", "Memory over many turns of Codex", "Codex", MODEL, "say {}".format)


async def measure(
    stage: Stage, asked: Asked = LLM, steps: tuple[int, ...] = STEPS, warm_up: int = WARM_UP
) -> Section:
    """So many turns after the first `warm_up`, in threads that are used again and again."""
    first = Figure(f"memory after {warm_up:,} turns or more", "MB")
    figures = {step: Figure(f"growth in the next {step:,} turns", "MB") for step in steps}
    async with talk(stage, stage.ours(asked.model)) as talking:
        threads = await open_threads(talking, THREADS)

        async def turns(count: int) -> None:
            async def one(thread: str) -> None:
                for number in range(count // THREADS):
                    await talking.chat.turn(thread, asked.prompt(f"turn {number}"))
                    if number % CLEARED_AFTER == CLEARED_AFTER - 1:
                        await talking.chat.clear(thread)

            await asyncio.gather(*map(one, threads))
            await asyncio.sleep(SETTLE_SECONDS)

        began = time.monotonic()
        await turns(warm_up)
        while steps[-1] > warm_up and time.monotonic() - began < WARM_UP_SECONDS:
            await turns(warm_up)
        before = resident_mb(talking.pid)
        first.add(OURS, before)
        done = 0
        for step, figure in figures.items():
            await turns(step - done)
            done = step
            figure.add(OURS, resident_mb(talking.pid) - before)
    notes = (
        f"Short turns of {asked.what} in {THREADS} threads that stay open, as fast as they go. A thread "
        f"is cleared after {CLEARED_AFTER} turns: what a model is to remember of it is kept while "
        "it is open; nothing else may grow. Growth counts from the first line on, when turns had run for "
        f"{WARM_UP_SECONDS:.0f} s: what was sent is remembered for 90 s, for viewers that come back."
    )
    return Section(asked.section, asked.title, LABELS, [first, *figures.values()], notes)
