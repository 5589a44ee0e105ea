"""Whatever a model writes, however it is split: every client shows it exactly, live, late and replayed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_agent.agent.assemble import Agent, started
from process_agent.agent.channels import AgentRoom
from process_agent.core import events as e
from process_agent.core.ids import ItemId
from process_agent.threads.memory import MemoryThreadStore
from tests.fakes.agent_house import config, start
from tests.fakes.backend import FakeBackend
from tests.fakes.flutter_rules import FlutterThread
from tests.fakes.memory_messaging import Client, MemoryMessaging
from tests.fakes.react_rules import ReactThread

deltas = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=5), min_size=1, max_size=25)


class House:
    """An agent that runs as long as the tests of this module; its threads are folded like stored ones."""

    def __init__(self, folder: Path) -> None:
        self.messaging, self.backend = MemoryMessaging(), FakeBackend()
        ids = itertools.count()
        self._config = config(folder)
        self._store = MemoryThreadStore(
            "bot", clock=lambda: datetime.now(UTC), new_id=lambda: f"t{next(ids)}"
        )
        self._over = asyncio.Event()
        self.ready = asyncio.Event()

    async def live(self) -> None:
        async with (
            started([self.backend]) as backends,
            Agent(self._config, AgentRoom(self.messaging, self._store), backends),
        ):
            self.ready.set()
            await self._over.wait()

    async def begin(self) -> None:
        self._task = asyncio.create_task(self.live())
        await self.ready.wait()

    async def end(self) -> None:
        self._over.set()
        await self._task


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[list[str], int], None]]:
    with asyncio.Runner() as runner:

        async def made() -> House:
            house = House(tmp_path_factory.mktemp("house"))
            await house.begin()
            return house

        house = runner.run(made())
        yield lambda pieces, joins_at: runner.run(one_text(house, pieces, joins_at))
        runner.run(house.end())


async def one_text(house: House, pieces: list[str], joins_at: int) -> None:
    """A turn that says the pieces; somebody opens the thread before the piece of that number."""
    number, text = len(house.backend.turns), "".join(pieces)
    ana, late = house.messaging.join(f"ana {number}"), house.messaging.join("late")
    thread = await start(ana)
    turn = await house.backend.turn(number)
    item = ItemId(f"item {number}")
    turn.say(e.TextStarted(item, "final_answer"))
    for place, piece in enumerate(pieces):
        if place == joins_at:
            await ana.wait("text_content.started")
            late.send("thread.open", thread_id=thread, load=True)
            await late.wait("thread.loaded")
        turn.say(e.TextDelta(item, piece, "final_answer"))
    turn.say(e.TextEnded(item, "final_answer"))
    turn.end()
    await ana.wait("turn.ended")
    if joins_at < len(pieces):
        await late.wait("turn.ended")
        check(late, text)
    check(ana, text)
    again = house.messaging.join("again")
    again.send("thread.open", thread_id=thread, load=True)
    await again.wait("thread.loaded")
    check(again, text)
    ana.send("thread.open", thread_id=thread, load=True)
    await ana.wait("thread.loaded")
    check(ana, text)
    for client in (ana, late, again):
        client.leave()


def check(client: Client, text: str) -> None:
    flutter, react = FlutterThread(), ReactThread()
    for message in client.got:
        flutter.take(message)
        react.take(message)
    assert [bubble.text for bubble in flutter.bubbles if bubble.kind == "text"] == [text]
    assert [line.text for line in react.lines if line.kind == "text"] == [text]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(deltas, st.integers(0, 30))
def test_every_client_shows_exactly_what_was_said(
    house: Callable[[list[str], int], None], pieces: list[str], joins_at: int
) -> None:
    house(pieces, joins_at)
