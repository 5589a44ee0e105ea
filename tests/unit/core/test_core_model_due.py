"""A long thread is shown before it is known which model was chosen last; nothing else happens in it."""

from __future__ import annotations

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ThreadId
from tests.fakes.supervised import OTHER, World, person

ANA, BEN = person("ana"), person("ben")


class SlowWorld(World):
    """The model is found when the test says so."""

    def find_model(self, thread_id: ThreadId) -> None:
        return


def reopened() -> tuple[SlowWorld, ThreadId]:
    """A thread with a turn and another model, after a restart, which one loads and one goes on with."""
    world = SlowWorld()
    world.start_thread(ANA)
    world.settle()
    thread_id, turn_id = world.running()[-1]
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    world.ask(r.ChangeModel(world.envelope(ANA), thread_id, r.ModelWish(model=OTHER.model)))
    world.settle()
    world.restart()
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, load=True))
    world.start_turn(ANA, thread_id)
    world.settle()
    return world, thread_id


def test_what_is_stored_is_shown_and_turns_wait_for_the_model() -> None:
    world, thread_id = reopened()
    assert any(isinstance(reply, a.ThreadLoaded) for reply in world.got(BEN).replies)
    assert not world.running()
    world.ask(r.DeleteThread(world.envelope(BEN), thread_id))
    assert isinstance(world.got(BEN).replies[-1], a.RequestRejected)
    world.carry_out(world.supervisor.model_found(thread_id, OTHER))
    world.settle()
    [running] = [each for each in world.outstanding if isinstance(each, c.RunTurn)]
    assert running.turn.model == OTHER
    assert world.supervisor.model_found(thread_id, None) == []


def test_where_it_cannot_be_found_what_waited_is_refused_and_the_next_tries_again() -> None:
    world, thread_id = reopened()
    world.carry_out(world.supervisor.model_not_found(thread_id, ErrorInfo("no", "room")))
    world.settle()
    assert isinstance(world.got(ANA).events[-1].body, e.TurnRejected)
    assert thread_id not in world.open_logs
    assert not world.views
    assert world.supervisor.model_found(thread_id, OTHER) == []
    assert world.supervisor.model_not_found(thread_id, ErrorInfo("no", "room")) == []
    world.late_model = True  # the next is known at once
    world.start_turn(ANA, thread_id)
    world.settle()
    assert world.running()
