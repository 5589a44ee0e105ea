"""Who sees one thread."""

from __future__ import annotations

from collections.abc import Iterable

from process_agent.core.catchup import CatchUp
from process_agent.core.commands import NOBODY, Audience, Viewer
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ParticipantId


class ThreadViewers:
    """The viewers of one thread: those that are up to date, and those that catch up.

    `observers` get every live event besides them, and keep no thread alive.
    """

    def __init__(self, observers: tuple[Viewer, ...] = ()) -> None:
        self._observers = observers
        self.live: set[Viewer] = set()
        self.deciders: set[Viewer] = set()
        """Those of them who may decide about approvals."""
        self.catching_up: dict[Viewer, CatchUp] = {}
        self._audience: Audience | None = None if observers else NOBODY

    def __len__(self) -> int:
        return len(self.live) + len(self.catching_up)

    def __contains__(self, viewer: Viewer) -> bool:
        return viewer in self.live or viewer in self.catching_up

    @property
    def audience(self) -> Audience:
        """Those that get live events, by channel."""
        if self._audience is None:
            self._audience = audience_of((*self.live, *self._observers))
        return self._audience

    def without(self, viewer: Viewer) -> Audience:
        """The audience but one, and but for what observes its channel, which knows what came through it."""
        observers = [v for v in self._observers if v.channel != viewer.channel]
        return audience_of((*(v for v in self.live if v != viewer), *observers))

    def add(self, viewer: Viewer) -> None:
        """The viewer gets live events from now on."""
        self.catching_up.pop(viewer, None)
        self.live.add(viewer)
        self._audience = None

    def load(self, catch_up: CatchUp) -> None:
        """The viewer gets what is stored first."""
        self.live.discard(catch_up.viewer)
        self.catching_up[catch_up.viewer] = catch_up
        self._audience = None

    def remove(self, viewer: Viewer) -> bool:
        """Whether it was one."""
        known = viewer in self
        self.live.discard(viewer)
        self.deciders.discard(viewer)
        self.catching_up.pop(viewer, None)
        self._audience = None
        return known

    def hold(self, event: ThreadEvent, unless: Viewer | None = None) -> list[Viewer]:
        """Keep an event for those that catch up; returns those that fell too far behind."""
        return [v for v, c in self.catching_up.items() if v != unless and not c.hold(event)]

    def hold_unknown(self, event: ThreadEvent) -> list[Viewer]:
        """Like `hold`, for those that neither saw the event nor will."""
        return [v for v, c in self.catching_up.items() if c.wants(event) and not c.hold(event)]


def audience_of(viewers: Iterable[Viewer]) -> Audience:
    """Viewers grouped by channel."""
    grouped: dict[str, tuple[ParticipantId, ...]] = {}
    for viewer in viewers:
        grouped[viewer.channel] = (*grouped.get(viewer.channel, ()), viewer.participant)
    return grouped
