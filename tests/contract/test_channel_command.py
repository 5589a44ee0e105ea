"""The published channel programs, unmodified, are channels of our agent in our local room."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.channels import ChannelOptions
from process_agent.channels.command import program as program_module
from process_agent.core.content import plain_text
from tests.contract.agent_room import AGENT, agent_in
from tests.contract.published import install
from tests.contract.published.install import for_published
from tests.contract.published.program import Program, joined
from tests.fakes.backend import FakeBackend
from tests.fakes.room import ROOM, LocalRoom

pytestmark = for_published

PROGRAM = "channel-bot"
"""Name under which the program itself is in the room; the agent is there under its own."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published programs load for seconds, on a busy machine for many."""
    monkeypatch.setattr(program_module, "CONNECT_SECONDS", 50.0)


@asynccontextmanager
async def agent_with(
    server: LocalRoom, folder: Path, backend: FakeBackend, program: str, *arguments: str
) -> AsyncIterator[None]:
    """An agent whose only channel is a published program."""
    argv = [str(install.python_programs() / f"meshagent-channel-{program}"), *arguments]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MESHAGENT_API_URL": server.url,
        "MESHAGENT_ROOM": ROOM,
        "MESHAGENT_TOKEN": server.token(PROGRAM, "agent"),
    }
    options = ChannelOptions(room=ROOM, environment=environment, folder=folder)
    channels = [f"command:{json.dumps(argv)}"]
    async with agent_in(server, folder, [backend], channels=channels, options=options):
        yield


async def test_the_published_queue_program(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_with(server, tmp_path, backend, "queue", "jobs"), server.client("cron") as cron:
        job: dict[str, Any] = {"prompt": "sum up", "sender_name": "cron"}
        await cron.queues.send(name="jobs", message=job, create=True)
        first = await backend.turn(0)
        assert first.text == "sum up"
        assert first.thread_id.startswith(f"dataset://agents/{AGENT}/threads/")
        first.answer("done")
        for prompt in ("one", "two"):
            await cron.queues.send(
                name="jobs", message={"prompt": prompt, "path": "daily/{YYYY}"}, create=True
            )
        one = await backend.turn(1)
        one.answer("1")
        two = await backend.turn(2)
        two.answer("2")
        assert one.thread_id == two.thread_id != first.thread_id
        assert (one.text, two.text) == ("one", "two")


async def test_the_published_chat_program(server: LocalRoom, tmp_path: Path, published: Program) -> None:
    """People talk to the program in the room, and the program to us."""
    backend = FakeBackend()
    async with (
        agent_with(server, tmp_path, backend, "chat"),
        joined(published, server, "ana", agent=PROGRAM) as ana,
        joined(published, server, "ben", agent=PROGRAM) as ben,
    ):
        session = await ana.session()
        asked = session.doing("ask", text="hello")
        turn = await backend.turn(0)
        assert (turn.text, turn.input.sender_name) == ("hello", "ana")
        turn.answer("hi Ana")
        assert await asked == "hi Ana"
        theirs = await ben.open(await session.path(), load=True)
        await ben.wait("thread.loaded")
        assert ("agent", "hi Ana") in await theirs.shown()
        asked = theirs.doing("ask", text="and me?")
        (await backend.turn(1)).answer("hi Ben", "second")
        assert await asked == "hi Ben"
        await ana.wait("turn.ended", turn_id=backend.turns[1].input.turn_id)


async def test_the_published_mail_program(server: LocalRoom, tmp_path: Path) -> None:
    """A letter becomes a turn; to answer it the program needs an SMTP server of its own."""
    backend = FakeBackend()
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "ana@example.com", "bot@example.com", "Question"
    letter["Message-ID"] = f"<{uuid.uuid4()}@example.com>"
    letter.set_content("How are you?")
    async with (
        agent_with(server, tmp_path, backend, "mail", "bot@example.com"),
        server.client("post") as post,
    ):
        item = {"base64": base64.b64encode(letter.as_bytes()).decode()}
        await post.queues.send(name="bot@example.com", message=item, create=True)
        turn = await backend.turn(0)
        assert "How are you?" in plain_text(turn.input.content)
        turn.answer("fine")


async def test_the_published_toolkit_program_connects(server: LocalRoom, tmp_path: Path) -> None:
    """It never hosts its toolkit: in the published agent, too, only built-in toolkit channels do."""
    backend = FakeBackend()
    async with agent_with(server, tmp_path, backend, "toolkit", "bot"), server.client("ana") as ana:
        toolkits = await asyncio.wait_for(ana.agents.list_toolkits(), 10)
        assert "bot" not in [toolkit.name for toolkit in toolkits]
