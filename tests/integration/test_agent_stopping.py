"""Many stops at once: all are acknowledged before the first is carried out, and all keeps its order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from process_agent.agent.stopping import Stopping
from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.io import lull
from process_agent.io.lull import FEW
from process_agent.io.tasks import Tasks
from tests.fakes.agent_house import Room, said
from tests.fakes.backend import PlayedTurn
from tests.fakes.memory_messaging import Client

MANY = 150
AT = datetime(2026, 1, 1, tzinfo=UTC)
ITEM = ItemId("answer")


async def _running(room: Room, ana: Client) -> list[PlayedTurn]:
    for number in range(MANY):
        ana.send("thread.start", content=said(f"turn {number}"))
    await room.backend.turn(MANY - 1)
    for turn in room.backend.turns:
        turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "half"))
    for _ in range(MANY):
        await ana.wait("text_content.delta")
    return room.backend.turns


def _stop(ana: Client, turn: PlayedTurn) -> None:
    ana.send("turn.interrupt", thread_id=turn.thread_id, turn_id=turn.input.turn_id)


def _stored(room: Room, turn: PlayedTurn) -> list[type]:
    return [type(event.body) for event in room.store.rows[turn.thread_id]]


async def test_all_are_acknowledged_before_the_first_is_carried_out(room: Room, ana: Client) -> None:
    room.backend.obedient = True
    turns = await _running(room, ana)
    for turn in turns:
        _stop(ana, turn)
    heard: list[int] = []

    async def watch(turn: PlayedTurn) -> None:
        await turn.interrupted.wait()
        heard.append(len(ana.all("turn.interrupt.accepted")))

    async with asyncio.timeout(20):
        await asyncio.gather(*map(watch, turns))
    assert heard == [MANY] * MANY
    for _ in range(MANY):
        await ana.wait("turn.ended")
    for turn in turns:
        kinds = _stored(room, turn)
        assert kinds[-4:] == [e.InterruptAccepted, e.TextEnded, e.Interrupted, e.TurnEnded]
        assert kinds.count(e.InterruptAccepted) == kinds.count(e.TurnEnded) == 1


async def test_an_end_that_comes_meanwhile_comes_after_the_stop(
    room: Room, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend is done by itself while stops are acknowledged: what is stored and shown is in order."""
    monkeypatch.setattr(lull, "QUIET_SECONDS", 30.0)
    monkeypatch.setattr(lull, "HOLD_SECONDS", 30.0)
    turns = await _running(room, ana)
    for turn in turns:
        _stop(ana, turn)
    for _ in range(MANY):
        await ana.wait("turn.interrupt.accepted")
    last = turns[-1]
    last.say(e.TextDelta(ITEM, " more"), e.TextEnded(ITEM), e.TurnEnded(EndReason.COMPLETED))
    await ana.wait("turn.ended")
    assert not last.interrupted.is_set()
    assert _stored(room, last)[-3:] == [e.InterruptAccepted, e.TextEnded, e.TurnEnded]
    shown = [message["type"] for message in ana.got if message.get("thread_id") == last.thread_id]
    assert shown.index("meshagent.agent.turn.interrupt.accepted") < shown.index("meshagent.agent.turn.ended")
    for turn in turns[:-1]:
        turn.end(EndReason.INTERRUPTED)


def _stopping(done: list[c.Command], tasks: Tasks) -> Stopping:
    stopping: Stopping

    def carry_out(commands: list[c.Command]) -> None:
        for command in commands:
            done.extend(stopping.before(command))
            done.append(command)

    stopping = Stopping(tasks, carry_out)
    return stopping


def _commands(thread: str) -> list[c.Command]:
    body = e.InterruptAccepted(MessageId("m"))
    event = e.ThreadEvent(MessageId("e"), ThreadId(thread), TurnId("t"), AT, body)
    return [c.Emit(event, {}, store=True), c.InterruptBackend(ThreadId(thread), TurnId("t"))]


async def test_a_few_stops_are_carried_out_whole() -> None:
    done: list[c.Command] = []
    tasks = Tasks("test")
    stopping = _stopping(done, tasks)
    for number in range(FEW):
        stopping.take(_commands(str(number)))
    assert done == [command for number in range(FEW) for command in _commands(str(number))]


async def test_what_is_kept_back_is_done_once_and_before_what_else_happens_in_its_thread() -> None:
    done: list[c.Command] = []
    tasks = Tasks("test")
    stopping = _stopping(done, tasks)
    for number in range(2 * FEW):
        stopping.take(_commands(str(number)))
    assert len(done) == 2 * FEW + FEW, "of the crowd the acknowledgements alone"
    last = str(2 * FEW - 1)
    stopping.take(_commands(last))  # it was stopped again
    assert [type(command) for command in done[-3:]] == [c.Emit, c.InterruptBackend, c.Emit]
    assert list(stopping.before(c.TouchThread(ThreadId("another")))) == []
    async with asyncio.timeout(10):
        await tasks.wait()
    assert sum(isinstance(command, c.InterruptBackend) for command in done) == 2 * FEW + 1
    assert list(stopping.before(c.TouchThread(ThreadId(last)))) == []


async def test_two_stops_of_a_thread_are_both_carried_out() -> None:
    done: list[c.Command] = []
    tasks = Tasks("test")
    stopping = Stopping(tasks, done.extend)  # as while the agent is in the middle of something
    for number in range(FEW):
        stopping.take(_commands(str(number)))
    stopping.take(_commands("twice"))
    stopping.take(_commands("twice"))
    async with asyncio.timeout(10):
        await tasks.wait()
    stops = [each for each in done if isinstance(each, c.InterruptBackend)]
    assert [each.thread_id for each in stops].count(ThreadId("twice")) == 2


async def test_a_stop_that_fails_keeps_no_other_back() -> None:
    done: list[c.Command] = []
    failed: list[str] = []
    tasks = Tasks("test", on_failure=lambda name, error: failed.append(str(error)))

    def carry_out(commands: list[c.Command]) -> None:
        for command in commands:
            if isinstance(command, c.InterruptBackend) and command.thread_id == str(FEW):
                raise RuntimeError("this one cannot be stopped")
        done.extend(commands)

    stopping = Stopping(tasks, carry_out)
    for number in range(3 * FEW):
        stopping.take(_commands(str(number)))
    async with asyncio.timeout(10):
        await tasks.wait()
    assert failed == ["this one cannot be stopped"]
    assert sum(isinstance(command, c.InterruptBackend) for command in done) == 3 * FEW - 1
