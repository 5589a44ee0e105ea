"""`process service stop` in the middle of a turn: the agent ends it visibly, in time, and is gone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.program import Loaded, alive
from tests.fakes.talk import SLOW, talking

DEPLOY = (
    "deploy --room demo --agent-name bot --channel chat --backend llm --provider scripted --wait --port 0"
)


@pytest.mark.timeout(180)
async def test_a_stopped_service_ends_its_running_turn_visibly(tmp_path: Path) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))

    async def run(command: str, *more: str) -> str:
        done = await asyncio.to_thread(program.run, command, *more)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    try:
        await run(DEPLOY)
        [before] = records(await run("service list --room demo --json"))
        pid = before["state"]["pid"]
        async with talking(program, "--room demo --agent-name bot", SLOW) as talk:
            await talk.until("half ")
            await run("service stop bot --room demo")
            ended = await talk.end()
        assert not alive(pid)
        logged = await run("service logs bot --room demo --lines 400")
        shown = records(await run("threads show --room demo --json", ended["thread_id"]))
    finally:
        await asyncio.to_thread(program.stop_room)

    [turn] = [record for record in shown if record["type"] == "turn"]
    assert turn["end"] == "interrupted", turn
    assert ended["type"].endswith(".turn.ended"), "the person who listened heard it too"
    assert ended["metadata"] == {"process": {"reason": "interrupted"}}
    stored = "".join(record["text"] for record in shown if record["type"] == "message" and record.get("text"))
    assert "half half " in stored, "what was said until then stays"
    assert "has left" in logged, "the agent drained: it was not killed"


def records(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]
