from __future__ import annotations

from typing import Any

import pytest

from backends.codex.frame import Frame
from backends.codex.mapping import TurnMapper
from process_agent.core.content import ErrorInfo, JsonResult, TextResult
from process_agent.core.events import BackendEvent, EndReason, ToolEnded, ToolStarted
from process_agent.core.ids import TurnId

EXITED = "Chunk ID: 1\nWall time: 0.0 seconds\nProcess exited with code 1\nOutput:\nnot permitted\n"


def raw(turn: TurnMapper, **item: Any) -> list[BackendEvent]:
    return turn.map("rawResponseItem/completed", {"threadId": "t", "turnId": "u", "item": item}, 0)


def call(
    turn: TurnMapper, name: str, arguments: str, output: object, call_id: str = "c"
) -> list[BackendEvent]:
    events = raw(turn, type="function_call", name=name, arguments=arguments, call_id=call_id)
    return events + raw(turn, type="function_call_output", call_id=call_id, output=output)


@pytest.mark.parametrize(
    ("name", "arguments", "output", "tool", "shown", "outcome"),
    [
        (
            "exec_command",
            '{"cmd": "ls"}',
            EXITED,
            "shell",
            {"command": "ls", "cwd": "/w"},
            JsonResult({"stdout": "not permitted\n", "stderr": "", "exit_code": 1, "duration_ms": None}),
        ),
        (
            "exec_command",
            "no json",
            "exec_command failed: Rejected",
            "shell",
            {"command": "", "cwd": "/w"},
            ErrorInfo("exec_command failed: Rejected", "refused"),
        ),
        (
            "no_such",
            "[1]",
            "unsupported call: no_such",
            "no_such",
            {"arguments": [1]},
            TextResult("unsupported call: no_such"),
        ),
        ("other", "{}", [{"type": "x"}], "other", {}, TextResult('[{"type": "x"}]')),
    ],
)
def test_a_call_without_an_item_is_shown(
    name: str, arguments: str, output: object, tool: str, shown: dict[str, Any], outcome: object
) -> None:
    start, end = call(TurnMapper(Frame(TurnId("T"), "/w")), name, arguments, output)
    assert isinstance(start, ToolStarted)
    assert isinstance(end, ToolEnded)
    assert (start.ref.tool, start.ref.item_id, start.arguments) == (tool, "c", shown)
    assert outcome in (end.result, end.error)


def test_a_refused_patch_is_shown() -> None:
    turn = TurnMapper(Frame(TurnId("T"), "/w"))
    raw(turn, type="custom_tool_call", name="apply_patch", input="*** Begin", call_id="c")
    start, end = raw(turn, type="custom_tool_call_output", call_id="c", output="patch rejected")
    assert isinstance(start, ToolStarted)
    assert start.arguments == {"patch": "*** Begin"}
    assert isinstance(end, ToolEnded)
    assert end.error == ErrorInfo("patch rejected", "refused")


def test_a_call_with_an_item_is_shown_once() -> None:
    item = {"type": "commandExecution", "id": "c", "command": "ls", "cwd": "/w", "status": "completed"}
    first = TurnMapper(Frame(TurnId("T"), "/w"))
    first.map("item/started", {"item": item}, 0)
    assert call(first, "exec_command", "{}", EXITED) == []
    ended = first.finish(EndReason.COMPLETED)[0]
    assert isinstance(ended, ToolEnded), "no end of its own came: the output says how it ended"
    assert isinstance(ended.result, JsonResult)
    assert isinstance(ended.result.json, dict)
    assert ended.result.json["exit_code"] == 1
    late = TurnMapper(Frame(TurnId("T"), "/w"))
    assert len(call(late, "exec_command", "{}", EXITED)) == 2
    assert late.map("item/started", {"item": item}, 0) == []
    assert late.map("item/completed", {"item": item}, 0) == []


def test_calls_that_are_shown_in_another_way_and_unknown_outputs_are_left_out() -> None:
    turn = TurnMapper(Frame(TurnId("T"), "/w"))
    for name in ("write_stdin", "update_plan", "request_user_input", "exec", "wait"):
        assert call(turn, name, "{}", "x", name) == []
    assert raw(turn, type="function_call_output", call_id="nobody", output="x") == []
    assert raw(turn, type="message", role="developer") == []
