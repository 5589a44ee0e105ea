"""The thread store beside a simple model, over a real local room, and as the published agent reads it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from process_agent.threads.cuts import fold
from process_agent.wire.agent_messages import PREFIX
from tests.contract.published.install import for_published
from tests.contract.published.program import Program
from tests.fakes.room import ROOM, LocalRoom, local_room
from tests.fakes.store_machine import ModelThread, StoreMachine

pytestmark = for_published

FEW = settings(
    max_examples=6,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Joined:
    """A room server in a loop of its own, and an agent's place in the room."""

    loop: asyncio.AbstractEventLoop
    server: LocalRoom
    room: JoinedRoom


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()

    async def enter() -> Joined:
        server = await stack.enter_async_context(local_room(tmp_path_factory.mktemp("room")))
        target = JoinTarget(ROOM, server.url, server.token("bot", "agent"))
        return Joined(loop, server, await stack.enter_async_context(join_room(target)))

    try:
        yield loop.run_until_complete(enter())
    finally:
        loop.run_until_complete(stack.aclose())
        loop.close()


def machine(joined: Joined, published: Program | None) -> type[StoreMachine]:
    names = itertools.count(1)

    class RoomMachine(StoreMachine):
        def connect(self) -> None:
            self.datasets = joined.room.datasets
            self.clock = lambda: datetime.now(UTC)
            self.namespace = f"bot-{published is not None}-{next(names)}"

        def run[T](self, does: Coroutine[Any, Any, T]) -> T:
            return joined.loop.run_until_complete(does)

        def teardown(self) -> None:
            super().teardown()
            if published is not None:
                for thread in self.threads:
                    self.run(published_reads(published, thread))

    async def published_reads(reader: Program, thread: ModelThread) -> None:
        token = joined.server.token("reader", "agent")
        reading = reader.call("read_thread", url=joined.server.ws_url(), token=token, thread=thread.path)
        compare(await asyncio.wrap_future(reading), thread)

    return RoomMachine


def compare(messages: list[dict[str, Any]], thread: ModelThread) -> None:
    """What the published agent knows of a thread, since it was cleared."""
    cleared = [n for n, x in enumerate(messages) if x["type"] == PREFIX + "thread.cleared"]
    texts: dict[tuple[str, str], str] = {}
    began: list[str] = []
    ended: list[str] = []
    for message in messages[cleared[-1] + 1 if cleared else 0 :]:
        match message["type"].removeprefix(PREFIX):
            case "turn.started":
                began.append(message["turn_id"])
            case "text_content.delta":
                key = message["turn_id"], message["item_id"]
                texts[key] = fold(texts.get(key, ""), message["text"])
            case "turn.ended":
                ended.append(message["turn_id"])
            case _:
                pass
    assert began == [turn.id for turn in thread.turns]
    assert ended == [turn.id for turn in thread.turns if turn.end is not None]
    for turn in thread.turns:
        for item, text in turn.texts.items():
            read = texts.pop((turn.id, item), "")
            assert read == text or (turn.end is None and text.startswith(read))
    assert not texts


def test_over_a_local_room(joined: Joined) -> None:
    run_state_machine_as_test(machine(joined, None), settings=FEW)


def test_the_published_agent_reads_what_it_holds(joined: Joined, published: Program) -> None:
    run_state_machine_as_test(machine(joined, published), settings=FEW)
