"""Threads of each participant's own: who is refused what, and what waits for what."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.ids import AskId, ItemId, ParticipantId, ThreadId, TurnId
from process_agent.core.isolation import MAX_WAITING
from process_agent.core.participants import Participant, of_channel
from tests.fakes.supervised import World, person

ANA, BEN = person("ana"), person("ben")
NAMELESS = Participant(ParticipantId("x"), attributes={"name": "  "})
TURN, HI = TurnId("u1"), (TextPart("hi"),)


@pytest.fixture
def world() -> World:
    return World(isolation="participant")


def thread_of(world: World, who: Participant, text: str = "") -> ThreadId:
    world.start_thread(who, text)
    world.settle()
    return next(x.thread_id for x in reversed(world.got(who).replies) if isinstance(x, a.ThreadStarted))


def codes(world: World, who: Participant) -> list[str | None]:
    """The codes of what it was refused, in order."""
    found: list[str | None] = []
    for sent in world.got(who).all:
        body = sent.body if isinstance(sent, e.ThreadEvent) else sent
        if isinstance(body, a.RequestRejected | a.ThreadStartRejected | e.TurnRejected | e.SteerRejected):
            found.append(body.error.code)
    return found


def requests_about(world: World, who: Participant, thread_id: ThreadId) -> list[r.Request]:
    made = world.envelope
    return [
        r.OpenThread(made(who), thread_id),
        r.OpenThread(made(who), thread_id, load=True),
        r.StartTurn(made(who), thread_id, HI),
        r.StartTurn(made(who), thread_id, (TextPart("/models"),)),
        r.StartTurn(made(who), thread_id, HI, create=True),
        r.SteerTurn(made(who), thread_id, TURN, HI),
        r.SteerTurn(made(who), thread_id, TURN, (TextPart("/stop"),)),
        r.InterruptTurn(made(who), thread_id, TURN),
        r.Decide(made(who), thread_id, TURN, ItemId("i"), Decision.ACCEPT),
        r.AnswerClientTool(made(who), thread_id, TURN, AskId("a"), ErrorInfo("no", "no")),
        r.AnswerSecret(made(who), thread_id, TURN, AskId("a"), r.Secret("s")),
        r.RenameThread(made(who), thread_id, "x"),
        r.DeleteThread(made(who), thread_id),
        r.ClearThread(made(who), thread_id),
        r.ChangeModel(made(who), thread_id, r.ModelWish(model="gpt-5.5-mini")),
        r.ListCapabilities(made(who), thread_id),
    ]


@pytest.mark.parametrize("known", [True, False], ids=["known", "after a restart"])
@pytest.mark.parametrize("number", range(16))
def test_nothing_is_done_to_anothers_thread(world: World, number: int, known: bool) -> None:
    thread_id = thread_of(world, ANA, "hello")
    before, mine = list(world.logs[thread_id]), len(world.got(ANA).all)
    if not known:
        world.restart()
        before = list(world.logs[thread_id])
    world.ask(requests_about(world, BEN, thread_id)[number])
    world.settle()
    assert codes(world, BEN) == ["thread_not_available"]
    assert world.logs[thread_id] == before
    assert len(world.got(ANA).all) == mine
    assert world.owners == {thread_id: "name:ana"}


@pytest.mark.parametrize("number", range(16))
def test_who_has_no_name_gets_nowhere(world: World, number: int) -> None:
    thread_id = thread_of(world, ANA)
    world.ask(requests_about(world, NAMELESS, thread_id)[number])
    assert codes(world, NAMELESS) == ["participant_name_required"]


def test_who_has_no_name_starts_lists_and_watches_nothing(world: World) -> None:
    world.start_thread(NAMELESS)
    world.ask(r.ListThreads(world.envelope(NAMELESS)))
    world.ask(r.WatchThreads(world.envelope(NAMELESS)))
    thread_of(world, ANA)
    assert codes(world, NAMELESS) == ["participant_name_required"] * 4  # a new thread is refused in two ways
    world.ask(r.ListModels(world.envelope(NAMELESS)))
    assert isinstance(world.got(NAMELESS).replies[-1], a.ModelsListed)


def test_the_same_name_on_another_device_goes_on(world: World) -> None:
    phone = Participant(ParticipantId("phone"), attributes={"name": "ana"})
    thread_id = thread_of(world, ANA)
    world.start_turn(phone, thread_id, "from the phone")
    assert world.running()
    world.ask(r.OpenThread(world.envelope(BEN), thread_id))
    assert [x.thread_id for x in world.got(phone).events] == [thread_id] * len(world.got(phone).events)


def test_the_refusal_says_no_more_than_that_of_a_missing_thread(world: World) -> None:
    theirs, missing = thread_of(world, ANA), ThreadId("dataset://t/missing")
    for thread_id in (theirs, missing):
        world.ask(r.RenameThread(world.envelope(BEN), thread_id, "x"))
        world.settle()
    there, gone = [x.error for x in world.got(BEN).replies if isinstance(x, a.RequestRejected)]
    assert there.code == gone.code == "thread_not_available"


def test_a_thread_from_before_is_nobodys_whoever_comes_first(world: World) -> None:
    thread_id = ThreadId("dataset://t/old")
    world.logs[thread_id] = []
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, load=True))
    world.ask(r.OpenThread(world.envelope(ANA), thread_id, load=True))
    world.settle()
    world.ask(r.StartTurn(world.envelope(BEN), thread_id, HI, create=True))
    world.settle()
    assert (codes(world, BEN), codes(world, ANA)) == (["thread_not_available"] * 2, ["thread_not_available"])
    assert (world.owners, world.logs[thread_id], world.views) == ({}, [], set())
    world.owners[thread_id] = "name:ana"  # the operator says so
    world.ask(r.OpenThread(world.envelope(ANA), thread_id))
    world.settle()
    assert len(codes(world, ANA)) == 1


def test_requests_keep_their_order_while_the_owner_is_looked_for(world: World) -> None:
    thread_id = thread_of(world, ANA)
    world.restart()
    for text in ("one", "two"):
        world.start_turn(ANA, thread_id, text)
    world.ask(r.CloseThread(world.envelope(ANA), thread_id))
    assert sum(isinstance(x, c.FindOwner) for x in world.outstanding) == 1
    world.settle()
    asked = [x.body.content for x in world.logs[thread_id] if isinstance(x.body, e.TurnRequested)]
    assert asked == [(TextPart("one"),), (TextPart("two"),)]
    assert not world.views


def test_who_left_meanwhile_sees_nothing(world: World) -> None:
    thread_id = thread_of(world, ANA)
    world.restart()
    world.start_turn(ANA, thread_id, "bye")
    world.ask(r.Left(ANA, "chat"))
    world.settle()
    assert not world.views
    assert world.running()


def test_a_lookup_that_fails_refuses_what_waited(world: World) -> None:
    thread_id = thread_of(world, ANA)
    world.restart()
    world.start_turn(ANA, thread_id)
    world.take(c.FindOwner)
    away = ErrorInfo("The room is away.", "room_error")
    world.carry_out(world.supervisor.owner_not_found(thread_id, away))
    assert codes(world, ANA) == ["room_error"]
    world.start_turn(ANA, thread_id)
    world.settle()
    assert world.running()


def test_what_waits_is_limited(world: World) -> None:
    thread_id = thread_of(world, ANA)
    world.restart()
    for _ in range(MAX_WAITING + 1):
        world.ask(r.RenameThread(world.envelope(BEN), thread_id, "x"))
    assert codes(world, BEN) == ["too_many_requests"]


def test_watchers_hear_of_their_own_threads_also_when_others_end_turns(world: World) -> None:
    for who in (ANA, BEN):
        world.ask(r.WatchThreads(world.envelope(who)))
    thread_id = thread_of(world, ANA)
    world.carry_out(world.supervisor.thread_updated(world.entry(thread_id, "touched")))
    world.restart()
    world.ask(r.WatchThreads(world.envelope(BEN)))
    world.carry_out(world.supervisor.thread_updated(world.entry(thread_id, "touched")))
    world.settle()
    assert not world.got(BEN).all
    told = [type(x) for x in world.got(ANA).replies]
    assert told == [a.ThreadCreated, a.ThreadStarted, a.ThreadUpdated]


def test_a_channel_without_names_has_threads_of_its_own_and_asks_nobody(world: World) -> None:
    queue = Participant(ParticipantId("q"), "tool", {"name": "ana"}, of_channel("queue:jobs"))
    world.start_turn(queue, thread_of(world, ANA))
    assert codes(world, queue) == ["thread_not_available"]
    world.start_thread(queue, "work")
    world.settle()
    [(thread_id, turn_id)] = world.running()
    assert world.owners[thread_id] == "channel:queue:jobs"
    world.backend(thread_id, turn_id, e.ApprovalRequested(e.ToolRef(ItemId("i"), "codex", "shell"), {}))
    decided = world.take(c.DecideItem)
    assert isinstance(decided, c.DecideItem)
    assert decided.decision is Decision.UNANSWERED


def test_threads_are_everybodys_by_default() -> None:
    world = World()
    thread_id = thread_of(world, ANA)
    world.start_turn(NAMELESS, thread_id)
    assert world.running()
    assert not any(isinstance(x, c.FindOwner) for x in world.done)
