"""Long answers in several threads of a language model at once, as fast as the model gives them."""

from __future__ import annotations

import asyncio

from benchmarks.codex_turn import talk
from benchmarks.figures import OURS, REFERENCE, Figure, Section
from benchmarks.llm_turn import open_threads, script
from benchmarks.programs import whole_cpu_ms
from benchmarks.stage import LLM_MODEL, Stage

THREADS = 5
DELTAS = 3_000
ROUNDS = 3

LABELS = {OURS: "`process join`", REFERENCE: "`meshagent process join`"}


async def measure(stage: Stage, rounds: int = ROUNDS, deltas: int = DELTAS) -> Section:
    """All threads start together; the first round is a short one and is not counted."""
    first = Figure("request to first text", "ms")
    ended = Figure("request to the last end", "ms")
    cpu = Figure("the agent's processor time for each delta", "µs")
    messages = Figure("messages to the viewer for each delta", "")
    answer = "word " * deltas
    for program, agent in stage.agents(LLM_MODEL).items():
        async with talk(stage, agent) as talking:
            threads = await open_threads(talking, THREADS)
            run = talking.chat.turn
            await asyncio.gather(*(run(thread, script({"say": "word"})) for thread in threads))
            for _ in range(rounds):
                before = whole_cpu_ms(talking.pid)
                prompt = script({"say": "word ", "times": deltas})
                seen = await asyncio.gather(*(run(thread, prompt) for thread in threads))
                if any(turn.text != answer for turn in seen):
                    raise RuntimeError(f"an answer of {LABELS[program]} was not what the model said")
                first.add(program, *(turn.first_delta_ms for turn in seen))
                ended.add(program, max(turn.ended_ms for turn in seen))
                total = THREADS * deltas
                cpu.add(program, (whole_cpu_ms(talking.pid) - before) * 1000 / total)
                messages.add(program, sum(turn.text_messages for turn in seen) / total)
    notes = (
        f"{rounds} rounds of {THREADS} threads, each with an answer of {deltas:,} deltas, all at once. The "
        "viewer is a published RoomClient in the measuring process, with a stream for each thread."
    )
    title = "Long answers of a language model in five threads at once"
    return Section("llm-burst", title, LABELS, [first, ended, cpu, messages], notes)
