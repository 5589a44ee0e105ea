"""What further viewers of a streaming thread cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import msgspec

from benchmarks.chat import joined
from benchmarks.codex_turn import LABELS, SETTLE_SECONDS, Talk, talk
from benchmarks.figures import BARE, OURS, Figure, Section
from benchmarks.programs import cpu_ms
from benchmarks.stage import Agent, Stage

type Watch = Callable[[str], Coroutine[Any, Any, str]]

VIEWERS = (1, 10)
DELTAS = 1000
PACE_MS = 2.0
ROUNDS = 3


async def measure(stage: Stage, rounds: int = ROUNDS) -> Section:
    """Long paced answers with one and with ten viewers; the first round is not counted."""
    figures = {count: Figure(f"{count} viewers: processor time for each delta", "µs") for count in VIEWERS}
    broken: list[str] = []
    for program, agent in stage.agents().items():
        try:
            await _measure(stage, agent, rounds, partial(_add, figures, program))
        except RuntimeError as error:
            if program == OURS:
                raise
            broken.append(f" {LABELS[program]} was left out from here on: {error}.")
    notes = (
        f"{rounds} answers of {DELTAS} deltas, one each {PACE_MS:g} ms. Every viewer is a published "
        "RoomClient with a stream, all in the measuring process. Processor time is the agent's."
    )
    labels = {name: label for name, label in LABELS.items() if name != BARE}
    return Section("viewers", "Several viewers", labels, list(figures.values()), notes + "".join(broken))


async def _measure(stage: Stage, agent: Agent, rounds: int, add: Callable[[int, float], None]) -> None:
    async with AsyncExitStack() as stack:
        talking = await stack.enter_async_context(talk(stage, agent))
        others = [
            await stack.enter_async_context(
                joined(stage.room_url, stage.token(f"viewer-{number}-of-{agent.name}"))
            )
            for number in range(1, VIEWERS[-1])
        ]
        for count in VIEWERS:
            for other in others[: count - 1]:
                await other.open(await other.see(agent.name), talking.thread_id)
            for number in range(rounds + 1):
                used = await _stream(talking, [o.ended for o in others[: count - 1]])
                if number:
                    add(count, used)


def _add(figures: dict[int, Figure], program: str, count: int, used: float) -> None:
    figures[count].add(program, used)


async def _stream(talking: Talk, watching: list[Watch]) -> float:
    # No two deltas are alike: beside several viewers the reference loses those that are.
    pieces = [f"word {number} " for number in range(DELTAS)]
    action = {"say": "".join(pieces), "pieces": pieces, "every_ms": PACE_MS}
    prompt = f"```script\n{msgspec.json.encode([action]).decode()}\n```"
    before = cpu_ms(talking.pid)
    views = [asyncio.ensure_future(watch(talking.thread_id)) for watch in watching]
    turn = await talking.chat.turn(talking.thread_id, prompt)
    texts = {turn.text, *await asyncio.gather(*views)}
    await asyncio.sleep(SETTLE_SECONDS)
    if texts != {"".join(pieces)}:
        sizes = sorted(len(text) for text in texts)
        raise RuntimeError(f"not every viewer got the whole text: {sizes} characters")
    return (cpu_ms(talking.pid) - before) * 1000 / DELTAS
