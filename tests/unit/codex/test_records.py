"""Turns that Codex recorded as the events that they once were."""

from __future__ import annotations

from typing import Any

import pytest

from backends.codex.records import read_turn
from process_agent.core import events as e
from process_agent.core.content import TextPart
from process_agent.core.events import EndReason
from process_agent.core.lifecycle import Interrupted, Steered, TurnAccepted, TurnStarted


def said(text: str, client: str | None = None) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"type": "userMessage", "id": f"u-{text}", "content": content, "clientId": client}


def turn(status: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "codex-turn", "status": status, "startedAt": 7, "items": list(items), **more}


def test_a_turn_has_the_id_of_the_room_and_a_steer_its_place() -> None:
    answer = {"type": "agentMessage", "id": "m", "text": "yes", "phase": "final_answer"}
    found = read_turn(turn("completed", said("a", "ours"), said("b"), answer), "/w", None, "gpt")
    assert (found.turn_id, found.model, found.at.timestamp()) == ("ours", "gpt", 7)
    kinds = [type(body) for body in found.bodies]
    assert kinds == [
        TurnAccepted, TurnStarted, Steered, e.Working, e.TextStarted, e.TextDelta, e.TextEnded, e.TurnEnded,
    ]  # fmt: skip
    started = found.bodies[1]
    assert isinstance(started, TurnStarted)
    assert (started.content, started.source) == ((TextPart("a"),), found.source)


def test_a_turn_in_which_nobody_said_anything_begins_and_ends() -> None:
    found = read_turn(turn("completed", {"type": "contextCompaction", "id": "c"}), "/w", None)
    assert found.turn_id == "codex-turn"
    assert isinstance(found.bodies[1], TurnStarted)
    assert isinstance(found.bodies[-1], e.TurnEnded)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", EndReason.COMPLETED),
        ("interrupted", EndReason.INTERRUPTED),
        ("failed", EndReason.FAILED),
        ("inProgress", EndReason.LOST),
    ],
)
def test_each_end(status: str, reason: EndReason) -> None:
    found = read_turn(turn(status, said("a"), error={"message": "no"}), "/w", None)
    end = found.bodies[-1]
    assert isinstance(end, e.TurnEnded)
    assert end.reason is reason
    assert (end.error is not None) == (reason in (EndReason.FAILED, EndReason.LOST))
    assert any(isinstance(body, Interrupted) for body in found.bodies) == (reason is EndReason.INTERRUPTED)


def test_a_plan_is_the_last_of_its_turn() -> None:
    plan = {"explanation": None, "plan": [{"step": "look", "status": "completed"}]}
    found = read_turn(turn("completed", said("a")), "/w", plan)
    ended = [body for body in found.bodies if isinstance(body, e.ToolEnded)]
    assert [each.ref.tool for each in ended] == ["plan"]
