"""What was said on a thread in this process, so that a new Codex can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.events import (
    BackendEvent,
    Phase,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolStarted,
)
from process_agent.core.ids import ItemId

MAX_ITEMS: Final = 2_000
"""Items a thread remembers; `history.MAX_HISTORY` limits what of them a new Codex gets."""

MAX_TEXT: Final = 100_000
"""Characters kept of one message."""


class Memory:
    """The history of one thread: what it was opened with, and what happened since."""

    def __init__(self, history: Iterable[HistoryItem]) -> None:
        self._items = deque(history, maxlen=MAX_ITEMS)
        self._texts: dict[ItemId, tuple[Phase, list[str]]] = {}
        self._tools: dict[ItemId, ToolStarted] = {}

    def items(self) -> tuple[HistoryItem, ...]:
        """Everything remembered, oldest first."""
        return tuple(self._items)

    def said(self, message: UserMessage) -> None:
        """A participant's message of a turn or a steer."""
        self._items.append(message)

    def observe(self, event: BackendEvent) -> None:
        """Keep messages and tool calls once they end; a turn ends all of its items."""
        match event:
            case TextStarted(item_id, phase):
                self._texts[item_id] = (phase, [])
            case TextDelta(item_id, text):
                self._texts.setdefault(item_id, (None, []))[1].append(text)
            case TextEnded(item_id):
                phase, parts = self._texts.pop(item_id, (None, []))
                self._items.append(AgentMessage("".join(parts)[:MAX_TEXT], phase))
            case ToolStarted(ref):
                self._tools[ref.item_id] = event
            case ToolEnded(ref, result, error):
                started = self._tools.pop(ref.item_id, None)
                arguments = started.arguments if started else {}
                self._items.append(ToolCall(ref, arguments, (), result, error))
            case _:
                pass
