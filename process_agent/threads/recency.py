"""Threads in which a turn began that the list does not say yet: it is stored with the turn's end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry

NEWS_AFTER = timedelta(seconds=1)
"""A thread that came to the front of the list so lately is there still."""

MAX_THREADS = 10_000
"""Threads that are remembered, of each kind."""


class Recency:
    """Knows the list better than its table does. Feed it what begins and what is written."""

    def __init__(self) -> None:
        self._began: dict[ThreadId, datetime] = {}
        self._told: dict[ThreadId, datetime] = {}

    @property
    def ahead(self) -> set[ThreadId]:
        """The threads of which the table does not say when they were used last."""
        return set(self._began)

    def begin(self, path: ThreadId, now: datetime) -> bool:
        """A turn begins; whether the thread may have been further back in the list until now."""
        told = self._told.get(path)
        _remember(self._began, path, now)
        _remember(self._told, path, now)
        return told is None or now - told > NEWS_AFTER

    def stored(self, entry: ThreadEntry) -> None:
        """The table has an entry with this time."""
        if self._began.get(entry.path, entry.modified_at) <= entry.modified_at:
            self._began.pop(entry.path, None)
        _remember(self._told, entry.path, entry.modified_at)

    def forget(self, path: ThreadId) -> None:
        """The thread is removed."""
        self._began.pop(path, None)
        self._told.pop(path, None)

    def over(self, entries: Iterable[ThreadEntry]) -> list[ThreadEntry]:
        """The entries with the times that are true."""
        return [self._true(entry) for entry in entries]

    def _true(self, entry: ThreadEntry) -> ThreadEntry:
        began = self._began.get(entry.path, entry.modified_at)
        return entry if began <= entry.modified_at else replace(entry, modified_at=began)


def _remember(times: dict[ThreadId, datetime], path: ThreadId, at: datetime) -> None:
    times.pop(path, None)
    times[path] = at
    if len(times) > MAX_THREADS:
        del times[next(iter(times))]
