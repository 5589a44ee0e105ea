"""The port of a channel: a source of requests that shows events to its participants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ParticipantId, ThreadId
from process_agent.core.replies import Reply
from process_agent.core.requests import Request

type Ask = Callable[[Request], None]
"""Takes a request in and returns at once; answers come back through the channel's methods."""


class Channel(Protocol):
    """One source of turns. Nothing here waits but `start`, `ready` and `close`: a slow participant is the
    channel's own affair.
    """

    @property
    def name(self) -> str:
        """How requests name the channel they came through; unique in one agent."""
        ...

    async def start(self, ask: Ask) -> None:
        """Begin to take requests in."""
        ...

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """The participant views the thread from now on. Idempotent."""
        ...

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """It views the thread no more; what was shown before still goes out. Idempotent."""
        ...

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """Send an event to these participants, to each in the order of the calls."""
        ...

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """Send a reply. With `thread_id` it keeps its place among the events of that thread."""
        ...

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """Wait until little is left to send of what was shown; a replay does, live events never."""
        ...

    async def close(self) -> None:
        """Take nothing in any more, send what is left within a bounded time, release everything."""
        ...


@runtime_checkable
class Observing(Protocol):
    """A channel that sees what goes on in every thread, like a program of the operator's."""

    @property
    def name(self) -> str:
        """See `Channel`."""
        ...

    @property
    def observer(self) -> ParticipantId:
        """Who is shown the events, besides those who view the thread; nobody's id."""
        ...
