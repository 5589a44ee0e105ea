"""Since when the latest threads of a long list were changed: a page reads those, not the whole list. Pure.

Only what narrows a search is remembered, never an entry. As threads are used they come to the front, so more
are found since a time than there were; fewer only when threads were removed, which the reader sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from process_agent.core.store import ThreadEntry

FEW = 128
"""Entries that are read whatever is asked for; a list that has no more is read whole."""


class Rungs:
    """Feed it what was read; it tells since when to read for a page."""

    def __init__(self) -> None:
        self._since: dict[int, datetime] = {}

    def since(self, end: int) -> datetime | None:
        """A time, of whole seconds, since which `end` entries at least were changed when it was learned. None
        when the whole list has to be read.
        """
        enough = [number for number in self._since if number >= end]
        return self._since[min(enough)] if enough else None

    def learn(self, entries: Sequence[ThreadEntry], *, whole: bool) -> None:
        """The latest entries, or the `whole` list, the latest changed first."""
        if whole:
            self._since.clear()
        number = FEW
        while number < len(entries):
            self._since[number] = entries[number - 1].modified_at.replace(microsecond=0)
            number *= 2
