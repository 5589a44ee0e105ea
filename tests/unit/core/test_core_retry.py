"""`/retry`: the last message again, whatever became of it."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core import slash
from process_agent.core.content import FilePart, TextPart
from process_agent.core.ids import ThreadId, TurnId
from tests.fakes.supervised import OTHER, World, person

ANA, BEN = person("ana"), person("ben")
LOOK = r.ClientTool("look", {})


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World, options: r.TurnOptions | None = None) -> tuple[ThreadId, TurnId]:
    """A new thread whose first turn runs."""
    world.start_thread(ANA, "hello", options or r.TurnOptions())
    world.settle()
    return world.running()[-1]


def end(world: World, turn: tuple[ThreadId, TurnId], ended: e.TurnEnded | None = None) -> None:
    world.backend_done(turn[1])
    world.backend(*turn, ended or e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()


def last_text(world: World, thread_id: ThreadId) -> str:
    return [x.body.text for x in world.logs[thread_id] if isinstance(x.body, e.TextDelta)][-1]


@pytest.mark.parametrize("reason", list(e.EndReason))
def test_the_last_message_runs_again_however_it_ended(world: World, reason: e.EndReason) -> None:
    turn = begin(world)
    end(world, turn, e.TurnEnded(reason))
    world.start_turn(ANA, turn[0], "/help")  # what the agent answers itself is no message for a model
    world.settle()
    world.start_turn(BEN, turn[0], "/retry")
    ((_, again),) = world.running()
    told = [x.body for x in world.logs[turn[0]] if x.turn_id == again]
    assert [type(x) for x in told] == [e.TurnRequested, e.TurnAccepted, e.TurnStarted]
    assert {x.content for x in told} == {(TextPart("hello"),)}  # type: ignore[union-attr]
    assert {x.sender_name for x in told} == {"ben"}  # type: ignore[union-attr]
    (run,) = [x.turn for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert (run.replaces, told[2].replaces) == (turn[1], turn[1])  # type: ignore[union-attr]


def test_what_the_turn_was_steered_with_and_asked_with_comes_again(world: World) -> None:
    turn = begin(world, r.TurnOptions("be brief", (LOOK,), attended=False))
    file = FilePart("room:///a.txt")
    world.ask(r.SteerTurn(world.envelope(ANA), *turn, (TextPart("and this"), file)))
    (steer,) = [x for x in world.outstanding if isinstance(x, c.SteerBackend)]
    world.happen(steer)
    end(world, turn)
    world.start_turn(ANA, turn[0], "/retry")
    (run,) = [x.turn for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.content == (TextPart("hello"), TextPart("and this"), file)
    assert (run.instructions, run.client_tools) == ("be brief", (LOOK,))
    end(world, world.running()[0])
    world.start_turn(BEN, turn[0], "/retry")  # the tools are those of Ana's client
    (run,) = [x.turn for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert (run.instructions, run.client_tools) == ("be brief", ())


def test_with_another_model_which_the_thread_keeps(world: World) -> None:
    turn = begin(world)
    end(world, turn)
    world.start_turn(ANA, turn[0], "/retry gpt-5.5-mini")
    (run,) = [x.turn for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.model == OTHER
    end(world, world.running()[0])
    world.start_turn(ANA, turn[0], "/retry no-such-model")
    world.settle()
    assert world.running() == []
    assert "no-such-model" in last_text(world, turn[0])
    world.start_turn(ANA, turn[0], "/retry it with more care")
    (run,) = [x.turn for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.content == (TextPart("/retry it with more care"),)


def test_after_a_restart_the_log_knows_the_message(world: World) -> None:
    turn = begin(world)
    world.restart()  # the agent was killed while the turn ran
    world.start_turn(ANA, turn[0], "/retry")
    world.settle()
    (run,) = [x.turn for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.content == (TextPart("hello"),)


def test_when_there_is_nothing_to_send_again(world: World) -> None:
    world.start_thread(ANA, "/retry")
    world.settle()
    thread_id = next(reversed(world.logs))
    assert last_text(world, thread_id) == slash.NOTHING_TO_RETRY
    turn = begin(world)
    world.start_turn(ANA, turn[0], "/retry")
    world.settle()
    assert last_text(world, turn[0]) == slash.NO_RETRY
    end(world, turn)
    world.ask(r.ClearThread(world.envelope(ANA), turn[0]))
    world.settle()
    world.start_turn(ANA, turn[0], "/retry")
    world.settle()
    assert last_text(world, turn[0]) == slash.NOTHING_TO_RETRY
    assert world.running() == []
