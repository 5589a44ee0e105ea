"""How soon a person's stop is taken up while many threads stream."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.chat import Chat, joined
from benchmarks.figures import OURS, Figure, Section
from benchmarks.join_ready import READY
from benchmarks.programs import environment, running, whole_cpu_ms
from benchmarks.stage import Stage

THREADS = (0, 20, 200)
STOPS = 20
AFTER_SECONDS = 0.5
"""How long a turn streams before it is stopped."""

START_SECONDS = 120.0
"""How long the crowd may take until all threads stream."""

_ROOT = Path(__file__).parent.parent


async def measure(stage: Stage, stops: int = STOPS) -> Section:
    """Stops beside crowds of several sizes, which read their threads or have left them."""
    figures: list[Figure] = []
    for threads in THREADS:
        for way in ("leave", "watch") if threads else ("leave",):
            beside = {"leave": "threads stream unread", "watch": "threads stream to a client"}[way]
            what = f"{threads} {beside}" if threads else "nothing else streams"
            accepted, ended = Figure(f"{what}: stop to accepted", "ms"), Figure("stop to turn.ended", "ms")
            agent_load, room_load = Figure("the agent's load", "cores"), Figure("the room's load", "cores")
            async with _crowded(stage, threads, way) as (chat, thread_id, agent_pid):
                loop = asyncio.get_running_loop()
                before, began = (whole_cpu_ms(agent_pid), whole_cpu_ms(stage.room_pid)), loop.time()
                for _ in range(stops):
                    seen = await chat.stop_a_turn(thread_id, AFTER_SECONDS)
                    accepted.add(OURS, seen.accepted_ms)
                    ended.add(OURS, seen.ended_ms)
                passed = (loop.time() - began) * 1000
                agent_load.add(OURS, (whole_cpu_ms(agent_pid) - before[0]) / passed)
                room_load.add(OURS, (whole_cpu_ms(stage.room_pid) - before[1]) / passed)
            figures += [accepted, ended, agent_load, room_load]
    notes = (
        f"{stops} turns of one thread, each stopped half a second after its first delta by a person in the "
        "measuring process, while other threads of the same agent stream 20 words a second each. The "
        "backend is played: no model, no Codex. *Unread* threads are stored only; the others go to one more "
        "published RoomClient, in a process of its own, over a stream for each."
    )
    return Section("stop", "Stopping a turn while others stream", {OURS: "`process`"}, figures, notes)


@asynccontextmanager
async def _crowded(stage: Stage, threads: int, way: str) -> AsyncIterator[tuple[Chat, str, int]]:
    """An agent of its own with so many streaming threads, and a chat with a thread of that agent."""
    name = f"played-{threads}-{way}"
    folder = stage.folder / name
    folder.mkdir()
    env = environment(folder)
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.played_agent", stage.room_url]
        command += [stage.token(name, "agent"), name, str(folder)]
        agent = stack.enter_context(running(command, env, _ROOT, stage.folder / f"{name}.log"))
        async with joined(stage.room_url, stage.token("person")) as chat:
            participant = await chat.see(name, READY)
            if threads:
                log = stage.folder / f"crowd-{name}.log"
                command = [sys.executable, "-m", "benchmarks.crowd", stage.room_url]
                command += [stage.token("crowd"), name, str(threads), way]
                crowd = stack.enter_context(running(command, env, _ROOT, log))
                await _streaming(crowd, log)
            yield chat, await chat.new_thread(participant), agent.pid


async def _streaming(crowd: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(START_SECONDS):
        while "streaming" not in (said := await asyncio.to_thread(log.read_text)):
            if crowd.poll() not in (None, 0):
                raise RuntimeError(f"the crowd ended: {said}")
            await asyncio.sleep(0.1)
