"""The published Python chat client, unmodified, talks to our agent: with messaging streams and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ItemId
from tests.contract.agent_room import agent_in
from tests.contract.published.install import for_published
from tests.contract.published.program import Program, PublishedError, joined
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

pytestmark = for_published
ITEM = ItemId("answer")
both_transports = pytest.mark.parametrize("streams", [True, False], ids=["streams", "unary"])


@both_transports
async def test_a_new_thread_and_its_next_turn(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
    ):
        session = await ana.session()
        asked = session.doing("ask", text="hello")
        turn = await backend.turn(0)
        await ana.wait("thread.status", mode="steerable")
        turn.say(e.TextStarted(ITEM, "final_answer"))
        for piece in ("1", "0", "0", " ha", " ha", "\n", "\n"):
            turn.say(e.TextDelta(ITEM, piece, "final_answer"))
        turn.say(e.TextEnded(ITEM, "final_answer"))
        turn.end()
        assert await asked == "100 ha ha\n\n"
        assert await session.shown() == [("me", "hello"), ("agent", "100 ha ha\n\n")]
        asked = session.doing("ask", text="and now?")
        (await backend.turn(1)).answer("the same", "second")
        assert await asked == "the same"
        state = await session.state()
        assert state["streams"] == ([state["thread"]] if streams else [])
        assert (state["pending"], state["status"], state["active_turn"]) == ([], None, None)
        assert state["last_turn"] == backend.turns[1].input.turn_id


@both_transports
async def test_open_with_load_and_since_turn(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
        joined(published, server, "ben", streams=streams) as ben,
    ):
        session = await ana.session()
        for number in range(3):
            asked = session.doing("ask", text=f"question {number}")
            (await backend.turn(number)).answer(f"answer {number}", f"item {number}")
            await asked
        thread = await session.path()
        seen = await ben.open(thread, load=True)
        await ben.wait("thread.loaded")
        expected = [x for n in range(3) for x in (("ana", f"question {n}"), ("agent", f"answer {n}"))]
        assert await seen.shown() == expected
        assert (await seen.state())["last_turn"] == backend.turns[2].input.turn_id
        await seen.do("close")
        again = await ben.open(thread, load=True, since_turn=backend.turns[1].input.turn_id)
        await ben.wait("thread.loaded", since_turn=backend.turns[1].input.turn_id)
        assert await again.shown() == expected[2:]
        await again.do("close")
        nothing = await ben.open(thread, load=True, since_turn="a turn nobody knows")
        await ben.wait("thread.loaded", since_turn="a turn nobody knows")
        assert await nothing.shown() == []
        assert (await session.state())["messages"], "who did not ask for a replay keeps what it had"
        assert not ana.all("thread.loaded")


async def test_a_late_viewer_sees_the_item_being_streamed_and_the_status(
    published: Program, server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana") as ana,
        joined(published, server, "ben") as ben,
    ):
        session = await ana.start("tell me")
        turn = await backend.turn(0)
        turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "Once upon"))
        await ana.wait("text_content.delta")
        late = await ben.open(await session.path(), load=True)
        await ben.wait("thread.loaded")
        state = await late.state()
        assert (state["status"], state["active_turn"]) == ("Thinking", turn.input.turn_id)
        (asked, said) = await late.shown()
        assert asked == ("ana", "tell me")
        assert said[1]
        assert "Once upon".startswith(said[1]), "the last characters may wait for the next piece"
        turn.say(e.TextDelta(ITEM, " a time."), e.TextEnded(ITEM))
        turn.end()
        await ben.wait("turn.ended")
        assert await late.shown() == [("ana", "tell me"), ("agent", "Once upon a time.")]


@both_transports
async def test_the_list_page_by_page_watched_renamed_and_deleted(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
        joined(published, server, "ben", streams=streams) as ben,
    ):
        await ben.send("thread.watch")
        names = [f"about {number}" for number in range(5)]
        for number, name in enumerate(names):
            session = await ana.start(name)
            (await backend.turn(number)).end()
            await ana.wait("turn.ended", turn_id=backend.turns[number].input.turn_id)
            created = await ben.wait("thread.created")
            assert created["thread"]["path"] == await session.path()
            # The list hears of a turn after its end, of several together: a page read meanwhile may shift.
            await ben.wait("thread.updated", thread=_Renamed(created["thread"]["path"], name))
        pages = [await session.do("threads", limit=2, offset=offset) for offset in (0, 2, 4, 6)]
        assert [page["total"] for page in pages] == [5, 5, 5, 5]
        assert [len(page["threads"]) for page in pages] == [2, 2, 1, 0]
        listed = [thread["name"] for page in pages for thread in page["threads"]]
        assert listed == names[::-1]
        first = pages[0]["threads"][0]
        await session.do("rename", thread=first["path"], name="a better name")
        updated = (await ben.wait("thread.updated", thread=_Renamed(first["path"], "a better name")))[
            "thread"
        ]
        assert updated["created_at"] == first["created_at"]
        await session.do("delete", thread=first["path"])
        await ben.wait("thread.deleted", path=first["path"])
        left = await session.do("threads")
        assert [thread["name"] for thread in left["threads"]] == names[-2::-1]
        await ben.send("thread.unwatch")
        await ana.start("unseen")
        await ana.wait("turn.started")
        await (await ben.session()).do("models")
        assert len(ben.all("thread.created")) == 5


class _Renamed:
    """Equal to the list entry of a thread with this name."""

    def __init__(self, path: str, name: str) -> None:
        self._is = (path, name)

    def __eq__(self, entry: object) -> bool:
        return isinstance(entry, dict) and (entry["path"], entry["name"]) == self._is

    def __hash__(self) -> int:
        return hash(self._is)


@both_transports
async def test_turns_wait_for_the_one_that_runs(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
    ):
        session = await ana.start("first")
        await backend.turn(0)
        sources = [
            await session.do("say", text=text, sender_name="somebody else") for text in ("second", "third")
        ]
        for source in sources:
            accepted = await ana.wait("turn.start.accepted", source_message_id=source)
            assert accepted["sender_name"] == "ana"
        assert len(backend.turns) == 1
        assert (await session.state())["pending"] == ["somebody else: second", "somebody else: third"]
        for number in range(3):
            (await backend.turn(number)).answer(f"answer {number}", f"item {number}")
        await ana.wait("turn.ended", turn_id=(await backend.turn(2)).input.turn_id)
        assert [turn.text for turn in backend.turns] == ["first", "second", "third"]
        started = [message["source_message_id"] for message in ana.all("turn.started")]
        assert started[1:] == sources
        assert (await session.state())["pending"] == []
        texts = [text for who, text in await session.shown() if who == "agent"]
        assert texts == ["answer 0", "answer 1", "answer 2"]


async def test_steer(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.session()
        asked = session.doing("ask", text="count")
        turn = await backend.turn(0)
        turn.say(e.TextStarted(ITEM))
        await ana.wait("text_content.started")
        source = await session.do("steer", text="backwards")
        await ana.wait("turn.steer.accepted", source_message_id=source)
        await ana.wait("callback.applied", text="backwards")
        assert turn.steers == ["backwards"]
        backend.refuses_steers = True
        await session.do("steer", text="in French")
        assert (await ana.wait("callback.rejected", text="in French"))["code"] == "turn_ended"
        turn.answer("3 2 1")
        assert await asked == "3 2 1"
        assert await session.do("steer", text="too late") is None, "no turn is active any more"
        late = await session.do("say", text="too late", steer=True, turn_id=turn.input.turn_id)
        rejected = await ana.wait("turn.steer.rejected", source_message_id=late)
        assert rejected["error"]["code"] in {"turn_ended", "turn_not_in_progress"}


async def test_interrupt(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.session()
        asked = session.doing("ask", text="work for long")
        turn = await backend.turn(0)
        await ana.wait("thread.status", mode="steerable")
        assert await session.do("interrupt")
        with pytest.raises(PublishedError) as error:
            await asked
        assert error.value.code == "cancelled"
        kinds = [message["type"].removeprefix("meshagent.agent.") for message in ana.got]
        assert (
            kinds.index("turn.interrupt.accepted")
            < kinds.index("turn.interrupted")
            < kinds.index("turn.ended")
        )
        assert turn.interrupted.is_set()
        assert kinds.count("turn.ended") == 1


async def test_a_failed_turn_says_why(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.session()
        asked = session.doing("ask", text="try")
        why = ErrorInfo("The model is out of order.", "model_failed")
        (await backend.turn(0)).say(e.TurnEnded(e.EndReason.FAILED, why))
        with pytest.raises(PublishedError, match="The model is out of order") as error:
            await asked
        assert error.value.code == "model_failed"
        lost = session.doing("ask", text="again")
        (await backend.turn(1)).vanish()
        with pytest.raises(PublishedError) as error:
            await lost
        assert error.value.code
