from __future__ import annotations

import pytest

from backends.codex.client_tools import dynamic_tools, response
from backends.codex.frame import Frame
from backends.codex.running import RunningTurn
from process_agent.core.backend import Answered
from process_agent.core.client_tools import MAX_DESCRIBED, MAX_TOOLS
from process_agent.core.content import EmptyResult, ErrorInfo, JsonResult, LinkResult, TextResult
from process_agent.core.events import (
    BackendEvent,
    ClientToolCancelled,
    ClientToolRequested,
    TurnEnded,
)
from process_agent.core.ids import AskId, TurnId
from process_agent.core.requests import ClientTool, Secret
from process_agent.core.usage import Usage
from process_agent.errors import TurnRefusedError
from process_agent.wire.jsonrpc import Notification, Request
from tests.unit.codex.replay import PNG, FakeServer

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}


def tool(name: str, **rest: object) -> ClientTool:
    return ClientTool(name, **({"schema": SCHEMA} | rest))  # type: ignore[arg-type]


def test_tools_are_described_by_name() -> None:
    given = [tool("b", title="B"), tool("a", description="does a"), tool("c", schema={})]
    assert dynamic_tools(given) == (
        {"type": "function", "name": "a", "description": "does a", "inputSchema": SCHEMA},
        {"type": "function", "name": "b", "description": "B", "inputSchema": SCHEMA},
        {
            "type": "function",
            "name": "c",
            "description": "c",
            "inputSchema": {"type": "object", "properties": {}},
        },
    )
    assert dynamic_tools(given) == dynamic_tools(given[::-1]), "the order makes no other set"


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([tool("a b")], "letters"),
        ([tool("")], "letters"),
        ([tool("a\n")], "letters"),
        ([tool("x" * 65)], "1 to 64"),
        ([tool("exec_command")], "tool of Codex"),
        ([tool("apply_patch")], "tool of Codex"),
        ([tool("mcp__a__b")], "tool of Codex"),
        ([tool("a"), tool("a")], "twice"),
        ([tool("a", schema={"type": "string"})], "JSON object"),
        ([tool(f"t{n}") for n in range(MAX_TOOLS + 1)], str(MAX_TOOLS)),
        ([tool("a", description="x" * MAX_DESCRIBED)], "described"),
    ],
)
def test_what_codex_cannot_take_is_refused_with_the_reason(tools: list[ClientTool], said: str) -> None:
    with pytest.raises(TurnRefusedError, match=said) as refused:
        dynamic_tools(tools)
    assert refused.value.code == "invalid_client_tool"


@pytest.mark.parametrize(
    ("answer", "text", "success"),
    [
        (TextResult("fine"), "fine", True),
        (JsonResult({"a": ["ä"]}), '{"a": ["ä"]}', True),
        (LinkResult("here", "https://x"), "here: https://x", True),
        (EmptyResult(), "The tool ended without a result.", True),
        (ErrorInfo("no such colour", "not_found"), "no such colour", False),
    ],
)
def test_answers(answer: Answered, text: str, success: bool) -> None:
    content = [{"type": "inputText", "text": text}]
    assert response(answer) == {"contentItems": content, "success": success}


def test_an_image_is_answered_as_an_image() -> None:
    assert response(LinkResult("i", PNG))["contentItems"] == [{"type": "inputImage", "imageUrl": PNG}]


def running() -> tuple[RunningTurn, FakeServer]:
    turn, server = RunningTurn(Frame(TurnId("T"), "/w", client_tools=frozenset({"pick"}))), FakeServer()
    turn.goes_to(server, "thread", Usage())  # type: ignore[arg-type]
    turn.accepted("turn")
    return turn, server


def call(turn: RunningTurn, id: int, tool: str = "pick") -> list[BackendEvent]:
    params = {"turnId": "turn", "callId": f"c{id}", "tool": tool, "arguments": {"q": "x"}}
    return turn.take(Request(id, "item/tool/call", params))


def test_two_calls_wait_under_ids_of_their_own_and_are_answered_once() -> None:
    turn, server = running()
    (first,) = call(turn, 1)
    (second,) = call(turn, 2)
    assert isinstance(first, ClientToolRequested)
    assert isinstance(second, ClientToolRequested)
    assert first.ask_id != second.ask_id
    assert turn.answer(second.ask_id, TextResult("two"))
    assert not turn.answer(second.ask_id, TextResult("again"))
    assert not turn.answer(AskId("T:client-9"), TextResult("nobody asked"))
    assert not turn.answer(first.ask_id, Secret("hush")), "a secret is no answer to a tool"
    assert turn.answer(first.ask_id, ErrorInfo("gone", "gone"))
    assert server.answers == {1: response(ErrorInfo("gone", "gone")), 2: response(TextResult("two"))}


def test_what_waits_is_cancelled_before_the_turn_ends_and_cannot_be_answered_then() -> None:
    turn, server = running()
    asked = call(turn, 1)[0]
    assert isinstance(asked, ClientToolRequested)
    completed = {"turn": {"id": "turn", "status": "interrupted"}}
    events = turn.take(Notification("turn/completed", completed))
    cancelled, ended = events[-2:]
    assert cancelled == ClientToolCancelled(asked.ask_id, "pick", "The turn is over.")
    assert isinstance(ended, TurnEnded)
    assert not turn.answer(asked.ask_id, TextResult("late"))
    assert server.answers == {}


def test_a_call_that_codex_gives_up_is_cancelled() -> None:
    turn, _ = running()
    asked = call(turn, 1)[0]
    assert isinstance(asked, ClientToolRequested)
    events = turn.take(Notification("serverRequest/resolved", {"requestId": 1}))
    assert events[0] == ClientToolCancelled(asked.ask_id, "pick", "The model goes on without it.")


def test_a_tool_that_this_client_does_not_have_is_answered_at_once() -> None:
    turn, server = running()
    events = call(turn, 1, "other")
    assert not [event for event in events if isinstance(event, ClientToolRequested)]
    answer = server.answers[1]
    assert isinstance(answer, dict)
    assert answer["success"] is False
