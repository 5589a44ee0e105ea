"""`/retry`: the model sees the question once, and nothing of the earlier answer. The real Codex and models
over HTTP, in the real room.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from process_agent.scripted.server import RecordedRequest, ScriptedServer
from tests.contract.agent_room import ChatClient
from tests.contract.codex_room import script
from tests.contract.test_llm_switching import CLAUDE, CODEX, OPENAI, of_codex, talking, told
from tests.fakes.room import LocalRoom

pytestmark = pytest.mark.timeout(180)

FIRST = script({"say": "said before."})
AGAIN = script({"run": "echo $((40 + 2))-out"}, {"say": "the answer."})
LAST = script({"say": "said after."})


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


async def begun(ana: ChatClient, text: str, choice: dict[str, str]) -> str:
    await ana.say("thread.start", text, **choice)
    thread = str((await ana.wait("thread.started"))["thread_id"])
    await ana.wait("turn.ended")
    return thread


async def said(ana: ChatClient, thread: str, text: str, choice: dict[str, str] | None = None) -> None:
    await ana.say("turn.start", text, thread_id=thread, **(choice or {}))
    ended = await ana.wait("turn.ended", turn_id=(await ana.wait("turn.started"))["turn_id"])
    assert "error" not in ended, ended


def asked(request: RecordedRequest, text: str) -> int:
    """How often a person said this, as the model sees it."""
    items = request.body.get("input") or request.body["messages"]
    return json.dumps([item for item in items if item.get("role") == "user"]).count(json.dumps(text)[1:-1])


async def retried(ana: ChatClient, model: ScriptedServer, thread: str, command: str = "/retry") -> None:
    """Send it, and look at what the model was asked first and last."""
    before = model.total_requests
    await said(ana, thread, command)
    first, last = model.requests[before - model.total_requests], model.requests[-1]
    assert (asked(first, AGAIN), asked(last, AGAIN)) == (1, 1)
    assert [told(first).count(text) for text in ("42-out", "the answer.")] == [0, 0]
    assert told(last).count("42-out") == of_codex(last), "of the turn that was asked again alone"


@pytest.mark.parametrize("choice", [CODEX, CLAUDE])
async def test_the_earlier_answer_is_out_of_view(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, choice: dict[str, str]
) -> None:
    async with talking(server, model, tmp_path) as ana:
        thread = await begun(ana, FIRST, choice)
        await said(ana, thread, AGAIN)
        for _ in range(2):
            await retried(ana, model, thread)
            assert told(model.requests[-1]).count("said before.") == 1
        keys = {request.body.get("prompt_cache_key") for request in model.requests}
        assert len(keys) == 1, "it is the same Codex thread"
    async with talking(server, model, tmp_path) as ana:
        await ana.send("thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded")
        assert ana.texts().count("the answer.") == 3, "people see all of them"
        await retried(ana, model, thread)
        await said(ana, thread, LAST)
        last = told(model.requests[-1])
        assert [last.count(text) for text in ("said before.", "the answer.")] == [1, 1]
        assert asked(model.requests[-1], AGAIN) == 1
        assert not [x for x in ana.all("tool_call.started") if x["tool"] == "notice"]


async def test_the_first_message_of_a_thread(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with talking(server, model, tmp_path) as ana:
        thread = await begun(ana, AGAIN, CODEX)
        await retried(ana, model, thread)
        await retried(ana, model, thread)
        await said(ana, thread, LAST)
        assert told(model.requests[-1]).count("the answer.") == 1
        assert not [x for x in ana.all("tool_call.started") if x["tool"] == "notice"]


async def test_with_the_other_backend_and_back(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with talking(server, model, tmp_path) as ana:
        thread = await begun(ana, FIRST, CODEX)
        await said(ana, thread, AGAIN)
        await retried(ana, model, thread, "/retry llm/openai/gpt-5.5")
        assert not of_codex(model.requests[-1])
        await said(ana, thread, LAST, CODEX)
        assert of_codex(model.requests[-1])
        last = told(model.requests[-1])
        assert [last.count(text) for text in ("said before.", "42-out", "the answer.")] == [1, 0, 1]
        assert asked(model.requests[-1], AGAIN) == 1


async def test_what_was_told_before_the_question_is_told_once(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    """Codex keeps what it was told between two turns when it drops the second."""
    async with talking(server, model, tmp_path) as ana:
        thread = await begun(ana, FIRST, CODEX)
        await said(ana, thread, script({"say": "said elsewhere."}), OPENAI)
        await said(ana, thread, AGAIN, CODEX)
        await retried(ana, model, thread)
        last = told(model.requests[-1])
        assert [last.count(text) for text in ("said before.", "said elsewhere.")] == [1, 1]


async def test_after_a_compaction(server: LocalRoom, model: ScriptedServer, tmp_path: Path) -> None:
    """The summary would know of the answer: the conversation is again what it was before the question."""
    async with talking(server, model, tmp_path) as ana:
        thread = await begun(ana, FIRST, CODEX)
        await said(ana, thread, AGAIN)
        await said(ana, thread, "/compact")
        await retried(ana, model, thread)
        assert told(model.requests[-1]).count("said before.") == 1
        assert "Summary by the scripted model" not in json.dumps(model.requests[-1].body)
