"""Token counts."""

from __future__ import annotations

from dataclasses import dataclass

from process_agent.core.models import Pricing


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls. `cached` is part of `input`, `reasoning` part of `output`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def cost(self, pricing: Pricing) -> float:
        """US dollars; input from the cache costs as other input where there is no price of its own."""
        cached = pricing.input if pricing.cached is None else pricing.cached
        fresh = max(self.input - self.cached, 0)
        return (fresh * pricing.input + self.cached * cached + self.output * pricing.output) / 1e6

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
        )


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """How full the model's context is, in tokens; `total` is None when the model does not say, and
    `compacts_at` is the fill at which it is shortened by itself, if that is known.
    """

    used: int
    total: int | None = None
    compacts_at: int | None = None
