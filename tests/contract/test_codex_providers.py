"""Further providers of models: chosen by thread and turn, each with an address and a key of its own."""

from __future__ import annotations

from pathlib import Path

from process_agent.core.backend import AgentMessage, HistoryItem, ModelEndpoint, UserMessage
from process_agent.core.content import TextPart
from process_agent.core.events import EndReason
from process_agent.core.models import ModelChoice
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room, script

OWN, OTHER = ModelChoice("codex", None, "scripted"), ModelChoice("codex", "gpu", "llama/large")


async def test_a_thread_changes_its_provider_and_keeps_its_history(tmp_path: Path) -> None:
    async with ScriptedServer() as gpu:
        endpoints = (ModelEndpoint("gpu", gpu.base_url, gpu.api_key),)
        async with codex_room(tmp_path, endpoints=endpoints, models=(OWN, OTHER)) as room:
            offers = {offer.name: [model.name for model in offer.models] for offer in room.backend.models()}
            assert offers == {"scripted": ["scripted"], "gpu": ["llama/large"]}
            thread = await room.thread()
            assert (await room.turn(thread, "say one", model=OWN)).text == "one"
            assert (await room.turn(thread, "say two", model=OTHER)).text == "two"
            assert gpu.requests[-1].body["model"] == "llama/large"
            assert [text for _, text in room.said_in(gpu.requests[-1])] == ["say one", "one", "say two"]
            assert (await room.turn(thread, "say three", model=OWN)).text == "three"
            assert (len(room.model.requests), len(gpu.requests)) == (2, 1)
            assert [text for _, text in room.sent()][-2:] == ["two", "say three"]
            told = await room.turn(
                thread, script({"run": "env; cat /proc/*/environ"}, {"report": True}), model=OTHER
            )
            launch = room.backend._launch
            assert launch is not None
            for key in (gpu.api_key, room.model.api_key):
                assert key not in told.text
                assert not any(key in word for word in launch.command.arguments)


async def test_a_compaction_stays_with_the_provider_of_the_thread(tmp_path: Path) -> None:
    async with ScriptedServer() as gpu:
        endpoints = (ModelEndpoint("gpu", gpu.base_url, gpu.api_key),)
        async with codex_room(tmp_path, endpoints=endpoints, models=(OWN, OTHER)) as room:
            history: list[HistoryItem] = [
                UserMessage((TextPart("My cat is Ada."),), "ada"),
                AgentMessage("Noted."),
            ]
            told = await room.turn(await room.thread(history), None, compact=True, model=OTHER)
            assert told.end.reason is EndReason.COMPLETED
            assert (len(room.model.requests), len(gpu.requests)) == (0, 1)


async def test_further_providers_alone_need_no_other_account(tmp_path: Path) -> None:
    async with ScriptedServer() as gpu:
        endpoints = (ModelEndpoint("gpu", gpu.base_url, gpu.api_key),)
        async with codex_room(tmp_path, connect=False, endpoints=endpoints, models=(OTHER,)) as room:
            assert dict(room.summary.lines)["account"] == "gpu, 127.0.0.1"
            assert room.backend.default_model() == OTHER
            assert (await room.turn(await room.thread(), "say hello")).text == "hello"
            assert "apply_patch" in str(gpu.requests[-1].body["tools"])
            assert await room.backend.title("What is heavy?") == "What is heavy?"
