"""Two agents of one name: a turn that one runs is closed by the other only when it is gone for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from process_agent.core import events as e
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.leases import LEASE_SECONDS
from process_agent.threads.leases import Presence
from tests.crash.agent import CrashAgent
from tests.crash.checks import rows_are_sound
from tests.crash.link import Link
from tests.crash.room import CrashRoom
from tests.crash.script import Step
from tests.crash.virtual_time import VirtualLoop, virtual_loop

ITEM = ItemId("long")


class TwoAgents:
    """The second starts while the first runs a turn of `seconds`. Neither can see the other's process."""

    def __init__(self, loop: VirtualLoop, seconds: int) -> None:
        self.loop = loop
        self.room = CrashRoom()
        self.link = Link(self.room)
        said = [Step(1.0, e.TextDelta(ITEM, f"{number} ")) for number in range(seconds)]
        ended = Step(0.0, e.TurnEnded(e.EndReason.COMPLETED))
        self.first = self._agent(self.link, "first", [*said, ended])
        self.second = self._agent(Link(self.room), "second", [ended])

    def _agent(self, link: Link, name: str, script: list[Step]) -> CrashAgent:
        return CrashAgent(link, name, self.loop.moment, lambda: script, Presence(name))

    async def begin(self, before_second: float) -> ThreadId:
        await self.first.start()
        thread = await self.first.new_thread("speak")
        assert thread is not None
        await asyncio.sleep(before_second)
        await self.second.start()
        return thread

    def ends(self, thread: ThreadId) -> list[str]:
        rows = self.room.thread(thread)
        return [row["data"] for row in rows if row["type"] == "meshagent.agent.turn.ended"]

    async def close(self) -> None:
        await self.second.close()
        await self.first.close()


def play(seconds: int, act: Callable[[TwoAgents], Awaitable[None]]) -> None:
    with virtual_loop() as loop:

        async def main() -> None:
            agents = TwoAgents(loop, seconds)
            await act(agents)
            await agents.close()

        loop.run_until_complete(main())


@pytest.mark.parametrize("before_second", [30.0, 700.0])
def test_a_redeploy_closes_no_turn_that_runs(before_second: float) -> None:
    async def act(agents: TwoAgents) -> None:
        thread = await agents.begin(before_second)
        await asyncio.sleep(2 * LEASE_SECONDS)
        assert not agents.ends(thread)
        await asyncio.sleep(900)
        (end,) = agents.ends(thread)
        assert "lost" not in end
        rows_are_sound(agents.room, thread)

    play(900, act)


@pytest.mark.parametrize("away", [1.0, 60.0])
def test_an_agent_whose_connection_is_lost_for_a_minute_keeps_its_turn(away: float) -> None:
    async def act(agents: TwoAgents) -> None:
        agents.loop.call_later(20.0, agents.link.away, away)
        thread = await agents.begin(21.0)
        await asyncio.sleep(400)
        (end,) = agents.ends(thread)
        assert "lost" not in end
        rows_are_sound(agents.room, thread)

    play(300, act)


def test_the_turn_of_one_that_is_gone_is_closed_when_its_lease_runs_out() -> None:
    async def act(agents: TwoAgents) -> None:
        agents.loop.call_later(20.0, agents.link.away, 1e6)  # as good as killed, on another machine
        thread = await agents.begin(21.0)
        await asyncio.sleep(LEASE_SECONDS - 10)
        assert not agents.ends(thread)
        await asyncio.sleep(30)
        (end,) = agents.ends(thread)
        assert '"lost"' in end
        rows_are_sound(agents.room, thread)

    play(300, act)


@pytest.mark.parametrize("away", [200.0, 600.0])
def test_one_that_comes_back_after_its_turn_was_closed_writes_no_second_end(away: float) -> None:
    """After 600 s the turn had ended meanwhile, and its end waited to be stored."""

    async def act(agents: TwoAgents) -> None:
        agents.loop.call_later(20.0, agents.link.away, away)
        thread = await agents.begin(21.0)
        await asyncio.sleep(800)
        (end,) = agents.ends(thread)
        assert '"lost"' in end
        rows_are_sound(agents.room, thread)
        told = [x.body for x in agents.first.heard.shown if isinstance(x.body, e.TurnEnded)]
        expected = (e.EndReason.LOST, "lost") if away < 300 else (e.EndReason.COMPLETED, "not_stored")
        assert [(body.reason, body.error and body.error.code) for body in told] == [expected]
        again = agents.first.turn(thread, "go on")
        assert isinstance((await agents.first.ended(again)).body, e.TurnEnded)
        assert len(agents.ends(thread)) == 2
        agents.second.open(thread)
        source = agents.second.turn(thread, "and now?")
        assert isinstance((await agents.second.ended(source)).body, e.TurnEnded)
        shown = [x.turn_id for x in agents.second.heard.shown if isinstance(x.body, e.TurnEnded)]
        assert len(shown) == len(set(shown)) == 3
        rows = agents.room.columns(thread, ["sequence"])
        assert len({row["sequence"] for row in rows}) == len(rows)

    play(300, act)


def test_who_opens_a_thread_meanwhile_hears_of_the_loss_when_it_is_known() -> None:
    async def act(agents: TwoAgents) -> None:
        agents.loop.call_later(20.0, agents.link.away, 1e6)
        thread = await agents.begin(21.0)
        agents.second.open(thread)
        source = agents.second.turn(thread, "are you there?")
        assert isinstance((await agents.second.ended(source)).body, e.TurnEnded)
        await asyncio.sleep(2 * LEASE_SECONDS)
        ends = agents.ends(thread)
        assert ['"lost"' in end for end in ends] == [False, True]
        agents.second.open(thread)
        await asyncio.sleep(1)
        shown = agents.second.heard.shown
        told = {x.turn_id: x.body.reason for x in shown if isinstance(x.body, e.TurnEnded)}
        assert sorted(told.values()) == [e.EndReason.COMPLETED, e.EndReason.LOST]

    play(300, act)


def test_two_that_were_idle_for_long_leave_each_others_new_turns_alone() -> None:
    """The lease is not renewed while nothing runs: the first rows of a turn tell that its agent is there."""

    async def act(agents: TwoAgents) -> None:
        await agents.first.start()
        await agents.second.start()
        await asyncio.sleep(3600)
        thread = await agents.first.new_thread("speak")
        assert thread is not None
        await asyncio.sleep(3)
        source = agents.second.turn(thread, "are you there?")
        assert isinstance((await agents.second.ended(source)).body, e.TurnEnded)
        await asyncio.sleep(2 * LEASE_SECONDS)
        assert len(agents.ends(thread)) == 2
        assert not any("lost" in end for end in agents.ends(thread))
        rows_are_sound(agents.room, thread)

    play(60, act)


def test_agents_that_start_together_get_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.leases.random.randrange", lambda _most: 7)
    with virtual_loop() as loop:

        async def main() -> None:
            room = CrashRoom()
            agents = [
                CrashAgent(Link(room), f"a{number}", loop.moment, presence=Presence(f"a{number}"))
                for number in range(4)
            ]
            await asyncio.gather(*(agent.start() for agent in agents))
            writers = [agent.store._lease.writer for agent in agents]
            assert len(set(writers)) == len(writers)
            await asyncio.gather(*(agent.close() for agent in agents))
            assert not [row for ref in room.tables if ref.name == "leases" for row in room.rows(ref)]

        loop.run_until_complete(main())
