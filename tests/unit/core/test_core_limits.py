"""How much one participant can ask of the agent."""

from __future__ import annotations

from datetime import timedelta

from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import FilePart, TextPart
from process_agent.core.ids import ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.speaker import Limits
from tests.fakes.supervised import World, person

ANA = person("ana")
LIMIT = Limits().threads_a_minute


def refused(world: World, who: Participant) -> list[str]:
    return [x.error.code for x in world.got(who).replies if isinstance(x, a.ThreadStartRejected)]


def test_threads_a_minute_are_counted_by_name() -> None:
    world = World()
    for _ in range(LIMIT):
        world.start_thread(ANA, "")
    world.settle()
    again = Participant(ParticipantId("id-ana-2"), "user", {"name": "ana"})
    world.start_thread(again, "")
    assert refused(world, again) == ["too_many_requests"]
    assert [type(x.body) for x in world.got(again).events] == [e.TurnRejected]
    world.start_thread(person("ben"), "")
    assert refused(world, person("ben")) == []
    world.now += timedelta(seconds=61)
    world.start_thread(again, "")
    assert len(refused(world, again)) == 1
    world.settle()
    assert len(world.logs) == LIMIT + 2


def test_the_errands_of_a_channel_are_not_one_participant() -> None:
    world = World()
    for number in range(LIMIT + 1):
        errand = Participant(ParticipantId(f"mail:{number}"), "tool", {"name": "boss@example.org"})
        world.ask(r.StartThread(world.envelope(errand), (TextPart("do it"),)))
        assert refused(world, errand) == []


def small() -> World:
    return World(limits=Limits(queued_size=100, waiting_size=150, steers=2))


def rejections(world: World, who: Participant) -> list[str]:
    return [x.body.error.code for x in world.got(who).events if isinstance(x.body, e.TurnRejected)]


def test_a_message_that_is_too_large() -> None:
    world = small()
    world.start_thread(ANA, "x" * 101)
    world.settle()
    assert rejections(world, ANA) == ["too_large"]
    assert world.running() == []
    attached = FilePart("data:text/plain," + "x" * 100)
    world.ask(r.StartTurn(world.envelope(ANA), next(iter(world.logs)), (attached,)))
    assert rejections(world, ANA) == ["too_large"] * 2


def test_what_waits_in_a_thread_and_in_all() -> None:
    world = small()
    for _ in range(3):
        world.start_thread(ANA, "runs")
    world.settle()
    (one, first), (two, _), (three, _) = world.running()
    waits = world.start_turn(ANA, one, "x" * 60)
    world.start_turn(ANA, one, "x" * 60)
    assert rejections(world, ANA) == ["too_many_turns"]
    world.start_turn(ANA, two, "x" * 80)
    world.start_turn(ANA, three, "x" * 80)
    assert rejections(world, ANA) == ["too_many_turns"] * 2
    world.start_turn(ANA, three, "x")
    accepted = [x.turn_id for x in world.logs[one] if isinstance(x.body, e.TurnAccepted)]
    assert waits.envelope.message_id in [x.message_id for x in world.logs[one]]
    world.ask(r.InterruptTurn(world.envelope(ANA), one, accepted[-1] or first))
    world.start_turn(ANA, three, "x" * 60)
    assert rejections(world, ANA) == ["too_many_turns"] * 2


def test_what_waits_for_a_thread_to_be_opened() -> None:
    world = small()
    thread_id = ThreadId("dataset://t/slow")
    for _ in range(3):
        world.start_turn(ANA, thread_id, "x" * 40)
    assert rejections(world, ANA) == ["too_many_requests"]


def test_steers_that_nobody_confirmed() -> None:
    world = small()
    world.start_thread(ANA)
    world.settle()
    thread_id, turn_id = world.running()[0]
    for _ in range(3):
        world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart("more"),)))
    rejected = [x.body.error.code for x in world.got(ANA).events if isinstance(x.body, e.SteerRejected)]
    assert rejected == ["too_many_requests"]
