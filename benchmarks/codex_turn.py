"""A short Codex turn, and a long streamed one, as a person's client sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import msgspec

from benchmarks.bare_codex import BareCodex, bare_codex, equal_codex
from benchmarks.chat import Chat, joined
from benchmarks.figures import BARE, EQUAL, OURS, REFERENCE, Figure, Section
from benchmarks.join_ready import READY
from benchmarks.programs import cpu_ms, running
from benchmarks.stage import Agent, Stage

ROUNDS = 6
TURNS = 10
"""Turns of one program before the next one has its round."""

SETTLE_SECONDS = 0.5
"""Work after a turn's end counts as the turn's: this long is waited for it."""

DELTAS = 400
PACE_MS = 5.0
STREAM_ROUNDS = 5

LABELS = {BARE: "Codex alone", OURS: "`process join`", REFERENCE: "`meshagent process join`"}
SHORT_LABELS = {BARE: LABELS[BARE], EQUAL: "Codex alone, set up as by `process`", **LABELS}


@dataclass(frozen=True, slots=True)
class Talk:
    """A thread with a running agent."""

    chat: Chat
    agent: Any
    thread_id: str
    pid: int


@asynccontextmanager
async def talk(stage: Stage, agent: Agent) -> AsyncIterator[Talk]:
    """Start an agent and a thread with it."""
    async with AsyncExitStack() as stack:
        chat = await stack.enter_async_context(joined(stage.room_url, stage.token(f"to-{agent.name}")))
        await chat.gone(agent.name)
        log = stage.folder / f"{agent.name}.log"
        child = stack.enter_context(running(agent.command, agent.env, agent.folder, log))
        participant = await chat.see(agent.name, READY)
        yield Talk(chat, participant, await chat.new_thread(participant), child.pid)


async def measure(stage: Stage, rounds: int = ROUNDS, turns: int = TURNS) -> Section:
    """Programs take rounds of short turns; the first round is not counted."""
    first, ended = Figure("request to first delta", "ms"), Figure("request to end of turn", "ms")
    later = Figure("first delta later than that of Codex alone in the same round", "ms")
    added = Figure("first delta later than that of Codex set up as by `process`", "ms")
    over = Figure("end of turn later than that of Codex set up as by `process`", "ms")
    cpu = Figure("the agent's processor time for each turn", "ms")
    async with AsyncExitStack() as stack:
        talks = {
            program: await stack.enter_async_context(talk(stage, agent))
            for program, agent in stage.agents().items()
        }
        alone = {
            BARE: await stack.enter_async_context(bare_codex(stage.folder, stage.model)),
            EQUAL: await stack.enter_async_context(equal_codex(stage.folder, talks[OURS].pid)),
        }
        for number in range(rounds + 1):
            counted = number > 0
            alone_at = {}
            for program, codex in alone.items():
                times = await _alone(codex, number, turns)
                add(first, ended, program, times, counted)
                alone_at[program] = medians(times)
            for program, running_talk in talks.items():
                times, used = await one_round(running_talk, number, turns)
                add(first, ended, program, times, counted)
                if counted:
                    begun, done = medians(times)
                    later.add(program, begun - alone_at[BARE][0])
                    added.add(program, begun - alone_at[EQUAL][0])
                    over.add(program, done - alone_at[EQUAL][1])
                    cpu.add(program, used)
    notes = (
        f"{rounds} rounds of {turns} turns each, in turn, one thread each, an instant scripted model in "
        "its own process. *Codex alone* is its app-server without room, thread store or approvals; it keeps "
        "its own record of a thread, as it does for `process`. *Set up as by `process`*: started with the "
        "very arguments of the Codex that `process join` runs, so that commands are kept from the same "
        "places. Processor time is that of the agent without its children, until half a second after the "
        "last turn of a round."
    )
    return Section("turn", "A short Codex turn", SHORT_LABELS, [first, ended, later, added, over, cpu], notes)


async def _alone(codex: BareCodex, number: int, turns: int) -> list[tuple[float, float]]:
    seen = [await codex.turn(f"say turn {number}.{n}") for n in range(turns)]
    return [(turn.first_delta_ms, turn.ended_ms) for turn in seen]


def medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the times to first delta and to the end."""
    return median(time[0] for time in times), median(time[1] for time in times)


async def one_round(
    running_talk: Talk, number: int, turns: int, prompt: Callable[[str], str] = "say {}".format
) -> tuple[list[tuple[float, float]], float]:
    """Times of each turn, and the agent's processor time for one of them."""
    before = cpu_ms(running_talk.pid)
    times = []
    for n in range(turns):
        text = f"turn {number}.{n}"
        turn = await running_talk.chat.turn(running_talk.thread_id, prompt(text))
        if turn.text != text:
            raise RuntimeError(f"the answer was {turn.text!r}, not {text!r}")
        times.append((turn.first_delta_ms, turn.ended_ms))
    await asyncio.sleep(SETTLE_SECONDS)
    return times, (cpu_ms(running_talk.pid) - before) / turns


def add(first: Figure, ended: Figure, program: str, times: list[tuple[float, float]], counted: bool) -> None:
    """Add the times to first delta and to end of turns that count."""
    if counted:
        first.add(program, *(time[0] for time in times))
        ended.add(program, *(time[1] for time in times))


async def measure_streaming(
    stage: Stage, rounds: int = STREAM_ROUNDS, deltas: int = DELTAS, pace_ms: float = PACE_MS
) -> Section:
    """Long answers at the pace of a fast model and all at once; the first round is not counted."""
    paced = {"say": "word ", "times": deltas, "every_ms": pace_ms}
    burst = {"say": "word ", "times": deltas}
    kinds = {"paced": paced, "at once": burst}
    figures: dict[str, list[Figure]] = {
        kind: [
            Figure(f"{kind}: the agent's processor time for each delta", "µs"),
            Figure(f"{kind}: the viewer's processor time for each delta", "µs"),
            Figure(f"{kind}: messages to the viewer for each delta", ""),
        ]
        for kind in kinds
    }
    for program, agent in stage.agents().items():
        async with talk(stage, agent) as running_talk:
            for number in range(rounds + 1):
                for kind, action in kinds.items():
                    values = await stream(running_talk, action, deltas)
                    if number:
                        for figure, value in zip(figures[kind], values, strict=True):
                            figure.add(program, value)
    notes = (
        f"{rounds} answers of {deltas} deltas each, paced at {pace_ms:g} ms or all at once. The viewer is a "
        "published RoomClient in the measuring process. Both agents use a messaging stream to it."
    )
    labels = {name: label for name, label in LABELS.items() if name != BARE}
    ordered = [figure for kind in figures.values() for figure in kind]
    return Section("stream", "Streaming", labels, ordered, notes)


async def stream(running_talk: Talk, action: object, deltas: int) -> tuple[float, float, float]:
    """One long answer: the agent's and the viewer's µs for each delta, and messages for each."""
    prompt = f"\n```script\n{msgspec.json.encode([action]).decode()}\n```"
    before = cpu_ms(running_talk.pid)
    turn = await running_talk.chat.turn(running_talk.thread_id, prompt)
    await asyncio.sleep(SETTLE_SECONDS)
    used = cpu_ms(running_talk.pid) - before
    if turn.text != "word " * deltas:
        raise RuntimeError(f"{len(turn.text)} characters arrived, not {5 * deltas}")
    return used * 1000 / deltas, turn.viewer_cpu_ms * 1000 / deltas, turn.text_messages / deltas
