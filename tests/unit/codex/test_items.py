"""Every kind of item of the pinned schema, also those no recorded conversation has."""

from __future__ import annotations

from typing import Any

import pytest

from backends.codex.frame import Frame
from backends.codex.mapping import TurnMapper
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
    assert [len(e.lines[0].text) < 100 for e in big if isinstance(e, ToolLog)] == [True]
    assert feed(turn, "item/commandExecution/outputDelta", itemId="i", delta="x") == []
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
    start, end = feed(mapper(), method, **params)
    assert isinstance(start, ToolStarted)
    assert (start.ref.tool, start.ref.item_id) == (tool, "T:codex-notice-1")
    assert end == ToolEnded(start.ref, TextResult(text))


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
