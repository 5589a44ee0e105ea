"""The agent with the real Codex, the scripted model, the real room, and the published client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.fakes.room import LocalRoom


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def script(*actions: dict[str, Any]) -> str:
    """A prompt the scripted model follows to the letter."""
    return f"```script\n{json.dumps(actions)}\n```"


async def started(ana: ChatClient, text: str) -> tuple[str, str]:
    """The thread and the turn of a new thread."""
    await ana.say("thread.start", text)
    thread = (await ana.wait("thread.started"))["thread_id"]
    return thread, (await ana.wait("turn.started"))["turn_id"]


async def test_a_turn_with_a_command_and_the_next_one_after_a_restart(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    text = "1 0 0 ha ha\n\n\n"
    async with agent_in(server, tmp_path, model=model, approvals="auto"), chat_client(server, "ana") as ana:
        prompt = script({"run": "echo out"}, {"say": text, "pieces": list(text)})
        thread, turn = await started(ana, prompt)
        ended = await ana.wait("turn.ended", turn_id=turn)
        assert "error" not in ended
        assert ana.texts().endswith(text)
        shell = [x for x in ana.all("tool_call.ended") if x["tool"] == "shell"]
        assert shell[0]["result"]["json"]["stdout"].strip() == "out"
        assert ana.all("usage.updated")
        await ana.wait("thread.status", status=None)
        assert "Thinking" in {x.get("status") for x in ana.all("thread.status")}
    async with agent_in(server, tmp_path, model=model, approvals="auto"), chat_client(server, "ben") as ben:
        await ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded")
        assert ben.texts().endswith(text)
        await ben.say("turn.start", script({"say": "the end."}), thread_id=thread)
        await ben.wait("turn.ended", turn_id=(await ben.wait("turn.started"))["turn_id"])
        assert ben.texts().endswith("the end.")
        seen = json.dumps(model.requests[-1].body)
        assert "1 0 0 ha ha" in seen
        assert seen.count("the end.") >= 1


async def test_steer_interrupt_and_queue(server: LocalRoom, model: ScriptedServer, tmp_path: Path) -> None:
    slow = script({"say": "tick ", "times": 600, "every_ms": 50})
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        thread, turn = await started(ana, slow)
        await ana.wait("text_content.delta")
        queued = await ana.say("turn.start", script({"say": "second."}), thread_id=thread)
        accepted = await ana.wait("turn.start.accepted", source_message_id=queued)
        steer = await ana.say("turn.steer", slow, thread_id=thread, turn_id=turn)
        await ana.wait("turn.steered", source_message_id=steer)
        began = asyncio.get_running_loop().time()
        interrupt = await ana.send("turn.interrupt", thread_id=thread, turn_id=turn)
        await ana.wait("turn.interrupt.accepted", source_message_id=interrupt)
        await ana.wait("turn.interrupted", source_message_id=interrupt)
        ended = await ana.wait("turn.ended", turn_id=turn)
        assert ended["error"]["code"] == "cancelled"
        assert asyncio.get_running_loop().time() - began < 5
        ended = await ana.wait("turn.ended", turn_id=accepted["turn_id"])
        assert "error" not in ended
        assert ana.texts().endswith("second.")
        assert [x["turn_id"] for x in ana.all("turn.ended")] == [turn, accepted["turn_id"]]


async def test_an_approval_in_the_room(server: LocalRoom, model: ScriptedServer, tmp_path: Path) -> None:
    asks = script({"run": "echo allowed", "escalate": "may I?"}, {"report": True})
    async with (
        agent_in(server, tmp_path, model=model),
        chat_client(server, "ana") as ana,
        chat_client(server, "ben") as ben,
    ):
        thread, turn = await started(ana, asks)
        await ben.send("thread.open", thread_id=thread)
        asked = await ana.wait("tool_call.approval_requested")
        await ana.wait("thread.status", status="Waiting for approval")
        await ben.send("tool_call.approve", thread_id=thread, turn_id=turn, item_id=asked["item_id"])
        await ana.wait("turn.ended", turn_id=turn)
        assert "allowed" in ana.texts()
        assert "ben" in str(ana.all("tool_call.log_delta"))


async def test_twenty_threads_at_once(server: LocalRoom, model: ScriptedServer, tmp_path: Path) -> None:
    count = 20
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        for number in range(count):
            await ana.say("thread.start", script({"say": f"answer {number}."}))
        for _ in range(count):
            assert "error" not in await ana.wait("turn.ended")
        said: dict[str, str] = {}
        for delta in ana.all("text_content.delta"):
            said[delta["thread_id"]] = said.get(delta["thread_id"], "") + delta["text"]
        assert sorted(said.values()) == sorted(f"answer {number}." for number in range(count))


async def test_a_thread_goes_on_in_a_copy(server: LocalRoom, model: ScriptedServer, tmp_path: Path) -> None:
    async with (
        agent_in(server, tmp_path, model=model, approvals="auto"),
        chat_client(server, "ana") as ana,
        chat_client(server, "ben") as ben,
    ):
        await ben.send("thread.watch")
        thread, turn = await started(ana, script({"run": "echo out"}, {"say": "in both."}))
        await ana.wait("turn.ended", turn_id=turn)
        await ben.wait("thread.created")
        await ana.say("turn.start", "/fork Other way", thread_id=thread)
        copy = (await ben.wait("thread.created"))["thread"]
        assert copy["name"] == "Other way"
        assert copy["path"] in (await ana.wait("text_content.delta"))["text"]
        await ana.say("turn.start", script({"say": "only in the first."}), thread_id=thread)
        await ana.wait("turn.ended")
        await ana.wait("turn.ended")
        await ben.send("thread.open", thread_id=copy["path"], load=True)
        await ben.wait("thread.loaded")
        assert ben.texts() == "in both."
        await ben.say("turn.start", script({"say": "only in the copy."}), thread_id=copy["path"])
        await ben.wait("turn.ended", turn_id=(await ben.wait("turn.started"))["turn_id"])
        request = model.requests[-1].body
        said = json.dumps(request["input"])
        assert (said.count('"in both."'), said.count("only in the first"), said.count("/fork")) == (1, 0, 0)
        assert '"call_id"' in said, "calls come along as Codex recorded them"
        assert request["prompt_cache_key"] != model.requests[0].body["prompt_cache_key"]
