"""A thread as the supervisor has it in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from process_agent.core.commands import Viewer
from process_agent.core.requests import (
    ChangeModel,
    ClearThread,
    Envelope,
    OpenThread,
    StartTurn,
)
from process_agent.core.speaker import Limits, Speaker
from process_agent.core.thread_turns import ThreadTurns
from process_agent.core.turn_queue import size_of

type LogRequest = StartTurn | OpenThread | ChangeModel | ClearThread
"""What needs the log of its thread to be open."""


@dataclass(slots=True)
class Thread:
    """One open thread. `turns` is None, and requests wait in `pending`, until its log is open."""

    speaker: Speaker
    turns: ThreadTurns | None = None
    pending: list[LogRequest] = field(default_factory=list)
    untitled: bool | None = None
    """Whether it waits for what it can be named after; None for one that was there, until the list tells."""
    creating: bool = False
    """Its log is being opened by a request that makes the thread if there is none."""
    model_due: bool = False
    """The model chosen last is being looked for; only what is stored is shown meanwhile."""

    @property
    def opening(self) -> bool:
        """Whether requests wait."""
        return self.turns is None or self.model_due

    def waits(self, request: LogRequest) -> bool:
        """Whether a request waits for what is being opened."""
        reads = isinstance(request, OpenThread) and (request.load or request.before is not None)
        return self.turns is None or (self.model_due and not reads)

    @property
    def maker(self) -> StartTurn | None:
        """The waiting request that makes the thread if there is none."""
        return next((x for x in self.pending if isinstance(x, StartTurn) and x.create), None)

    def crowded(self, limits: Limits, request: LogRequest) -> bool:
        """Whether too much waits already for the log to be opened."""
        said = [x.content for x in (*self.pending, request) if isinstance(x, StartTurn)]
        too_large = sum(map(size_of, said)) > limits.queued_size
        return too_large or len(self.pending) >= limits.pending

    @property
    def idle(self) -> bool:
        """Whether no turn runs or is about to."""
        return not self.pending and (self.turns is None or self.turns.idle)

    @property
    def unused(self) -> bool:
        """Whether nobody would miss it."""
        return self.turns is not None and self.idle and not len(self.speaker.viewers)


def viewer_of(envelope: Envelope) -> Viewer:
    """Who asked, as a viewer."""
    return Viewer(envelope.channel, envelope.sender.id)
