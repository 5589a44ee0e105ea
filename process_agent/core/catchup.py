"""A viewer on its way from what is stored to what happens now.

While stored events are read, live ones go on. Each event must reach the viewer once, from one of the two:

- Items that are open when the viewer comes are taken from memory, whole, and their live events are held
  back; nothing of them is taken from the store.
- Other events that happen meanwhile are held back too; what the store has of them is left out.
- Everything else is taken from the store.

So the order is: stored events, open items as they were, what happened meanwhile, then live.
"""

from __future__ import annotations

from collections.abc import Iterable

from process_agent.core.commands import Viewer
from process_agent.core.events import Status, ThreadEvent
from process_agent.core.ids import MessageId
from process_agent.core.live import ItemKey, item_of
from process_agent.core.requests import OpenThread

MAX_HELD = 50_000
"""Live events held back for one viewer; above that it is too slow and loses its view."""

MAX_WAITING = 8
"""Further requests to load, by the same viewer, that wait until the first is done."""


class CatchUp:
    """One replay to one viewer."""

    def __init__(
        self,
        replay_id: str,
        viewer: Viewer,
        request: OpenThread,
        open_events: Iterable[ThreadEvent],
        unpublished: Iterable[MessageId],
    ) -> None:
        self.replay_id = replay_id
        self.viewer = viewer
        self.request = request
        self.waiting: list[OpenThread] = []
        self.model_seen = False
        self.usage_seen = False
        self.older: str | None = None
        self.notice_due = False
        self._partials = list(open_events)
        self._items = {key for event in self._partials if (key := _key(event)) is not None}
        self._ids = set(unpublished)
        self._held: list[ThreadEvent] = []

    def hold(self, event: ThreadEvent) -> bool:
        """Keep a live event for later. False when there are too many."""
        if isinstance(event.body, Status):
            return True
        self._held.append(event)
        self.expect(event)
        return len(self._held) <= MAX_HELD

    def expect(self, event: ThreadEvent) -> None:
        """The event is in the store now, and will be shown live."""
        key = _key(event)
        if key is None:
            self._ids.add(event.message_id)
        else:
            self._items.add(key)

    def wants(self, stored: ThreadEvent) -> bool:
        """Whether the viewer gets this event from the store."""
        key = _key(stored)
        return stored.message_id not in self._ids if key is None else key not in self._items

    def finish(self) -> list[ThreadEvent]:
        """What follows the stored events."""
        return self._partials + self._held


def _key(event: ThreadEvent) -> ItemKey | None:
    item_id = item_of(event.body)
    return None if item_id is None else (event.turn_id, item_id)
