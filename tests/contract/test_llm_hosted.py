"""Tools that providers run themselves, in turns of language models in the real room."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.llm import create_backend as create_llm
from process_agent.config import load, load_providers
from process_agent.core.backend import BackendConfig
from process_agent.core.models import ModelChoice
from process_agent.core.providers import behind
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, ChatClient, agent_in, chat_client
from tests.contract.codex_room import script
from tests.contract.test_llm_mcp import DIALECTS, model
from tests.fakes.room import LocalRoom
from tests.unit.codex.replay import PNG

__all__ = ["model"]

IMAGE = PNG.partition(",")[2]
PEARS = {"url": "https://pears.example/a", "title": "All about pears"}
SEARCHING = {"search": "pears", "results": [PEARS, {"url": "https://other.example"}]}


@asynccontextmanager
async def talking(server: LocalRoom, model: ScriptedServer, folder: Path) -> AsyncIterator[ChatClient]:
    known = load_providers(load({"HOME": str(folder)}), {})
    (folder / "work").mkdir(exist_ok=True)
    config = BackendConfig(
        AGENT,
        folder / "work",
        folder / "data",
        tuple(ModelChoice("llm", each["provider"], each["model"]) for each in DIALECTS.values()),
        providers=behind(known, model.base_url, model.api_key, "scripted model"),
        provider="scripted",
        web_search=True,
        image_model="gpt-image-1",
    )
    async with agent_in(server, folder, [create_llm(config)]), chat_client(server, "ana") as ana:
        yield ana


async def turns(ana: ChatClient, *said: tuple[str, dict[str, Any]]) -> None:
    """Turns of one thread, each to its end."""
    thread: dict[str, Any] = {}
    for number, (text, choice) in enumerate(said):
        await ana.say("turn.start" if number else "thread.start", text, **thread, **choice)
        ended = await ana.wait("turn.ended")
        assert "error" not in ended, ended
        thread = {"thread_id": ended["thread_id"]}


@pytest.mark.parametrize("dialect", ["responses", "messages"])
async def test_a_search_is_shown_cited_and_told_again_as_the_provider_wants_it(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, dialect: str
) -> None:
    choice, other = DIALECTS[dialect], DIALECTS["messages" if dialect == "responses" else "responses"]
    said = {"say": "Pears are fruit.", "cites": [PEARS]}
    async with talking(server, model, tmp_path) as ana:
        await turns(
            ana,
            (script({"think": "hm"}, SEARCHING, said), choice),
            (script({"say": "again"}), choice),
            (script({"say": "elsewhere"}), other),
            (script({"say": "chat"}), DIALECTS["chat"]),
        )
    started = ana.all("tool_call.started")[-1]
    provider = choice["provider"]
    assert (started["namespace"], started["toolkit"], started["tool"]) == (provider, provider, "web_search")
    assert started["arguments"]["query"] == "pears"
    (ended,) = ana.all("tool_call.ended")
    assert ended["result"]["json"]["results"][0]["url"] == PEARS["url"]
    assert ana.all("usage.updated")[0]["usage"]["web_searches"] == 1
    assert "Pears are fruit.\n\nSources:\n\n- [All about pears](<https://pears.example/a>)" in ana.texts()
    asked = [request.body for request in model.requests if "tools" in request.body]  # none for a name
    first, again, elsewhere, chat = (json.dumps(_model_side(body)) for body in asked)
    kind = "web_search_call" if dialect == "responses" else "web_search_tool_result"
    assert '"web_search' in json.dumps(asked[0]["tools"])
    assert (first.count(kind), again.count(f'"{kind}"')) == (0, 1)
    assert again.count('"text": "Pears are fruit."') == 1
    assert "Sources:" not in again
    if dialect == "messages":
        assert again.count('"encrypted-0"') == again.count('"index-0"') == 1
    for request in (elsewhere, chat):
        assert kind not in request
        assert "encrypted" not in request
        assert "Pears are fruit." in request
    assert "The web was searched for 'pears' and found https://pears.example/a" in json.dumps(asked[2])


@pytest.mark.parametrize("dialect", ["responses", "messages"])
async def test_a_search_that_fails_is_an_error_and_the_answer_goes_on(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, dialect: str
) -> None:
    failing = {"search": "pears", "code": "max_uses_exceeded"}
    async with talking(server, model, tmp_path) as ana:
        await turns(ana, (script(failing, {"say": "No idea."}), DIALECTS[dialect]))
    (ended,) = ana.all("tool_call.ended")
    assert ended["error"]["code"] == "web_search_failed"
    assert "No idea." in ana.texts()


async def test_the_dialect_without_a_search_offers_none(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with talking(server, model, tmp_path) as ana:
        await ana.say("thread.start", script(SEARCHING), **DIALECTS["chat"])
        ended = await ana.wait("turn.ended")
    assert "No search of the web is on offer" in ended["error"]["message"]


async def test_an_image_grows_is_kept_in_the_room_and_known_to_all_models(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    making = {"image": IMAGE, "prompt": "a pear", "partials": [IMAGE]}
    async with talking(server, model, tmp_path) as ana:
        await turns(
            ana,
            (script(making, {"say": "Here."}), DIALECTS["responses"]),
            (script({"say": "again"}), DIALECTS["responses"]),
            (script({"say": "elsewhere"}), DIALECTS["messages"]),
        )
        (done,) = ana.all("image_generation.completed")
        assert done["images"][0]["uri"].startswith("dataset://images?id=")
        assert len(ana.all("image_generation.partial")) == 1
        assert ana.all("image_generation.started")[-1]["arguments"] == {"prompt": "a pear"}
        assert done["arguments"] == {"prompt": "a pear"}, "which is stored, as the start is not"
    first, again, elsewhere = (request.body for request in model.requests)
    offered = {"type": "image_generation", "partial_images": 2, "model": "gpt-image-1"}
    assert offered in first["tools"]
    (kept,) = [item for item in again["input"] if item["type"] == "image_generation_call"]
    assert b64decode(kept["result"]) == b64decode(IMAGE)
    blocks = [block for message in elsewhere["messages"] for block in message["content"]]
    assert [block["source"]["data"] for block in blocks if block["type"] == "image"] == [IMAGE]
    assert "[An image was made: a pear]" in json.dumps(elsewhere)


def _model_side(body: dict[str, Any]) -> list[Any]:
    """What the model said and did: scripts hold what they make happen."""
    items = body.get("input") or body["messages"]
    return [item for item in items if item.get("role") != "user"]
