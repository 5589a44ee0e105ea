"""How soon turns of the real Codex stop, one or many at once, whatever they are doing."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

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
ALONE = 10
"""Turns that are stopped one after the other while the rest of as many as a program can have goes on."""

ALONE_SECONDS = 0.1
"""Pause before each of them."""


class Stops(Protocol):
    """Starts and stops turns: `chat.Chat` and `bare_codex.BareCodex`."""

    async def begin_all(self, threads: list[str], text: str, /) -> list[str]: ...
    async def stop_turn(self, thread: str, turn: str, /) -> StopSeen: ...
    async def stop(self, threads: list[str], text: str, /) -> list[StopSeen]: ...


async def measure(stage: Stage, quick: bool = False) -> Section:
    """Programs for themselves; so many turns run in as many threads, and all are stopped at once, or some of
    them one by one.
    """
    figures, alone = _figures(), _figures_alone(20 if quick else 200)

    async def stops(program: str, threads: list[str], talker: Stops) -> None:
        await _together(program, threads, talker, figures, quick)
        if program in (BARE, OURS):
            await _one_by_one(program, threads, talker, alone)

    async with bare_codex(stage.folder, stage.model) as bare:
        while len(bare.threads) < _most(BARE, quick):
            await bare.new_thread()
        await stops(BARE, bare.threads, bare)
    broken = ""
    for program, agent in {ECHO: stage.echo(), **stage.agents()}.items():
        async with talk(stage, agent) as talking:
            threads = await open_threads(talking, _most(program, quick))
            try:
                await stops(program, threads, talking.chat)
            except (RuntimeError, TimeoutError) as error:
                if program != REFERENCE:
                    raise
                why = str(error) or "a turn did not stop in 60 s"
                broken = f" {LABELS[program]} was left out from here on: {why}."
    notes = (
        "Turns of the real Codex with the scripted model, all stopped together when each has said something, "
        f"or {ALONE} of them one by one while the others go on. "
        "*Codex alone* accepts when it answers `turn/interrupt`. *A RoomClient that says yes* runs nothing: "
        "what room, viewer and machine take to carry a stop and its answer." + broken
    )
    shown = [figure for pair in [*figures.values(), *alone.values()] for figure in pair if figure.samples]
    return Section("stop-codex", "Stopping turns of Codex", LABELLED, shown, notes)


async def _together(
    program: str,
    threads: list[str],
    talker: Stops,
    figures: dict[tuple[str, int], tuple[Figure, Figure]],
    quick: bool,
) -> None:
    for (work, count), (accepted, ended) in figures.items():
        if count not in COUNTS[program] or (quick and count > 20):
            continue
        for _ in range(1 if quick else ROUNDS[count]):
            seen = await talker.stop(threads[:count], _prompt(work))
            accepted.add(program, *(each.accepted_ms for each in seen))
            if program != ECHO:  # it has nothing to end
                ended.add(program, max(each.ended_ms for each in seen))


async def _one_by_one(
    program: str, threads: list[str], talker: Stops, figures: dict[str, tuple[Figure, Figure]]
) -> None:
    for work, (accepted, ended) in figures.items():
        for each in await _stop_some(talker, threads, _prompt(work)):
            accepted.add(program, each.accepted_ms)
            ended.add(program, each.ended_ms)


async def _stop_some(talker: Stops, threads: list[str], text: str) -> list[StopSeen]:
    turns = await talker.begin_all(threads, text)
    seen = []
    for thread, turn in list(zip(threads, turns, strict=True))[:ALONE]:
        await asyncio.sleep(ALONE_SECONDS)
        seen.append(await talker.stop_turn(thread, turn))
    await asyncio.gather(*map(talker.stop_turn, threads[ALONE:], turns[ALONE:]))
    return seen


def _prompt(work: str) -> str:
    return f"```script\n{msgspec.json.encode(WORK[work]).decode()}\n```"


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


def _figures_alone(count: int) -> dict[str, tuple[Figure, Figure]]:
    return {
        work: (
            Figure(f"one of {count} turns {work}: stop to accepted", "ms"),
            Figure("stop to its end", "ms"),
        )
        for work in WORK
        if work != "that run a command"
    }
