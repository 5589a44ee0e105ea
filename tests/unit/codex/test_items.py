"""Every kind of item of the pinned schema, also those no recorded conversation has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.codex.frame import Frame
from backends.codex.items import MAX_TEXT, command_result
from backends.codex.mapping import TurnMapper
from backends.codex.patches import capped_diff
from backends.codex.standing import MAX_DIFF
from backends.codex.tools import CUT_NOTE
from process_agent.core.content import EmptyResult, ErrorInfo, JsonResult, TextResult
from process_agent.core.events import (
    BackendEvent,
    EndReason,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolLog,
    ToolStarted,
    TurnEnded,
    Working,
)
from process_agent.core.ids import TurnId

KINDS: list[tuple[str, dict[str, Any], str, object]] = [
    ("functionCallOutput", {"name": "f", "namespace": None, "output": "42"}, "f", TextResult("42")),
    (
        "functionCallOutput",
        {"name": "f", "output": [{"type": "input_image", "image_url": "x"}]},
        "f",
        JsonResult({"content": [{"type": "input_image", "image_url": "x"}]}),
    ),
    (
        "commandExecution",
        {"command": "ls", "cwd": "/w", "status": "completed", "aggregatedOutput": "a\n", "exitCode": 0},
        "shell",
        JsonResult({"stdout": "a\n", "stderr": "", "exit_code": 0, "duration_ms": None}),
    ),
    (
        "fileChange",
        {"status": "completed", "changes": [{"path": "/w/a", "kind": {"type": "delete"}, "diff": "x\n"}]},
        "apply_patch",
        TextResult("Changed a."),
    ),
    (
        "mcpToolCall",
        {"server": "s", "tool": "t", "status": "completed", "arguments": {}, "result": {"content": []}},
        "t",
        EmptyResult(),
    ),
    (
        "mcpToolCall",
        {"server": "s", "tool": "t", "status": "failed", "arguments": 1, "error": {"message": "no"}},
        "t",
        ErrorInfo("no", "failed"),
    ),
    (
        "dynamicToolCall",
        {
            "tool": "d",
            "arguments": {},
            "status": "completed",
            "contentItems": [{"type": "inputText", "text": "x"}],
        },
        "d",
        TextResult("x"),
    ),
    ("webSearch", {"query": "cats", "action": None, "results": [{"url": "u"}]}, "web_search", None),
    ("imageView", {"path": "/w/a.png"}, "view_image", EmptyResult()),
    (
        "collabAgentToolCall",
        {
            "tool": "spawnAgent",
            "status": "completed",
            "agentsStates": {},
            "receiverThreadIds": ["x"],
            "senderThreadId": "y",
        },
        "spawn_agent",
        EmptyResult(),
    ),
    (
        "subAgentActivity",
        {"agentPath": "a/b", "agentThreadId": "x", "kind": "started"},
        "sub_agent",
        EmptyResult(),
    ),
    ("enteredReviewMode", {"review": "look"}, "enter_review", EmptyResult()),
    ("exitedReviewMode", {"review": "fine"}, "exit_review", EmptyResult()),
    ("sleep", {"durationMs": 5}, "sleep", EmptyResult()),
    ("somethingNew", {"what": {"a": 1}}, "somethingNew", EmptyResult()),
]


def mapper() -> TurnMapper:
    return TurnMapper(Frame(TurnId("T"), "/w"))


def feed(mapping: TurnMapper, method: str, /, now: float = 0, **params: Any) -> list[BackendEvent]:
    return mapping.map(method, {"threadId": "t", "turnId": "u", **params}, now)


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(("kind", "members", "tool", "result"), KINDS)
def test_a_tool_item_starts_and_ends(
    kind: str, members: dict[str, Any], tool: str, result: object, started: bool
) -> None:
    turn, item = mapper(), {"type": kind, "id": "i", **members}
    events = feed(turn, "item/started", item=item) if started else []
    events += feed(turn, "item/completed", item=item)
    (start,) = [e for e in events if isinstance(e, ToolStarted)]
    (end,) = [e for e in events if isinstance(e, ToolEnded)]
    assert (start.ref.item_id, start.ref.tool, start.ref.namespace) == ("i", tool, "codex")
    assert start.ref == end.ref
    assert (end.result is None) != (end.error is None)
    if result is not None:
        assert result in (end.result, end.error)
    assert feed(turn, "item/completed", item=item) == [], "a second end is ignored"
    assert turn.finish(EndReason.COMPLETED) == [TurnEnded(EndReason.COMPLETED)]


@pytest.mark.parametrize(
    ("item", "text", "phase"),
    [
        ({"type": "hookPrompt", "fragments": [{"hookRunId": "h", "text": "mind"}]}, "mind", "commentary"),
        ({"type": "plan", "text": "1. read"}, "1. read", "commentary"),
        ({"type": "userMessage", "content": [{"type": "text", "text": "queued"}]}, "queued", "commentary"),
        ({"type": "agentMessage", "text": "hi", "phase": "final_answer"}, "hi", "final_answer"),
        ({"type": "agentMessage", "text": "hi", "phase": "partial_answer"}, "hi", None),
    ],
)
def test_a_text_item_says_all_of_its_text(item: dict[str, Any], text: str, phase: str | None) -> None:
    events = feed(mapper(), "item/completed", item={"id": "i", **item})
    texts = [e for e in events if isinstance(e, TextStarted | TextDelta | TextEnded)]
    assert [e.item_id for e in texts] == ["i"] * 3
    assert [e.phase for e in texts] == [phase] * 3
    assert isinstance(texts[1], TextDelta)
    assert texts[1].text == text


def test_the_completed_text_wins_over_the_deltas() -> None:
    turn = mapper()
    item = {"type": "agentMessage", "id": "i", "text": ""}
    events = feed(turn, "item/started", item=item)
    events += feed(turn, "item/agentMessage/delta", itemId="i", delta="Hel")
    events += feed(turn, "item/started", item=item)  # the stream was dropped and begins again
    events += feed(turn, "item/agentMessage/delta", itemId="i", delta="He")
    events += feed(turn, "item/completed", item={**item, "text": "Hello"})
    shown = ""
    for event in events:
        if isinstance(event, TextStarted):
            shown = ""
        elif isinstance(event, TextDelta):
            shown += event.text
    assert shown == "Hello"
    other = mapper()
    feed(other, "item/started", item=item)
    feed(other, "item/agentMessage/delta", itemId="i", delta="Nope")
    ended = feed(other, "item/completed", item={**item, "text": "Yes"})
    assert [type(e) for e in ended] == [TextStarted, TextDelta, TextEnded]


def test_output_progress_and_typing_are_logged_up_to_a_limit() -> None:
    turn = mapper()
    feed(turn, "item/started", item={"type": "commandExecution", "id": "i", "command": "x", "cwd": "/w"})
    logs = feed(turn, "item/commandExecution/outputDelta", itemId="i", delta="a")
    logs += feed(turn, "item/commandExecution/terminalInteraction", itemId="i", stdin="y\n", processId="1")
    logs += feed(turn, "item/mcpToolCall/progress", itemId="i", message="half")
    assert [e.lines[0].text for e in logs if isinstance(e, ToolLog)] == ["a", "> y\n", "half\n"]
    big = feed(turn, "item/commandExecution/outputDelta", itemId="i", delta="x" * 2_000_000)
    (cut,) = [e.lines[0].text for e in big if isinstance(e, ToolLog)]
    assert cut.endswith("x" + CUT_NOTE)
    assert len("a> y\nhalf\n" + cut) == MAX_TEXT + len(CUT_NOTE)
    assert feed(turn, "item/commandExecution/outputDelta", itemId="i", delta="x") == []
    other = mapper()
    feed(other, "item/started", item={"type": "commandExecution", "id": "i", "command": "x", "cwd": "/w"})
    looked = feed(other, "item/commandExecution/terminalInteraction", itemId="i", stdin="", processId="1")
    assert looked == [], "the model only looks at what was printed"
    assert feed(turn, "item/commandExecution/outputDelta", itemId="unknown", delta="x") == []


def test_the_diff_is_shown_twice_a_second_and_at_the_end() -> None:
    turn = mapper()
    shown = []
    for step in range(11):
        shown += feed(turn, "turn/diff/updated", now=step / 10, diff=f"v{step}")
    assert [e.arguments["diff"] for e in shown if isinstance(e, ToolStarted)] == ["v0", "v5", "v10"]
    feed(turn, "turn/diff/updated", now=1.1, diff="last")
    late = feed(turn, "thread/tokenUsage/updated", now=1.6, tokenUsage={})
    assert [e.arguments["diff"] for e in late if isinstance(e, ToolStarted)] == ["last"]
    feed(turn, "turn/diff/updated", now=1.7, diff="very last")
    start, end, ended = turn.finish(EndReason.FAILED, ErrorInfo("x", "y"))
    assert isinstance(start, ToolStarted)
    assert start.arguments == {"diff": "very last"}
    assert end == ToolEnded(start.ref)
    assert ended == TurnEnded(EndReason.FAILED, ErrorInfo("x", "y"))


def test_nothing_is_said_after_the_end() -> None:
    turn = mapper()
    feed(turn, "turn/completed", turn={"id": "u", "status": "completed"})
    assert feed(turn, "item/started", item={"type": "sleep", "id": "i"}) == []
    assert turn.finish(EndReason.LOST) == []


@pytest.mark.parametrize(
    ("method", "params", "tool", "text"),
    [
        ("warning", {"message": "careful"}, "warning", "careful"),
        ("deprecationNotice", {"summary": "old", "details": "use new"}, "warning", "old: use new"),
        ("guardianWarning", {"message": "hm"}, "warning", "hm"),
        (
            "model/rerouted",
            {"fromModel": "a", "toModel": "b"},
            "notice",
            "The model was changed from a to b.",
        ),
        (
            "mcpServer/startupStatus/updated",
            {"name": "m", "status": "failed", "error": "no"},
            "warning",
            "MCP server m did not start: no",
        ),
        (
            "hook/completed",
            {"run": {"eventName": "preToolUse", "status": "blocked", "entries": [{"text": "because"}]}},
            "notice",
            "Hook preToolUse: blocked. because",
        ),
        (
            "item/autoApprovalReview/completed",
            {"review": {"status": "denied", "rationale": "it deletes everything"}},
            "notice",
            "Automatic review: denied. it deletes everything",
        ),
        (
            "autoApprovalReview/strictReviewRequired",
            {},
            "warning",
            "From here on every command of this turn is reviewed before it runs.",
        ),
        (
            "model/verification",
            {"verifications": ["phone"]},
            "warning",
            "The model's provider asks for phone.",
        ),
        (
            "model/safetyBuffering/updated",
            {"showBufferingUi": True, "model": "m"},
            "notice",
            "m checks its answer before showing it.",
        ),
        (
            "modelProvider/authRecoveryCompleted",
            {},
            "notice",
            "The credentials of the model provider were renewed.",
        ),
        (
            "windows/worldWritableWarning",
            {"samplePaths": ["C:/x"], "extraCount": 1},
            "warning",
            "Folders that every user of this machine can write, and commands, too: C:/x",
        ),
        (
            "error",
            {
                "willRetry": True,
                "error": {"message": "Reconnecting", "additionalDetails": "url: https://a.b/c"},
            },
            "retry",
            "Reconnecting:",
        ),
    ],
)
def test_notices_are_finished_tool_calls(method: str, params: dict[str, Any], tool: str, text: str) -> None:
    start, end, *_ = feed(mapper(), method, **params)
    assert isinstance(start, ToolStarted)
    assert (start.ref.tool, start.ref.item_id) == (tool, "T:codex-notice-1")
    assert end == ToolEnded(start.ref, TextResult(text))


def test_a_hook_that_runs_is_the_status() -> None:
    (status,) = feed(mapper(), "hook/started", run={"eventName": "preToolUse"})
    assert status == Working("Running a hook (preToolUse)", steerable=True)


def diff_of(name: str, lines: int) -> str:
    return (
        f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -0,0 +1,{lines} @@\n" + "+x\n" * lines
    )


def test_a_diff_that_is_too_long_says_what_is_left_out_and_is_still_a_diff() -> None:
    small, large = diff_of("small", 3), diff_of("large", MAX_DIFF)
    (start,) = feed(mapper(), "turn/diff/updated", diff=large + small)
    assert isinstance(start, ToolStarted)
    assert start.arguments == {
        "diff": "diff --git a/large b/large\n"
        f"# Not shown here: {MAX_DIFF + 4:,} lines, {len(large):,} characters.\n{small}"
    }
    assert capped_diff(small, MAX_DIFF) == small
    many = capped_diff("".join(diff_of(f"f{n}", 10) for n in range(1_000)), 10_000)
    assert len(many) < 10_000 + 200 * 100
    assert many.count("diff --git") + int(many.split()[-6]) == 1_000
    assert many.endswith("more files are not shown.\n")


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(0, 2_000))
def test_no_file_of_a_diff_vanishes_without_a_word(lengths: list[int], limit: int) -> None:
    whole = "".join(diff_of(f"f{n}", lines) for n, lines in enumerate(lengths))
    shown = capped_diff(whole, limit)
    assert [line for line in shown.splitlines() if line.startswith("diff ")] == [
        line for line in whole.splitlines() if line.startswith("diff ")
    ]
    assert (shown == whole) == (len(whole) <= limit)
    assert len(shown) <= limit + 100 * len(lengths)


def test_a_command_in_the_background_shows_what_the_model_saw_of_it() -> None:
    turn = mapper()
    item = {"type": "commandExecution", "id": "c", "command": "server", "cwd": "/w"}
    feed(turn, "item/started", item=item)
    call = {"type": "function_call", "name": "exec_command", "call_id": "c", "arguments": "{}"}
    feed(turn, "rawResponseItem/completed", item=call)
    output = "Wall time: 1 seconds\nProcess running with session ID 7\nOutput:\nlistening\n"
    feed(
        turn,
        "rawResponseItem/completed",
        item={"type": "function_call_output", "call_id": "c", "output": output},
    )
    ended = next(
        e for e in feed(turn, "turn/completed", turn={"status": "completed"}) if isinstance(e, ToolEnded)
    )
    assert isinstance(ended.result, JsonResult)
    assert ended.result.json == {
        "stdout": "listening\n",
        "stderr": "",
        "exit_code": None,
        "duration_ms": None,
    }


def test_quiet_notifications_stay_quiet() -> None:
    for method in ("error", "mcpServer/startupStatus/updated", "thread/name/updated", "no/such/method"):
        assert feed(mapper(), method, error={"message": "x"}, status="ready") == []


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"id": 5}, {"type": 9, "id": None}])
@pytest.mark.parametrize(
    "method",
    ["item/started", "item/completed", "turn/diff/updated", "turn/plan/updated", "thread/tokenUsage/updated"],
)
def test_members_of_the_wrong_type_do_no_harm(method: str, junk: object) -> None:
    turn = mapper()
    feed(turn, method, item=junk, plan=junk, diff=junk, tokenUsage=junk, itemId=junk, delta=junk)
    feed(turn, "item/completed", item={"type": "reasoning", "id": "r", "summary": junk, "content": junk})
    feed(turn, "item/completed", item={"type": "fileChange", "id": "f", "changes": junk, "status": junk})
    feed(turn, "item/completed", item={"type": "mcpToolCall", "id": "m", "result": junk, "arguments": junk})
    feed(turn, "turn/completed", turn=junk)
    assert turn.ended


def test_of_a_long_output_beginning_and_end_stay_with_a_note_between() -> None:
    def stdout(text: str) -> str:
        result = command_result(text, 0, 1).json
        assert isinstance(result, dict)
        return str(result["stdout"])

    cut_by_codex = "a" * (MAX_TEXT // 2) + "\n... 7 bytes omitted ...\n" + "b" * (MAX_TEXT // 2)
    for text in ("", "a" * MAX_TEXT, cut_by_codex):
        assert stdout(text) == text
    shown = stdout("a" * MAX_TEXT + "b" * MAX_TEXT + "end")
    beginning, note, end = shown.split("\n")
    assert set(beginning) == {"a"}
    assert note == f"… {2 * MAX_TEXT + 3 - len(beginning) - len(end):,} characters are left out …"
    assert end.endswith("bend")
    assert len(shown) < MAX_TEXT + 100
