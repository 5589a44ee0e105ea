"""`process join --health`, with the real Codex and the real local room: what a container's probes see."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from process_agent.scripted.server import ScriptedServer
from tests.fakes.program import Program, children_of


async def test_probes_follow_the_agent(program: Program, model: ScriptedServer) -> None:
    await asyncio.to_thread(_probe, program)


def _probe(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

    def said(*more: str) -> tuple[int, str]:
        done = program.run(f"health {address}", *more)
        return done.returncode, done.stdout.strip()

    join = "join --room demo --agent-name bot --channel chat --backend codex"
    with program.running(f"{join} --health {address}") as (agent, _):
        assert said() == (0, "ready")
        [codex] = [pid for pid in children_of(agent.pid) if _is_codex(pid)]
        os.kill(codex, signal.SIGKILL)
        code, why = said()
        assert (code, why.split(";")[0]) == (1, "what runs the turns is gone")
        told = program.run("chat --room demo --message", "say back")
        assert told.stdout.strip() == "back", told.stderr
        assert said() == (0, "ready")
        again = program.run(f"{join} --health {address}")
        assert again.returncode == 2
        assert "cannot be listened on" in again.stderr
        agent.send_signal(signal.SIGTERM)
        agent.wait(20)
        assert agent.returncode == 0
        assert said()[0] == 1


def _is_codex(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").resolve().name == "codex"
