"""What turns cost the room's tables: calls, rows and bytes, counted between the agent and the room."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from benchmarks.codex_turn import SETTLE_SECONDS, Talk, talk
from benchmarks.figures import OURS, REFERENCE, Figure, Section
from benchmarks.llm_turn import script, scripted
from benchmarks.programs import cpu_ms
from benchmarks.stage import LLM_MODEL, MODEL, Agent, Stage
from benchmarks.tap import Tap, Traffic, tapped

LABELS = {OURS: "`process join`", REFERENCE: "`meshagent process join`"}
MODELS = {"language model": LLM_MODEL, "Codex": MODEL}

TURNS = 10
ROUNDS = 3
DELTAS = 1000
PACES_MS = {"paced": 2.0, "at once": 0.0}

QUIET_SECONDS = 1.5
"""After a turn's end until it is counted: what an agent puts off by a second is the turn's, too."""


class Counts:
    """The figures of one kind of turn, and which calls it made."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._calls = Figure(f"{what}: dataset calls", "")
        self._written = Figure(f"{what}: rows written", "")
        self._read = Figure(f"{what}: rows read", "")
        self._tables = Figure(f"{what}: bytes of these calls", "kB")
        self._all = Figure(f"{what}: all bytes between agent and room", "kB")
        self._tools: dict[str, Counter[str]] = {}
        self._turns: Counter[str] = Counter()

    @property
    def figures(self) -> list[Figure]:
        """Those that were measured."""
        return [self._calls, self._written, self._read, self._tables, self._all]

    def add(self, program: str, traffic: Traffic) -> None:
        """Add what one turn caused."""
        self._calls.add(program, traffic.calls.total())
        self._written.add(program, traffic.rows_written)
        self._read.add(program, traffic.rows_read)
        self._tables.add(program, traffic.table_bytes / 1000)
        self._all.add(program, traffic.bytes / 1000)
        self._tools.setdefault(program, Counter()).update(traffic.calls)
        self._turns[program] += 1

    def tools(self) -> str:
        """The calls of a turn by tool, in words; empty when nothing was counted."""
        return "; ".join(
            f"{LABELS[program]} {_mean(tools, self._turns[program])}"
            for program, tools in self._tools.items()
        )


@dataclass
class _Found:
    """What is measured of every program."""

    short: dict[str, Counts] = field(
        default_factory=lambda: {name: Counts(f"a short turn, {name}") for name in MODELS}
    )
    long: Counts = field(default_factory=lambda: Counts(f"{DELTAS:,} deltas, paced"))
    cpu: dict[str, Figure] = field(
        default_factory=lambda: {
            pace: Figure(f"{DELTAS:,} deltas, {pace}: the agent's processor time", "ms") for pace in PACES_MS
        }
    )
    broken: list[str] = field(default_factory=list)


async def measure(stage: Stage, turns: int = TURNS, rounds: int = ROUNDS) -> Section:
    """Each program for itself: first through a tap, where it is counted, then without, where it is timed."""
    found = _Found()
    for name, model in MODELS.items():
        for program, agent in stage.agents(model).items():
            async with tapped_talk(stage, agent) as (talking, tap):
                for number in range(turns + 1):
                    traffic = await _short(talking, tap, f"turn {number}", name)
                    if number:  # the first one of a thread asks for more
                        found.short[name].add(program, traffic)
                if model == LLM_MODEL:
                    await _long(talking, tap, program, found, rounds)
    for program, agent in stage.agents(LLM_MODEL).items():
        async with talk(stage, agent) as talking:
            await _timed(talking, program, found, rounds)
    shorts = list(found.short.values())
    figures = [
        *(figure for counts in shorts for figure in counts.figures),
        *found.long.figures,
        *found.cpu.values(),
    ]
    return Section(
        "store", "What turns cost the room's tables", LABELS, figures, _notes(found, turns, rounds)
    )


def _notes(found: _Found, turns: int, rounds: int) -> str:
    calls = [f"{counts.what}: {counts.tools()}" for counts in (*found.short.values(), found.long)]
    return (
        f"{turns} short turns and {rounds} answers of {DELTAS:,} deltas, one at a time, each counted until "
        f"{QUIET_SECONDS:g} s after its end, the first of a thread not counted. A relay between agent and "
        "room reads every packet with the codec of the room protocol: no agent is asked what it did. A call "
        "is one request to the room's dataset toolkit, however many messages it takes; rows are those of "
        "Arrow tables in them; bytes go both ways, without the frames of the websocket. Processor time is "
        f"measured without the relay. Calls for each, on average: {'. '.join(calls)}."
        f"{''.join(found.broken)}"
    )


@asynccontextmanager
async def tapped_talk(stage: Stage, agent: Agent) -> AsyncIterator[tuple[Talk, Tap]]:
    """An agent that joins through a tap, and a thread with it. Raises RuntimeError for gaps in the count."""
    async with tapped(stage.url) as tap:
        aimed = replace(agent, env={**agent.env, "MESHAGENT_API_URL": tap.url})
        async with talk(stage, aimed) as talking:
            yield talking, tap
        tap.check()


async def counted(talking: Talk, tap: Tap, prompt: str, expected: str) -> Traffic:
    """What one turn causes, until it is quiet again."""
    before = tap.traffic.copy()
    turn = await talking.chat.turn(talking.thread_id, prompt)
    if turn.text != expected:
        raise RuntimeError(f"the answer has {len(turn.text)} characters, not {len(expected)}")
    await asyncio.sleep(QUIET_SECONDS)
    return tap.traffic.since(before)


async def _short(talking: Talk, tap: Tap, text: str, name: str) -> Traffic:
    prompt = scripted(text) if MODELS[name] == LLM_MODEL else f"say {text}"
    return await counted(talking, tap, prompt, text)


async def _long(talking: Talk, tap: Tap, program: str, found: _Found, rounds: int) -> None:
    prompt, text = _answer(PACES_MS["paced"])
    try:
        for _ in range(rounds):
            found.long.add(program, await counted(talking, tap, prompt, text))
    except RuntimeError as error:
        _leave_out(program, found, error)


async def _timed(talking: Talk, program: str, found: _Found, rounds: int) -> None:
    try:
        for number in range(rounds + 1):
            for pace, figure in found.cpu.items():
                prompt, text = _answer(PACES_MS[pace])
                before = cpu_ms(talking.pid)
                turn = await talking.chat.turn(talking.thread_id, prompt)
                await asyncio.sleep(SETTLE_SECONDS)
                if turn.text != text:
                    raise RuntimeError(f"{len(turn.text)} characters arrived, not {len(text)}")
                if number:
                    figure.add(program, cpu_ms(talking.pid) - before)
    except RuntimeError as error:
        _leave_out(program, found, error)


def _leave_out(program: str, found: _Found, error: RuntimeError) -> None:
    """Another program's defect is no reason to lose all figures; ours is."""
    if program == OURS:
        raise error
    found.broken.append(f" {LABELS[program]} was left out of the long answers from there on: {error}.")


def _answer(pace_ms: float) -> tuple[str, str]:
    """A prompt for so many deltas, and their text. No two are alike: the reference may lose such."""
    pieces = [f"word {number} " for number in range(DELTAS)]
    text = "".join(pieces)
    return script({"say": text, "pieces": pieces, "every_ms": pace_ms}), text


def _mean(tools: Counter[str], turns: int) -> str:
    return ", ".join(f"{tool} {count / turns:.3g}" for tool, count in sorted(tools.items())) or "none"
