"""The list of threads: one table beside the threads' own (agent protocol, section 6.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, assert_never

import pyarrow as pa

from process_agent.core.ids import Clock, ThreadId
from process_agent.core.room import ArrowTable, Datasets, TableChange, TableRef
from process_agent.core.store import ListChange, ThreadEntry, Unlisted
from process_agent.errors import RoomRequestError
from process_agent.io.tables import up_to_date
from process_agent.threads.known import KnownEntries
from process_agent.threads.recency import Recency
from process_agent.threads.rungs import Rungs
from process_agent.threads.schema import INDEX, INDEX_TABLE
from process_agent.threads.table import quoted
from process_agent.threads.touches import Touches

_EPOCH = datetime.fromtimestamp(0, UTC)
UNNAMED = "New Chat"
"""The published agent's name for a thread that nobody named."""

MAX_NAMED = 1_000
"""Threads named in one condition; of more, the whole list is read."""


class ThreadIndex:
    """Reads and changes entries. Clients may change the table too, so nothing is taken from memory; only a
    touch takes what the watch told of an entry last.
    """

    def __init__(self, datasets: Datasets, namespace: tuple[str, ...], clock: Clock) -> None:
        self._datasets = datasets
        self._table = TableRef(INDEX_TABLE, namespace)
        self._clock = clock
        self._touches = Touches(self._touch)
        self._seen: KnownEntries | None = None
        self._rungs = Rungs()
        self._recency = Recency()
        self.wrote: Callable[[TableRef], None] = lambda _table: None
        """Hears of each write, for upkeep."""

    async def ensure(self) -> None:
        """Create the table if it is missing."""
        await up_to_date(self._datasets, self._table, INDEX)

    async def put(self, entry: ThreadEntry) -> None:
        """Add an entry, or replace the one of the same path."""
        row: dict[str, Any] = {
            "path": entry.path,
            "name": entry.name,
            "created_at": iso(entry.created_at),
            "modified_at": iso(entry.modified_at),
        }
        self._writing(entry)
        await self._datasets.merge(self._table, pa.Table.from_pylist([row], schema=INDEX), "path")
        self._recency.stored(entry)
        self.wrote(self._table)

    async def get(self, path: ThreadId) -> ThreadEntry | None:
        """One entry."""
        entries = await self._read(_same(path))
        return entries[0] if entries else None

    async def all(self) -> list[ThreadEntry]:
        """Every entry, the latest changed first."""
        entries = _newest_first(await self._read(None))
        self._rungs.learn(entries, whole=True)
        return self._as_used(entries)

    async def page(self, limit: int, offset: int) -> tuple[list[ThreadEntry], int]:
        """A page of `all`, and the number of all. Of a long list little more is read than what is in front of
        the end of the page.
        """
        end, ahead = offset + limit, self._recency.ahead
        since = self._rungs.since(end) if len(ahead) <= MAX_NAMED else None
        if since is not None:
            where = _changed_since(since) + (f" OR {_any_of(sorted(ahead))}" if ahead else "")
            found, total = await asyncio.gather(self._read(where), self._datasets.count(self._table))
            entries = [entry for entry in _newest_first(found) if entry.modified_at >= since]
            if len(entries) >= end:
                self._rungs.learn(entries, whole=False)
                entries = [entry for entry in self._as_used(found) if entry.modified_at >= since]
                return entries[offset:end], max(total, len(entries))
        entries = await self.all()  # it is short, the end of it is asked for, or threads were removed
        return entries[offset:end], len(entries)

    async def among(self, paths: set[ThreadId]) -> list[ThreadEntry]:
        """The entries of these threads, the latest changed first."""
        if len(paths) > MAX_NAMED:
            return [entry for entry in await self.all() if entry.path in paths]
        return self._as_used(await self._read(_any_of(sorted(paths)))) if paths else []

    async def rename(self, path: ThreadId, name: str) -> ThreadEntry:
        """Change the name; `created_at` stays."""
        return await self._change(path, {"name": name})

    async def begin(self, path: ThreadId, *, told: bool) -> ThreadEntry | None:
        """A turn begins in a thread: it is the latest from now on for who asks here, and in the table with
        its next touch. What others are to be `told`; None when the thread was the latest just now. Where
        nobody is told, or the watch has told the entry lately, nothing is asked of the room.
        """
        now = self._clock()
        if not self._recency.begin(path, now) or not told:
            return None
        entry = self._recent(path)
        return await self.touch(path) if entry is None else replace(entry, modified_at=now)

    def _as_used(self, entries: list[ThreadEntry]) -> list[ThreadEntry]:
        return _newest_first(self._recency.over(entries))

    async def touch(self, path: ThreadId) -> ThreadEntry:
        """Set `modified_at` to the present and nothing else; see `Touches` for when."""
        return await self._touches.touch(path)

    async def close(self) -> None:
        """Touch what is to be touched."""
        await self._touches.close()

    async def remove(self, path: ThreadId) -> None:
        """Remove an entry."""
        self._touches.forget(path)
        self._recency.forget(path)
        if self._seen is not None:
            self._seen.removing(path)
        await self._datasets.delete(self._table, _same(path))
        self.wrote(self._table)

    async def changes(self) -> AsyncIterator[ListChange]:
        """What others do to the list from now on; one reader. Raises what `Datasets.watch` raises."""
        await self.ensure()
        seen = self._seen = self._seen or KnownEntries()
        try:
            async for change in self._datasets.watch(self._table):
                for each in await self._found(seen, change):
                    if isinstance(each, Unlisted):
                        self._touches.forget(each.path)  # it would be listed again
                        self._recency.forget(each.path)
                    yield each
        except RoomRequestError:
            seen.forget()
            raise
        finally:
            seen.unwatched()

    async def _found(self, seen: KnownEntries, change: TableChange) -> list[ListChange]:
        entries = _entries(change.rows)
        match change.kind:
            case "current":
                return seen.current(entries)
            case "ready":
                return seen.ready()
            case "changed":
                return [found for entry in entries if (found := seen.changed(entry)) is not None]
            case "removed":
                # A room may tell a change as a removal and a new row: what counts is what is there now.
                paths = {entry.path for entry in entries}
                paths -= {entry.path for entry in await self.among(paths)}
                return [found for path in sorted(paths) if (found := seen.removed(path)) is not None]
            case _:
                assert_never(change.kind)

    def _recent(self, path: ThreadId) -> ThreadEntry | None:
        return None if self._seen is None else self._seen.recent(path)

    def _writing(self, entry: ThreadEntry) -> None:
        if self._seen is not None:
            self._seen.writing(entry)

    async def _change(self, path: ThreadId, values: dict[str, str]) -> ThreadEntry:
        now = self._clock()
        before = await self.get(path)
        if before is None:
            entry = ThreadEntry(path, values.get("name", UNNAMED), now, now)
            await self.put(entry)
            return entry
        entry = ThreadEntry(path, values.get("name", before.name), before.created_at, now)
        self._writing(entry)
        await self._datasets.update(self._table, _same(path), {**values, "modified_at": iso(now)})
        self.wrote(self._table)
        return entry

    async def _touch(self, paths: Sequence[ThreadId]) -> dict[ThreadId, ThreadEntry]:
        now = self._clock()
        known = [entry for path in paths if (entry := self._recent(path)) is not None]
        unknown = sorted(set(paths) - {entry.path for entry in known})
        entries = [*known, *(await self._read(_any_of(unknown)) if unknown else ())]
        found = {entry.path: replace(entry, modified_at=now) for entry in entries}
        for entry in found.values():
            self._writing(entry)
        if found:
            await self._datasets.update(self._table, _any_of(paths), {"modified_at": iso(now)})
            self.wrote(self._table)
            for entry in found.values():
                self._recency.stored(entry)
        for path in paths:
            if path not in found:
                found[path] = ThreadEntry(path, UNNAMED, now, now)
                await self.put(found[path])
        return found

    async def _read(self, where: str | None) -> list[ThreadEntry]:
        return await entries_of(self._datasets, self._table, where)


async def entries_of(datasets: Datasets, table: TableRef, where: str | None = None) -> list[ThreadEntry]:
    """The entries of a list, or those of its rows that match, in table order. Raises `RoomError`."""
    return [entry async for batch in datasets.search(table, where=where) for entry in _entries(batch)]


def _newest_first(entries: list[ThreadEntry]) -> list[ThreadEntry]:
    return sorted(entries, key=lambda t: (t.modified_at, t.created_at, t.path), reverse=True)


def _changed_since(moment: datetime) -> str:
    """What changed since a whole second. Text of the usual form, in UTC, is in the order of time; other rows
    are read too.
    """
    usual = iso(moment).partition(".")[0]
    return f"modified_at >= {quoted(usual)} OR modified_at IS NULL OR modified_at NOT LIKE '%Z'"


def _any_of(paths: Sequence[ThreadId]) -> str:
    return _same(paths[0]) if len(paths) == 1 else f"path IN ({', '.join(map(quoted, paths))})"


def _same(path: ThreadId) -> str:
    return f"path = {quoted(path)}"


def _entries(rows: ArrowTable) -> list[ThreadEntry]:
    return [entry for row in pa.table(rows).to_pylist() if (entry := _entry(row)) is not None]


def _entry(row: dict[str, Any]) -> ThreadEntry | None:
    path = row.get("path")
    if not isinstance(path, str) or not path:
        return None
    created = _moment(row.get("created_at"))
    modified = _moment(row.get("modified_at"))
    name = row.get("name")
    return ThreadEntry(
        ThreadId(path), str(name or UNNAMED), created or modified or _EPOCH, modified or created or _EPOCH
    )


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso(moment: datetime) -> str:
    """A time as the tables beside the threads have it; later ones sort after."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
