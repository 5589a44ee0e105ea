"""Turns that wait, and how much memory they take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from process_agent.core.content import ContentPart, TextPart
from process_agent.core.turn import Turn


class Waiting:
    """What waits in all threads of one agent, in characters."""

    def __init__(self) -> None:
        self.size = 0


class TurnQueue:
    """The turns of one thread that wait for their time, first come, first served."""

    def __init__(self, everywhere: Waiting) -> None:
        self.size = 0
        self._everywhere = everywhere
        self._turns: deque[Turn] = deque()

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns)

    def append(self, turn: Turn) -> None:
        """One more turn, the last."""
        self._turns.append(turn)
        self._count(size_of(turn.content))

    def popleft(self) -> Turn:
        """Take the first turn."""
        turn = self._turns.popleft()
        self._count(-size_of(turn.content))
        return turn

    def remove(self, turn: Turn) -> None:
        """Take this turn."""
        self._turns.remove(turn)
        self._count(-size_of(turn.content))

    def _count(self, size: int) -> None:
        self.size += size
        self._everywhere.size += size


def size_of(content: Iterable[ContentPart]) -> int:
    """Characters of what somebody said, the data of attached files included."""
    return sum(len(part.text) if isinstance(part, TextPart) else len(part.url) for part in content)
