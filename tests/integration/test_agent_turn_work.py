"""One thread at work: opened lazily, interrupted at any moment, abandoned when nobody listens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from process_agent.agent.attachments import Attachments
from process_agent.agent.provisions import Provisions
from process_agent.agent.thread_files import ThreadFiles
from process_agent.agent.turn_work import TurnWork
from process_agent.core import events as e
from process_agent.core.backend import TurnInput
from process_agent.core.content import ErrorInfo, FilePart, TextPart
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.workspace import FileAnswer, FileCommand
from process_agent.errors import WorkspaceError
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.memory_store import MemoryLog, MemoryThreadStore
from tests.fakes.workspace import PlayedWorkspace

THREAD = ThreadId("T")


class Bench:
    def __init__(self) -> None:
        self.codex, self.other = FakeBackend("codex"), FakeBackend("other")
        self.workspace = PlayedWorkspace()
        self.files = MemoryFiles({"a.txt": b"hi"})
        self.log = MemoryLog(MemoryThreadStore(), [], [])
        self.work = TurnWork(
            THREAD,
            self.log,
            {"codex": self.codex, "other": self.other},
            Provisions(Attachments(self.files)),
            ThreadFiles(self.workspace),
        )
        self.heard: list[tuple[TurnId, e.BackendEvent]] = []
        self.lost: list[tuple[TurnId, ErrorInfo]] = []

    async def run(self, name: str, backend: str = "codex") -> None:
        turn = TurnInput(TurnId(name), (TextPart(name),), "ana", ModelChoice(backend, "openai", "m"))
        await self.work.run(
            turn,
            lambda turn_id, event: self.heard.append((turn_id, event)),
            lambda turn_id, error: self.lost.append((turn_id, error)),
        )

    def ends(self) -> list[tuple[str, EndReason]]:
        return [(turn, event.reason) for turn, event in self.heard if isinstance(event, e.TurnEnded)]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_the_backend_thread_is_opened_once(bench: Bench) -> None:
    for number, name in enumerate("ab"):
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.run(name))
            (await bench.codex.turn(number)).end()
    assert bench.ends() == [("a", EndReason.COMPLETED), ("b", EndReason.COMPLETED)]
    assert len(bench.codex.threads) == 1


async def test_the_backend_gets_attached_room_files_as_they_are(bench: Bench) -> None:
    attached = (TextPart("read"), FilePart("room:///a.txt"))
    turn = TurnInput(TurnId("a"), attached, "ana", ModelChoice("codex", "openai", "m"))
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.work.run(turn, lambda *_: None, lambda *_: None))
        played = await bench.codex.turn(0)
        assert played.input.content == (TextPart("read"), FilePart("data:text/plain;base64,aGk=", "a.txt"))
        played.say(e.Working("Thinking"))
        assert await bench.work.steer(turn.turn_id, (FilePart("room:///gone.txt"),), "ana") is None
        assert "gone.txt could not be read" in played.steers[0]
        played.end()


async def test_people_hear_of_a_turn_before_the_backend_does(bench: Bench) -> None:
    # An outbox and a connection lie between the runner and the socket: a round of the event loop each.
    loop, order = asyncio.get_running_loop(), list[str]()

    def connection() -> None:
        order.append("told")

    def outbox() -> None:
        loop.call_soon(connection)

    async def begins() -> None:
        await bench.codex.turn(0)
        order.append("begun")

    async with asyncio.TaskGroup() as group:
        group.create_task(begins())
        running = group.create_task(bench.run("a"))
        loop.call_soon(outbox)
        (await bench.codex.turn(0)).end()
    await running
    assert order == ["told", "begun"]


async def test_another_backend_takes_over_and_back(bench: Bench) -> None:
    for name, backend, number in (("a", bench.codex, 0), ("b", bench.other, 0), ("c", bench.codex, 1)):
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.run(name, backend.name))
            (await backend.turn(number)).end()
    assert [thread.closed for thread in bench.codex.threads] == [True, False]
    assert bench.other.threads[0].closed


async def test_an_unknown_backend(bench: Bench) -> None:
    await bench.run("a", "lisp")
    (_, ended) = bench.heard[0]
    assert isinstance(ended, e.TurnEnded)
    assert ended.error is not None
    assert ended.error.code == "unknown_backend"


async def test_nothing_is_heard_after_the_end(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        turn = await bench.codex.turn(0)
        turn.end()
        turn.answer("late")
    assert len(bench.heard) == 1
    assert turn.closed


async def test_an_interrupt_while_the_thread_is_opened(bench: Bench) -> None:
    bench.codex.opening.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        await asyncio.sleep(0)
        await bench.work.interrupt(TurnId("a"))
    assert bench.ends() == [("a", EndReason.INTERRUPTED)]


async def test_a_backend_that_does_not_listen_is_abandoned(bench: Bench) -> None:
    bench.codex.obedient = False
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        turn = await bench.codex.turn(0)
        turn.say(e.Working("busy"))
        await bench.work.interrupt(TurnId("a"))
        assert turn.interrupted.is_set()
        group.create_task(bench.run("b"))
        await bench.work.abandon(TurnId("a"))
        (await bench.codex.turn(1)).end()
    assert bench.ends() == [("a", EndReason.INTERRUPTED), ("b", EndReason.COMPLETED)]
    assert turn.closed
    assert [thread.closed for thread in bench.codex.threads] == [True, False]


async def test_steers_wait_for_the_turn_to_begin_and_keep_their_order(bench: Bench) -> None:
    bench.codex.opening.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        await asyncio.sleep(0)
        first = group.create_task(bench.work.steer(TurnId("a"), (TextPart("one"),), None))
        second = group.create_task(bench.work.steer(TurnId("a"), (TextPart("two"),), None))
        bench.codex.opening.set()
        turn = await bench.codex.turn(0)
        assert turn.steers == []
        turn.say(e.Working("busy"))
        assert await first is None
        assert await second is None
        assert turn.steers == ["one", "two"]
        turn.end()
    late = await bench.work.steer(TurnId("a"), (TextPart("three"),), None)
    assert late is not None
    assert late.code == "turn_ended"


async def test_a_steer_does_not_wait_until_the_model_has_the_one_before(bench: Bench) -> None:
    bench.codex.takes_steers.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        turn = await bench.codex.turn(0)
        turn.say(e.Working("busy"))
        steers = [
            group.create_task(bench.work.steer(TurnId("a"), (TextPart(text),), None)) for text in ("1", "2")
        ]
        await bench.codex.steered(turn, 2)
        assert turn.steers == ["1", "2"]
        assert not any(steer.done() for steer in steers)
        bench.codex.takes_steers.set()
        assert [await steer for steer in steers] == [None, None]
        turn.end()


async def test_a_backend_that_stops_without_a_word(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        (await bench.codex.turn(0)).vanish()
    assert [(turn, error.code) for turn, error in bench.lost] == [("a", "backend_lost")]


async def test_closing_releases_thread_and_log(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        (await bench.codex.turn(0)).end()
    await bench.work.close()
    assert bench.codex.threads[0].closed
    assert bench.log.closed


async def test_what_a_backend_keeps_is_its_own_and_goes_when_the_thread_is_cleared(bench: Bench) -> None:
    async def turn(name: str, backend: FakeBackend, number: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.run(name, backend.name))
            (await backend.turn(number)).end()

    await turn("a", bench.codex, 0)
    bench.codex.threads[0].state.keep({"name": "x"})
    await turn("b", bench.other, 0)
    await turn("c", bench.codex, 1)
    assert bench.other.threads[0].state.kept is None
    assert bench.codex.threads[1].state.kept == {"name": "x"}
    bench.log.append(
        e.ThreadEvent(
            MessageId("m"), THREAD, None, datetime(2026, 1, 1, tzinfo=UTC), e.ThreadCleared(MessageId("c"))
        )
    )
    await bench.work.forget()
    assert bench.codex.discarded == [(THREAD, {"name": "x"})]
    await turn("d", bench.codex, 2)
    assert bench.codex.threads[2].state.kept is None


async def test_a_workspace_hears_of_each_turn_and_whether_it_used_tools(bench: Bench) -> None:
    bench.workspace.made = "made for you"
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("a"))
        played = await bench.codex.turn(0)
        assert played.input.folder == bench.workspace.folder
        diff = e.ToolRef(ItemId("d"), "codex", "diff_updated")
        played.say(e.ToolStarted(diff, {"diff": "old"}), e.ToolStarted(diff, {"diff": "new"}))
        played.end()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run("b"))
        (await bench.codex.turn(1)).vanish()
    assert bench.workspace.heard == ["begin a", "end a True new", "begin b", "end b False None"]
    assert bench.heard[1] == ("a", e.TextDelta(ItemId("a:workspace-made"), "made for you", "commentary"))


async def test_the_model_is_told_once_of_files_that_were_put_back(bench: Bench) -> None:
    async def turn(name: str, number: int) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.run(name))
            played = await bench.codex.turn(number)
            played.end()
        return played.text

    async def undo() -> None:
        bench.workspace.answers.append(FileAnswer("done", "--- a\n+++ b\n", "put back: a.txt"))
        report = lambda turn_id, event: bench.heard.append((turn_id, event))  # noqa: E731
        await bench.work.carry_out(FileCommand.UNDO, TurnId("u"), report)

    assert await turn("a", 0) == "a"
    await undo()
    told = [type(event) for turn_id, event in bench.heard if turn_id == "u"]
    assert told == [e.ToolStarted, e.ToolEnded] * 2 + [
        e.TextStarted, e.TextDelta, e.TextEnded, e.TurnEnded
    ]  # fmt: skip
    assert "put back: a.txt" in await turn("b", 1)
    assert await turn("c", 2) == "c"
    await undo()
    await bench.work.forget()  # whoever opens the thread again gets the history, which says it
    assert await turn("d", 3) == "d"


async def test_what_a_workspace_cannot_do_is_said(bench: Bench) -> None:
    bench.workspace.answers.append(WorkspaceError("There is no git here."))
    report = lambda turn_id, event: bench.heard.append((turn_id, event))  # noqa: E731
    await bench.work.carry_out(FileCommand.DIFF, TurnId("u"), report)
    assert [event.text for _, event in bench.heard if isinstance(event, e.TextDelta)] == [
        "There is no git here."
    ]
    assert bench.ends() == [("u", EndReason.COMPLETED)]
