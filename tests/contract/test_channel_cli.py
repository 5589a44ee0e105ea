"""The published CLI sends queue items and calls the agent's tool."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.contract.agent_room import agent_in
from tests.contract.published.install import for_published, python_programs
from tests.fakes.backend import FakeBackend
from tests.fakes.room import ROOM, LocalRoom

pytestmark = for_published
SECONDS = 45.0


async def meshagent(server: LocalRoom, home: Path, *words: str) -> tuple[int | None, str, str]:
    """Run `meshagent room WORDS`: exit code, output and errors."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MESHAGENT_API_URL": server.url,
        "MESHAGENT_ROOM": ROOM,
        "MESHAGENT_TOKEN": server.token("ana"),
        "MESHAGENT_PROJECT_ID": "local",
        "MESHAGENT_DISABLE_VERSION_CHECK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "COLUMNS": "200",
    }
    child = await asyncio.create_subprocess_exec(
        str(python_programs() / "meshagent"),
        "room",
        *words,
        "--room",
        ROOM,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await child.communicate()
    except BaseException:
        child.kill()
        await child.communicate()
        raise
    return child.returncode, out.decode(), err.decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "cli-home"
    folder.mkdir()
    return folder


async def test_queue_send(server: LocalRoom, tmp_path: Path, home: Path) -> None:
    backend, item = FakeBackend(), {"prompt": "Sum up", "path": "daily", "sender_name": "Cron"}
    async with agent_in(server, tmp_path, [backend], channels=("queue:work",)):
        sent = await meshagent(server, home, "queue", "send", "--queue", "work", "--json", json.dumps(item))
        assert sent[0] == 0, sent
        turn = await backend.turn(0)
        assert (turn.text, turn.input.sender_name) == ("Sum up", "Cron")
        assert turn.thread_id.endswith("/threads/daily")
        turn.answer("done")


async def test_invoke_tool(server: LocalRoom, tmp_path: Path, home: Path) -> None:
    backend = FakeBackend()
    words = ("agents", "invoke-tool", "--toolkit", "helper", "--tool", "run_helper_task", "--arguments")
    async with agent_in(server, tmp_path, [backend], channels=("toolkit:helper",)):
        listed = await meshagent(server, home, "agents", "list-toolkits")
        assert "run_helper_task" in listed[1], listed
        arguments = json.dumps({"prompt": "Sum up"})
        calling = asyncio.ensure_future(meshagent(server, home, *words, arguments))
        (await backend.turn(0)).answer("forty-two")
        called = await calling
        assert called[0] == 0, called
        assert "forty-two" in called[1]
        refused = await meshagent(server, home, *words, json.dumps({"prompt": ""}))
        assert "The prompt is missing." in refused[1] + refused[2]
