"""What a transcript is made of: turns, and the items in them.

Mutable records that only `viewer.transcript` changes; everybody else reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from process_agent.core.content import (
    ContentPart,
    ErrorInfo,
    Json,
    JsonResult,
    LogLine,
    TextResult,
    ToolResult,
)
from process_agent.core.events import EndReason, Phase, ToolRef
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.usage import ContextWindow, Usage


class Text:
    """Text that grows by deltas without copying what is there."""

    __slots__ = ("_length", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def add(self, delta: str) -> None:
        """Append a delta."""
        self._pieces.append(delta)
        self._length += len(delta)

    def clear(self) -> None:
        """Start again from nothing."""
        self._pieces.clear()
        self._length = 0

    def __str__(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def __len__(self) -> int:
        return self._length


class InputState(StrEnum):
    """What became of something a participant said."""

    PENDING = "pending"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(slots=True)
class UserItem:
    """What a participant said; `steer` when it was said into a running turn."""

    id: MessageId
    content: tuple[ContentPart, ...]
    sender_name: str | None
    steer: bool = False
    state: InputState = InputState.PENDING
    error: ErrorInfo | None = None


@dataclass(slots=True)
class MessageItem:
    """What the agent said."""

    id: ItemId
    phase: Phase = None
    text: Text = field(default_factory=Text)
    done: bool = False


@dataclass(slots=True)
class ReasoningItem:
    """What the model thought aloud."""

    id: ItemId
    text: Text = field(default_factory=Text)
    done: bool = False


class ToolState(StrEnum):
    """Where a tool call stands."""

    RUNNING = "running"
    WAITING = "waiting for approval"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True)
class ToolItem:
    """A tool call with its output, its result, and what was decided about it."""

    ref: ToolRef
    arguments: Mapping[str, Json] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    state: ToolState = ToolState.RUNNING
    result: ToolResult | None = None
    error: ErrorInfo | None = None
    question: str | None = None
    accepted: bool | None = None
    decided_by: str | None = None

    @property
    def id(self) -> ItemId:
        """The item id."""
        return self.ref.item_id

    @property
    def output(self) -> str:
        """The log so far, exactly as it came; without one, what the result says in text."""
        return "".join(line.text for line in self.log) or _text_of(self.result)


def _text_of(result: ToolResult | None) -> str:
    match result:
        case TextResult(text):
            return text
        case JsonResult({"stdout": str(stdout), **rest}):
            stderr = rest.get("stderr")
            return stdout + (stderr if isinstance(stderr, str) else "")
        case _:
            return ""


@dataclass(slots=True)
class FileItem:
    """Files the agent shows."""

    id: ItemId
    urls: list[str] = field(default_factory=list)


type Item = UserItem | MessageItem | ReasoningItem | ToolItem | FileItem


class TurnState(StrEnum):
    """Where a turn stands; the words of DESIGN section 2."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting for approval"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(slots=True)
class Turn:
    """One turn with its items in the order they began.

    `end` and `error` are None until the turn ended. `started_at` and `ended_at` are the agent's times.
    """

    id: TurnId
    state: TurnState = TurnState.QUEUED
    items: dict[str, Item] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end: EndReason | None = None
    error: ErrorInfo | None = None
    usage: Usage | None = None
    context: ContextWindow | None = None
    backend: str | None = None
    provider: str | None = None
    model: str | None = None

    def tool(self, item_id: ItemId) -> ToolItem | None:
        """The tool call of this id."""
        item = self.items.get(item_id)
        return item if isinstance(item, ToolItem) else None
