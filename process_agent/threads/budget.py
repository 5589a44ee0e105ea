"""How much may wait to be stored while the room is away: all threads of a store share it. Pure."""

from __future__ import annotations

from collections.abc import Callable

MAX_WAITING = 256 << 20
"""Characters of rows that wait to be stored, of all threads; above that the room has been away too long. What
may wait in a thread has to fit: a turn's content is in three rows, two of them as soon as it is accepted.
"""


class Budget:
    """Whoever holds most gives up once all together hold too much; the others keep what they have."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._total = 0
        self._holders: dict[Share, None] = {}

    @property
    def total(self) -> int:
        """Characters that wait."""
        return self._total

    def share(self, give_up: Callable[[], None]) -> Share:
        """Of one thread, which holds nothing yet. `give_up` is called when it has to drop all it holds."""
        return Share(self, give_up)

    def hold(self, share: Share, size: int) -> None:
        """A share holds so many more, or less if it is negative. What one adds is never more than what the
        largest holds then: that one giving up is enough.
        """
        share.size += size
        self._total += size
        if share.size:
            self._holders[share] = None
        else:
            self._holders.pop(share, None)
        if self._total > self._most:
            largest = max(self._holders, key=lambda each: each.size)
            largest.leave()
            largest.give_up()


class Share:
    """What waits of one thread."""

    def __init__(self, budget: Budget, give_up: Callable[[], None]) -> None:
        self._budget = budget
        self.give_up = give_up
        self.size = 0
        """Characters it holds."""

    def take(self, size: int) -> None:
        """So many more wait. Who has to give up for that, this one or another, has done so on return."""
        self._budget.hold(self, size)

    def give_back(self, size: int) -> None:
        """So many wait no more."""
        self._budget.hold(self, -size)

    def leave(self) -> None:
        """Nothing waits any more."""
        self._budget.hold(self, -self.size)
