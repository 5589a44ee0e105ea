"""A queue in which everybody gets their turn: first come, first served for each, and each in turn. Pure."""

from __future__ import annotations

from collections import deque


class FairQueue[T]:
    """What waits, by whose it is. However much one has waiting, it has one before others' first."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        """Whose turn is next comes first."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def push(self, who: str, item: T) -> None:
        """One more of somebody's, after those it has."""
        self._waiting.setdefault(who, deque()).append(item)

    def pop(self) -> T:
        """The next one. Raises `IndexError` when nothing waits."""
        if not self._waiting:
            raise IndexError("nothing waits")
        who = next(iter(self._waiting))
        items = self._waiting.pop(who)
        item = items.popleft()
        if items:  # its next one comes after the others' first
            self._waiting[who] = items
        return item

    def remove(self, who: str, item: T) -> bool:
        """Take one out; False when it does not wait."""
        items = self._waiting.get(who, deque())
        if item not in items:
            return False
        items.remove(item)
        if not items:
            del self._waiting[who]
        return True
