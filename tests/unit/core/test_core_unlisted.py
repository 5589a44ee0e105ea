"""What others do to the list of threads by themselves: watchers hear of it, and a removed thread ends."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.store import Listed, Unlisted
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")


@pytest.fixture
def world() -> World:
    world = World()
    world.ask(r.WatchThreads(world.envelope(BEN)))
    return world


def changed(world: World, change: Listed | Unlisted) -> None:
    world.carry_out(world.supervisor.list_changed(change))


def test_watchers_hear_of_what_others_write(world: World) -> None:
    entry = world.entry(ThreadId("dataset://t/x"), "by a client")
    changed(world, Listed(entry, new=True))
    changed(world, Listed(entry, new=False))
    changed(world, Unlisted(entry.path))
    assert world.got(BEN).replies == [
        a.ThreadCreated(entry),
        a.ThreadUpdated(entry),
        a.ThreadDeleted(entry.path),
    ]


def test_turns_of_a_removed_thread_end_with_a_reason_and_nobody_views_it(world: World) -> None:
    world.start_thread(ANA, "work")
    world.settle()
    [(thread_id, turn_id)] = world.running()
    world.start_turn(ANA, thread_id, "waits")
    changed(world, Unlisted(thread_id))
    world.settle()
    ends = [x for x in world.got(ANA).events if isinstance(x.body, e.TurnEnded)]
    assert [x.turn_id != turn_id for x in ends] == [True]
    interrupt = world.take(c.InterruptBackend)
    assert isinstance(interrupt, c.InterruptBackend)
    world.start_turn(BEN, thread_id, "too late")
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.INTERRUPTED))
    touched = [x for x in world.outstanding if isinstance(x, c.TouchThread)]
    world.settle()
    ends = [x for x in world.got(ANA).events if isinstance(x.body, e.TurnEnded)]
    assert [x.body.error and x.body.error.code for x in ends] == ["thread_deleted"] * 2  # type: ignore[union-attr]
    assert not touched
    assert not any(isinstance(x, c.TouchThread) for x in world.outstanding)
    refused = [x.body.error.code for x in world.got(BEN).events if isinstance(x.body, e.TurnRejected)]
    assert refused == ["thread_not_available"]
    assert not world.views
    assert world.done[-1] == c.ReleaseThread(thread_id)
    assert world.supervisor.idle


def test_who_opens_a_thread_that_is_being_removed_is_refused_and_sees_none_of_it(world: World) -> None:
    world.start_thread(ANA, "work")
    world.settle()
    [(thread_id, turn_id)] = world.running()
    changed(world, Unlisted(thread_id))
    request = r.OpenThread(world.envelope(BEN), thread_id, load=True)
    world.ask(request)
    world.start_turn(BEN, thread_id, "too late")
    world.backend(thread_id, turn_id, e.TextStarted(ItemId("i1")), e.TextDelta(ItemId("i1"), "half"))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.INTERRUPTED))
    world.settle()
    refused, loaded = (
        x
        for x in world.got(BEN).replies
        if not isinstance(x, a.ThreadDeleted | a.ThreadCreated | a.ThreadUpdated)
    )
    assert isinstance(refused, a.RequestRejected)
    assert refused.error.code == "thread_not_available"
    assert loaded == a.ThreadLoaded(request.envelope.message_id, thread_id)
    assert [type(x.body) for x in world.got(BEN).events] == [e.TurnRejected]


def test_a_turn_that_does_not_stop_ends_all_the_same(world: World) -> None:
    world.start_thread(ANA, "work")
    world.settle()
    [(thread_id, turn_id)] = world.running()
    changed(world, Unlisted(thread_id))
    [timer] = [t for t in world.timers if t.kind is c.TimerKind.INTERRUPT]
    world.carry_out(world.supervisor.timer_fired(timer))
    world.settle()
    [ended] = [x.body for x in world.got(ANA).events if isinstance(x.body, e.TurnEnded)]
    assert ended.error is not None
    assert (ended.reason, ended.error.code) == (e.EndReason.FAILED, "thread_deleted")
    assert (c.AbandonTurn(thread_id, turn_id) in world.done, world.views) == (True, set())


def test_an_idle_thread_that_is_removed_is_let_go_at_once(world: World) -> None:
    world.start_thread(ANA, "")
    world.settle()
    [thread_id] = world.logs
    changed(world, Unlisted(thread_id))
    assert (world.views, world.done[-1]) == (set(), c.ReleaseThread(thread_id))


def test_a_name_somebody_gave_is_not_taken_for_a_missing_title(world: World) -> None:
    world.start_thread(ANA, "")
    world.settle()
    [thread_id] = world.logs
    changed(world, Listed(world.entry(thread_id, "mine"), new=False))
    world.start_turn(ANA, thread_id, "a title?")
    assert not any(isinstance(x, c.NameThread) for x in world.outstanding)
