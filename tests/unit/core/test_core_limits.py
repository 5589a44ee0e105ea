"""How much one participant can ask of the agent."""

from __future__ import annotations

from datetime import timedelta

from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import TextPart
from process_agent.core.ids import ParticipantId
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
