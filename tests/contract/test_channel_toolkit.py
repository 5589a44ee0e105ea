"""The tool of the toolkit channel, called by published clients."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.content import ErrorInfo
from process_agent.core.events import EndReason, TurnEnded
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom, participant

CHANNELS = ("chat", "toolkit:helper")


def task(client: Any, **arguments: Any) -> asyncio.Future[Any]:
    """A call of the agent's tool."""
    call: Coroutine[Any, Any, Any] = client.agents.invoke_tool(
        toolkit="helper", tool="run_helper_task", input=arguments
    )
    return asyncio.ensure_future(call)


async def refusal(calling: asyncio.Future[Any]) -> str:
    from meshagent.api import RoomException

    with pytest.raises(RoomException) as error:
        await calling
    return str(error.value)


async def test_a_client_runs_a_task(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend], channels=CHANNELS), server.client("bo") as bo:
        listed = {found.name: found for found in await bo.agents.list_toolkits()}["helper"]
        schema = listed.get_tool("run_helper_task").input_spec.schema
        assert (schema["required"], "path" in schema["properties"]) == (["prompt"], True)
        calling = task(bo, prompt="Sum up")
        turn = await backend.turn(0)
        assert (turn.text, turn.input.sender_name) == ("Sum up", None)
        turn.answer("42")
        assert (await calling).text == "42"
        await bo.messaging.enable()
        await participant(bo, AGENT)
        calling = task(bo, prompt="Again", path=turn.thread_id)
        again = await backend.turn(1)
        assert (again.thread_id, again.input.sender_name) == (turn.thread_id, "bo")
        again.answer("43")
        assert (await calling).text == "43"


async def test_every_end_of_a_task_reaches_its_caller(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with server.client("bo") as bo:
        async with agent_in(server, tmp_path, [backend], channels=CHANNELS):
            failing, dying = task(bo, prompt="one"), task(bo, prompt="two")
            (await backend.turn(0)).say(TurnEnded(EndReason.FAILED, ErrorInfo("the model is gone", "gone")))
            (await backend.turn(1)).vanish()
            ends = await asyncio.gather(refusal(failing), refusal(dying))
            assert "the model is gone" in ends
            assert "model" in await refusal(task(bo, prompt="x", model="nothing"))
            foreign = "dataset://agents/other/threads/x"
            assert "cannot be opened" in await refusal(task(bo, prompt="x", path=foreign))
            stopping = task(bo, prompt="three")
            await backend.turn(2)
        assert "interrupted" in await refusal(stopping)


async def test_a_caller_that_leaves_interrupts_its_task(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend], channels=CHANNELS):
        async with server.client("bo") as bo:
            await bo.messaging.enable()
            await participant(bo, AGENT)
            calling = task(bo, prompt="long")
            turn = await backend.turn(0)
        await turn.interrupted.wait()
        await refusal(calling)


async def test_chat_queue_and_toolkit_share_a_thread(server: LocalRoom, tmp_path: Path) -> None:
    """Who chats sees what the others ask, in order, as it happens."""
    backend = FakeBackend()
    channels = ("chat", "queue:work", "toolkit:helper")
    async with (
        agent_in(server, tmp_path, [backend], channels=channels),
        server.client("bo") as bo,
        chat_client(server, "ana") as ana,
    ):
        await bo.messaging.enable()
        await participant(bo, AGENT)
        queued = {"prompt": "from the queue", "path": "shared", "from": "Cron"}
        await bo.queues.send(name="work", message=queued)
        first = await backend.turn(0)
        thread = first.thread_id
        assert thread == f"dataset://agents/{AGENT}/threads/shared"
        await ana.send("thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded")
        calling = task(bo, prompt="from the tool", path="shared")
        await ana.wait("turn.start.accepted", sender_name="bo")
        source = await ana.say("turn.start", "from the chat", thread_id=thread)
        await ana.wait("turn.start.accepted", source_message_id=source)
        assert len(backend.turns) == 1
        for number, text in enumerate(("one", "two", "three")):
            (await backend.turn(number)).answer(text)
        assert (await calling).text == "two"
        await ana.wait("turn.ended", turn_id=backend.turns[2].input.turn_id)
        assert [turn.text for turn in backend.turns] == ["from the queue", "from the tool", "from the chat"]
        assert {turn.thread_id for turn in backend.turns} == {thread}
        started = ana.all("turn.started")
        assert [message["sender_name"] for message in started] == ["Cron", "bo", "ana"]
        texts = [(message["turn_id"], message["text"]) for message in ana.all("text_content.delta")]
        assert texts == [
            (turn.input.turn_id, text)
            for turn, text in zip(backend.turns, ("one", "two", "three"), strict=True)
        ]
