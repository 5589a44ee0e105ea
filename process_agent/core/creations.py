"""Threads that are being made, and how many a participant may ask for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from process_agent.core import requests as r
from process_agent.core.commands import Viewer
from process_agent.core.content import ErrorInfo
from process_agent.core.models import ModelChoice
from process_agent.core.participants import Participant
from process_agent.core.speaker import Setting
from process_agent.core.threads import viewer_of

MAX_PENDING = 1_000
"""Threads of one agent that are being made at a time."""

_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Creation:
    """A thread that is being made. `present` is False once the one who asked left."""

    request: r.StartThread
    model: ModelChoice
    present: bool = True


class Creations:
    """The threads one agent is making."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pending: dict[str, Creation] = {}
        self._recent: dict[str, deque[datetime]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self, request: r.StartThread, model: ModelChoice) -> str | ErrorInfo:
        """The key of a new thread to be made, or why there is none."""
        if (refusal := self.refusal(request.envelope.sender)) is not None:
            return refusal
        if len(self._pending) >= MAX_PENDING:
            return ErrorInfo("Too many threads are being made. Wait a moment.", "too_many_requests")
        key = self._setting.new_id()
        self._pending[key] = Creation(request, model)
        return key

    def refusal(self, sender: Participant) -> ErrorInfo | None:
        """Count one more thread of a participant; why it may have none, if so."""
        limit = self._setting.limits.threads_a_minute
        if self._allows(sender, limit):
            return None
        text = f"You started {limit} threads within a minute. Wait a moment."
        return ErrorInfo(text, "too_many_requests")

    def pop(self, key: str) -> Creation:
        """The thread was made, or cannot be."""
        return self._pending.pop(key)

    def left(self, viewer: Viewer) -> None:
        """A participant is gone."""
        for creation in self._pending.values():
            if viewer_of(creation.request.envelope) == viewer:
                creation.present = False

    def _allows(self, sender: Participant, limit: int) -> bool:
        """Whether a participant started few enough within a minute. People and agents count by name, so that
        coming back does not help; the errands of a channel are participants of one turn each.
        """
        now = self._setting.clock()
        for name in [name for name, times in self._recent.items() if now - times[-1] > _MINUTE]:
            del self._recent[name]
        who = asker_of(sender)
        times = self._recent.setdefault(who, deque(maxlen=limit))
        if len(times) == limit and now - times[0] <= _MINUTE:
            return False
        times.append(now)
        return True


def asker_of(sender: Participant) -> str:
    """Who counts as one where requests are limited: a name, on whatever device; each errand of a channel."""
    return sender.id if sender.role == "tool" else sender.name or sender.id
