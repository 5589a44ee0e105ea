"""A thread for people: the backend `chat`, alone and beside another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from process_agent.agent.assemble import Agent, AgentConfig, create_backends, started
from process_agent.agent.channels import AgentRoom
from process_agent.core.backend import Backend, BackendConfig, UserMessage
from process_agent.core.content import TextPart
from tests.fakes.agent_house import said, start
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import MemoryMessaging
from tests.fakes.memory_store import MemoryThreadStore


@asynccontextmanager
async def agent(
    folder: Path, *models: str, more: Sequence[Backend] = ()
) -> AsyncIterator[tuple[Agent, MemoryMessaging, MemoryThreadStore]]:
    """An agent with the backend of the entry point, and others."""
    messaging, store = MemoryMessaging(), MemoryThreadStore()
    config = AgentConfig("bot", BackendConfig("bot", folder, folder), ("chat",), models)
    made = (*create_backends(config), *more)
    async with (
        started(made) as backends,
        Agent(config, AgentRoom(messaging, store), backends) as running,
    ):
        yield running, messaging, store


async def test_people_talk_and_nobody_answers(tmp_path: Path) -> None:
    async with agent(tmp_path, "chat/none") as (running, messaging, store):
        assert running.ready.default_model.model == "none"
        ana, ben = messaging.join("ana"), messaging.join("ben")
        thread = await start(ana, "hello ben")
        await ana.wait("turn.ended")
        ben.send("thread.open", thread_id=thread, load=True)
        assert (await ben.wait("turn.start"))["content"] == said("hello ben")
        await ben.wait("thread.loaded")
        ben.send("turn.start", thread_id=thread, content=said("hello ana"))
        assert (await ana.wait("turn.start"))["sender_name"] == "ben"
        ended = await ana.wait("turn.ended")
        assert ended.get("error") is None
        kinds = [x["type"].removeprefix("meshagent.agent.") for x in ana.got if x.get("turn_id")]
        assert kinds.count("turn.started") == kinds.count("turn.ended") == 2
        assert not any(kind.startswith("text_content") for kind in kinds)
        assert [entry.name for entry in store.entries.values()] == ["hello ben"]


async def test_a_thread_goes_over_to_a_model_which_knows_what_was_said(tmp_path: Path) -> None:
    codex = FakeBackend()
    async with agent(tmp_path, more=[codex]) as (_, messaging, _store):
        ana = messaging.join("ana")
        thread = await start(ana, "only between us")
        await ana.wait("turn.ended")
        assert codex.turns == []
        ana.send("turn.start", thread_id=thread, content=said("/model codex/gpt-5.5"))
        await ana.wait("turn.ended")
        ana.send("turn.start", thread_id=thread, content=said("and you?"))
        turn = await codex.turn(0)
        heard = [item.content for item in codex.threads[0].history if isinstance(item, UserMessage)]
        assert (TextPart("only between us"),) in heard
        turn.answer("I heard it")
        await ana.wait("turn.ended")
        ana.send("turn.start", thread_id=thread, content=said("/model chat/none"))
        await ana.wait("turn.ended")
        ana.send("turn.start", thread_id=thread, content=said("back to us"))
        await ana.wait("turn.ended")
        assert len(codex.turns) == 1
