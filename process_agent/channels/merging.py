"""Which of a thread's events go to one viewer now, and which wait a moment to go together.

The first delta of an item goes at once; later ones at most once per `WINDOW` seconds and item, all that came
meanwhile in one message, re-cut by `core.recut`. Everything else goes at once, after what waited before it.
Pure: the time is an argument.
"""

from __future__ import annotations

from dataclasses import replace

from process_agent.core.content import LogLine
from process_agent.core.events import (
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    TextDelta,
    TextEnded,
    TextStarted,
    ThreadEvent,
    ToolLog,
    TurnEnded,
)
from process_agent.core.ids import IdSource, MessageId
from process_agent.core.live import ItemKey, item_of
from process_agent.core.recut import Recut

WINDOW = 0.025
"""Seconds between two messages about the text of one item to one viewer."""


class Merging:
    """The events of one thread on their way to one viewer."""

    def __init__(self, new_id: IdSource, window: float = WINDOW) -> None:
        self._new_id = new_id
        self._window = window
        self._texts: dict[ItemKey, _Text] = {}
        self._logs: dict[ItemKey, _Log] = {}
        self._waiting: dict[ItemKey, _Text | _Log] = {}

    @property
    def due(self) -> float | None:
        """When something that waits should go; None when nothing does."""
        return min((flow.next_at for flow in self._waiting.values()), default=None)

    @property
    def size(self) -> int:
        """Characters that wait."""
        return sum(flow.size for flow in self._waiting.values())

    def add(self, event: ThreadEvent, now: float, *, busy: bool = False) -> list[ThreadEvent]:
        """What goes now. While `busy` with earlier messages, deltas wait in any case."""
        match event.body:
            case TextDelta(item_id, text) | ReasoningDelta(item_id, text):
                key = (event.turn_id, item_id)
                flow = self._texts.get(key)
                if flow is None:
                    flow = self._texts[key] = _Text(self._new_id)
                flow.add(event, text)
                return self._pass(key, flow, now, busy)
            case ToolLog(ref, lines):
                key = (event.turn_id, ref.item_id)
                log = self._logs.get(key)
                if log is None:
                    log = self._logs[key] = _Log()
                log.add(event, lines)
                return self._pass(key, log, now, busy)
            case _:
                return self._in_order(event, now)

    def take_due(self, now: float) -> list[ThreadEvent]:
        """What waited long enough."""
        due = [(key, flow) for key, flow in self._waiting.items() if flow.next_at <= now]
        return [event for key, flow in due for event in self._release(key, flow, now)]

    def _pass(self, key: ItemKey, flow: _Text | _Log, now: float, busy: bool) -> list[ThreadEvent]:
        if busy or now < flow.next_at:
            self._waiting[key] = flow
            return []
        return self._release(key, flow, now)

    def _release(self, key: ItemKey, flow: _Text | _Log, now: float) -> list[ThreadEvent]:
        self._waiting.pop(key, None)
        events = flow.take()
        if events:
            flow.next_at = now + self._window
        return events

    def _in_order(self, event: ThreadEvent, now: float) -> list[ThreadEvent]:
        item_id = item_of(event.body)
        ending: list[ThreadEvent] = []
        if isinstance(event.body, TurnEnded):
            self._forget_turn(event)
        elif item_id is not None:
            key = (event.turn_id, item_id)
            if isinstance(event.body, TextEnded | ReasoningEnded) and (text := self._texts.pop(key, None)):
                self._waiting.pop(key, None)
                ending = text.take(final=True)
            elif isinstance(event.body, TextStarted | ReasoningStarted):
                self._texts.pop(key, None)  # what was held back of the text before does not matter any more
        before = [past for key, flow in list(self._waiting.items()) for past in self._release(key, flow, now)]
        return [*before, *ending, event]

    def _forget_turn(self, event: ThreadEvent) -> None:
        for flows in (self._texts, self._logs):
            for key in [key for key in flows if key[0] == event.turn_id]:
                del flows[key]


class _Text:
    """Text of one item that waits."""

    __slots__ = ("_chunks", "_id", "_last", "_new_id", "_recut", "next_at", "size")

    def __init__(self, new_id: IdSource) -> None:
        self.next_at = 0.0
        self.size = 0
        self._new_id = new_id
        self._recut = Recut()
        self._chunks: list[str] = []
        self._id: MessageId | None = None
        self._last: ThreadEvent | None = None

    def add(self, event: ThreadEvent, text: str) -> None:
        self._id = self._id or event.message_id
        self._last = event
        self._chunks.append(text)
        self.size += len(text)

    def take(self, *, final: bool = False) -> list[ThreadEvent]:
        """What may go. The first piece has the id of the first delta in it, so that a replay that repeats
        it is recognised; the others get ids of their own.
        """
        pieces = self._recut.take("".join(self._chunks), final=final)
        self._chunks.clear()
        self.size = 0
        return [self._piece(text) for text in pieces]

    def _piece(self, text: str) -> ThreadEvent:
        event, message_id = self._last, self._id or MessageId(self._new_id())
        self._id = None
        if event is None or not isinstance(event.body, TextDelta | ReasoningDelta):
            raise ValueError("text without a delta")
        return replace(event, message_id=message_id, body=replace(event.body, text=text))


class _Log:
    """Output of one tool that waits."""

    __slots__ = ("_first", "_lines", "next_at", "size")

    def __init__(self) -> None:
        self.next_at = 0.0
        self.size = 0
        self._first: ThreadEvent | None = None
        self._lines: list[LogLine] = []

    def add(self, event: ThreadEvent, lines: tuple[LogLine, ...]) -> None:
        self._first = self._first or event
        self._lines.extend(lines)
        self.size += sum(len(line.text) for line in lines)

    def take(self) -> list[ThreadEvent]:
        """All of it, as one event."""
        first, lines = self._first, tuple(self._lines)
        self._first, self.size = None, 0
        self._lines.clear()
        if first is None or not isinstance(first.body, ToolLog):
            return []
        return [replace(first, body=replace(first.body, lines=lines))]
