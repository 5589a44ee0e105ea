"""Messages and reasoning: deltas are decoration, the completed item is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.codex.shapes import as_list, dicts
from process_agent.core.events import (
    BackendEvent,
    Phase,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    TextDelta,
    TextEnded,
    TextStarted,
)
from process_agent.core.ids import ItemId

type Item = Mapping[str, Any]


class OpenText:
    """A message that grows. Its events always add up to the text of the completed item."""

    def __init__(self, item_id: ItemId, phase: Phase) -> None:
        self._item_id = item_id
        self._phase = phase
        self._text = ""

    def start(self) -> list[BackendEvent]:
        """Begin, or begin again: what was streamed before no longer counts."""
        self._text = ""
        return [TextStarted(self._item_id, self._phase)]

    def delta(self, text: str) -> list[BackendEvent]:
        """More text; nothing for an empty piece."""
        if not text:
            return []
        self._text += text
        return [TextDelta(self._item_id, text, self._phase)]

    def complete(self, text: str) -> list[BackendEvent]:
        """End with exactly this text, whatever was streamed: the rest is added, or all is said again."""
        events: list[BackendEvent] = []
        if not text.startswith(self._text):
            events += self.start()
        events += self.delta(text[len(self._text) :])
        return [*events, *self.close()]

    def close(self) -> list[BackendEvent]:
        """End with what was streamed."""
        return [TextEnded(self._item_id, self._phase)]


class OpenReasoning:
    """Reasoning that grows: parts of the summary, then raw reasoning, with a blank line in between."""

    def __init__(self, item_id: ItemId) -> None:
        self._item_id = item_id
        self._part: tuple[str, int] | None = None

    def start(self) -> list[BackendEvent]:
        """Begin, or begin again."""
        self._part = None
        return [ReasoningStarted(self._item_id)]

    def delta(self, kind: str, index: int, text: str) -> list[BackendEvent]:
        """More of one part; `kind` tells summary from raw reasoning."""
        if not text:
            return []
        gap = "\n\n" if self._part not in (None, (kind, index)) else ""
        self._part = (kind, index)
        return [ReasoningDelta(self._item_id, gap + text)]

    def complete(self, item: Item) -> list[BackendEvent]:
        """End; when nothing was streamed, with the text of the item."""
        events: list[BackendEvent] = []
        if self._part is None:
            for kind in ("summary", "content"):
                for index, text in enumerate(as_list(item.get(kind))):
                    events += self.delta(kind, index, str(text))
        return [*events, *self.close()]

    def close(self) -> list[BackendEvent]:
        """End with what was streamed."""
        return [ReasoningEnded(self._item_id)]


def phase_of(item: Item) -> Phase:
    """Our phase of a message; Codex's `partial_answer` has no counterpart."""
    phase = item.get("phase")
    if phase == "commentary":
        return "commentary"
    return "final_answer" if phase == "final_answer" else None


def input_text(content: object) -> str:
    """The text of a user's input (schema `UserInput`), other parts by their name or address."""
    return "\n".join(map(_part_text, dicts(content)))


def _part_text(part: Item) -> str:
    text = str(part.get("text") or part.get("name") or part.get("path") or part.get("url") or "")
    return "[image]" if text.startswith("data:") and not part.get("text") else text


def fragments_text(item: Item) -> str:
    """What a hook put into the conversation."""
    return "\n".join(str(part.get("text", "")) for part in dicts(item.get("fragments")))
