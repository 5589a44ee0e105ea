"""Compacting: a turn of its own when somebody asks, a line in the running turn when it happens by itself."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core import slash
from process_agent.core.content import TextPart
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.slash import CommandName
from process_agent.core.turn_output import NOTICE
from process_agent.core.usage import ContextWindow, Usage
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World) -> tuple[ThreadId, TurnId]:
    """A new thread whose first turn runs."""
    world.start_thread(ANA)
    world.settle()
    return world.running()[-1]


def end(world: World, thread_id: ThreadId, turn_id: TurnId) -> None:
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()


def lines(world: World, turn_id: TurnId) -> list[tuple[str, str | None]]:
    """What viewers read in a turn."""
    mine = [x.body for x in world.got(ANA).events if x.turn_id == turn_id]
    return [(x.text, x.phase) for x in mine if isinstance(x, e.TextDelta)]


def test_the_command_waits_for_its_time_and_no_model_hears_it(world: World) -> None:
    thread_id, first = begin(world)
    world.start_turn(BEN, thread_id, "/compact")
    assert world.running() == [(thread_id, first)]
    end(world, thread_id, first)
    ((_, turn_id),) = world.running()
    (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.turn.compact
    assert run.turn.content == ()
    status = [x.body for x in world.got(ANA).events if isinstance(x.body, e.Status)][-1]
    assert (status.text, status.mode) == ("Compacting context", "busy")
    used = e.UsageUpdated(Usage(1), ContextWindow(200_000, 272_000))
    world.backend(thread_id, turn_id, used, e.Working("Working"), e.ContextCompacted("c1", automatic=False))
    end(world, thread_id, turn_id)
    told = [type(x.body) for x in world.logs[thread_id] if x.turn_id == turn_id]
    assert told == [
        e.TurnRequested, e.TurnAccepted, e.TurnStarted, e.UsageUpdated, e.ContextCompacted, e.TextStarted,
        e.TextDelta, e.TextEnded, e.TurnEnded,
    ]  # fmt: skip
    text = "Earlier conversation was summarised to free context: it had filled 200,000 of 272,000 tokens."
    assert lines(world, turn_id) == [(text, "commentary")]
    modes = {
        x.body.mode for x in world.got(ANA).events if isinstance(x.body, e.Status) and x.turn_id == turn_id
    }
    assert modes == {"busy", None}


def test_a_turn_whose_context_is_compacted_says_so(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, e.ContextCompacted("c1", automatic=True))
    assert lines(world, turn_id) == [("Earlier conversation was summarised to free context.", "commentary")]
    item = next(x.body for x in world.logs[thread_id] if isinstance(x.body, e.TextDelta)).item_id
    assert item.startswith(NOTICE)
    end(world, thread_id, turn_id)


def test_how_full_another_models_context_was_is_not_said(world: World) -> None:
    thread_id, first = begin(world)
    world.backend(thread_id, first, e.UsageUpdated(Usage(1), ContextWindow(20_000, 272_000)))
    end(world, thread_id, first)
    world.start_turn(ANA, thread_id, "/model gpt-5.5-mini")
    world.start_turn(ANA, thread_id, "go on")
    ((_, turn_id),) = world.running()
    world.backend(thread_id, turn_id, e.ContextCompacted("c1", automatic=True))
    assert lines(world, turn_id) == [("Earlier conversation was summarised to free context.", "commentary")]
    end(world, thread_id, turn_id)


def test_a_turn_that_compacts_takes_no_steers(world: World) -> None:
    thread_id, first = begin(world)
    end(world, thread_id, first)
    world.start_turn(ANA, thread_id, "/compact")
    ((_, turn_id),) = world.running()
    world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart("also"),)))
    (rejected,) = [x.body for x in world.got(ANA).events if isinstance(x.body, e.SteerRejected)]
    assert rejected.error.code == "turn_not_in_progress"
    world.ask(r.InterruptTurn(world.envelope(ANA), thread_id, turn_id))
    assert c.InterruptBackend(thread_id, turn_id) in world.done


def test_a_thread_that_begins_with_it(world: World) -> None:
    world.start_thread(ANA, "/compact")
    world.settle()
    (log,) = world.logs.values()
    assert [x.body.text for x in log if isinstance(x.body, e.TextDelta)] == [
        slash.NOTHING_YET[CommandName.COMPACT]
    ]
    assert not world.running()


def test_only_so_many_wait(world: World) -> None:
    thread_id, _ = begin(world)
    for _ in range(101):
        world.start_turn(BEN, thread_id, "/compact")
    (rejected,) = [x.body for x in world.got(BEN).events if isinstance(x.body, e.TurnRejected)]
    assert rejected.error.code == "too_many_turns"
