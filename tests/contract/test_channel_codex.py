"""Queue and toolkit channels of an agent with the real Codex, in one thread with people who chat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.room import LocalRoom

CHANNELS = ("chat", "queue:work", "toolkit:helper")
THREAD = f"dataset://agents/{AGENT}/threads/shared"


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def script(*actions: dict[str, Any]) -> str:
    """A prompt the scripted model follows to the letter."""
    return f"```script\n{json.dumps(actions)}\n```"


def task(client: Any, **arguments: Any) -> asyncio.Future[Any]:
    call: Coroutine[Any, Any, Any] = client.agents.invoke_tool(
        toolkit="helper", tool="run_helper_task", input=arguments
    )
    return asyncio.ensure_future(call)


async def test_three_channels_in_one_thread_and_its_memory(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with (
        agent_in(server, tmp_path, model=model, channels=CHANNELS),
        server.client("bo") as bo,
        chat_client(server, "ana") as ana,
    ):
        first = await task(bo, prompt=script({"say": "from the tool."}), path="shared")
        assert first.text == "from the tool."
        await ana.send("thread.open", thread_id=THREAD, load=True)
        await ana.wait("thread.loaded")
        assert ana.texts() == "from the tool."
        item = {"prompt": script({"say": "from the queue."}), "path": "shared", "sender_name": "Cron"}
        await bo.queues.send(name="work", message=item)
        started = await ana.wait("turn.started", sender_name="Cron")
        await ana.wait("turn.ended", turn_id=started["turn_id"])
        await ana.say("turn.start", script({"say": "from the chat."}), thread_id=THREAD)
        started = await ana.wait("turn.started", sender_name="ana")
        await ana.wait("turn.ended", turn_id=started["turn_id"])
        assert ana.texts() == "from the tool.from the queue.from the chat."
        seen = json.dumps(model.requests[-1].body)
        assert "from the tool." in seen
        assert "from the queue." in seen


async def test_nobody_holds_up_a_call_that_would_need_an_approval(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    asks = script({"run": "echo allowed", "escalate": "may I?"}, {"report": True}, {"say": "the end."})
    async with agent_in(server, tmp_path, model=model, channels=CHANNELS), server.client("bo") as bo:
        answer = (await task(bo, prompt=asks)).text
        assert answer.endswith("the end.")
        assert "allowed\n" not in answer


async def test_a_viewer_may_approve_what_a_queue_asked_for(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    asks = script({"run": "echo allowed", "escalate": "may I?"}, {"report": True})
    async with (
        agent_in(server, tmp_path, model=model, channels=CHANNELS),
        server.client("bo") as bo,
        chat_client(server, "ana") as ana,
    ):
        await ana.send("thread.watch")
        await ana.send("models.request")
        await ana.wait("models.response")
        await bo.queues.send(name="work", message={"prompt": asks, "path": "shared"})
        assert (await ana.wait("thread.created"))["thread"]["path"] == THREAD
        await ana.send("thread.open", thread_id=THREAD, load=True)
        asked = await ana.wait("tool_call.approval_requested")
        where = {"thread_id": THREAD, "turn_id": asked["turn_id"]}
        await ana.send("tool_call.approve", item_id=asked["item_id"], **where)
        await ana.wait("turn.ended", turn_id=asked["turn_id"])
        assert "allowed" in ana.texts()


async def test_a_queued_task_is_interrupted_from_the_chat(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    from meshagent.api import RoomException

    slow = script({"say": "tick ", "times": 600, "every_ms": 50})
    async with (
        agent_in(server, tmp_path, model=model, channels=CHANNELS),
        server.client("bo") as bo,
        chat_client(server, "ana") as ana,
    ):
        await ana.send("thread.watch")
        await ana.send("models.request")
        await ana.wait("models.response")
        calling = task(bo, prompt=slow, path="shared")
        await ana.wait("thread.created")
        await ana.send("thread.open", thread_id=THREAD, load=True)
        delta = await ana.wait("text_content.delta")
        await ana.send("turn.interrupt", thread_id=THREAD, turn_id=delta["turn_id"])
        with pytest.raises(RoomException, match="interrupted"):
            await calling
