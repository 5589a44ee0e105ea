"""What the transcript makes of approvals, steers, refusals, the end of a turn, and its limits."""

from __future__ import annotations

from process_agent.core.content import ErrorInfo, JsonResult, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    EndReason,
    EventBody,
    FileShown,
    ModelChanged,
    Status,
    SteerAccepted,
    Steered,
    SteerRejected,
    TextDelta,
    ToolEnded,
    ToolRef,
    ToolStarted,
    TurnAccepted,
    TurnEnded,
    TurnRejected,
    TurnStarted,
    UsageUpdated,
)
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.usage import ContextWindow, Usage
from process_agent.viewer.items import FileItem, InputState, ToolItem, ToolState, Turn, TurnState, UserItem
from process_agent.viewer.transcript import Transcript
from tests.fakes.viewer_room import event

SAID = (TextPart("go"),)
REF = ToolRef(ItemId("t"), "codex", "shell")


def after(*bodies: EventBody) -> tuple[Transcript, Turn]:
    transcript = Transcript()
    transcript.apply(event(TurnAccepted(MessageId("m"), SAID, "ana")))
    transcript.apply(event(TurnStarted(MessageId("m"), SAID, "ana"), at=1))
    for body in bodies:
        transcript.apply(event(body, at=2))
    return transcript, transcript.turns[0]


def tool(turn: Turn) -> ToolItem:
    item = turn.items["t"]
    assert isinstance(item, ToolItem)
    return item


def test_an_approval_makes_the_turn_wait_and_a_decision_lets_it_go_on() -> None:
    transcript, turn = after(ToolStarted(REF, {"command": "ls"}), ApprovalRequested(REF, {}, "network"))
    assert str(turn.state) == "waiting for approval"
    assert [item.request and item.request.reason for _, item in transcript.waiting_tools()] == ["network"]
    assert transcript.running is turn
    transcript.apply(event(ApprovalDecided(REF, Decision.ACCEPT, "bob")))
    assert turn.state is TurnState.RUNNING
    decided = tool(turn).decided
    assert decided is not None
    assert decided.text == "Approved by bob"
    assert list(transcript.waiting_tools()) == []


def test_a_tool_that_ends_without_a_decision_waits_no_more() -> None:
    transcript, turn = after(ApprovalRequested(REF, {}), ToolEnded(REF, None, ErrorInfo("no", "declined")))
    assert tool(turn).state is ToolState.FAILED
    assert turn.state is TurnState.RUNNING
    assert list(transcript.waiting_tools()) == []


def test_the_end_of_a_turn_closes_its_items() -> None:
    transcript, turn = after(
        Status("Running ls", "steerable"),
        TextDelta(ItemId("i"), "half"),
        ToolStarted(REF, {}),
        SteerAccepted(MessageId("s"), SAID, "ana"),
        TurnEnded(EndReason.FAILED, ErrorInfo("boom", "codex_turn_failed")),
    )
    assert (turn.state, turn.end, turn.error and turn.error.message) == (
        TurnState.ENDED,
        EndReason.FAILED,
        "boom",
    )
    assert tool(turn).error == ErrorInfo("The turn ended before this was done.", "incomplete")
    steer = turn.items["s"]
    assert isinstance(steer, UserItem)
    assert steer.state is InputState.REFUSED
    assert transcript.status == Status()
    assert (turn.ended_at - turn.started_at).total_seconds() == 1  # type: ignore[operator]
    assert transcript.resume_point == turn.id
    assert transcript.apply(event(TextDelta(ItemId("i"), "late"))) is None


def test_steers_are_items_at_their_place() -> None:
    _, turn = after(
        TextDelta(ItemId("i"), "x"),
        SteerAccepted(MessageId("s"), SAID, "ana"),
        Steered(MessageId("s"), SAID, "ana"),
        SteerAccepted(MessageId("late"), SAID, "ana"),
        SteerRejected(MessageId("late"), ErrorInfo("too late", "turn_ended")),
    )
    steer, late = turn.items["s"], turn.items["late"]
    assert isinstance(steer, UserItem)
    assert isinstance(late, UserItem)
    assert (steer.steer, steer.state) == (True, InputState.TAKEN)
    assert late.state is InputState.REFUSED
    assert list(turn.items) == ["m", "i", "s", "late"]


def test_a_refused_turn_is_there_with_its_reason() -> None:
    transcript = Transcript()
    change = transcript.apply(event(TurnRejected(MessageId("m"), ErrorInfo("full", "busy")), None))
    assert change is not None
    assert change.turn is not None
    assert (change.turn.state, change.turn.error) == (TurnState.REFUSED, ErrorInfo("full", "busy"))
    assert transcript.resume_point is None
    assert transcript.running is None


def test_usage_files_results_and_models() -> None:
    transcript, turn = after(
        UsageUpdated(Usage(input=10, output=5), ContextWindow(15, 100)),
        FileShown(ItemId("f"), "room:///a.png"),
        FileShown(ItemId("f"), "room:///b.png"),
        ToolEnded(REF, JsonResult({"exit_code": 0})),
        ModelChanged(None, "codex", "openai", "gpt-5.5"),
    )
    assert turn.usage == Usage(input=10, output=5)
    assert turn.context == ContextWindow(15, 100)
    assert tool(turn).state is ToolState.DONE
    files = turn.items["f"]
    assert isinstance(files, FileItem)
    assert files.urls == ["room:///a.png", "room:///b.png"]
    assert (turn.backend, turn.model) == ("codex", "gpt-5.5")
    assert transcript.model is not None


def test_an_item_id_used_for_two_kinds_keeps_the_first() -> None:
    _, turn = after(ToolStarted(REF, {}), TextDelta(ItemId("t"), "x"), FileShown(ItemId("t"), "u"))
    assert tool(turn).output == ""


def test_a_thread_opened_in_the_middle_of_a_turn_knows_that_it_runs() -> None:
    transcript = Transcript()
    transcript.apply(event(TextDelta(ItemId("i"), "x")))
    assert transcript.running is not None


def test_only_the_newest_turns_are_kept() -> None:
    transcript = Transcript(turn_limit=3)
    for number in range(5):
        transcript.apply(event(TurnAccepted(MessageId(f"m{number}"), SAID, "ana"), f"U{number}"))
    assert [turn.id for turn in transcript.turns] == [TurnId(f"U{n}") for n in (2, 3, 4)]


def test_a_turn_beside_the_running_one_does_not_move_the_resume_point() -> None:
    """What the running turn said so far is forgotten by a rewind, so the replay has to begin before it."""
    transcript = Transcript()
    first, running, beside = TurnId("first"), TurnId("running"), TurnId("beside")
    for turn_id, body in (
        (first, TurnEnded(EndReason.COMPLETED)),
        (running, TurnStarted(MessageId("m"), SAID, "ana")),
        (beside, TurnStarted(MessageId("h"), SAID, "ana")),
        (beside, TurnEnded(EndReason.COMPLETED)),
    ):
        transcript.apply(event(body, turn_id))
    assert transcript.resume_point == first
    transcript.apply(event(TurnEnded(EndReason.COMPLETED), running))
    assert transcript.resume_point == beside
