"""Many threads of one agent at once, beside Codex driven directly, and what an open one costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from benchmarks.bare_codex import bare_codex
from benchmarks.codex_turn import LABELS, talk
from benchmarks.figures import BARE, Figure, Section
from benchmarks.programs import codex_mb, resident_mb
from benchmarks.stage import Stage

COUNTS = (1, 20, 200)
ACCEPTED = "request to accepted"
FIGURES = {
    ACCEPTED: "ms",
    "request to first delta": "ms",
    "request to end of turn": "ms",
    "turns each second, from the first request to the last end": "",
}
ROUNDS = 3


class Turn(Protocol):
    """A turn, as `chat.TurnSeen` and `bare_codex.BareTurn` have it."""

    @property
    def accepted_ms(self) -> float: ...
    @property
    def first_delta_ms(self) -> float: ...
    @property
    def ended_ms(self) -> float: ...


type Run = Callable[[str, str], Awaitable[Turn]]
"""Runs a turn in a thread: thread and text."""


class Together:
    """Turns that are started together, and how they went."""

    def __init__(self, counts: tuple[int, ...], rounds: int) -> None:
        self._rounds = rounds
        self.failed: list[str] = []
        self.figures = {
            count: [Figure(f"{count} at once: {name}", unit) for name, unit in FIGURES.items()]
            for count in counts
        }

    async def measure(
        self, program: str, threads: list[str], run: Run, names: Collection[str] = FIGURES
    ) -> None:
        """One short turn in each of so many threads at once, for the figures of these names; the first round
        is not counted.

        A program whose turns fail is not asked for more: each would be waited for.
        """
        for count, figures in self.figures.items():
            for number in range(self._rounds + 1):
                turns = [run(thread, f"say {number} {place}") for place, thread in enumerate(threads[:count])]
                seen = await asyncio.gather(*turns, return_exceptions=True)
                done = [turn for turn in seen if not isinstance(turn, BaseException)]
                if len(done) < count:
                    lost = f"{count - len(done)} of {count} turns of {LABELS[program]} failed"
                    self.failed.append(f"{lost}, which was left out from here on")
                    return
                measured = (
                    [turn.accepted_ms for turn in done],
                    [turn.first_delta_ms for turn in done],
                    [turn.ended_ms for turn in done],
                    [len(done) * 1000 / max(turn.ended_ms for turn in done)],
                )
                for name, figure, values in zip(FIGURES, figures, measured, strict=True):
                    if number and name in names:
                        figure.add(program, *values)


async def measure(stage: Stage, rounds: int = ROUNDS, counts: tuple[int, ...] = COUNTS) -> Section:
    """Programs take turns; each has its threads for itself."""
    together = Together(counts, rounds)
    most = counts[-1]
    memory = Figure(f"the agent's memory for each of {most} open threads", "MB")
    codex = Figure("the memory of its Codex for each", "MB")
    async with bare_codex(stage.folder, stage.model) as bare:
        before = codex_mb(bare.pid)
        while len(bare.threads) < most:
            await bare.new_thread()
        await together.measure(BARE, bare.threads, lambda thread, text: bare.turn(text, thread))
        codex.add(BARE, (codex_mb(bare.pid) - before) / most)
    for program, agent in stage.agents().items():
        async with talk(stage, agent) as talking:
            before, codex_before = resident_mb(talking.pid), codex_mb(talking.pid)
            threads = [talking.thread_id]
            while len(threads) < most:
                threads.append(await talking.chat.new_thread(talking.agent))
            await together.measure(program, threads, talking.chat.turn)
            memory.add(program, (resident_mb(talking.pid) - before) / most)
            codex.add(program, (codex_mb(talking.pid) - codex_before) / most)
    notes = (
        f"{rounds} rounds of one short turn in each thread, an instant scripted model, one viewer with a "
        "stream for each thread; *Codex alone* is asked in its own protocol by the measuring process. All "
        "run on one Codex app-server. "
        + (f"{'; '.join(together.failed)}." if together.failed else "No turn failed.")
    )
    figures = [figure for group in together.figures.values() for figure in group]
    return Section("threads", "Many threads", LABELS, [*figures, memory, codex], notes)
