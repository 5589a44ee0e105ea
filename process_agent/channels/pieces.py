"""Which pieces of which texts one viewer was sent. Pure.

A client that lost its connection keeps what it shows, opens the thread again, and drops every delta whose id
it knows. What it got of a text that was under way only the client knows; but when the text is sent again in
the same pieces with the same ids, it drops those it has, takes the others, and shows the text exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from process_agent.channels.flows import FlowKey, Piece, flow_of
from process_agent.core.events import ReasoningDelta, TextDelta, ThreadEvent
from process_agent.core.ids import MessageId, ThreadId

MAX_TEXTS = 32
"""Texts remembered of one viewer and thread, the newest."""

MAX_PIECES = 1_000
"""Pieces remembered of one text; earlier ones count as one with the first, which a client surely got."""

MAX_GONE = 256
"""Viewers that left and are remembered until they come back, the newest."""


@dataclass(slots=True)
class _Text:
    first: MessageId
    length: int
    more: deque[Piece] = field(default_factory=deque)

    def pieces(self) -> tuple[Piece, ...]:
        return ((self.first, self.length), *self.more)


class Pieces:
    """What one viewer of one thread was sent."""

    def __init__(self) -> None:
        self._texts: dict[FlowKey, _Text] = {}

    def note(self, events: Iterable[ThreadEvent]) -> None:
        """These go to the viewer."""
        for event in events:
            if isinstance(event.body, TextDelta | ReasoningDelta) and (key := flow_of(event)) is not None:
                self._add(key, (event.message_id, len(event.body.text)))

    def forget(self, key: FlowKey) -> None:
        """The text begins anew."""
        self._texts.pop(key, None)

    def of(self, key: FlowKey) -> tuple[Piece, ...]:
        """The pieces of a text, in order; none when it was never sent."""
        text = self._texts.get(key)
        return () if text is None else text.pieces()

    def _add(self, key: FlowKey, piece: Piece) -> None:
        text = self._texts.get(key)
        if text is None:
            while len(self._texts) >= MAX_TEXTS:
                del self._texts[next(iter(self._texts))]
            self._texts[key] = _Text(*piece)
            return
        text.more.append(piece)
        if len(text.more) > MAX_PIECES:
            text.length += text.more.popleft()[1]


class Gone:
    """What viewers had when they left, by their names: a connection that comes back has another id."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ThreadId], Pieces] = {}

    def keep(self, name: str, thread_id: ThreadId, pieces: Pieces) -> None:
        """A viewer is gone."""
        self._kept.pop((name, thread_id), None)
        while len(self._kept) >= MAX_GONE:
            del self._kept[next(iter(self._kept))]
        self._kept[name, thread_id] = pieces

    def take(self, name: str, thread_id: ThreadId) -> Pieces | None:
        """A viewer of that name is here."""
        return self._kept.pop((name, thread_id), None)
