"""What a transcript is made of: turns, and the items in them.

Mutable records that only `viewer.transcript` changes; everybody else reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from process_agent.core.content import (
    ContentPart,
    ErrorInfo,
    GeneratedImage,
    Json,
    JsonResult,
    LogLine,
    TextResult,
    ToolResult,
)
from process_agent.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    EndReason,
    Phase,
    SecretRequested,
    ToolRef,
)
from process_agent.core.ids import AskId, ItemId, MessageId, TurnId
from process_agent.core.turn_output import NOTICE
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
    """A tool call with its output, its result, what was asked about it last and what was decided.

    `written` is the JSON text of arguments that the model still writes.
    """

    ref: ToolRef
    arguments: Mapping[str, Json] = field(default_factory=dict)
    written: Text = field(default_factory=Text)
    log: list[LogLine] = field(default_factory=list)
    state: ToolState = ToolState.RUNNING
    result: ToolResult | None = None
    error: ErrorInfo | None = None
    request: ApprovalRequested | None = None
    decided: ApprovalDecided | None = None

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


MAX_PROMPT: Final = 500
"""Characters of what an image was to show that stand with it."""


@dataclass(slots=True)
class ImageItem:
    """An image the agent makes; `partial` is how far it got, `prompt` what it is to show. It never waits for
    an approval.
    """

    id: ItemId
    images: tuple[GeneratedImage, ...] = ()
    prompt: str | None = None
    partial: GeneratedImage | None = None
    state: ToolState = ToolState.RUNNING
    error: ErrorInfo | None = None


@dataclass(slots=True)
class CompactionItem:
    """What the model remembers was shortened; `summary` stands for the rest, if the agent told."""

    id: ItemId
    automatic: bool
    summary: str | None = None


type Item = UserItem | MessageItem | ReasoningItem | ToolItem | FileItem | ImageItem | CompactionItem


@dataclass(frozen=True, slots=True)
class AskedSecret:
    """A secret that a turn waits for."""

    turn_id: TurnId
    request: SecretRequested


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

    `end` and `error` are None until the turn ended. `started_at` and `ended_at` are the agent's times; `cost`
    is in US dollars.
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
    cost: float | None = None
    compacted: bool = False
    secrets: dict[AskId, AskedSecret] = field(default_factory=dict)
    backend: str | None = None
    provider: str | None = None
    model: str | None = None

    def said(self, compaction: CompactionItem) -> bool | None:
        """Whether the agent says itself, right after it, that there was this compaction, as ours does for
        clients that know no other way; None while that is open.
        """
        items = iter(self.items.values())
        for item in items:
            if item is compaction:
                after = next(items, None)
                if after is None and self.state not in (TurnState.ENDED, TurnState.REFUSED):
                    return None
                return isinstance(after, MessageItem) and after.id.startswith(NOTICE)
        return False

    def tool(self, item_id: ItemId) -> ToolItem | None:
        """The tool call of this id."""
        item = self.items.get(item_id)
        return item if isinstance(item, ToolItem) else None
