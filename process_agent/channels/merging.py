"""Which of a thread's events go to one viewer now, and which wait a moment to go together.

The first delta of an item is due at once; later ones at most once per window and item, all that came
meanwhile in one message, as `channels.flows` puts it together. Everything else goes at once, after what
waited before it. The window grows with the number of items that stream at the same time. Pure: the time is an
argument.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from process_agent.channels.flows import (
    Flow,
    FlowKey,
    arguments_of,
    flow_of,
    image_of,
    is_whole,
    log_of,
    new_flow,
    text_of,
)
from process_agent.channels.sent_pieces import Connection
from process_agent.core.events import (
    ImageCompleted,
    ImageFailed,
    InterruptAccepted,
    ReasoningEnded,
    ReasoningStarted,
    Status,
    TextEnded,
    TextStarted,
    ThreadEvent,
    ToolEnded,
    ToolStarted,
    TurnEnded,
)

WINDOW = 0.025
"""Least seconds between two messages about the text of one item to one viewer."""

MAX_WINDOW = 1.0
"""Most seconds, whatever the load."""

MESSAGES_A_SECOND = 500
"""How many of those messages one channel aims at; a unary one costs the room and both ends half a
millisecond together.
"""

_TICK, _NEAR = timedelta(microseconds=1), timedelta(seconds=1)


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
    """The events of one thread on their way to one viewer, over one `connection`."""

    def __init__(self, pace: Pace | None = None, connection: Connection | None = None) -> None:
        self._pace = pace or Pace()
        self._connection = connection or Connection.alone()
        self._flows: dict[FlowKey, Flow] = {}
        self._waiting: dict[FlowKey, Flow] = {}
        self._told: datetime | None = None

    @property
    def due(self) -> float | None:
        """When something that waits should go; None when nothing does."""
        return min((flow.next_at for flow in self._waiting.values()), default=None)

    @property
    def size(self) -> int:
        """Characters that wait."""
        return sum(flow.size for flow in self._waiting.values())

    def add(self, event: ThreadEvent, now: float) -> list[ThreadEvent]:
        """What goes now. Deltas wait for `take_due`: those that come in the same moment go together."""
        key = flow_of(event)
        if key is None:
            return self._in_time(self._in_order(event, now))
        flow = self._flows.get(key)
        if flow is None or flow.first == event.message_id:  # it comes again, from its beginning
            self._waiting.pop(key, None)
            flow = self._flows[key] = new_flow(key, self._connection)
        flow.add(event, now)
        if is_whole(event):  # one piece, if nobody saw it live: who has all of it knows its first id
            return self._in_time(self._end(key, now))
        self._waiting[key] = flow
        return []

    def take_due(self, now: float) -> list[ThreadEvent]:
        """What waited long enough."""
        return self._in_time(self._due(now))

    def take_all(self, now: float) -> list[ThreadEvent]:
        """Whatever waits."""
        waiting = list(self._waiting.items())
        return self._in_time([event for key, flow in waiting for event in self._release(key, flow, now)])

    def _due(self, now: float) -> list[ThreadEvent]:
        due = [(key, flow) for key, flow in self._waiting.items() if flow.next_at <= now]
        return [event for key, flow in due for event in self._release(key, flow, now)]

    def _release(self, key: FlowKey, flow: Flow, now: float) -> list[ThreadEvent]:
        self._waiting.pop(key, None)
        events = flow.take(now)
        if events:
            flow.second = self._pace.note(now, flow.second)
            flow.next_at = now + self._pace.window
        return events

    def _in_time(self, events: list[ThreadEvent]) -> list[ThreadEvent]:
        """Times grow, also where one event became several: Flutter sorts what it loads by time, and may swap
        what is equal. A clock that was set back, or an old turn, begins anew.
        """
        for place, event in enumerate(events):
            at, told = event.created_at, self._told
            if told is not None and told - _NEAR < at <= told:
                at = told + _TICK
                events[place] = replace(event, created_at=at)
            self._told = at
        return events

    def leave(self, now: float) -> None:
        """The viewer is gone. Idempotent."""
        self._connection.leave(now)

    def _in_order(self, event: ThreadEvent, now: float) -> list[ThreadEvent]:
        ending: list[ThreadEvent] = []
        match event.body:
            case InterruptAccepted() | Status():  # no part of what is said: text need not go early for it
                return [*self._due(now), event]
            case TurnEnded():
                keys = [key for key in self._flows if key[0] == event.turn_id]
                ending = [past for key in keys for past in self._end(key, now)]
            case TextEnded(item_id) | ReasoningEnded(item_id):
                ending = self._end(text_of(event.turn_id, item_id), now)
            case ToolEnded(ref):
                ending = self._end(log_of(event.turn_id, ref.item_id), now)
            case ToolStarted(ref):
                ending = self._end(arguments_of(event.turn_id, ref.item_id), now)
            case TextStarted(item_id) | ReasoningStarted(item_id):
                # What was held back of the text before does not matter any more.
                self._drop(text_of(event.turn_id, item_id))
            case ImageCompleted(item_id) | ImageFailed(item_id):
                self._drop(image_of(event.turn_id, item_id))
        before = [past for key, flow in list(self._waiting.items()) for past in self._release(key, flow, now)]
        return [*before, *ending, event]

    def _end(self, key: FlowKey, now: float) -> list[ThreadEvent]:
        flow = self._drop(key)
        return [] if flow is None else flow.take(now, final=True)

    def _drop(self, key: FlowKey) -> Flow | None:
        self._waiting.pop(key, None)
        return self._flows.pop(key, None)
