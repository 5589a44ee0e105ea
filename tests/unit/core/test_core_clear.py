"""Clearing a thread: when it is refused, who hears of it, and what is gone."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core import slash
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.participants import Participant
from tests.fakes.supervised import OTHER, World, person

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


def clear(world: World, who: Participant, thread_id: ThreadId) -> r.ClearThread:
    request = r.ClearThread(world.envelope(who), thread_id)
    world.ask(request)
    return request


def clearings(world: World, who: Participant) -> list[e.EventBody]:
    return [x.body for x in world.got(who).events if isinstance(x.body, e.ThreadCleared)]


def refusals(world: World, who: Participant) -> list[str]:
    return [x.error.code for x in world.got(who).replies if isinstance(x, a.RequestRejected)]


def test_everybody_who_views_the_thread_hears_of_it_and_who_asked(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    request = clear(world, BEN, thread_id)
    cleared = e.ThreadCleared(request.envelope.message_id)
    assert clearings(world, ANA) == clearings(world, BEN) == [cleared]
    assert world.logs[thread_id][-1].body == cleared
    assert c.CloseBackendThread(thread_id) in world.done
    assert not any(viewer.participant == BEN.id for viewer, _ in world.views)


def test_it_is_refused_while_a_turn_runs_or_waits(world: World) -> None:
    thread_id, turn_id = begin(world)
    clear(world, BEN, thread_id)
    world.start_turn(ANA, thread_id)
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))  # ended, and being stored
    clear(world, BEN, thread_id)
    world.settle()
    clear(world, BEN, thread_id)
    assert refusals(world, BEN) == ["turn_in_progress"] * 3
    assert not clearings(world, ANA)
    end(world, *world.running()[0])
    clear(world, BEN, thread_id)
    assert clearings(world, ANA)


def test_a_thread_that_must_be_opened_first(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    world.ask(r.Left(ANA, "chat"))
    world.carry_out(world.supervisor.timer_fired(c.Timer(c.TimerKind.IDLE, thread_id)))
    clear(world, BEN, thread_id)
    assert not clearings(world, BEN)
    world.settle()
    assert clearings(world, BEN)
    clear(world, BEN, ThreadId("dataset://elsewhere/x"))
    world.settle()
    assert refusals(world, BEN) == ["thread_not_available"]


def test_one_request_that_comes_twice_clears_once(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    world.ask(clear(world, ANA, thread_id))
    assert len(clearings(world, ANA)) == 1
    assert "twice" in world.warnings[-1]


def test_who_loads_meanwhile_sees_the_clearing_after_what_it_clears(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, load=True))
    world.happen(world.oldest(c.Replay))
    clear(world, BEN, thread_id)
    assert not clearings(world, BEN)
    world.settle()
    seen = [type(x.body) for x in world.got(BEN).events]
    assert seen[-1] is e.ThreadCleared
    assert seen.count(e.ThreadCleared) == 1
    assert e.TurnEnded in seen


def test_the_model_of_the_thread_stays(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.ask(r.ChangeModel(world.envelope(ANA), thread_id, r.ModelWish(model="gpt-5.5-mini")))
    end(world, thread_id, turn_id)
    clear(world, ANA, thread_id)
    world.start_turn(ANA, thread_id)
    (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.turn.model == OTHER


def test_the_command_is_told_after_what_it_cleared(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    asked = world.start_turn(BEN, thread_id, "/clear")
    world.settle()
    log = [x.body for x in world.logs[thread_id]]
    at = log.index(e.ThreadCleared(asked.envelope.message_id))
    assert isinstance(log[at + 1], e.TurnRequested)
    assert log[-1] == e.TurnEnded(e.EndReason.COMPLETED)
    assert [x.text for x in log if isinstance(x, e.TextDelta)] == [slash.CLEARED]
    assert len(clearings(world, BEN)) == 1


def test_the_command_changes_nothing_while_a_turn_runs(world: World) -> None:
    thread_id, _ = begin(world)
    world.start_turn(BEN, thread_id, "/clear")
    world.settle()
    assert [x.body.text for x in world.logs[thread_id] if isinstance(x.body, e.TextDelta)] == [
        slash.NOT_CLEARED
    ]
    assert not clearings(world, ANA)
    assert c.CloseBackendThread(thread_id) not in world.done


def test_the_command_that_comes_twice_clears_once(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    world.ask(world.start_turn(ANA, thread_id, "/clear"))
    assert len(clearings(world, ANA)) == 1
