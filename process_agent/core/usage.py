"""Token counts, and the port of whoever takes them down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from process_agent.core.models import Pricing


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls. `cached` (read from the provider's cache) and `written` (put there)
    are parts of `input`, `reasoning` is part of `output`. `searches` are those of the web that the provider
    did, which it charges for by the piece: they are in no cost here.
    """

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    written: int = 0
    searches: int = 0

    def cost(self, pricing: Pricing) -> float:
        """US dollars; input from or for the cache costs as other input where it has no price of its own."""
        cached = pricing.input if pricing.cached is None else pricing.cached
        written = pricing.input if pricing.written is None else pricing.written
        fresh = max(self.input - self.cached - self.written, 0)
        spent = fresh * pricing.input + self.cached * cached + self.written * written
        return (spent + self.output * pricing.output) / 1e6

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.written + other.written,
            self.searches + other.searches,
        )

    def __sub__(self, other: Usage) -> Usage:
        """What came on top of `other`; never less than nothing."""
        return Usage(
            max(self.input - other.input, 0),
            max(self.cached - other.cached, 0),
            max(self.output - other.output, 0),
            max(self.reasoning - other.reasoning, 0),
            max(self.written - other.written, 0),
            max(self.searches - other.searches, 0),
        )


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """How full the model's context is, in tokens; `total` is None when the model does not say, and
    `compacts_at` is the fill at which it is shortened by itself, if that is known.
    """

    used: int
    total: int | None = None
    compacts_at: int | None = None


type Purpose = Literal["turn", "compaction", "title"]
"""What a model was asked for: to go on with a turn, to shorten a conversation, to name a thread."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One answer of a provider that it may charge for. `usage` is None when the answer broke off before the
    provider told it; `whole` is False for every answer that broke off. `response_id` is the provider's name
    for it.
    """

    usage: Usage | None
    purpose: Purpose = "turn"
    whole: bool = True
    response_id: str | None = None


class Meter(Protocol):
    """Takes down what the models of one turn, or whoever else asks one, use."""

    def used(self, call: ModelCall) -> None:
        """Remember an answer; each is told once. Returns at once and raises nothing."""
        ...


class Unmetered:
    """Remembers nothing."""

    def used(self, call: ModelCall) -> None:
        """See the port."""


UNMETERED = Unmetered()


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One answer of a provider as it is kept. `id` is the same however often it is written, `at` the time of
    its end. `turn` is empty for what belongs to none. `usage` and `cost`, in US dollars, are None where they
    are not known: nobody said, or nobody knows the price.
    """

    id: str
    at: datetime
    agent: str
    thread: str
    turn: str
    backend: str
    provider: str
    model: str
    purpose: Purpose
    whole: bool
    response_id: str | None
    usage: Usage | None
    cost: float | None


class UsageQuestion(StrEnum):
    """What somebody asks of an agent's usage; the values are what it is called with."""

    THREAD_AND_TODAY = "/usage"
    """What this thread used, and what the agent used today."""
    THREAD = "/usage thread"
    """What this thread used: all that may be told where participants have threads of their own."""

    @property
    def writes(self) -> bool:
        """Whether it changes files, as `FileCommand` has it."""
        return False


class Ledger(Protocol):
    """Where an agent's usage is kept."""

    async def records(self, thread: str, since: datetime) -> Sequence[UsageRecord]:
        """What is kept of a thread, and everything since then, each once, in order of time. Raises
        `RoomError`.
        """
        ...

    def start(self) -> None:
        """Begin to write what is added, and what an earlier run of this agent could not."""
        ...

    def add(self, record: UsageRecord) -> None:
        """Keep a record, within seconds and over lost connections. Returns at once and raises nothing."""
        ...

    async def close(self) -> None:
        """Write what waits, for a few seconds at most; the rest is not lost. Idempotent."""
        ...
