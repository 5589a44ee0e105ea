"""From the shell's prompt to an agent that people can talk to, and the memory it then holds."""

from __future__ import annotations

import time

from benchmarks.chat import Chat, joined
from benchmarks.figures import BARE, OURS, REFERENCE, Figure, Section
from benchmarks.programs import cpu_ms, resident_mb, running
from benchmarks.stage import Agent, Stage

RUNS = 5
READY = "supports_agent_messages"
"""The attribute that a chat channel sets when it is ready."""


async def measure(stage: Stage, runs: int = RUNS) -> Section:
    """Each program starts in turn, after one uncounted start; another participant watches for it."""
    seen, ready = Figure("seen in the room", "ms"), Figure("ready to chat", "ms")
    cpu, memory = Figure("processor time until then", "ms"), Figure("resident memory then", "MB")
    agents = {BARE: stage.bare(), **stage.agents()}
    async with joined(stage.room_url, stage.token("watcher")) as chat:
        for number in range(runs + 1):
            for program, agent in agents.items():
                values = await _start(chat, agent, is_bare=program == BARE, stage=stage)
                if number:
                    for figure, value in zip((seen, ready, cpu, memory), values, strict=True):
                        if value is not None:
                            figure.add(program, value)
    labels = {
        BARE: "a bare RoomClient",
        OURS: "`process join`",
        REFERENCE: "`meshagent process join`",
    }
    notes = (
        f"{runs} starts of each, in turn, into the same local room, bytecode cached. *Seen* is when another "
        "participant has it in its list, *ready* when its chat channel says so there; Codex runs by then. "
        "Memory and processor time are those of the program itself, without the children it starts."
    )
    return Section("join", "Join", labels, [seen, ready, cpu, memory], notes)


async def _start(
    chat: Chat, agent: Agent, *, is_bare: bool, stage: Stage
) -> tuple[float, float | None, float, float]:
    """Start once: times to seen and ready, processor time, memory."""
    await chat.gone(agent.name)
    began = time.perf_counter()
    with running(agent.command, agent.env, agent.folder, stage.folder / f"{agent.name}.log") as child:
        await chat.see(agent.name)
        seen = (time.perf_counter() - began) * 1000
        ready = None
        if not is_bare:
            await chat.see(agent.name, READY)
            ready = (time.perf_counter() - began) * 1000
        used, memory = cpu_ms(child.pid), resident_mb(child.pid)
    return seen, ready, used, memory
