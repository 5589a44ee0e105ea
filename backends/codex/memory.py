"""What was said on a thread in this process, so that a new Codex can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from process_agent.core.attached import is_image
from process_agent.core.backend import AgentMessage, HistoryItem, MadeImages, ToolCall, UserMessage
from process_agent.core.content import ContentPart, FilePart, JsonResult, TextPart, TextResult, plain_text
from process_agent.core.events import (
    BackendEvent,
    ContextCompacted,
    ImageCompleted,
    Phase,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolStarted,
)
from process_agent.core.ids import ItemId, TurnId
from process_agent.core.recalled import SUMMARY, made_images
from process_agent.core.senders import Senders

MAX_ITEMS: Final = 2_000
"""Items a thread remembers; `history.MAX_HISTORY` limits what of them a new Codex gets."""

MAX_SIZE: Final = 4_000_000
"""Characters of messages and of calls with their results that a thread remembers: ten times what a new Codex
is told at once, the rest as summaries. The newest item stays, whatever its size.
"""

MAX_TEXT: Final = 100_000
"""Characters kept of one message."""

MAX_IMAGES: Final = 16 * 1024 * 1024
"""Characters of images a thread remembers, the newest; of earlier ones only the names."""

MAX_SAID: Final = 80_000
"""Characters of people's messages that stay beside a summary, the newest: 20,000 tokens, as in Codex."""


class Memory:
    """The history of one thread: what it was opened with, and what happened since."""

    def __init__(self, history: Iterable[HistoryItem]) -> None:
        self._items: deque[HistoryItem] = deque()
        self._size = 0
        for item in history:
            self._keep(item)
        self.senders = Senders(self._items)
        self._turn: TurnId | None = None
        self._texts: dict[ItemId, tuple[Phase, list[str]]] = {}
        self._tools: dict[ItemId, ToolStarted] = {}

    def items(self) -> tuple[HistoryItem, ...]:
        """Everything remembered, oldest first."""
        return tuple(self._items)

    def begin(self, turn: TurnId) -> None:
        """What comes now is of this turn."""
        self._turn = turn

    def said(self, message: UserMessage) -> None:
        """A participant's message of a turn or a steer."""
        self._keep(replace(message, turn_id=self._turn))
        if any(map(is_image, message.content)):
            self._forget_images()

    def observe(self, event: BackendEvent) -> None:
        """Keep messages and tool calls once they end; a turn ends all of its items."""
        match event:
            case TextStarted(item_id, phase):
                self._texts[item_id] = (phase, [])
            case TextDelta(item_id, text):
                self._texts.setdefault(item_id, (None, []))[1].append(text)
            case TextEnded(item_id):
                phase, parts = self._texts.pop(item_id, (None, []))
                self._keep(AgentMessage("".join(parts)[:MAX_TEXT], phase, self._turn, item_id))
            case ToolStarted(ref):
                self._tools[ref.item_id] = event
            case ToolEnded(ref, result, error):
                started = self._tools.pop(ref.item_id, None)
                arguments = started.arguments if started else {}
                self._keep(ToolCall(ref, arguments, (), result, error, self._turn))
            case ImageCompleted(_, images) if images:
                self._keep(made_images(event, self._turn))
                self._forget_images()
            case ContextCompacted(checkpoint, _, str(summary)):
                self._compact(summary, ItemId(checkpoint))
            case _:
                pass

    def _compact(self, summary: str, checkpoint: ItemId) -> None:
        """Keep what Codex keeps: the newest of what people said, and the summary. What was said just now,
        with nothing done about it yet, comes after it.
        """
        items = list(self._items)
        new: list[HistoryItem] = []
        while items and isinstance(items[-1], UserMessage) and not _is_summary(items[-1]):
            new.insert(0, items.pop())
        self._items.clear()
        self._size = 0
        told = UserMessage((TextPart(SUMMARY + summary),), None, self._turn, checkpoint)
        for item in (*_said(items), told, *new):
            self._keep(item)

    def _keep(self, item: HistoryItem) -> None:
        self._items.append(item)
        self._size += size_of(item)
        while len(self._items) > MAX_ITEMS or (self._size > MAX_SIZE and len(self._items) > 1):
            self._size -= size_of(self._items.popleft())

    def _forget_images(self) -> None:
        left = MAX_IMAGES
        for position in range(len(self._items) - 1, -1, -1):
            item = self._items[position]
            if not isinstance(item, UserMessage | MadeImages) or not any(map(is_image, item.content)):
                continue
            size = sum(len(part.url) for part in item.content if isinstance(part, FilePart))
            left -= size
            if left < 0:
                self._items[position] = replace(item, content=tuple(_without_images(item.content)))
                self._size += size_of(self._items[position]) - size_of(item)


def size_of(item: HistoryItem) -> int:
    """About how many characters an item holds; images, which have a limit of their own, are left out."""
    match item:
        case UserMessage(content) | MadeImages(content):
            return sum(map(_size_of_part, content))
        case AgentMessage(text):
            return len(text)
        case ToolCall(_, arguments, _, TextResult(text)):
            return _held(arguments) + len(text)
        case ToolCall(_, arguments, _, JsonResult(value)):
            return _held(arguments) + _held(value)
        case ToolCall(_, arguments):
            return _held(arguments)


def _size_of_part(part: ContentPart) -> int:
    if isinstance(part, TextPart):
        return len(part.text)
    return 0 if is_image(part) else len(part.url)


def _held(value: object) -> int:
    match value:
        case str():
            return len(value)
        case Mapping():
            return sum(len(str(key)) + _held(each) for key, each in value.items())
        case list() | tuple():
            return sum(map(_held, value))
        case _:
            return 1


def _is_summary(message: UserMessage) -> bool:
    return plain_text(message.content).startswith(SUMMARY)


def _said(items: list[HistoryItem]) -> list[HistoryItem]:
    kept: list[HistoryItem] = []
    room = MAX_SAID
    for item in reversed(items):
        if not isinstance(item, UserMessage) or _is_summary(item):
            continue
        room -= len(plain_text(item.content))
        if room < 0:
            break
        kept.insert(0, item)
    return kept


def _without_images(content: Iterable[ContentPart]) -> Iterator[ContentPart]:
    for part in content:
        if isinstance(part, FilePart) and is_image(part):
            yield TextPart(f"[image {part.name or ''}, no longer remembered]")
        else:
            yield part
