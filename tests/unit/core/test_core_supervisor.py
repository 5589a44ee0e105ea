"""Single decisions of the supervisor; the property tests cover how they combine."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.content import TextPart
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.speaker import Limits
from process_agent.core.turn import Approval, Turn, TurnState
from process_agent.core.views import MAX_VIEWS
from tests.fakes.supervised import DEFAULT, OTHER, World, person

ANA, BEN, EVA = person("ana"), person("ben"), person("eva")


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World, who: Participant = ANA) -> tuple[ThreadId, TurnId]:
    """A new thread whose first turn runs."""
    world.start_thread(who)
    world.settle()
    return world.running()[-1]


def end(world: World, thread_id: ThreadId, turn_id: TurnId) -> None:
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()


def bodies(world: World, who: Participant, kind: type[e.EventBody]) -> list[e.EventBody]:
    return [event.body for event in world.got(who).events if isinstance(event.body, kind)]


def test_the_end_is_told_after_it_is_stored(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    assert isinstance(world.logs[thread_id][-1].body, e.TurnEnded)
    assert not bodies(world, ANA, e.TurnEnded)
    world.happen(world.oldest(c.StoreTurnEnd))
    assert bodies(world, ANA, e.TurnEnded)
    assert bodies(world, ANA, e.Status)[-1] == e.Status()


def test_a_full_queue_refuses(world: World) -> None:
    thread_id, _ = begin(world)
    for _ in range(Limits().queued):
        world.start_turn(ANA, thread_id)
    assert not bodies(world, ANA, e.TurnRejected)
    world.start_turn(ANA, thread_id)
    (rejected,) = bodies(world, ANA, e.TurnRejected)
    assert isinstance(rejected, e.TurnRejected)
    assert rejected.error.code == "too_many_turns"


def test_who_loads_while_a_steer_is_on_its_way_sees_it(world: World) -> None:
    thread_id, turn_id = begin(world)
    steer = r.SteerTurn(world.envelope(BEN), thread_id, turn_id, (TextPart("also"),))
    world.ask(steer)
    world.ask(r.OpenThread(world.envelope(ANA), thread_id, load=True))
    before = len(world.got(ANA).events)
    world.happen(world.oldest(c.SteerBackend))
    world.settle()
    loaded = world.got(ANA).events[before:]
    requested = [x.message_id for x in loaded if isinstance(x.body, e.SteerRequested)]
    assert requested == [steer.envelope.message_id]


def test_a_request_that_comes_twice_counts_once(world: World) -> None:
    thread_id, _ = begin(world)
    request = world.start_turn(ANA, thread_id)
    world.ask(request)
    assert len(bodies(world, ANA, e.TurnAccepted)) == 2  # the thread's first turn, and this one
    assert "twice" in world.warnings[-1]


def test_too_many_requests_wait_for_a_thread(world: World) -> None:
    missing = ThreadId("dataset://t/missing")
    for _ in range(Limits().pending + 1):
        world.start_turn(ANA, missing)
    assert len(bodies(world, ANA, e.TurnRejected)) == 1
    world.settle()
    assert len(bodies(world, ANA, e.TurnRejected)) == Limits().pending + 1
    assert not world.views


def test_too_many_views(world: World) -> None:
    for number in range(MAX_VIEWS + 1):
        world.ask(r.OpenThread(world.envelope(ANA), ThreadId(f"dataset://t/{number}")))
    refused = [x for x in world.got(ANA).replies if isinstance(x, a.RequestRejected)]
    assert [x.error.code for x in refused] == ["too_many_views"]
    assert len(world.views) == MAX_VIEWS


def test_a_steer_that_is_under_way_when_the_turn_ends(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart("more"),)))
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    assert not any(isinstance(x.body, e.TurnEnded) for x in world.logs[thread_id])
    world.happen(world.oldest(c.SteerBackend))
    kinds = [type(x.body) for x in world.logs[thread_id]][-3:]
    assert kinds == [e.SteerRequested, e.Steered, e.TurnEnded]


def test_a_steer_the_backend_never_answers(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart("more"),)))
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    timer = c.Timer(c.TimerKind.STEER, thread_id, turn_id)
    assert world.timers.pop(timer) == Limits().steer
    world.carry_out(world.supervisor.timer_fired(timer))
    kinds = [type(x.body) for x in world.logs[thread_id]][-2:]
    assert kinds == [e.SteerRejected, e.TurnEnded]


@pytest.mark.parametrize("taken", [True, False])
def test_who_steers_without_viewing_hears_what_came_of_it(world: World, *, taken: bool) -> None:
    thread_id, turn_id = begin(world)
    for who in (BEN, EVA):
        world.ask(r.SteerTurn(world.envelope(who), thread_id, turn_id, (TextPart(f"more, says {who.name}"),)))
    world.ask(r.Left(EVA, "chat"))
    if taken:
        for _ in range(2):
            world.happen(world.oldest(c.SteerBackend))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    if not taken:
        timer = c.Timer(c.TimerKind.STEER, thread_id, turn_id)
        world.carry_out(world.supervisor.timer_fired(timer))
    world.settle()
    outcome = e.Steered if taken else e.SteerRejected
    assert len(bodies(world, BEN, outcome)) == 1
    assert not bodies(world, BEN, e.TurnEnded), "steering makes no viewer"
    assert not bodies(world, EVA, outcome), "nobody is there to hear it"
    assert len(bodies(world, ANA, outcome)) == 2


def test_a_backend_that_ignores_interrupts_is_abandoned(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.backend(thread_id, turn_id, e.TextStarted(ItemId("i")), e.TextDelta(ItemId("i"), "x"))
    world.ask(r.InterruptTurn(world.envelope(ANA), thread_id, turn_id))
    timer = c.Timer(c.TimerKind.INTERRUPT, thread_id, turn_id)
    assert world.timers.pop(timer) == Limits().interrupt
    world.carry_out(world.supervisor.timer_fired(timer))
    assert c.AbandonTurn(thread_id, turn_id) in world.done
    kinds = [type(x.body) for x in world.logs[thread_id]][-3:]
    assert kinds == [e.TextEnded, e.Interrupted, e.TurnEnded]


def test_interrupting_again_changes_nothing(world: World) -> None:
    thread_id, turn_id = begin(world)
    for _ in range(3):
        world.ask(r.InterruptTurn(world.envelope(ANA), thread_id, turn_id))
    assert len(bodies(world, ANA, e.InterruptAccepted)) == 3
    assert sum(isinstance(x, c.InterruptBackend) for x in world.done) == 1


def test_an_interrupt_of_an_unknown_turn_is_accepted_without_effect(world: World) -> None:
    thread_id, turn_id = begin(world)
    stored, unknown = len(world.logs[thread_id]), TurnId("unknown")
    for named in (thread_id, ThreadId("dataset://agents/bot/threads/closed")):
        request = r.InterruptTurn(world.envelope(BEN), named, unknown)
        world.ask(request)
        assert world.got(BEN).events[-1].body == e.InterruptAccepted(request.envelope.message_id)
        assert world.got(BEN).events[-1].turn_id == unknown
    assert not any(isinstance(x, c.InterruptBackend) for x in world.done)
    assert world.running() == [(thread_id, turn_id)]
    assert (len(world.logs[thread_id]), world.open_logs) == (stored, {thread_id})


def test_steers_that_wait_do_not_keep_an_interrupted_turn_alive(world: World) -> None:
    thread_id, turn_id = begin(world)
    for text in ("more", "and more"):
        world.ask(r.SteerTurn(world.envelope(ANA), thread_id, turn_id, (TextPart(text),)))
    world.ask(r.InterruptTurn(world.envelope(ANA), thread_id, turn_id))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.INTERRUPTED))
    timer = c.Timer(c.TimerKind.STEER, thread_id, turn_id)
    assert world.timers.pop(timer) == Limits().steer
    world.carry_out(world.supervisor.timer_fired(timer))
    world.happen(world.oldest(c.StoreTurnEnd))
    kinds = [type(x.body) for x in world.logs[thread_id]][-4:]
    assert kinds == [e.SteerRejected, e.SteerRejected, e.Interrupted, e.TurnEnded]
    (ended,) = bodies(world, ANA, e.TurnEnded)
    assert ended == e.TurnEnded(e.EndReason.INTERRUPTED)
    refused = [x.error.code for x in bodies(world, ANA, e.SteerRejected) if isinstance(x, e.SteerRejected)]
    assert refused == ["cancelled", "cancelled"], "clients say again what came too late for any other end"
    world.settle()
    assert world.running() == []
    assert not bodies(world, ANA, e.Steered)


def test_a_thread_nobody_needs_is_released_and_comes_back(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.ask(r.ChangeModel(world.envelope(ANA), thread_id, r.ModelWish(model="gpt-5.5-mini")))
    end(world, thread_id, turn_id)
    idle = c.Timer(c.TimerKind.IDLE, thread_id)
    assert idle not in world.timers
    world.ask(r.Left(ANA, "chat"))
    assert world.timers[idle] == Limits().idle
    world.carry_out(world.supervisor.timer_fired(idle))
    assert c.ReleaseThread(thread_id) in world.done
    world.start_turn(BEN, thread_id)
    world.settle()
    (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.turn.model == OTHER


def test_a_viewer_that_comes_back_keeps_the_thread(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    world.ask(r.Left(ANA, "chat"))
    world.ask(r.OpenThread(world.envelope(BEN), thread_id))
    world.carry_out(world.supervisor.timer_fired(c.Timer(c.TimerKind.IDLE, thread_id)))
    assert c.ReleaseThread(thread_id) not in world.done


def test_the_model_of_a_turn_changes_the_thread_when_the_turn_starts(world: World) -> None:
    thread_id, turn_id = begin(world)
    wish = r.ModelWish(model="gpt-5.5-mini")
    world.ask(r.StartTurn(world.envelope(ANA), thread_id, (TextPart("x"),), wish=wish))
    assert not bodies(world, ANA, e.ModelChanged)
    end(world, thread_id, turn_id)
    assert len(bodies(world, ANA, e.ModelChanged)) == 1
    (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.turn.model == OTHER


def test_the_same_model_again_is_answered_and_not_stored(world: World) -> None:
    thread_id, _ = begin(world)
    stored = len(world.logs[thread_id])
    world.ask(r.ChangeModel(world.envelope(BEN), thread_id, r.ModelWish(model=DEFAULT.model)))
    assert len(bodies(world, BEN, e.ModelChanged)) == 1
    assert len(world.logs[thread_id]) == stored
    assert not bodies(world, ANA, e.ModelChanged)


def test_one_who_left_while_its_thread_was_made(world: World) -> None:
    world.start_thread(ANA)
    world.ask(r.Left(ANA, "chat"))
    world.settle()
    assert world.got(ANA).all == []
    assert len(world.running()) == 1


def test_one_who_left_while_its_thread_was_opened(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    world.ask(r.Left(ANA, "chat"))
    world.carry_out(world.supervisor.timer_fired(c.Timer(c.TimerKind.IDLE, thread_id)))
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, load=True))
    world.ask(r.Left(BEN, "chat"))
    world.settle()
    assert world.got(BEN).all == []
    assert not world.views


def test_a_running_thread_is_not_deleted(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.ask(r.DeleteThread(world.envelope(BEN), thread_id))
    (refused,) = world.got(BEN).replies
    assert isinstance(refused, a.RequestRejected)
    assert refused.error.code == "turn_in_progress"
    end(world, thread_id, turn_id)
    world.ask(r.DeleteThread(world.envelope(BEN), thread_id))
    world.settle()
    assert world.got(BEN).replies[-1] == a.ThreadDeleted(thread_id)
    assert not world.views


def test_while_stopping_everything_new_is_refused(world: World) -> None:
    thread_id, turn_id = begin(world)
    world.start_thread(BEN)
    world.carry_out(world.supervisor.stop())
    world.settle()  # the thread that was being made has no turn now
    assert [type(x) for x in bodies(world, BEN, e.TurnRejected)] == [e.TurnRejected]
    world.start_turn(ANA, thread_id)
    world.start_thread(ANA)
    assert len(bodies(world, ANA, e.TurnRejected)) == 2
    assert not world.supervisor.idle
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.INTERRUPTED))
    world.settle()
    assert world.supervisor.idle


def test_a_second_load_waits_for_the_first(world: World) -> None:
    thread_id, turn_id = begin(world)
    end(world, thread_id, turn_id)
    loads = [r.OpenThread(world.envelope(BEN), thread_id, load=True) for _ in range(3)]
    for load in loads:
        world.ask(load)
    assert sum(isinstance(x, c.Replay) for x in world.outstanding) == 1
    world.settle()
    loaded = [x.source for x in world.got(BEN).replies if isinstance(x, a.ThreadLoaded)]
    assert loaded == [x.envelope.message_id for x in loads]


def test_a_turn_cannot_end_or_start_twice() -> None:
    viewer = c.Viewer("chat", ParticipantId("p"))
    turn = Turn(TurnId("U"), MessageId("M"), viewer, "ana", ())
    with pytest.raises(ValueError, match="queued"):
        turn.wait_for(Approval(e.ApprovalRequested(e.ToolRef(ItemId("i"), "codex", "shell"), {})))
    turn.start(World().now, DEFAULT)
    assert turn.under_way
    with pytest.raises(ValueError, match="running"):
        turn.start(World().now, DEFAULT)
    turn.end()
    assert turn.state is TurnState.ENDED
    with pytest.raises(ValueError, match="already"):
        turn.end()
