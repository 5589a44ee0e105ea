"""Which of a thread's events go to one viewer now, and which wait a moment to go together.

The first delta of an item goes at once; later ones at most once per window and item, all that came meanwhile
in one message, re-cut by `core.recut`. Everything else goes at once, after what waited before it. The window
grows with the number of items that stream at the same time. Pure: the time is an argument.
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
"""Least seconds between two messages about the text of one item to one viewer."""

MAX_WINDOW = 1.0
"""Most seconds, whatever the load."""

MESSAGES_A_SECOND = 500
"""How many of those messages one channel aims at; a unary one costs the room and both ends half a
millisecond together.
"""


class Pace:
    """How long items of one channel wait between two messages. Shared by all its viewers."""

    def __init__(self, messages_a_second: float = MESSAGES_A_SECOND) -> None:
        self._rate = messages_a_second
        self._second = 0
        self._now = 0
        self._before = 0

    def note(self, now: float, last_second: int) -> int:
        """An item sends a message; `last_second` is when it sent one before. Returns the present second."""
        second = int(now)
        if second != self._second:
            self._before = self._now if second == self._second + 1 else 0
            self._second, self._now = second, 0
        if last_second != second:
            self._now += 1
        return second

    @property
    def window(self) -> float:
        """Seconds: enough for every item that streams to have its turn."""
        streaming = max(self._now, self._before)
        return min(max(WINDOW, streaming / self._rate), MAX_WINDOW)


class Merging:
    """The events of one thread on their way to one viewer."""

    def __init__(self, new_id: IdSource, pace: Pace | None = None) -> None:
        self._new_id = new_id
        self._pace = pace or Pace()
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
            flow.second = self._pace.note(now, flow.second)
            flow.next_at = now + self._pace.window
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

    __slots__ = ("_chunks", "_id", "_last", "_new_id", "_recut", "next_at", "second", "size")

    def __init__(self, new_id: IdSource) -> None:
        self.next_at = 0.0
        self.second = -1
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

    __slots__ = ("_first", "_lines", "next_at", "second", "size")

    def __init__(self) -> None:
        self.next_at = 0.0
        self.second = -1
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
