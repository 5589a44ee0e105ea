"""Long threads: what is left out is said, and who pages backwards gets it."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.catchup import MAX_WAITING
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.older import ITEM
from process_agent.core.participants import Participant
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")


@pytest.fixture
def world() -> World:
    return World()


def long_thread(world: World, turns: int = 5) -> ThreadId:
    world.start_thread(ANA, "turn 0")
    world.settle()
    thread_id = next(iter(world.logs))
    for number in range(1, turns + 1):
        thread_id, turn_id = world.running()[0]
        item = ItemId(f"i{number}")
        world.backend(thread_id, turn_id, e.TextDelta(item, f"answer {number - 1}"), e.TextEnded(item))
        world.backend_done(turn_id)
        world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
        world.settle()
        if number < turns:
            world.start_turn(ANA, thread_id, f"turn {number}")
    return thread_id


def opened(world: World, who: Participant, thread_id: ThreadId, **how: object) -> a.ThreadLoaded:
    request = r.OpenThread(world.envelope(who), thread_id, **how)  # type: ignore[arg-type]
    world.ask(request)
    world.settle()
    loaded = world.got(who).replies[-1]
    assert isinstance(loaded, a.ThreadLoaded)
    assert loaded.source == request.envelope.message_id
    return loaded


def texts(world: World, who: Participant) -> list[str]:
    return [x.body.text for x in world.got(who).events if isinstance(x.body, e.TextDelta)]


def test_a_viewer_pages_backwards_to_the_beginning(world: World) -> None:
    thread_id = long_thread(world)
    loaded = opened(world, BEN, thread_id, load=True, limit=2)
    assert texts(world, BEN) == ["answer 3", "answer 4"]
    assert loaded.older is not None
    loaded = opened(world, BEN, thread_id, before=loaded.older, limit=2)
    assert texts(world, BEN)[2:] == ["answer 1", "answer 2"]
    loaded = opened(world, BEN, thread_id, before=loaded.older, limit=2)
    assert texts(world, BEN)[4:] == ["answer 0"]
    assert loaded.older is None
    ids = [x.message_id for x in world.got(BEN).events if not isinstance(x.body, e.Status)]
    assert len(ids) == len(set(ids))


def test_live_events_go_on_while_a_page_is_read(world: World) -> None:
    thread_id = long_thread(world)
    loaded = opened(world, BEN, thread_id, load=True, limit=1)
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, before=loaded.older, limit=1))
    world.start_turn(ANA, thread_id, "and now?")
    assert isinstance(world.got(BEN).events[-2].body, e.TurnStarted)
    world.settle()
    assert texts(world, BEN) == ["answer 4", "answer 3"]
    assert isinstance(world.got(BEN).replies[-1], a.ThreadLoaded)


def test_who_does_not_page_is_told_once_that_something_is_left_out(world: World) -> None:
    thread_id = long_thread(world, turns=2)
    told: list[list[e.ThreadEvent]] = []
    for who in (BEN, person("eve")):
        world.ask(r.OpenThread(world.envelope(who), thread_id, load=True))
        replay = world.oldest(c.Replay)
        assert isinstance(replay, c.Replay)
        world.carry_out(world.supervisor.replay_older(replay.replay_id, "1"))
        world.settle()
        events = world.got(who).events
        assert [type(x.body) for x in events[:3]] == [e.TextStarted, e.TextDelta, e.TextEnded]
        assert events[0].turn_id == events[3].turn_id
        assert events[0].created_at == events[3].created_at
        told.append([x for x in events if isinstance(x.body, e.TextDelta) and x.body.item_id == ITEM])
    assert [x.message_id for x in told[0]] == [x.message_id for x in told[1]]
    assert not any(isinstance(x.body, e.TextDelta) and x.body.item_id == ITEM for x in world.logs[thread_id])


def test_a_page_ends_with_the_view(world: World) -> None:
    thread_id = long_thread(world)
    loaded = opened(world, BEN, thread_id, load=True, limit=1)
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, before=loaded.older))
    page = world.oldest(c.Replay)
    assert isinstance(page, c.Replay)
    assert world.supervisor.replaying(page.replay_id)
    seen = len(world.got(BEN).all)
    world.ask(r.CloseThread(world.envelope(BEN), thread_id))
    assert not world.supervisor.replaying(page.replay_id)
    world.settle()
    assert len(world.got(BEN).all) == seen


def test_only_so_many_pages_at_a_time(world: World) -> None:
    thread_id = long_thread(world)
    loaded = opened(world, BEN, thread_id, load=True, limit=1)
    for _ in range(MAX_WAITING + 1):
        world.ask(r.OpenThread(world.envelope(BEN), thread_id, before=loaded.older, limit=1))
    assert sum(isinstance(x, c.Replay) for x in world.outstanding) == MAX_WAITING
    refused = [x.error.code for x in world.got(BEN).replies if isinstance(x, a.RequestRejected)]
    assert refused == ["too_many_requests"]


def test_only_so_many_loads_wait(world: World) -> None:
    thread_id = long_thread(world)
    for _ in range(MAX_WAITING + 2):
        world.ask(r.OpenThread(world.envelope(BEN), thread_id, load=True))
    refused = [x.error.code for x in world.got(BEN).replies if isinstance(x, a.RequestRejected)]
    assert refused == ["too_many_requests"]
    world.settle()
    assert sum(isinstance(x, a.ThreadLoaded) for x in world.got(BEN).replies) == MAX_WAITING + 2
