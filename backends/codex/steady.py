"""When nothing but words streams from Codex, they are read in a beat: waking up for each costs several times
what is in it. Pure: the time is an argument.

A beat holds up everything that comes from the app-server, of all threads. So there is none unless every turn
that runs is in the middle of a text, and none before a stream has gone on for a moment: nobody waits for the
first word or for the end of a short answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BEAT_SECONDS: Final = 0.026
"""A little longer than the window in which viewers get one message: what is read goes on to them at once."""

STEADY: Final = 8
"""Pieces of nothing but words, one soon after the other, before there is a beat."""

SMALL_BYTES: Final = 8 * 1024
"""A larger piece means that more waits in the pipe."""

MAX_THREADS: Final = 10_000

_WORDS: Final = frozenset(
    {"item/agentMessage/delta", "item/reasoning/summaryTextDelta", "item/reasoning/textDelta"}
)


class Steadiness:
    """Knows which threads are in the middle of a text, and how steadily it comes."""

    def __init__(self) -> None:
        self._streaming: set[str] = set()
        self._words_only = True
        self._in_a_row = 0
        self._last = float("-inf")

    def heard(self, method: str, thread: str | None) -> None:
        """A notification or a request came, of this thread, if somebody listens to it."""
        if method in _WORDS and thread is not None:
            if len(self._streaming) < MAX_THREADS:
                self._streaming.add(thread)
            return
        self._words_only = False
        if thread is not None:
            self._streaming.discard(thread)

    def over(self, thread: str) -> None:
        """Nobody listens to this thread any more."""
        self._streaming.discard(thread)

    def beat(self, size: int, running: Iterable[str], now: float) -> float:
        """After a piece of `size` bytes, while turns run in these threads: for how many seconds nothing need
        be read.
        """
        soon = now - self._last < 2 * BEAT_SECONDS
        self._in_a_row = self._in_a_row + 1 if soon and self._words_only else 0
        self._last, self._words_only = now, True
        steady = self._in_a_row >= STEADY and size < SMALL_BYTES
        return BEAT_SECONDS if steady and self._streaming.issuperset(running) else 0.0
