"""Questions of Codex and of MCP servers: what people are asked, and what goes back."""

from __future__ import annotations

from typing import Any

import pytest

from backends.codex.approvals import Asked, Settled, read_request
from backends.codex.forms import DECLINED, UNANSWERED
from backends.codex.frame import Frame
from backends.codex.running import RunningTurn
from process_agent.core.content import ErrorInfo, TextResult
from process_agent.core.decisions import Decision, Option, Question
from process_agent.core.events import (
    ApprovalRequested,
    BackendEvent,
    ClientToolCancelled,
    SecretRequested,
    ToolEnded,
)
from process_agent.core.ids import TurnId
from process_agent.core.requests import Secret
from process_agent.core.usage import Usage
from process_agent.wire.jsonrpc import Request
from tests.unit.codex.replay import FakeServer

PLAIN = {"id": "name", "header": "Name", "question": "Which name?", "isOther": True, "options": []}
HIDDEN = {"id": "key", "header": "API key", "question": "The key of the shop?", "isSecret": True}


def form(mode: str = "form", /, **fields: Any) -> Request:
    schema = {"type": "object", "properties": fields, "required": ["name"]}
    asked = {"turnId": None, "serverName": "shop", "mode": mode, "message": "Who?", "requestedSchema": schema}
    return Request(1, "mcpServer/elicitation/request", asked)


def questions(*asked: dict[str, Any]) -> Request:
    return Request(
        1, "item/tool/requestUserInput", {"turnId": "turn", "itemId": "i", "questions": list(asked)}
    )


class Turn:
    """A turn under way."""

    def __init__(self, request: Request) -> None:
        self.running = RunningTurn(Frame(TurnId("t"), "/workspace"))
        self.server = FakeServer()
        self.running.goes_to(self.server, "thread", Usage())  # type: ignore[arg-type]
        self.running.accepted("turn")
        self.events: list[BackendEvent] = self.running.take(request)

    def go_on(self) -> list[BackendEvent]:
        events: list[BackendEvent] = []
        while self.running._heard:
            events += self.running.take(self.running._heard.popleft())
        return events

    def of[E: BackendEvent](self, kind: type[E]) -> E:
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found


def test_a_form_becomes_questions_and_its_answers_values() -> None:
    turn = Turn(
        form(
            name={"type": "string", "title": "Name", "description": "Your name"},
            size={"type": "string", "enum": ["s", "l"], "enumNames": ["Small", "Large"]},
            colour={"type": "string", "oneOf": [{"const": "#f00", "title": "Red"}]},
            sure={"type": "boolean"},
            count={"type": "integer"},
            extras={"type": "array", "items": {"enum": ["a", "b"]}},
        )
    )
    asked = turn.of(ApprovalRequested)
    assert asked.reason == "shop asks: Who?"
    assert asked.questions[:2] == (
        Question("name", "Your name", "Name"),
        Question("size", "size", "size", (Option("Small"), Option("Large")), free=False, required=False),
    )
    assert [o.label for o in asked.questions[3].options] == ["yes", "no"]
    assert (asked.questions[4].kind, asked.questions[5].several) == ("integer", True)
    answers: dict[str, tuple[str, ...]] = {
        **{"name": ("Ana",), "size": ("Large",), "colour": ("Red",), "sure": ("no",), "count": ("3",)},
        "extras": ("a", "b"),
    }
    assert turn.running.decide(asked.ref.item_id, Decision.ACCEPT, answers)
    values = {"name": "Ana", "size": "l", "colour": "#f00", "sure": False, "count": 3, "extras": ["a", "b"]}
    assert turn.server.answers == {1: {"action": "accept", "content": values}}


@pytest.mark.parametrize(
    ("decision", "action"),
    [(Decision.DECLINE, "decline"), (Decision.CANCEL, "cancel"), (Decision.UNANSWERED, "cancel")],
)
def test_a_form_is_not_filled_in(decision: Decision, action: str) -> None:
    turn = Turn(form(name={"type": "string"}))
    assert turn.running.decide(turn.of(ApprovalRequested).ref.item_id, decision)
    assert turn.server.answers == {1: {"action": action}}
    (ended,) = [event for event in turn.go_on() if isinstance(event, ToolEnded)]
    assert ended.error == ErrorInfo("Declined.", "declined")


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (form(), "it has no fields"),
        (form("form", **{str(n): {"type": "string"} for n in range(21)}), "it has more than 20 fields"),
        (form(place={"type": "object"}), "its field place is neither a text, a number nor a choice"),
        (form("url", name={"type": "string"}), "only a form can be filled in here"),
    ],
)
def test_what_nobody_can_fill_in_is_declined_with_the_reason(request_: Request, why: str) -> None:
    read = read_request(request_)
    assert isinstance(read, Settled)
    assert read.result == {"action": "decline"}
    assert why in read.notice


def test_what_the_model_hears_of_answers() -> None:
    read = read_request(questions(PLAIN))
    assert isinstance(read, Asked)
    assert read.answer(Decision.ACCEPT, {"name": ("x",)}) == {"answers": {"name": {"answers": ["x"]}}}
    assert read.answer(Decision.DECLINE, {}) == {"answers": {"name": {"answers": [DECLINED]}}}
    assert read.answer(Decision.UNANSWERED, {}) == {"answers": {"name": {"answers": [UNANSWERED]}}}


def test_a_secret_goes_to_codex_and_nowhere_else() -> None:
    turn = Turn(questions(PLAIN, HIDDEN))
    asked, secret = turn.of(ApprovalRequested), turn.of(SecretRequested)
    assert [question.id for question in asked.questions] == ["name"]
    assert (secret.name, secret.prompt) == ("API key", "The key of the shop?")
    assert turn.running.decide(asked.ref.item_id, Decision.ACCEPT, {"name": ("shop",)})
    assert turn.server.answers == {}
    assert not turn.running.decide(asked.ref.item_id, Decision.DECLINE), "decided before"
    assert turn.running.answer(secret.ask_id, Secret("hunter2"))
    answers = {"name": {"answers": ["shop"]}, "key": {"answers": ["hunter2"]}}
    assert turn.server.answers == {1: {"answers": answers}}
    (ended,) = [event for event in turn.go_on() if isinstance(event, ToolEnded)]
    assert ended.result == TextResult("Name: shop\nAPI key: (given)")
    assert "hunter2" not in repr(turn.events)
    assert not turn.running.answer(secret.ask_id, Secret("again"))


def test_a_secret_that_nobody_gives() -> None:
    turn = Turn(questions(HIDDEN))
    assert not [event for event in turn.events if isinstance(event, ApprovalRequested)]
    assert turn.running.answer(turn.of(SecretRequested).ask_id, ErrorInfo("no", "client_timeout"))
    assert turn.server.answers == {1: {"answers": {"key": {"answers": [UNANSWERED]}}}}


def test_a_no_does_not_wait_for_the_secret() -> None:
    turn = Turn(questions(PLAIN, HIDDEN))
    assert turn.running.decide(turn.of(ApprovalRequested).ref.item_id, Decision.DECLINE)
    assert turn.server.answers == {
        1: {"answers": {"name": {"answers": [DECLINED]}, "key": {"answers": [DECLINED]}}}
    }
    (withdrawn,) = [event for event in turn.go_on() if isinstance(event, ClientToolCancelled)]
    assert withdrawn.ask_id == turn.of(SecretRequested).ask_id


def test_for_the_session_where_codex_offers_it() -> None:
    meta = {"codex_approval_kind": "mcp_tool_call", "tool_params": {"a": 1}, "persist": ["session", "always"]}
    asked = {"serverName": "shop", "mode": "form", "_meta": meta, "message": "Allow it?"}
    read = read_request(Request(1, "mcpServer/elicitation/request", asked))
    assert isinstance(read, Asked)
    assert Decision.ACCEPT_FOR_SESSION in read.decisions
    assert read.answer(Decision.ACCEPT_FOR_SESSION, {}) == {
        "action": "accept",
        "content": {},
        "_meta": {"persist": "session"},
    }
    del meta["persist"]
    plain = read_request(Request(1, "mcpServer/elicitation/request", asked))
    assert isinstance(plain, Asked)
    assert Decision.ACCEPT_FOR_SESSION not in plain.decisions


def test_permissions_are_given_for_the_turn_or_the_session_or_not() -> None:
    wanted = {"network": {"enabled": True}}
    params = {"turnId": "turn", "itemId": "i", "cwd": "/w", "permissions": wanted, "reason": "to look it up"}
    read = read_request(Request(1, "item/permissions/requestApproval", params))
    assert isinstance(read, Asked)
    assert read.arguments == {"permissions": wanted, "cwd": "/w"}
    assert read.answer(Decision.ACCEPT, {}) == {"permissions": wanted, "scope": "turn"}
    assert read.answer(Decision.ACCEPT_FOR_SESSION, {}) == {"permissions": wanted, "scope": "session"}
    for no in (Decision.DECLINE, Decision.CANCEL, Decision.UNANSWERED):
        assert read.answer(no, {}) == {"permissions": {}, "scope": "turn"}
