"""What a request says about its turn: instructions, whether somebody can be asked, threads that are made."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import replies as a
from process_agent.core import requests as r
from process_agent.core.approvals import NOBODY_HERE
from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.ids import ItemId, ThreadId, TurnId
from tests.fakes.supervised import World, person

ANA, ROB, QUEUE = person("ana"), person("rob", role="agent"), person("queue", role="tool")
ITEM = ItemId("i1")
UNATTENDED = r.TurnOptions("Answer in French.", attended=False)
NEW = ThreadId("dataset://t/by-name")


@pytest.fixture
def world() -> World:
    return World()


def errand(
    world: World, thread_id: ThreadId = NEW, *, create: bool = True, text: str = "do it"
) -> r.StartTurn:
    request = r.StartTurn(world.envelope(QUEUE), NEW, (TextPart(text),), options=UNATTENDED, create=create)
    world.ask(request)
    return request


def needs_approval(world: World) -> tuple[ThreadId, TurnId]:
    thread_id, turn_id = world.running()[-1]
    ref = e.ToolRef(ITEM, "codex", "shell", "codex")
    world.backend(thread_id, turn_id, e.ToolStarted(ref, {}), e.ApprovalRequested(ref, {}))
    return thread_id, turn_id


def decisions(world: World) -> list[Decision]:
    return [x.decision for x in world.done if isinstance(x, c.DecideItem)]


def test_instructions_reach_the_backend(world: World) -> None:
    errand(world)
    world.settle()
    (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
    assert run.turn.instructions == "Answer in French."


def test_nobody_is_there_to_approve(world: World) -> None:
    errand(world)
    world.settle()
    world.ask(r.OpenThread(world.envelope(ROB), NEW))  # an agent may not decide
    thread_id, _ = needs_approval(world)
    assert decisions(world) == [Decision.UNANSWERED]
    world.happen(world.oldest(c.DecideItem))
    decided = [x.body for x in world.logs[thread_id] if isinstance(x.body, e.ApprovalDecided)]
    assert [(x.accepted, x.why) for x in decided] == [(False, NOBODY_HERE)]
    assert not [timer for timer in world.timers if timer.kind is c.TimerKind.APPROVAL]


@pytest.mark.parametrize("gone", ["left", "closed"])
def test_somebody_who_may_decide_is_asked_while_it_is_there(world: World, gone: str) -> None:
    errand(world)
    world.ask(r.OpenThread(world.envelope(ANA), NEW))
    world.settle()
    needs_approval(world)
    assert decisions(world) == []
    world.ask(r.CloseThread(world.envelope(ROB), NEW))
    assert decisions(world) == []
    world.ask(r.Left(ANA, "chat") if gone == "left" else r.CloseThread(world.envelope(ANA), NEW))
    assert decisions(world) == [Decision.UNANSWERED]


def test_a_turn_whose_people_left_waits_for_them(world: World) -> None:
    world.start_thread(ANA)
    world.settle()
    needs_approval(world)
    world.ask(r.Left(ANA, "chat"))
    assert decisions(world) == []


def test_the_operator_decided_before_anybody(world: World) -> None:
    world = World("auto")
    errand(world)
    world.settle()
    needs_approval(world)
    assert decisions(world) == [Decision.ACCEPT]


def test_a_thread_is_made_and_listed_under_its_name(world: World) -> None:
    world.ask(r.WatchThreads(world.envelope(ANA)))
    errand(world, text="Weekly report")
    assert c.OpenLog(NEW, "Weekly report") in world.outstanding
    world.settle()
    assert len(world.running()) == 1
    created = [x.thread for x in world.got(ANA).replies if isinstance(x, a.ThreadCreated)]
    assert [(x.path, x.name) for x in created] == [(NEW, "Weekly report")]


def test_without_create_a_missing_thread_is_refused(world: World) -> None:
    errand(world, create=False)
    world.settle()
    (rejected,) = [x.body for x in world.got(QUEUE).events if isinstance(x.body, e.TurnRejected)]
    assert rejected.error.code == "thread_not_available"


def test_others_may_have_asked_for_it_in_vain_just_before(world: World) -> None:
    world.ask(r.OpenThread(world.envelope(ANA), NEW, load=True))
    errand(world)
    world.settle()
    assert len(world.running()) == 1
    assert [type(x) for x in world.got(ANA).replies] == [a.ThreadLoaded]
    assert not [x for x in world.got(ANA).events if isinstance(x.body, e.TurnRejected)]


def test_a_thread_that_cannot_be_made_is_refused_once(world: World) -> None:
    errand(world)
    opened = world.take(c.OpenLog)
    assert isinstance(opened, c.OpenLog)
    error = world.supervisor.log_not_opened(NEW, ErrorInfo("no", "thread_not_available"))
    world.carry_out(error)
    assert not any(isinstance(x, c.OpenLog) for x in world.outstanding)
    assert [type(x.body) for x in world.got(QUEUE).events] == [e.TurnRejected]
