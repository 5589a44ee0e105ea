"""Row numbers that two writers of one thread never give out twice, without asking each other.

The room has no compare-and-set, and a published agent refuses a thread with a doubled number. A number is
the millisecond since 2024 (41 bits, until 2093) and the writer's part (12 bits): below 2^53, so that
JavaScript reads it exactly, and growing with time, so that rows of two writers sort as they happened. Rows
of published agents count from 0 and sort before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container
from datetime import UTC, datetime, timedelta

from process_agent.core.ids import Clock

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_WRITER_BITS = 12
_WRITERS = 1 << _WRITER_BITS
LIMIT = 1 << 53
"""Every number is below this."""


class Sequence:
    """The numbers of one writer; each is above the one before and above `floor`, the highest one taken."""

    def __init__(self, clock: Clock, writer: int, floor: int = -1) -> None:
        self._clock = clock
        self._writer = writer
        self._tick = floor >> _WRITER_BITS

    @property
    def writer(self) -> int:
        """The writer's part of its numbers."""
        return self._writer

    def next(self) -> int:
        """A number nobody has."""
        self._tick = max(self._tick + 1, self._now())
        return (self._tick << _WRITER_BITS) | self._writer

    def later(self) -> Callable[[int], bool]:
        """Tells the numbers that this writer gives out from now on. Other writers' clocks do not matter."""
        last, writer = self._tick, self._writer
        return lambda number: number >> _WRITER_BITS > last and writer_of(number) == writer

    def _now(self) -> int:
        passed = self._clock() - _EPOCH
        return max((passed.days * 86_400 + passed.seconds) * 1000 + passed.microseconds // 1000, 0)


def choose_writer(taken: Container[int], pick: Callable[[int], int] = random.randrange) -> int:
    """A writer's part that is not among those of the rows already there (see `writer_of`), if one is left."""
    chosen = pick(_WRITERS)
    for _ in range(_WRITERS):
        if chosen not in taken:
            return chosen
        chosen = (chosen + 1) % _WRITERS
    return chosen


def moment_of_number(number: int) -> datetime:
    """When a number was given out, as far as its writer knew."""
    return _EPOCH + timedelta(milliseconds=number >> _WRITER_BITS)


def writer_of(number: int) -> int:
    """The writer's part of a number."""
    return number % _WRITERS
