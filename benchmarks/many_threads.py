"""Many threads of one agent at once, and what an open one costs."""

from __future__ import annotations

import asyncio

from benchmarks.codex_turn import LABELS, talk
from benchmarks.figures import BARE, Figure, Section
from benchmarks.programs import resident_mb
from benchmarks.stage import Stage

COUNTS = (1, 20, 200)
ROUNDS = 3


async def measure(stage: Stage, rounds: int = ROUNDS, counts: tuple[int, ...] = COUNTS) -> Section:
    """One short turn in each of so many threads at once; the first round is not counted."""
    times = {
        count: [
            Figure(f"{count} at once: request to accepted", "ms"),
            Figure(f"{count} at once: request to first delta", "ms"),
            Figure(f"{count} at once: request to end of turn", "ms"),
        ]
        for count in counts
    }
    memory = Figure(f"the agent's memory for each of {counts[-1]} open threads", "MB")
    failed: list[str] = []
    for program, agent in stage.agents().items():
        async with talk(stage, agent) as talking:
            before = resident_mb(talking.pid)
            threads = [talking.thread_id]
            while len(threads) < counts[-1]:
                threads.append(await talking.chat.new_thread(talking.agent))
            for count in counts:
                for number in range(rounds + 1):
                    turns = [
                        talking.chat.turn(thread, f"say {number} {place}")
                        for place, thread in enumerate(threads[:count])
                    ]
                    seen = await asyncio.gather(*turns, return_exceptions=True)
                    done = [turn for turn in seen if not isinstance(turn, BaseException)]
                    if len(done) < count:
                        failed.append(f"{count - len(done)} of {count} turns of {LABELS[program]} failed")
                        if not done:
                            break
                    if number:
                        for figure, values in zip(
                            times[count],
                            (
                                [turn.accepted_ms for turn in done],
                                [turn.first_delta_ms for turn in done],
                                [turn.ended_ms for turn in done],
                            ),
                            strict=True,
                        ):
                            figure.add(program, *values)
            memory.add(program, (resident_mb(talking.pid) - before) / counts[-1])
    notes = (
        f"{rounds} rounds of one short turn in each thread, an instant scripted model, one viewer with a "
        "stream for each thread. Both agents run them on one Codex app-server. "
        + ("; ".join(failed) + "." if failed else "All turns completed.")
    )
    labels = {name: label for name, label in LABELS.items() if name != BARE}
    figures = [figure for group in times.values() for figure in group]
    return Section("threads", "Many threads", labels, [*figures, memory], notes)
