"""What somebody who comes in the middle of a turn gets of its open items."""

from __future__ import annotations

import pytest

from process_agent.core import events as e
from process_agent.core import live
from process_agent.core import requests as r
from process_agent.core.content import GeneratedImage
from process_agent.core.ids import ItemId, ThreadId, TurnId
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")
CALL = e.ToolRef(ItemId("call"), "search", "find")
IMAGE = ItemId("image")


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World) -> tuple[ThreadId, TurnId]:
    """A new thread whose first turn runs."""
    world.start_thread(ANA)
    world.settle()
    return world.running()[-1]


def joined(world: World, thread_id: ThreadId, *, load: bool = True) -> list[e.EventBody]:
    """What one who comes now sees of items."""
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, load))
    world.settle()
    return [x.body for x in world.got(BEN).events if live.item_of(x.body) is not None]


@pytest.mark.parametrize("load", [True, False])
def test_arguments_that_are_being_written_come_in_one_piece(world: World, load: bool) -> None:
    thread_id, turn_id = begin(world)
    pieces = ['{"for', '": "ca', 't"']
    world.backend(thread_id, turn_id, *[e.ToolArguments(CALL, piece) for piece in pieces])
    first = next(x for x in world.got(ANA).events if isinstance(x.body, e.ToolArguments))
    assert joined(world, thread_id, load=load) == [e.ToolArguments(CALL, '{"for": "cat"')]
    told = next(x for x in world.got(BEN).events if isinstance(x.body, e.ToolArguments))
    assert told.message_id == first.message_id
    world.backend(thread_id, turn_id, e.ToolArguments(CALL, "}"), e.ToolStarted(CALL, {"for": "cat"}))
    kinds = [type(x.body) for x in world.got(BEN).events][-2:]
    assert kinds == [e.ToolArguments, e.ToolStarted]


@pytest.mark.parametrize("load", [True, False])
def test_of_a_call_that_began_the_arguments_are_known_whole(world: World, load: bool) -> None:
    thread_id, turn_id = begin(world)
    started = e.ToolStarted(CALL, {"for": "cat"})
    world.backend(thread_id, turn_id, e.ToolArguments(CALL, "{}"), started)
    assert joined(world, thread_id, load=load) == [started]


def test_arguments_too_long_to_keep_come_with_the_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_ARGUMENTS", 8)
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, *[e.ToolArguments(CALL, "12345")] * 2)
    assert joined(world, thread_id, load=False) == []


def test_a_call_that_never_began_is_given_up_with_its_turn(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, e.ToolArguments(CALL, "{"), e.TurnEnded(e.EndReason.FAILED))
    ended = [x.body for x in world.got(ANA).events if isinstance(x.body, e.ToolEnded)]
    assert [x.ref for x in ended] == [CALL]
    assert ended[0].error is not None


@pytest.mark.parametrize("load", [True, False])
def test_of_an_image_only_the_last_picture(world: World, load: bool) -> None:
    thread_id, turn_id = begin(world)
    pictures = [e.ImagePartial(IMAGE, GeneratedImage(f"data:,{n}"), n) for n in range(3)]
    world.backend(thread_id, turn_id, *pictures)
    assert joined(world, thread_id, load=load) == [e.ImageStarted(IMAGE), pictures[-1]]
    done = e.ImageCompleted(IMAGE, (GeneratedImage("dataset://images?id=1"),))
    world.backend(thread_id, turn_id, done)
    assert world.got(BEN).events[-1].body == done


def test_of_a_long_turn_one_who_loads_nothing_gets_the_last_512_events(world: World) -> None:
    thread_id, turn_id = begin(world)
    for number in range(2_000):
        item = ItemId(f"i{number}")
        world.backend(
            thread_id, turn_id, e.TextStarted(item), e.TextDelta(item, str(number)), e.TextEnded(item)
        )
    seen = joined(world, thread_id, load=False)
    assert 512 <= len(seen) <= 2 * 512
    assert isinstance(seen[-2], e.TextDelta)
    assert seen[-2].text == "1999"


def test_an_image_that_was_not_made_in_time_has_failed(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, e.ImageStarted(IMAGE), e.TurnEnded(e.EndReason.COMPLETED))
    failed = [x.body for x in world.got(ANA).events if isinstance(x.body, e.ImageFailed)]
    assert [x.item_id for x in failed] == [IMAGE]
