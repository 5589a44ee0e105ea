"""What streams of one item and may wait a moment to go together: text, output, arguments, an image.

Each flow takes the events of its kind and gives back fewer that say the same. The first event out has the id
of the first one in, so that a replay that repeats it is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from process_agent.core.content import LogLine
from process_agent.core.events import (
    ImagePartial,
    ReasoningDelta,
    TextDelta,
    ThreadEvent,
    ToolArguments,
    ToolLog,
)
from process_agent.core.ids import IdSource, ItemId, MessageId, TurnId
from process_agent.core.recut import Recut

type FlowKey = tuple[TurnId | None, ItemId, str]
"""The turn and item a flow belongs to, and what it carries."""

type Piece = tuple[MessageId, int]
"""The id of a delta that was sent, and how many characters it had."""


class Flow(Protocol):
    """`next_at` is when it may send again, `second` when it sent last, `size` how many characters wait."""

    next_at: float
    second: int
    size: int

    def add(self, event: ThreadEvent) -> None:
        """One more event waits."""
        ...

    def take(self, *, final: bool = False) -> list[ThreadEvent]:
        """What may go; with `final` all of it."""
        ...


def flow_of(event: ThreadEvent) -> FlowKey | None:
    """Which flow an event belongs to; None for one that is never merged."""
    match event.body:
        case TextDelta(item_id) | ReasoningDelta(item_id):
            return text_of(event.turn_id, item_id)
        case ToolLog(ref):
            return (event.turn_id, ref.item_id, "log")
        case ToolArguments(ref):
            return (event.turn_id, ref.item_id, "arguments")
        case ImagePartial(item_id):
            return image_of(event.turn_id, item_id)
        case _:
            return None


def text_of(turn_id: TurnId | None, item_id: ItemId) -> FlowKey:
    """The flow of an item's text or reasoning."""
    return (turn_id, item_id, "text")


def image_of(turn_id: TurnId | None, item_id: ItemId) -> FlowKey:
    """The flow of an image that is being made."""
    return (turn_id, item_id, "image")


def new_flow(key: FlowKey, new_id: IdSource, known: Sequence[Piece] = ()) -> Flow:
    """An empty flow. A text that the viewer was sent before is cut at the same places again."""
    match key[2]:
        case "text":
            return _Text(new_id, known)
        case "log":
            return _Log()
        case "arguments":
            return _Arguments()
        case _:
            return _Image()


class _Text:
    """Text of one item, cut by `core.recut`."""

    __slots__ = ("_chunks", "_id", "_known", "_last", "_new_id", "_recut", "next_at", "second", "size")

    def __init__(self, new_id: IdSource, known: Sequence[Piece] = ()) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self._new_id = new_id
        self._known = tuple(known)
        self._recut = Recut()
        self._chunks: list[str] = []
        self._id: MessageId | None = None
        self._last: ThreadEvent | None = None

    def add(self, event: ThreadEvent) -> None:
        if isinstance(event.body, TextDelta | ReasoningDelta):
            self._id = self._id or event.message_id
            self._last = event
            self._chunks.append(event.body.text)
            self.size += len(event.body.text)

    def take(self, *, final: bool = False) -> list[ThreadEvent]:
        text = "".join(self._chunks)
        self._chunks.clear()
        self.size = 0
        again = self._again(text) if self._known and text else []
        text = text[sum(len(piece) for _, piece in again) :]
        sent = [self._piece(piece, message_id) for message_id, piece in again]
        return sent + [self._piece(piece) for piece in self._recut.take(text, final=final)]

    def _again(self, text: str) -> list[tuple[MessageId, str]]:
        """The beginning of the text as it was sent before, when this is that text."""
        known, self._known = self._known, ()
        length = sum(size for _, size in known)
        if self._id != known[0][0] or len(text) < length:
            return []
        start, again = 0, []
        for message_id, size in known:
            again.append((message_id, text[start : start + size]))
            start += size
        self._recut.go_on(text[:length])
        self._id = None
        return again

    def _piece(self, text: str, known: MessageId | None = None) -> ThreadEvent:
        event, message_id = self._last, known or self._id or MessageId(self._new_id())
        self._id = None
        if event is None or not isinstance(event.body, TextDelta | ReasoningDelta):
            raise ValueError("text without a delta")
        return replace(event, message_id=message_id, body=replace(event.body, text=text))


class _Log:
    """Output of one tool, as one event."""

    __slots__ = ("_first", "_lines", "next_at", "second", "size")

    def __init__(self) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self._first: ThreadEvent | None = None
        self._lines: list[LogLine] = []

    def add(self, event: ThreadEvent) -> None:
        if isinstance(event.body, ToolLog):
            self._first = self._first or event
            self._lines.extend(event.body.lines)
            self.size += sum(len(line.text) for line in event.body.lines)

    def take(self, *, final: bool = False) -> list[ThreadEvent]:
        first, lines = self._first, tuple(self._lines)
        self._first, self.size = None, 0
        self._lines.clear()
        if first is None or not isinstance(first.body, ToolLog):
            return []
        return [replace(first, body=replace(first.body, lines=lines))]


class _Arguments:
    """Arguments of one tool call, as one event."""

    __slots__ = ("_chunks", "_first", "next_at", "second", "size")

    def __init__(self) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self._first: ThreadEvent | None = None
        self._chunks: list[str] = []

    def add(self, event: ThreadEvent) -> None:
        if isinstance(event.body, ToolArguments):
            self._first = self._first or event
            self._chunks.append(event.body.delta)
            self.size += len(event.body.delta)

    def take(self, *, final: bool = False) -> list[ThreadEvent]:
        first, delta = self._first, "".join(self._chunks)
        self._first, self.size = None, 0
        self._chunks.clear()
        if first is None or not isinstance(first.body, ToolArguments):
            return []
        return [replace(first, body=replace(first.body, delta=delta))]


class _Image:
    """An image that is being made; only its newest state waits."""

    __slots__ = ("_newest", "next_at", "second", "size")

    def __init__(self) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self._newest: ThreadEvent | None = None

    def add(self, event: ThreadEvent) -> None:
        if isinstance(event.body, ImagePartial):
            self._newest = event
            self.size = len(event.body.image.uri)

    def take(self, *, final: bool = False) -> list[ThreadEvent]:
        newest, self._newest, self.size = self._newest, None, 0
        return [] if newest is None else [newest]
