"""A page of turns that happened before those a viewer has, while it comes. Pure.

Its events come among those of what goes on now. They are told apart by their time: the page ends where what
is known begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from process_agent.core.content import ErrorInfo
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import MessageId
from process_agent.core.replies import ThreadLoaded
from process_agent.viewer.transcript import Transcript
from process_agent.viewer.updates import Older

_ALL = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class OlderPage:
    """The page that the request `source` asked for; `known` is what the viewer has."""

    source: MessageId
    known: Transcript
    error: ErrorInfo | None = None
    _page: Transcript = field(default_factory=Transcript)
    _until: datetime = _ALL

    def __post_init__(self) -> None:
        started = [turn.started_at for turn in self.known.turns if turn.started_at is not None]
        self._until = min(started, default=_ALL)

    def take(self, event: ThreadEvent) -> bool:
        """Whether an event is from before what is known, and so nothing for the transcript of that."""
        if event.created_at > self._until:
            return False
        if event.turn_id is None or self.known.turn(event.turn_id) is None:
            self._page.apply(event)
        return True

    def complete(self, loaded: ThreadLoaded) -> Older:
        """The page has come."""
        turns = tuple(turn for turn in self._page.turns if self.known.turn(turn.id) is None)
        return Older(turns, loaded.older is not None, self.error)
