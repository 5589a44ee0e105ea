"""One thread between a language model, another provider's, and the real Codex; in the real room."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.codex import create_backend as create_codex
from backends.llm import create_backend as create_llm
from process_agent.config import load, load_providers
from process_agent.core.backend import Backend, BackendConfig
from process_agent.core.models import ModelChoice
from process_agent.core.providers import behind
from process_agent.core.recalled import IMAGE_MADE
from process_agent.scripted.server import RecordedRequest, ScriptedServer
from tests.contract.agent_room import AGENT, ChatClient, agent_in, chat_client
from tests.contract.codex_room import script
from tests.contract.test_images import PNG
from tests.fakes.room import LocalRoom

OPENAI = {"backend": "llm", "provider": "openai", "model": "gpt-5.5"}
CLAUDE = {"backend": "llm", "provider": "anthropic", "model": "claude-x"}
KIMI = {"backend": "llm", "provider": "kimi", "model": "kimi-k2"}
CODEX = {"backend": "codex", "model": "gpt-5.5"}


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def backends(model: ScriptedServer, folder: Path) -> list[Backend]:
    """Both backends, with the scripted model behind everything."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    llm = tuple(ModelChoice(**choice) for choice in (OPENAI, CLAUDE, KIMI))
    known = load_providers(load({"HOME": str(folder)}), {})

    def config(*models: ModelChoice) -> BackendConfig:
        return BackendConfig(
            AGENT,
            work,
            folder / "data",
            models,
            providers=behind(known, model.base_url, model.api_key, "scripted model"),
            provider="scripted",
            base_url=model.base_url,
            api_key=model.api_key,
            approvals="auto",
            environment={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        )

    return [create_llm(config(*llm)), create_codex(config(ModelChoice("codex", None, "gpt-5.5")))]


@asynccontextmanager
async def talking(server: LocalRoom, model: ScriptedServer, folder: Path) -> AsyncIterator[ChatClient]:
    made = backends(model, folder)
    async with agent_in(server, folder, made, approvals="auto"), chat_client(server, "ana") as ana:
        yield ana


def of_codex(request: RecordedRequest) -> bool:
    return "originator" in request.headers


def told(request: RecordedRequest) -> str:
    """What the model of a request knows, without what people typed: scripts hold what they make happen."""
    body = request.body
    items = [item for item in body.get("input") or body["messages"] if item.get("role") != "user"]
    results = [item for item in body.get("messages", []) if _is_result(item)]
    return json.dumps([*items, *results])


def _is_result(message: dict[str, Any]) -> bool:
    content = message["content"]
    return isinstance(content, list) and content[0]["type"] == "tool_result"


WORK = script(
    {"patch": "*** Begin Patch\n*** Add File: a.txt\n+pears\n*** End Patch"},
    {"run": "printf 'answer-%d' 42"},
    {"say": "Codex was here."},
)


@pytest.mark.timeout(300)
async def test_turns_that_wait_change_the_model_and_each_knows_all_that_was_before(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with talking(server, model, tmp_path) as ana:
        await ana.say("thread.start", script({"sleep_ms": 300}, {"say": "GPT was here."}))
        thread = (await ana.wait("thread.started"))["thread_id"]
        for text, choice in (
            (WORK, CODEX),
            (script({"say": "Claude was here."}), CLAUDE),
            (script({"say": "GPT is back."}), OPENAI),
        ):
            await ana.say("turn.start", text, thread_id=thread, **choice)
        for _ in range(4):
            ended = await ana.wait("turn.ended")
            assert "error" not in ended, ended
        changed = [(x["provider"], x["model"]) for x in ana.all("model.changed")]
        assert changed[-2:] == [("anthropic", "claude-x"), ("openai", "gpt-5.5")]
    asked = list(model.requests)
    first_of_codex = next(request for request in asked if of_codex(request))
    assert told(first_of_codex).count("GPT was here.") == 1
    claude = next(request for request in asked if request.path == "/v1/messages")
    last = asked[-1]
    assert last.path == "/v1/responses"
    for request in (claude, last):
        for once in ("GPT was here.", "+pears", "printf", "answer-42", "Codex was here."):
            assert told(request).count(once) == 1, (once, told(request))
    assert told(last).count("Claude was here.") == 1


@pytest.mark.timeout(300)
async def test_the_selection_of_a_thread_survives_the_agent(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with talking(server, model, tmp_path) as ana:
        await ana.say("thread.start", script({"say": "one."}))
        thread = (await ana.wait("thread.started"))["thread_id"]
        await ana.wait("turn.ended")
        await ana.say("turn.start", "/model anthropic/claude-x", thread_id=thread)
        await ana.wait("model.changed", model="claude-x")
        await ana.wait("turn.ended")
    async with talking(server, model, tmp_path) as ben:
        await ben.send("thread.open", thread_id=thread)
        await ben.say("turn.start", script({"say": "two."}), thread_id=thread)
        ended = await ben.wait("turn.ended")
        assert "error" not in ended, ended
    assert model.requests[-1].path == "/v1/messages"
    assert told(model.requests[-1]).count("one.") == 1


@pytest.mark.timeout(300)
async def test_an_image_that_a_model_made_is_told_to_the_next_model_after_a_restart_too(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    picture = {"image": PNG.partition(",")[2], "prompt": "a pear"}
    async with talking(server, model, tmp_path) as ana:
        await ana.say("thread.start", script(picture, {"say": "Drawn."}))
        thread = (await ana.wait("thread.started"))["thread_id"]
        shown = (await ana.wait("image_generation.completed"))["images"][0]["uri"]
        assert shown.startswith("dataset://images?id=")
        await ana.wait("turn.ended")
    async with talking(server, model, tmp_path) as ben:
        await ben.send("thread.open", thread_id=thread)
        for choice in (OPENAI, CODEX, CLAUDE, CODEX, KIMI):
            await ben.say("turn.start", script({"say": "Seen."}), thread_id=thread, **choice)
            ended = await ben.wait("turn.ended")
            assert "error" not in ended, ended
    data = PNG.partition(",")[2]
    for request in [each for each in model.requests if IMAGE_MADE in json.dumps(each.body)]:
        text = json.dumps(request.body)
        assert (text.count(f"{IMAGE_MADE}: a pear]"), text.count(data)) == (1, 2), text
    asked = [request for request in model.requests if IMAGE_MADE in json.dumps(request.body)]
    assert [("codex" if of_codex(each) else each.path) for each in asked] == [
        "/v1/responses",
        "codex",
        "/v1/messages",
        "codex",
        "/v1/chat/completions",
    ]
