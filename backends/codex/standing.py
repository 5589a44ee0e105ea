"""What a turn keeps up to date in one place: its diff and its plan."""

from __future__ import annotations

from typing import Any, Final

from backends.codex.items import CODEX
from backends.codex.patches import capped_diff
from backends.codex.shapes import dicts
from process_agent.core.content import TextResult
from process_agent.core.events import BackendEvent, ToolEnded, ToolRef, ToolStarted
from process_agent.core.ids import ItemId, TurnId

DIFF_INTERVAL: Final = 0.5
"""Seconds between two versions of a turn's diff; each carries the whole diff."""

MAX_DIFF: Final = 400_000
"""Characters of a turn's diff that are shown: each version is sent to every viewer, whole."""

_MARKS: Final = {"completed": "x", "inProgress": "~"}


class DiffCard:
    """The diff of everything a turn changed, in the shape the reference's clients draw (section 8.3)."""

    def __init__(self, turn_id: TurnId) -> None:
        item_id = f"{turn_id}:codex-diff_updated"
        self._ref = ToolRef(ItemId(item_id), CODEX, "diff_updated", CODEX, item_id)
        self._latest: str | None = None
        self._shown: str | None = None
        self._shown_at = float("-inf")

    def update(self, diff: str, now: float) -> list[BackendEvent]:
        """A newer diff: shown at once, or later when one was shown just before."""
        self._latest = capped_diff(diff, MAX_DIFF)
        return self.due(now)

    def due(self, now: float) -> list[BackendEvent]:
        """What is to be shown by now."""
        if now - self._shown_at < DIFF_INTERVAL:
            return []
        events = self._show()
        self._shown_at = now if events else self._shown_at
        return events

    def finish(self) -> list[BackendEvent]:
        """Show the last diff and end."""
        events = self._show()
        return [] if self._shown is None else [*events, ToolEnded(self._ref)]

    def _show(self) -> list[BackendEvent]:
        if self._latest is None or self._latest == (self._shown or ""):
            return []
        self._shown = self._latest
        return [ToolStarted(self._ref, {"diff": self._latest})]


class PlanCard:
    """The checklist of a turn."""

    def __init__(self, turn_id: TurnId) -> None:
        item_id = f"{turn_id}:codex-plan"
        self._ref = ToolRef(ItemId(item_id), CODEX, "plan", CODEX, item_id)
        self._text: str | None = None

    def update(self, explanation: object, plan: object) -> list[BackendEvent]:
        """A newer plan, whole (schema `TurnPlanUpdatedNotification`)."""
        steps = dicts(plan)
        self._text = checklist(explanation, steps)
        shown: dict[str, Any] = {
            "explanation": explanation if isinstance(explanation, str) else None,
            "plan": [{"step": s.get("step"), "status": s.get("status")} for s in steps],
            "text": self._text,
        }
        return [ToolStarted(self._ref, shown)]

    def finish(self) -> list[BackendEvent]:
        """End with the checklist as it is."""
        return [] if self._text is None else [ToolEnded(self._ref, TextResult(self._text))]


def checklist(explanation: object, steps: list[dict[str, Any]]) -> str:
    """A plan in Markdown: `[x]` done, `[~]` under way, `[ ]` to do."""
    lines = [f"- [{_MARKS.get(str(step.get('status')), ' ')}] {step.get('step', '')}" for step in steps]
    head = [explanation, ""] if isinstance(explanation, str) and explanation else []
    return "\n".join([*head, *lines])
