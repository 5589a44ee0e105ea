"""`/diff`, `/undo` and `/redo`: who may, when, and what becomes a turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import slash
from process_agent.core.backend import ApprovalMode
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.supervisor import Supervisor
from process_agent.core.usage import UsageQuestion
from process_agent.core.workspace import FileCommand
from tests.fakes.supervised import World, person

ANA, ROB = person("ana"), person("rob", role="agent")


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World) -> tuple[ThreadId, TurnId]:
    """A new thread whose first turn runs."""
    world.start_thread(ANA)
    world.settle()
    return world.running()[-1]


def rest(world: World) -> ThreadId:
    """A new thread in which nothing runs any more."""
    thread_id, turn_id = begin(world)
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()
    return thread_id


def asked(world: World) -> list[FileCommand]:
    return [
        x.command
        for x in world.outstanding
        if isinstance(x, c.AskWorkspace) and isinstance(x.command, FileCommand)
    ]


def usage_asked(world: World) -> list[UsageQuestion]:
    return [
        x.command
        for x in world.outstanding
        if isinstance(x, c.AskWorkspace) and isinstance(x.command, UsageQuestion)
    ]


def last_text(world: World, thread_id: ThreadId) -> str:
    return [x.body.text for x in world.logs[thread_id] if isinstance(x.body, e.TextDelta)][-1]


def test_a_diff_is_shown_beside_a_running_turn(world: World) -> None:
    thread_id, running = begin(world)
    world.start_turn(ANA, thread_id, "/diff  Thread")
    assert asked(world) == [FileCommand.DIFF_THREAD]
    assert not world.supervisor.idle
    world.settle()
    turns = {x.turn_id for x in world.logs[thread_id]} - {running}
    (turn,) = turns
    told = [x for x in world.logs[thread_id] if x.turn_id == turn]
    assert told[-1].body == e.TurnEnded(e.EndReason.COMPLETED)
    assert {(x.provider, x.model) for x in told} == {(None, None)}
    assert world.running() == [(thread_id, running)]


def test_usage_is_looked_up_beside_a_running_turn(world: World) -> None:
    thread_id, running = begin(world)
    world.start_turn(ANA, thread_id, "/usage")
    world.start_turn(ANA, thread_id, "/usage Thread")
    assert usage_asked(world) == [UsageQuestion.THREAD_AND_TODAY, UsageQuestion.THREAD]
    world.settle()
    world.start_turn(ANA, thread_id, "/usage of my account")
    assert last_text(world, thread_id) == slash.UNKNOWN_USAGE
    assert world.running() == [(thread_id, running)]


def test_where_threads_are_apart_only_that_of_the_thread_is_told() -> None:
    world = World(isolation="participant")
    thread_id, _ = begin(world)
    world.start_turn(ANA, thread_id, "/usage")
    assert usage_asked(world) == [UsageQuestion.THREAD]


def test_an_unknown_kind_of_diff_is_answered_with_what_there_is(world: World) -> None:
    thread_id = rest(world)
    world.start_turn(ANA, thread_id, "/diff everything")
    world.settle()
    assert asked(world) == []
    assert last_text(world, thread_id) == slash.UNKNOWN_DIFF


def test_turns_wait_while_files_are_put_back(world: World) -> None:
    thread_id = rest(world)
    world.start_turn(ANA, thread_id, "/undo")
    assert asked(world) == [FileCommand.UNDO]
    world.start_turn(ANA, thread_id, "go on")
    assert world.running() == []
    status = [x.body for x in world.got(ANA).events if isinstance(x.body, e.Status)][-1]
    assert (status.text, status.mode) == ("Putting files back", "busy")
    world.settle()
    assert len(world.running()) == 1


def test_nothing_is_put_back_while_a_turn_runs(world: World) -> None:
    thread_id, _ = begin(world)
    for command in ("/undo", "/redo"):
        world.start_turn(ANA, thread_id, command)
        world.settle()
        assert last_text(world, thread_id) == slash.NO_UNDO.format(command=command)
    assert asked(world) == []


@pytest.mark.parametrize(
    ("approvals", "who", "allowed"),
    [("ask", ANA, True), ("ask", ROB, False), ("deny", ANA, False), ("auto", ROB, True)],
)
def test_with_a_read_only_sandbox_files_are_put_back_for_who_may_approve(
    approvals: ApprovalMode, who: object, allowed: bool
) -> None:
    world = World(approvals)
    world.setting = replace(world.setting, sandbox="read-only")
    world.supervisor = Supervisor(world.setting)
    thread_id = rest(world)
    world.start_turn(who, thread_id, "/undo")  # type: ignore[arg-type]
    assert asked(world) == ([FileCommand.UNDO] if allowed else [])
    world.settle()
    assert (last_text(world, thread_id) == slash.MAY_NOT) is not allowed


def test_a_thread_can_begin_with_a_command_about_files(world: World) -> None:
    for text in ("/diff", "/undo"):
        world.start_thread(ANA, text)
        world.settle()
        thread_id = next(reversed(world.logs))
        assert last_text(world, thread_id) == text
        assert world.logs[thread_id][-1].body == e.TurnEnded(e.EndReason.COMPLETED)
