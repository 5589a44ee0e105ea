"""Token counts, and the port of whoever takes them down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from process_agent.core.models import Pricing


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls. `cached` (read from the provider's cache) and `written` (put there)
    are parts of `input`, `reasoning` is part of `output`. The provider charges by the piece for `searches`,
    those of the web that it did, and `images` that it made, each by quality and size.
    """

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    written: int = 0
    searches: int = 0
    images: tuple[str, ...] = ()

    def cost(self, pricing: Pricing) -> float:
        """US dollars; input from or for the cache costs as other input where it has no price of its own. What
        is charged by the piece and has no price is not in it: see `unpriced`.
        """
        cached = pricing.input if pricing.cached is None else pricing.cached
        written = pricing.input if pricing.written is None else pricing.written
        fresh = max(self.input - self.cached - self.written, 0)
        spent = fresh * pricing.input + self.cached * cached + self.written * written
        pieces = self.searches * (pricing.search or 0.0) / 1e3
        pieces += sum(pricing.images.get(image, 0.0) for image in self.images)
        return (spent + self.output * pricing.output) / 1e6 + pieces

    def unpriced(self, pricing: Pricing | None) -> int:
        """Pieces whose price is not known."""
        searches = self.searches if pricing is None or pricing.search is None else 0
        priced = () if pricing is None else pricing.images
        return searches + sum(image not in priced for image in self.images)

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
            self.images + other.images,
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
            tuple((Counter(self.images) - Counter(other.images)).elements()),
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
    unpriced_pieces: int = 0
    """Searches and images that are not in the cost, because nobody knows their price."""


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
