"""Every recorded conversation, and what must hold for all of them."""

from __future__ import annotations

import pytest

from process_agent.core.content import ErrorInfo, JsonResult, TextResult
from process_agent.core.decisions import Decision, Option, Question
from process_agent.core.events import (
    ApprovalRequested,
    BackendEvent,
    ClientToolCancelled,
    ClientToolRequested,
    ContextCompacted,
    EndReason,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolLog,
    ToolStarted,
    TurnEnded,
    UsageUpdated,
)
from tests.unit.codex.replay import NAMES, Turn, replay


def texts(turn: Turn) -> dict[str, str]:
    """Messages as a viewer has them in the end; raises when a delta has no start."""
    found: dict[str, str] = {}
    for event in turn.events:
        if isinstance(event, TextStarted):
            found[event.item_id] = ""
        elif isinstance(event, TextDelta):
            found[event.item_id] += event.text
    return found


def tools(turn: Turn, tool: str) -> list[tuple[ToolStarted, ToolEnded]]:
    """Last start and end of each call of a tool."""
    starts = {e.ref.item_id: e for e in turn.events if isinstance(e, ToolStarted) and e.ref.tool == tool}
    ends = {e.ref.item_id: e for e in turn.events if isinstance(e, ToolEnded)}
    return [(start, ends[item_id]) for item_id, start in starts.items()]


def end(turn: Turn) -> TurnEnded:
    last = turn.events[-1]
    assert isinstance(last, TurnEnded)
    return last


def item_id(event: BackendEvent) -> str | None:
    if isinstance(event, ContextCompacted):
        return event.checkpoint_id
    return event.ref.item_id if hasattr(event, "ref") else getattr(event, "item_id", None)


@pytest.mark.parametrize("name", NAMES)
def test_what_holds_for_every_conversation(name: str) -> None:
    for turn in replay(name):
        assert [e for e in turn.events if isinstance(e, TurnEnded)] == [turn.events[-1]], "one end, the last"
        started_and_ended_in_order(turn)
        shown = {item_id(event) for event in turn.events}
        for each, kind in turn.items.items():
            assert kind == "userMessage" or each in shown, f"{kind} has vanished"
        said = texts(turn)
        for each, item in turn.completed.items():
            if item["type"] == "agentMessage":
                assert said[each] == item["text"]


def started_and_ended_in_order(turn: Turn) -> None:
    opened: set[str] = set()
    for event in turn.events:
        match event:
            case TextStarted() | ReasoningStarted():
                opened.add(event.item_id)
            case ToolStarted():
                opened.add(event.ref.item_id)
            case TextDelta() | ReasoningDelta():
                assert event.item_id in opened
            case ToolLog() | ApprovalRequested():
                assert event.ref.item_id in opened
            case TextEnded() | ReasoningEnded():
                opened.remove(event.item_id)
            case ToolEnded():
                opened.remove(event.ref.item_id)
            case _:
                pass
    assert not opened, "still open at the end of the turn"


def test_all_conversations_are_here() -> None:
    assert len(NAMES) > 80
    assert sum(len(replay(name)) for name in NAMES) > 140


@pytest.mark.parametrize("name", ["text", "v0.169.0-text"])
def test_text(name: str) -> None:
    turn = replay(name)[0]
    assert next(iter(texts(turn).values())).startswith("The quick brown fox ")
    assert len([e for e in turn.events if isinstance(e, TextDelta)]) > 1
    assert end(turn) == TurnEnded(EndReason.COMPLETED)
    (usage,) = [e for e in turn.events if isinstance(e, UsageUpdated)]
    assert (usage.usage.input, usage.usage.cached, usage.usage.output) == (120, 40, 25)
    assert usage.context is not None
    assert (usage.context.used, usage.context.total) == (145, 258400)


@pytest.mark.parametrize("name", ["command", "v0.169.0-command"])
def test_commands(name: str) -> None:
    good, bad = replay(name)[:2]
    ((start, done),) = tools(good, "shell")
    assert start.ref.toolkit == start.ref.namespace == "codex"
    assert start.arguments["command"] == "echo hi; echo err >&2; pwd; id -u; touch made.txt && ls"
    assert start.arguments["cwd"] == "/workspace/command"
    assert isinstance(done.result, JsonResult)
    assert isinstance(done.result.json, dict)
    assert done.result.json["exit_code"] == 0
    assert isinstance(done.result.json["duration_ms"], int)
    lines = str(done.result.json["stdout"]).splitlines()
    assert sorted(lines) == ["/workspace/command", "0", "err", "hi", "made.txt"]
    usages = [e.usage for e in good.events if isinstance(e, UsageUpdated)]
    assert [u.input for u in usages] == [120, 420], "the sum of the calls of this turn"

    ((_, failed),) = tools(bad, "shell")
    assert failed.error is None
    assert isinstance(failed.result, JsonResult)
    assert isinstance(failed.result.json, dict)
    assert (failed.result.json["stdout"], failed.result.json["exit_code"]) == ("bad\n", 3)
    assert end(bad).reason is EndReason.COMPLETED


def test_patches_and_the_diff_of_the_turn() -> None:
    add, update = replay("patch")[:2]
    ((start, done),) = tools(add, "apply_patch")
    assert start.arguments["patch"] == (
        "diff --git a/hello.txt b/hello.txt\nnew file mode 100644\n--- /dev/null\n+++ b/hello.txt\n"
        "@@ -0,0 +1,2 @@\n+hello\n+from the fake model\n"
    )
    assert start.arguments["changes"] == [
        {"path": "/workspace/patch/hello.txt", "kind": "add", "diff": start.arguments["patch"]}
    ]
    assert done.result == TextResult("Changed hello.txt.")
    ((diff, _),) = tools(add, "diff_updated")
    assert diff.ref.item_id == diff.ref.call_id == "T:codex-diff_updated"
    assert str(diff.arguments["diff"]).endswith(
        "+++ b/hello.txt\n@@ -0,0 +1,2 @@\n+hello\n+from the fake model\n"
    )
    assert len([e for e in add.events if isinstance(e, ToolStarted) and e.ref == diff.ref]) == 1, "no repeats"

    ((changed, _),) = tools(update, "apply_patch")
    assert changed.arguments["patch"] == (
        "diff --git a/hello.txt b/hello.txt\n--- a/hello.txt\n+++ b/hello.txt\n"
        "@@ -1,2 +1,2 @@\n-hello\n+hello world\n from the fake model\n"
    )


def test_a_plan_is_a_checklist() -> None:
    ((plan, done),) = tools(replay("plan")[0], "plan")
    assert plan.arguments["plan"] == [
        {"step": "Read", "status": "completed"},
        {"step": "Write", "status": "inProgress"},
        {"step": "Check", "status": "pending"},
    ]
    text = "Two steps\n\n- [x] Read\n- [~] Write\n- [ ] Check"
    assert (plan.arguments["text"], done.result) == (text, TextResult(text))


def test_reasoning_keeps_summary_and_raw_thoughts_apart() -> None:
    turn = replay("reasoning")[0]
    thought = "".join(e.text for e in turn.events if isinstance(e, ReasoningDelta))
    assert thought == "**Checking the request** by looking at it.\n\nraw thought"


@pytest.mark.parametrize(
    ("name", "command", "answer", "code"),
    [
        (
            "approval-accept",
            "echo escalated > /workspace/outside.txt; cat /workspace/outside.txt",
            "accept",
            None,
        ),
        ("approval-decline", "touch /etc/nope", "decline", "declined"),
    ],
)
def test_approvals(name: str, command: str, answer: str, code: str | None) -> None:
    turn = replay(name)[0]
    (asked,) = [e for e in turn.events if isinstance(e, ApprovalRequested)]
    assert asked.arguments["command"] == command
    assert asked.reason == "Do you want to allow this command outside the sandbox?"
    assert turn.server.answers == {0: {"decision": answer}}
    ((_, done),) = tools(turn, "shell")
    assert done.ref == asked.ref
    assert (done.error.code if done.error else None) == code
    assert end(turn).reason is EndReason.COMPLETED


def test_a_patch_that_needs_an_approval_shows_what_it_would_do() -> None:
    (asked,) = [e for e in replay("patch-approval")[0].events if isinstance(e, ApprovalRequested)]
    assert asked.ref.tool == "apply_patch"
    assert "+from the fake model\n" in str(asked.arguments["patch"])


def test_an_interrupt_while_an_approval_waits() -> None:
    turn = replay("interrupt-approval")[0]
    assert end(turn) == TurnEnded(EndReason.INTERRUPTED)
    assert turn.server.answers == {}
    ((_, done),) = tools(turn, "shell")
    assert done.error == ErrorInfo("Stopped.", "interrupted")


def test_mcp_tools_carry_the_name_of_their_server() -> None:
    read, write = replay("mcp-tool")[:2]
    ((start, done),) = tools(read, "room_add")
    assert (start.ref.toolkit, start.arguments, done.result) == (
        "roomtools",
        {"a": 2, "b": 40},
        JsonResult({"ok": True}),
    )
    (asked,) = [e for e in write.events if isinstance(e, ApprovalRequested)]
    assert (asked.ref.toolkit, asked.ref.tool) == ("roomtools", "room_write")
    assert write.server.answers == {0: {"action": "accept", "content": {}}}


def test_a_tool_nobody_hosts_is_answered_at_once() -> None:
    turn = replay("dynamic-tools")[0]
    (answer,) = turn.server.answers.values()
    assert isinstance(answer, dict)
    assert answer["success"] is False
    assert tools(turn, "room_lookup")


@pytest.mark.parametrize(
    ("name", "key"),
    [("dynamic-tools", "colour"), ("dynamic-tools-codemode", "a"), ("v0.169.0-dynamic-tools", "colour")],
)
def test_tools_of_the_client_are_asked_for_and_answered(name: str, key: str) -> None:
    turn = replay(name, client_tools=frozenset({"room_lookup"}))[0]
    (asked,) = [e for e in turn.events if isinstance(e, ClientToolRequested)]
    assert (asked.tool, dict(asked.arguments)) == ("room_lookup", {"key": key})
    ((start, _),) = tools(turn, "room_lookup")
    assert start.ref.toolkit == "client"
    (cancelled,) = [e for e in turn.events if isinstance(e, ClientToolCancelled)]
    assert cancelled.ask_id == asked.ask_id, "the trace's answer was not ours: Codex needed none any more"
    assert not turn.running.answer(asked.ask_id, TextResult("late"))


def test_a_compaction_that_was_asked_for_and_one_that_was_not() -> None:
    (compacted,) = [e for e in replay("compact")[1].events if isinstance(e, ContextCompacted)]
    assert (compacted.automatic, compacted.summary) == (False, None), "without raw items nobody tells"
    found = [e for t in replay("error-context-length") for e in t.events if isinstance(e, ContextCompacted)]
    assert all(event.automatic for event in found)
    assert found


def test_what_a_compaction_repeats_is_not_counted_twice() -> None:
    first, second, third = replay("compact")[:3]
    used = [[e.usage for e in t.events if isinstance(e, UsageUpdated)][-1] for t in (first, second, third)]
    assert [(u.input, u.output) for u in used] == [(120, 25)] * 3


def test_a_question_to_the_user_is_asked_and_answered() -> None:
    turn = next(t for t in replay("request-user-input") if t.server.answers)
    assert turn.server.answers == {0: {"answers": {"colour": {"answers": ["Red"]}}}}
    (asked,) = [e for e in turn.events if isinstance(e, ApprovalRequested)]
    options = (Option("Red", "warm"), Option("Blue", "cold"))
    assert asked.questions == (Question("colour", "Which colour?", "Colour", options, free=True),)
    assert asked.decisions == (Decision.ACCEPT, Decision.DECLINE, Decision.CANCEL)
    ((_, done),) = tools(turn, "request_user_input")
    assert done.result == TextResult("Colour: Red")


def test_a_command_that_goes_on_in_the_background_ends_with_the_turn() -> None:
    ((_, done),) = tools(replay("background-terminal")[0], "shell")
    assert isinstance(done.result, JsonResult)
    assert isinstance(done.result.json, dict)
    assert done.result.json["exit_code"] is None


def test_an_interrupted_command_is_stopped() -> None:
    turn = replay("interrupt-command")[0]
    ((_, done),) = tools(turn, "shell")
    assert done.error == ErrorInfo("Stopped.", "interrupted")
    assert end(turn) == TurnEnded(EndReason.INTERRUPTED)


def test_a_steer_cuts_what_was_being_written_and_is_not_shown_twice() -> None:
    turn = replay("steer")[0]
    assert end(turn).reason is EndReason.COMPLETED
    assert "userMessage" in turn.items.values()
    assert set(texts(turn)) == {each for each, kind in turn.items.items() if kind == "agentMessage"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("error-400", "codex_turn_failed"),
        ("error-401", "unauthorized"),
        ("error-429", "response_too_many_failed_attempts"),
        ("error-429-quota", "usage_limit_exceeded"),
        ("error-500", "internal_server_error"),
        ("error-503", "server_overloaded"),
        ("error-context-length", "context_window_exceeded"),
        ("error-failed-rate-limit", "rate_limit_exceeded"),
    ],
)
def test_failed_turns_have_a_code_and_name_no_address(name: str, code: str) -> None:
    failed = [end(t).error for t in replay(name) if end(t).reason is EndReason.FAILED]
    assert failed
    for error in failed:
        assert error is not None
        assert error.code == code
        assert "http://" not in error.message
        assert error.message


def test_retries_are_seen_and_the_last_error_is_said_once() -> None:
    turn = replay("error-429")[0]
    retries = [str(start.arguments["message"]) for start, _ in tools(turn, "retry")]
    assert [text.partition(":")[0] for text in retries] == ["Reconnecting... 1/2", "Reconnecting... 2/2"]


def test_a_lost_app_server_ends_the_turn_as_lost() -> None:
    reasons = [end(turn).reason for turn in replay("kill-mid-turn")]
    assert EndReason.LOST in reasons
    (stopped,) = replay("stdin-close-mid-turn")
    assert end(stopped).reason is EndReason.LOST
    assert end(stopped).error is not None


def test_a_dropped_stream_resets_the_text() -> None:
    turn = replay("error-disconnect")[0]
    assert end(turn).reason is EndReason.FAILED


def test_warnings_and_reviews_are_seen() -> None:
    assert tools(replay("compact")[1], "warning")
    review = replay("review")[0]
    assert tools(review, "enter_review")
    assert tools(review, "exit_review")
