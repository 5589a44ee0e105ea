"""Turns in threads of 100, 10,000 and 1,000,000 rows: how soon they start, and what the tables are asked."""

from __future__ import annotations

from benchmarks.chat import Chat
from benchmarks.codex_turn import talk
from benchmarks.figures import OURS, Figure, Section
from benchmarks.llm_turn import scripted
from benchmarks.opening import REFERENCE_MOST, SIZES, stored_thread
from benchmarks.stage import LLM_MODEL, Agent, Stage
from benchmarks.store_cost import LABELS, tapped_talk

COPIES = 3
"""Threads of each size; one of the largest."""

LATER = 5
"""Turns after the first."""


class _Figures:
    """What is measured at one length."""

    def __init__(self, size: int) -> None:
        self.accepted = Figure(f"{size:,} rows, the first turn: request to accepted", "ms")
        self.first = Figure(f"{size:,} rows, the first turn: request to first delta", "ms")
        self.later = Figure(f"{size:,} rows, later turns: request to accepted", "ms")
        self.later_first = Figure(f"{size:,} rows, later turns: request to first delta", "ms")
        self.calls = Figure(f"{size:,} rows, opening and first turn: dataset calls", "")
        self.read = Figure(f"{size:,} rows, opening and first turn: rows read", "")

    @property
    def all(self) -> list[Figure]:
        """In the order of the page."""
        return [self.accepted, self.first, self.later, self.later_first, self.calls, self.read]


async def measure(stage: Stage, copies: int = COPIES, sizes: tuple[int, ...] = SIZES) -> Section:
    """Each size in several threads, opened by an agent that never saw them; then one through a tap."""
    figures, broken = {size: _Figures(size) for size in sizes}, ""
    for program, agent in stage.agents(LLM_MODEL).items():
        wanted = [size for size in sizes if program == OURS or size <= REFERENCE_MOST]
        try:
            await _program(stage, program, agent, figures, wanted, copies)
        except (RuntimeError, TimeoutError) as error:
            if program == OURS:
                raise
            why = str(error) or "it took longer than this waits"
            broken = f" {LABELS[program]} was left out from there on: {why}."
    notes = (
        f"Threads as in *Opening a thread*, opened with all that is shown of them, then a short turn and "
        f"{LATER} further ones of an instant scripted model. It is told the conversation as far as the agent "
        "gives it, and reads all of that before it answers. The calls are counted between agent and room, in "
        f"a run of their own. The reference is not asked for more than {REFERENCE_MOST:,} rows.{broken}"
    )
    shown = [figure for group in figures.values() for figure in group.all]
    return Section("store-length", "Turns in long threads", LABELS, shown, notes)


async def _program(
    stage: Stage, program: str, agent: Agent, figures: dict[int, _Figures], sizes: list[int], copies: int
) -> None:
    threads: dict[int, str] = {}
    async with talk(stage, agent) as talking:
        for size in sizes:
            for copy in range(copies if size < 1_000_000 else 1):
                path = await stored_thread(talking.chat, agent, f"turns-{size}-{copy}", size)
                await talking.chat.open(talking.agent, path)
                await _turns(talking.chat, path, program, figures[size])
                await talking.chat.leave(path)
                threads[size] = path
    await _count(stage, agent, program, figures, threads)


async def _turns(chat: Chat, path: str, program: str, figures: _Figures) -> None:
    for number in range(LATER + 1):
        text = f"turn number {number}"
        turn = await chat.turn(path, scripted(text))
        if turn.text != text:
            raise RuntimeError(f"the answer was {turn.text!r}, not {text!r}")
        accepted, first = (
            (figures.later, figures.later_first) if number else (figures.accepted, figures.first)
        )
        accepted.add(program, turn.accepted_ms)
        first.add(program, turn.first_delta_ms)


async def _count(
    stage: Stage, agent: Agent, program: str, figures: dict[int, _Figures], threads: dict[int, str]
) -> None:
    """The same threads once more, in an agent that does not know them."""
    async with tapped_talk(stage, agent) as (talking, tap):
        for size, path in threads.items():
            before = tap.traffic.copy()
            await talking.chat.open(talking.agent, path)
            await talking.chat.turn(path, scripted("counted"))
            traffic = tap.traffic.since(before)
            figures[size].calls.add(program, traffic.calls.total())
            figures[size].read.add(program, traffic.rows_read)
            await talking.chat.leave(path)
