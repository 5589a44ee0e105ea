"""`--thread-retention` from the flag to the thread that is gone, and what it does when the room refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from process_agent.agent import retention
from process_agent.agent.assemble import Agent, started
from process_agent.agent.channels import AgentRoom
from process_agent.agent.retention import Retention
from process_agent.cli import join, main
from process_agent.cli.checked import JoinOptions
from process_agent.cli.joining import model_endpoint
from process_agent.config import Settings, load
from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.threads.kept.retention import Rule
from tests.fakes.agent_house import Room, config
from tests.fakes.memory_store import MemoryThreadStore

RULE = Rule(timedelta(days=90))
NOW = datetime(2026, 9, 1, tzinfo=UTC)
OLD = ThreadEntry(ThreadId("old"), "old", NOW - timedelta(days=91), NOW - timedelta(days=91))


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_SECONDS", "EVERY_SECONDS"):
        monkeypatch.setattr(retention, name, 0.01)


def typed(monkeypatch: pytest.MonkeyPatch, *more: str) -> list[JoinOptions]:
    seen: list[JoinOptions] = []

    def keep(options: JoinOptions, _settings: Settings) -> None:
        seen.append(options)

    monkeypatch.setattr(join, "run", keep)
    monkeypatch.setattr(
        "sys.argv", ["process", "join", "--room", "r", "--agent-name", "a", "--channel", "chat", *more]
    )
    with pytest.raises(SystemExit):
        main()
    return seen


@pytest.mark.parametrize(("more", "rule"), [(("--thread-retention", "90d"), RULE), ((), None)])
async def test_the_flag_is_in_the_agents_configuration(
    more: tuple[str, ...], rule: Rule | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    [options] = typed(monkeypatch, *more)
    async with model_endpoint(options, load({"HOME": "/nowhere"})) as made:
        assert made.retention == rule


def test_the_flag_needs_threads_in_the_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not typed(monkeypatch, "--thread-retention", "90d", "--thread-storage", "none")
    assert "--thread-retention has no use with --thread-storage none." in capsys.readouterr().err


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("rule", [RULE, None])
async def test_an_agent_removes_old_threads_and_tells_who_watches(rule: Rule | None, tmp_path: Path) -> None:
    room = Room(tmp_path)
    old = (await room.store.create("old")).path
    made = replace(config(tmp_path), retention=rule)
    now = room.store.entries[old].modified_at
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(started([room.backend]))
        ana = room.messaging.join("ana")
        agent = Agent(made, AgentRoom(room.messaging, room.store), backends, clock=lambda: now)
        await stack.enter_async_context(agent)
        ana.send("thread.watch")
        ana.send("thread.list", limit=10, offset=0)
        assert [each["path"] for each in (await ana.wait("thread.listed"))["threads"]] == [old]
        now += timedelta(days=91)
        if rule is not None:
            assert (await ana.wait("thread.deleted"))["path"] == old
        else:
            await asyncio.sleep(0.05)
    assert (old in room.store.entries) == (rule is None)


class Answering(MemoryThreadStore):
    """Answers looks at the list one after the other."""

    def __init__(self, *answers: list[ThreadEntry] | RoomError) -> None:
        super().__init__()
        self.answers = list(answers)

    async def list(
        self, limit: int, offset: int, owner: str | None = None
    ) -> tuple[Sequence[ThreadEntry], int]:
        answer = self.answers.pop(0)
        if isinstance(answer, RoomError):
            raise answer
        return answer, len(answer)


@pytest.mark.usefixtures("_at_once")
async def test_it_looks_again_after_refusals_until_the_room_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention.Retention.look, "__defaults__", (0.0,))
    expired: list[tuple[ThreadId, datetime]] = []

    async def expire(thread_id: ThreadId, before: datetime) -> bool:
        expired.append((thread_id, before))
        return True

    store = Answering(
        RoomRequestError("busy", code=1008), [OLD], [], RoomError("lost"), RoomClosedError("gone")
    )
    await Retention(RULE, store, lambda: NOW).run(expire)
    assert expired == [(OLD.path, NOW - RULE.age)]
    assert not store.answers
    assert caplog.text.count("old threads are not removed for now") == 2
