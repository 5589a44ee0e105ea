"""Meters for whatever asks a model: each makes records of what it hears, with what it cost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from process_agent.core.ids import Clock, ThreadId, TurnId
from process_agent.core.models import ModelChoice, Pricing
from process_agent.core.selection import Catalogue
from process_agent.core.usage import UNMETERED, Ledger, Meter, ModelCall, UsageRecord


@dataclass(frozen=True, slots=True)
class Metering:
    """Meters of one agent. Without a ledger nothing is taken down."""

    agent: str
    ledger: Ledger | None
    catalogue: Catalogue
    clock: Clock = lambda: datetime.now(UTC)

    def of_turn(self, thread_id: ThreadId, turn_id: TurnId, model: ModelChoice) -> Meter:
        """The meter of a turn; its records are numbered, so that each has an id of its own for ever."""
        return self._meter(thread_id, turn_id, turn_id, model)

    def of_title(self, thread_id: ThreadId, model: ModelChoice) -> Meter:
        """The meter of a call that names a thread."""
        return self._meter(thread_id, "", f"title-{uuid.uuid4()}", model)

    def _meter(self, thread_id: ThreadId, turn: str, key: str, model: ModelChoice) -> Meter:
        if self.ledger is None:
            return UNMETERED
        choice = self.catalogue.known(model) or model
        info = self.catalogue.info(choice)
        pricing = None if info is None else info.pricing
        origin = _Origin(self.agent, thread_id, turn, key, choice, pricing)
        return _Meter(origin, self.ledger.add, self.clock)


@dataclass(frozen=True, slots=True)
class _Origin:
    agent: str
    thread: str
    turn: str
    key: str
    model: ModelChoice
    pricing: Pricing | None


class _Meter:
    __slots__ = ("_add", "_calls", "_clock", "_origin")

    def __init__(self, origin: _Origin, add: Callable[[UsageRecord], None], clock: Clock) -> None:
        self._origin = origin
        self._add = add
        self._clock = clock
        self._calls = 0

    def used(self, call: ModelCall) -> None:
        """An answer is over; see the port."""
        self._calls += 1
        origin, model = self._origin, self._origin.model
        usage, pricing = call.usage, origin.pricing
        record = UsageRecord(
            id=f"{origin.key}:{self._calls}",
            at=self._clock(),
            agent=origin.agent,
            thread=origin.thread,
            turn=origin.turn,
            backend=model.backend,
            provider=model.provider or "",
            model=model.model or "",
            purpose=call.purpose,
            whole=call.whole,
            response_id=call.response_id,
            usage=usage,
            cost=None if usage is None or pricing is None else usage.cost(pricing),
            unpriced_pieces=0 if usage is None else usage.unpriced(pricing),
        )
        self._add(record)


UNMETERED_AGENT = Metering("", None, Catalogue((), ModelChoice("")))
"""Takes nothing down."""
