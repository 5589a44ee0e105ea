"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times that double from `first` up to `ceiling` seconds.

    Each is shortened by up to `jitter` of itself, so that many clients of one server do not come back at
    the same instant.
    """

    first: float = 0.5
    ceiling: float = 30.0
    jitter: float = 0.2

    def delays(self, chance: Callable[[], float] = random.random) -> Iterator[float]:
        """Endless seconds to wait; `chance` returns a number from 0 to below 1."""
        delay = self.first
        while True:
            yield delay * (1 - self.jitter * chance())
            delay = min(delay * 2, self.ceiling)
