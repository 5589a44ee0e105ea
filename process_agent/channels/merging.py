"""Which of a thread's events go to one viewer now, and which wait a moment to go together.

The first delta of an item goes at once; later ones at most once per window and item, all that came meanwhile
in one message, as `channels.flows` puts it together. Everything else goes at once, after what waited before
it. The window grows with the number of items that stream at the same time. Pure: the time is an argument.
"""

from __future__ import annotations

from process_agent.channels.flows import Flow, FlowKey, flow_of, image_of, new_flow, text_of
from process_agent.channels.pieces import Pieces
from process_agent.core.events import (
    ImageCompleted,
    ImageFailed,
    ReasoningEnded,
    ReasoningStarted,
    TextEnded,
    TextStarted,
    ThreadEvent,
    TurnEnded,
)
from process_agent.core.ids import IdSource

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
    """The events of one thread on their way to one viewer. `before` is what it was sent when it was here
    last, `sent` what it is sent now.
    """

    def __init__(self, new_id: IdSource, pace: Pace | None = None, before: Pieces | None = None) -> None:
        self._new_id = new_id
        self._pace = pace or Pace()
        self._before = before or Pieces()
        self.sent = Pieces()
        self._flows: dict[FlowKey, Flow] = {}
        self._waiting: dict[FlowKey, Flow] = {}

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
        key = flow_of(event)
        if key is None:
            return self._in_order(event, now)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = new_flow(key, self._new_id, self._before.of(key))
            self._before.forget(key)
        flow.add(event)
        if busy or now < flow.next_at:
            self._waiting[key] = flow
            return []
        return self._release(key, flow, now)

    def take_due(self, now: float) -> list[ThreadEvent]:
        """What waited long enough."""
        due = [(key, flow) for key, flow in self._waiting.items() if flow.next_at <= now]
        return [event for key, flow in due for event in self._release(key, flow, now)]

    def _release(self, key: FlowKey, flow: Flow, now: float) -> list[ThreadEvent]:
        self._waiting.pop(key, None)
        events = flow.take()
        if events:
            flow.second = self._pace.note(now, flow.second)
            flow.next_at = now + self._pace.window
            self.sent.note(events)
        return events

    def _in_order(self, event: ThreadEvent, now: float) -> list[ThreadEvent]:
        ending: list[ThreadEvent] = []
        match event.body:
            case TurnEnded():
                self._forget_turn(event)
            case TextEnded(item_id) | ReasoningEnded(item_id):
                key = text_of(event.turn_id, item_id)
                if text := self._flows.pop(key, None):
                    self._waiting.pop(key, None)
                    ending = text.take(final=True)
                    self.sent.note(ending)
            case TextStarted(item_id) | ReasoningStarted(item_id):
                # What was held back of the text before does not matter any more.
                self._flows.pop(text_of(event.turn_id, item_id), None)
                self.sent.forget(text_of(event.turn_id, item_id))
            case ImageCompleted(item_id) | ImageFailed(item_id):
                key = image_of(event.turn_id, item_id)
                self._flows.pop(key, None)
                self._waiting.pop(key, None)
        before = [past for key, flow in list(self._waiting.items()) for past in self._release(key, flow, now)]
        return [*before, *ending, event]

    def _forget_turn(self, event: ThreadEvent) -> None:
        for key in [key for key in self._flows if key[0] == event.turn_id]:
            del self._flows[key]
