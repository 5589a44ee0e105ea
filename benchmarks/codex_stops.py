"""How soon turns of the real Codex stop, one or many at once, whatever they are doing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from benchmarks.bare_codex import bare_codex
from benchmarks.chat import StopSeen
from benchmarks.codex_turn import LABELS, talk
from benchmarks.figures import BARE, ECHO, OURS, REFERENCE, Figure, Section
from benchmarks.llm_turn import open_threads
from benchmarks.stage import Stage

LABELLED = {BARE: LABELS[BARE], ECHO: "a RoomClient that says yes", **LABELS}
COUNTS = {BARE: (1, 20, 200), ECHO: (1, 20, 200), OURS: (1, 20, 200), REFERENCE: (1, 8)}
"""The reference loses turns when more are started at once."""

ROUNDS = {1: 6, 8: 1, 20: 3, 200: 2}
WORK: dict[str, list[dict[str, Any]]] = {
    "that stream": [{"say": "word ", "times": 5_000, "every_ms": 50}],
    "that are silent": [{"say": "begun "}, {"sleep_ms": 120_000}],
    "that run a command": [{"say": "begun "}, {"run": "sleep 120"}],
}
MOST_COMMANDS = 20

type Stop = Callable[[list[str], str], Awaitable[list[StopSeen]]]


async def measure(stage: Stage, quick: bool = False) -> Section:
    """Programs for themselves; so many turns run in as many threads, and all are stopped at once."""
    figures = _figures()

    async def stops(program: str, threads: list[str], stop: Stop) -> None:
        for (work, count), (accepted, ended) in figures.items():
            if count not in COUNTS[program] or (quick and count > 20):
                continue
            prompt = f"```script\n{msgspec.json.encode(WORK[work]).decode()}\n```"
            for _ in range(1 if quick else ROUNDS[count]):
                seen = await stop(threads[:count], prompt)
                accepted.add(program, *(each.accepted_ms for each in seen))
                if program != ECHO:  # it has nothing to end
                    ended.add(program, max(each.ended_ms for each in seen))

    async with bare_codex(stage.folder, stage.model) as bare:
        while len(bare.threads) < _most(BARE, quick):
            await bare.new_thread()
        await stops(BARE, bare.threads, bare.stop)
    broken = ""
    for program, agent in {ECHO: stage.echo(), **stage.agents()}.items():
        async with talk(stage, agent) as talking:
            threads = await open_threads(talking, _most(program, quick))
            try:
                await stops(program, threads, talking.chat.stop)
            except (RuntimeError, TimeoutError) as error:
                if program != REFERENCE:
                    raise
                why = str(error) or "a turn did not stop in 60 s"
                broken = f" {LABELS[program]} was left out from here on: {why}."
    notes = (
        "Turns of the real Codex with the scripted model, all stopped together when each has said something. "
        "*Codex alone* accepts when it answers `turn/interrupt`. *A RoomClient that says yes* runs nothing: "
        "what room, viewer and machine take to carry a stop and its answer." + broken
    )
    shown = [figure for pair in figures.values() for figure in pair if figure.samples]
    return Section("stop-codex", "Stopping turns of Codex", LABELLED, shown, notes)


def _most(program: str, quick: bool) -> int:
    return 20 if quick else max(COUNTS[program])


def _figures() -> dict[tuple[str, int], tuple[Figure, Figure]]:
    return {
        (work, count): (
            Figure(f"{count} turns {work}: stop to accepted", "ms"),
            Figure("stop to the last end", "ms"),
        )
        for work in WORK
        for count in sorted({each for counts in COUNTS.values() for each in counts})
        if work != "that run a command" or count <= MOST_COMMANDS
    }
