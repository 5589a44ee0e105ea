"""Agent and room are killed in the middle of a turn, as programs; Codex goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.fakes.program import PROCESS, Loaded, Program, Started

JOIN = "join --room demo --agent-name bot --local --port 0 --channel chat --backend codex --approvals auto"
CHAT = "chat --room demo --agent-name bot"


def script(*actions: dict[str, Any]) -> str:
    return f"```script\n{json.dumps(actions)}\n```"


def said(model: ScriptedServer) -> list[str]:
    """What people and agent said, in the latest request to the model, without Codex's own words."""
    messages = [x for x in model.requests[-1].body["input"] if x["type"] == "message"]
    texts = ["".join(part.get("text", "") for part in x["content"]) for x in messages]
    roles = [x["role"] for x in messages]
    return [text for role, text in zip(roles, texts, strict=True) if role != "developer" and text[0] != "<"]


@pytest.mark.timeout(300)
async def test_both_are_killed_in_the_middle_of_a_turn(tmp_path: Path) -> None:
    async with ScriptedServer() as model:
        program = Loaded(
            tmp_path / "home",
            PROCESS_DATA_DIR=str(tmp_path / "data"),
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY=model.api_key,
        )
        try:
            with program.running(JOIN) as (agent, _):
                thread = await chat(program, script({"say": "in the beginning"}))
                half = script({"run": "echo done"}, {"say": "half ", "times": 2_000, "every_ms": 20})
                await cut(program, thread, half, agent)
            with program.running(JOIN):
                await chat(program, script({"say": "back again"}), "--thread", thread)
                shown = await asyncio.to_thread(program.run, "threads show --room demo --json", thread)
        finally:
            await asyncio.to_thread(program.stop_room)
        stored = [json.loads(line) for line in shown.stdout.splitlines()]
        texts = [record["text"] for record in stored if record["type"] == "message"]
        assert [record["end"] for record in stored if record["type"] == "turn"] == [
            "completed",
            "lost",
            "completed",
        ]
        assert texts[3].startswith("half half ")
        assert said(model) == texts[:5], "each word once, the half sentence as far as the room has it"
        calls = [x for x in model.requests[-1].body["input"] if x["type"] == "function_call"]
        assert len(calls) == 1
        assert len({request.body["prompt_cache_key"] for request in model.requests}) == 1
        assert not [record for record in stored if record.get("tool") == "notice"]


async def chat(program: Program, message: str, *more: str) -> str:
    """Say something and wait for the end of the turn; the thread it is in."""
    done = await asyncio.to_thread(program.run, f"{CHAT} --json", "--message", message, *more)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout.splitlines()[0])["thread_id"])


async def cut(program: Program, thread: str, message: str, agent: Started) -> None:
    """Say something, and kill agent and room server once part of the answer is stored."""
    talking = await asyncio.create_subprocess_exec(
        *(PROCESS, *CHAT.split(), "--thread", thread, "--message", message),
        env=program.environment,
        cwd=program.work,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert talking.stdout is not None
    try:
        async with asyncio.timeout(40):
            await talking.stdout.readuntil(b"half " * 120)  # more than a second old: the room has some of it
        room = json.loads((Path(program.environment["PROCESS_DATA_DIR"]) / "room-server.json").read_text())
        agent.kill()
        os.kill(room["pid"], signal.SIGKILL)
    finally:
        talking.kill()
        await talking.wait()
