"""One thread whose history is a backend's own record; see `threads.recorded`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from process_agent.core import events as e
from process_agent.core.backend import KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId
from process_agent.core.models import ModelChoice
from process_agent.core.records import RecordedTurn, Records
from process_agent.threads.memory import MemoryThreadLog
from process_agent.threads.register import Registered
from process_agent.threads.rows import stable_id

_TICK = timedelta(microseconds=1)


class RecordedThreadLog(MemoryThreadLog):
    """See `core.store.ThreadLog`. `changed` is told of what has to be remembered beside the record."""

    def __init__(
        self,
        thread_id: ThreadId,
        known: Registered,
        backend: str,
        records: Records,
        changed: Callable[[e.EventBody | None], None],
        check: Callable[[], None],
        closed: Callable[[], None],
    ) -> None:
        super().__init__(thread_id)
        self._known = known
        self._backend = backend
        self._records = records
        self._changed = changed
        self._check = check
        self._on_close = closed
        self._model = known.model
        self.openings = 0

    def recall(self, turns: Sequence[RecordedTurn]) -> None:
        """Begin with what the backend recorded."""
        for turn in turns:
            asked = next((x for x in turn.bodies if isinstance(x, e.TurnStarted)), None)
            bodies = (e.TurnRequested(asked.content, None) if asked else None, *turn.bodies)
            for number, body in enumerate(body for body in bodies if body is not None):
                of_request = isinstance(body, e.TurnRequested)
                message = turn.source if of_request else stable_id(self._thread_id, turn.turn_id, number)
                moment = turn.at + number * _TICK
                super().append(
                    ThreadEvent(message, self._thread_id, turn.turn_id, moment, body, None, None, turn.model)
                )
        if self._known.records:
            super().keep(self._backend, self._known.records[-1])

    def append(self, event: ThreadEvent) -> None:
        """Remember an event."""
        super().append(event)
        if isinstance(event.body, e.ModelChanged | e.ThreadCleared | e.TurnEnded):
            self._changed(event.body)

    @property
    def durable(self) -> bool:
        """The record outlives the agent."""
        return True

    def keep(self, backend: str, state: KeptState) -> None:
        """Remember which record it is."""
        super().keep(backend, state)
        known, key = self._known, self._records.key(state)
        own = known.records[known.copied :]
        if own and self._records.key(own[-1]) == key:
            known.records[-1] = state
        else:
            known.records.append(state)
            known.named = False
        self._changed(None)

    async def flush(self, *, open_items: bool = True) -> None:
        """Raises `RoomError` when it is not known which record it is."""
        self._check()

    @property
    def chosen(self) -> ModelChoice | None:
        """The model last chosen."""
        return self._model

    async def close(self) -> None:
        """It may leave the memory now."""
        self._on_close()
