"""Which entries of the thread list are known, to tell changes that others make from our own. Pure.

Every change of the table comes back through its watch. What we wrote ourselves is noted before it is written,
and passed over once when it comes back. What the watch told of the entries that changed last is remembered
too, so that they need not be read: nothing else is, as only the watch has all writers' changes in order.
"""

from __future__ import annotations

from collections.abc import Iterable

from process_agent.core.ids import ThreadId
from process_agent.core.store import ListChange, Listed, ThreadEntry, Unlisted

MAX_KNOWN = 50_000
"""Entries that are remembered. In a longer list, what others do while the connection is lost is seen only
when the list is read.
"""

MAX_OURS = 8
"""Changes of one entry of ours that did not come back yet; there are more only where none comes back."""

MAX_PATHS = 10_000
"""Entries with such changes."""

MAX_RECENT = 1_000
"""Entries that changed last and are remembered whole."""


class KnownEntries:
    """Feed it everything in order: what we write, and what the watch tells."""

    def __init__(self) -> None:
        self._known: dict[ThreadId, int] | None = None
        self._now: dict[ThreadId, int] = {}
        self._ours: dict[ThreadId, list[int]] = {}
        self._removing: dict[ThreadId, None] = {}
        self._recent: dict[ThreadId, ThreadEntry] = {}
        self._watching = False

    def recent(self, path: ThreadId) -> ThreadEntry | None:
        """An entry as the watch told it last; None when it was long ago, or we changed it since."""
        return self._recent.get(path) if self._watching else None

    def writing(self, entry: ThreadEntry) -> None:
        """We are about to write an entry."""
        self._removing.pop(entry.path, None)
        self._recent.pop(entry.path, None)
        marks = self._ours.setdefault(entry.path, [])
        marks.append(_mark(entry))
        del marks[:-MAX_OURS]
        if len(self._ours) > MAX_PATHS:
            del self._ours[next(iter(self._ours))]

    def removing(self, path: ThreadId) -> None:
        """We are about to remove an entry."""
        self._recent.pop(path, None)
        self._removing[path] = None
        if len(self._removing) > MAX_PATHS:
            del self._removing[next(iter(self._removing))]

    def forget(self) -> None:
        """The watch broke for another reason than a lost connection: what is there next is taken as it is."""
        self._known = None
        self._now = {}
        self.unwatched()

    def unwatched(self) -> None:
        """Nobody watches any more: entries change without us."""
        self._watching = False
        self._recent.clear()

    def current(self, entries: Iterable[ThreadEntry]) -> list[ListChange]:
        """Some of the entries there are now; what others did to them since they were known last."""
        changes: list[ListChange] = []
        for entry in entries:
            path, mark = entry.path, _mark(entry)
            ours = self._came_back(path, mark)
            if path in self._recent:
                self._recent[path] = entry
            if self._known is not None and not ours and self._known.get(path) != mark:
                changes.append(Listed(entry, new=path not in self._known))
            if len(self._now) <= MAX_KNOWN:
                self._now[path] = mark
        return changes

    def ready(self) -> list[ListChange]:
        """Those were all entries; which are gone since they were known last."""
        before, self._known, self._now = self._known, self._now, {}
        self._recent = {path: entry for path, entry in self._recent.items() if path in self._known}
        self._watching = True
        gone = [path for path in before or () if path not in self._known]
        self._limit()
        return [Unlisted(path) for path in gone if not self._removed(path)]

    def changed(self, entry: ThreadEntry) -> ListChange | None:
        """An entry as it is now; the change if it is somebody else's."""
        path, mark = entry.path, _mark(entry)
        self._remember(entry)
        ours, known = self._came_back(path, mark), self._known
        before = None if known is None else known.get(path)
        if known is not None:
            known[path] = mark
            self._limit()
        if ours or before == mark:
            return None
        return Listed(entry, new=known is not None and before is None)

    def removed(self, path: ThreadId) -> ListChange | None:
        """An entry is gone; the change if somebody else removed it."""
        self._recent.pop(path, None)
        was_known = self._known is None or self._known.pop(path, None) is not None
        return None if self._removed(path) or not was_known else Unlisted(path)

    def _remember(self, entry: ThreadEntry) -> None:
        self._recent.pop(entry.path, None)
        self._recent[entry.path] = entry
        if len(self._recent) > MAX_RECENT:
            del self._recent[next(iter(self._recent))]

    def _came_back(self, path: ThreadId, mark: int) -> bool:
        marks = self._ours.get(path, [])
        if mark not in marks:
            return False
        del marks[: marks.index(mark) + 1]  # changes before it are seen as one with it
        if not marks:
            del self._ours[path]
        return True

    def _removed(self, path: ThreadId) -> bool:
        ours = path in self._removing
        self._removing.pop(path, None)
        return ours

    def _limit(self) -> None:
        if self._known is not None and len(self._known) > MAX_KNOWN:
            self._known = None


def _mark(entry: ThreadEntry) -> int:
    return hash((entry.name, entry.created_at, entry.modified_at))
