"""`/fork`: a thread goes on in a copy of its own."""

from __future__ import annotations

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.events import EndReason
from process_agent.core.ids import ThreadId
from process_agent.core.speaker import Limits
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")


def begin(world: World, text: str = "hello") -> ThreadId:
    """A thread whose first turn has ended."""
    world.start_thread(ANA, text)
    world.settle()
    for thread_id, turn_id in world.running():
        world.backend(thread_id, turn_id, e.TurnEnded(EndReason.COMPLETED))
    world.settle()
    return next(reversed(world.logs))


def forks(world: World) -> list[c.ForkThread]:
    return [command for command in world.done if isinstance(command, c.ForkThread)]


def texts(world: World, thread_id: ThreadId) -> list[str]:
    return [x.body.text for x in world.logs[thread_id] if isinstance(x.body, e.TextDelta)]


def test_a_copy_is_made_listed_and_told() -> None:
    world = World()
    thread_id = begin(world)
    world.ask(r.WatchThreads(world.envelope(BEN)))
    world.start_turn(ANA, thread_id, "/fork Plan B")
    assert not texts(world, thread_id), "it is told when there is one"
    world.settle()
    (fork,) = forks(world)
    assert (fork.name, fork.without, fork.owner) == ("Plan B", frozenset(), None)
    copy = next(reversed(world.logs))
    (text,) = texts(world, thread_id)
    assert "**Plan B**" in text
    assert f"`{copy}`" in text
    assert texts(world, copy) == []
    assert [x.thread.path for x in world.got(BEN).replies if isinstance(x, a.ThreadCreated)] == [copy]
    assert world.supervisor.idle


def test_turns_that_run_and_wait_are_left_out() -> None:
    world = World()
    thread_id = begin(world)
    for text in ("one", "two", "/fork"):
        world.start_turn(ANA, thread_id, text)
    (fork,) = forks(world)
    assert len(fork.without) == 2
    world.happen(fork)
    assert "The turn that runs is not in it." in texts(world, thread_id)[0]


def test_the_same_message_makes_one_copy() -> None:
    world = World()
    thread_id = begin(world)
    request = r.StartTurn(world.envelope(ANA), thread_id, (TextPart("/fork"),))
    world.ask(request)
    world.ask(request)
    world.settle()
    world.ask(request)
    world.settle()
    assert len(texts(world, thread_id)) == 1
    assert len(forks(world)) == 1


def test_a_copy_that_cannot_be_made_is_told() -> None:
    world = World()
    thread_id = begin(world)
    world.start_turn(ANA, thread_id, "/fork")
    (fork,) = forks(world)
    world.outstanding.remove(fork)
    world.carry_out(world.supervisor.thread_forked(fork, ErrorInfo("The room is full.", "room_error")))
    assert texts(world, thread_id) == ["This thread was not copied. The room is full."]


def test_copies_count_among_the_threads_that_somebody_starts() -> None:
    world = World(limits=Limits(threads_a_minute=2))
    thread_id = begin(world)
    world.start_turn(ANA, thread_id, "/fork")
    refused = world.start_turn(ANA, thread_id, "/fork")
    assert len(forks(world)) == 1
    (rejected,) = [x.body for x in world.got(ANA).events if isinstance(x.body, e.TurnRejected)]
    assert (rejected.source, rejected.error.code) == (refused.envelope.message_id, "too_many_requests")


def test_a_copy_belongs_to_the_one_who_asked() -> None:
    world = World(isolation="participant")
    thread_id = begin(world)
    world.ask(r.WatchThreads(world.envelope(BEN)))
    world.start_turn(ANA, thread_id, "/fork")
    world.settle()
    copy = next(reversed(world.logs))
    assert world.owners[copy] == world.owners[thread_id]
    assert not [x for x in world.got(BEN).replies if isinstance(x, a.ThreadCreated)]
    world.start_turn(BEN, copy, "mine?")
    world.settle()
    assert [x.body.error.code for x in world.got(BEN).events if isinstance(x.body, e.TurnRejected)] == [
        "thread_not_available"
    ]


def test_a_thread_that_begins_with_it_has_nothing_to_copy() -> None:
    world = World()
    thread_id = begin(world, "/fork")
    assert texts(world, thread_id) == ["Nothing was said in this thread yet: there is nothing to copy."]
    assert not forks(world)
