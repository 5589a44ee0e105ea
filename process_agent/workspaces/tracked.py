"""One folder and the turns that run in it: a snapshot before each, and one after those that used tools.

No turn waits for a snapshot. The one before a turn is taken while its model is asked; should something change
files before it is done, the time of the change tells, and that path counts as unsure.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from process_agent.core.ids import ThreadId, TurnId
from process_agent.errors import WorkspaceError
from process_agent.io.tasks import Tasks
from process_agent.workspaces.records import Records, TurnOf, TurnRecord
from process_agent.workspaces.snapshots import Snapshot, Snapshots, TooMuchError

logger = logging.getLogger(__name__)

FIRST_PATIENCE: Final = 1.0
"""Seconds a turn waits for the very first look at the folder, right after the agent's start."""

_TICK: Final = 10_000_000
"""Nanoseconds by which the clock of a file system may be behind ours."""

_BEGINNING = "it changed just when the turn began"
_ENDING = "it changed just after the turn ended"
_UNKEPT = "it is too large to be kept, or cannot be read"


@dataclass(slots=True)
class Watch:
    """A turn that runs."""

    thread_id: ThreadId
    turn_id: TurnId
    began: int
    before: asyncio.Task[Snapshot | None]
    beside: set[TurnOf] = field(default_factory=set)


class TrackedFolder:
    """See the module. `problem` says why there are no snapshots of this folder."""

    def __init__(self, snapshots: Snapshots, records: Records) -> None:
        self.snapshots = snapshots
        self.records = records
        self.problem: str | None = None
        self.running: dict[TurnId, Watch] = {}
        self.writing = asyncio.Lock()
        """Held while files are put back: no turn begins then."""
        self.patches: dict[ThreadId, str] = {}
        """The diff that a backend told of last, where there are no snapshots."""
        self._scanning = asyncio.Lock()
        self._next: asyncio.Task[Snapshot | None] | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._tasks = Tasks("workspace")
        self._lock: int | None = None
        self._first: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at the folder for the first time, in the background."""
        if self._first is None:
            self._first = self._tasks.start(self._begin(), "first snapshot")

    async def _begin(self) -> None:
        try:
            async with self._scanning:
                self._lock = _locked(self.records.place)
                self.records.load()
                self.snapshots.modes = self.records.modes
                await self.snapshots.open()
                await self.snapshots.take()
        except (WorkspaceError, OSError) as error:
            self._give_up(str(error))
            return
        self._tasks.start(self._tidy(), "pack snapshots")

    async def _tidy(self) -> None:
        """Nobody waits for it: what is newer than an hour stays as it is."""
        try:
            await self.snapshots.tidy()
        except WorkspaceError as error:
            logger.info("old snapshots of %s were not packed: %s", self.snapshots.folder, error)

    def _give_up(self, problem: str) -> None:
        self.problem = problem
        logger.warning("/undo is not possible in %s: %s", self.snapshots.folder, problem)

    async def ready(self) -> None:
        """Wait for the first look, however long it takes."""
        self.start()
        if self._first is not None:
            await asyncio.wait([self._first])

    async def turn_begins(self, thread_id: ThreadId, turn_id: TurnId) -> None:
        """See the port."""
        self.start()
        if self._first is not None and not self._first.done():
            await asyncio.wait([self._first], timeout=FIRST_PATIENCE)
        async with self.writing:
            watch = Watch(thread_id, turn_id, time.time_ns(), self.take())
            for other in self.running.values():
                other.beside.add((thread_id, turn_id))
                watch.beside.add((other.thread_id, other.turn_id))
            self.running[turn_id] = watch

    def turn_ends(self, turn_id: TurnId, *, used_tools: bool, patches: str | None) -> None:
        """See the port."""
        watch = self.running.pop(turn_id, None)
        if watch is None or not used_tools:
            return
        if patches is not None:
            self.patches[watch.thread_id] = patches
        ended = time.time_ns()
        settling = self._tasks.start(self._settle(watch, ended, self.take()), f"files of {turn_id}")
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)

    def take(self) -> asyncio.Task[Snapshot | None]:
        """A snapshot that begins after now; those who ask before it begins share it."""
        if self._next is None:
            self._next = self._tasks.start(self._scan(), "snapshot")
        return self._next

    async def _scan(self) -> Snapshot | None:
        async with self._scanning:
            self._next = None
            if self.problem is not None:
                return None
            try:
                return await self.snapshots.take()
            except TooMuchError as error:
                self._give_up(str(error))
            except WorkspaceError as error:
                logger.warning("the files of %s could not be compared: %s", self.snapshots.folder, error)
            return None

    async def _settle(self, watch: Watch, ended: int, taking: asyncio.Task[Snapshot | None]) -> None:
        """Note what a turn did."""
        before, after = await watch.before, await taking
        if before is None or after is None:
            return
        async with self._scanning:
            changes = await self.snapshots.changes(before.tree, after.tree)
        unsure = {path: _BEGINNING for path, at in before.touched.items() if at > watch.began - _TICK}
        unsure |= {path: _ENDING for path, at in after.touched.items() if at > ended}
        unsure = {change.path: unsure[change.path] for change in changes if change.path in unsure}
        paths = {*before.unkept, *after.unkept}
        unsure |= {path: _UNKEPT for path in paths if before.unkept.get(path) != after.unkept.get(path)}
        if not changes and not unsure:
            return
        record = TurnRecord(
            self.records.next_number(),
            watch.thread_id,
            watch.turn_id,
            before.tree,
            after.tree,
            tuple(changes),
            unsure,
            tuple(sorted(watch.beside)),
        )
        gone = self.records.add(record)
        async with self._scanning:
            await self.snapshots.keep({record.name: (before.tree, after.tree)}, gone)

    async def settled(self) -> None:
        """Wait until what ended turns did is noted."""
        await self.ready()
        if self._settling:
            await asyncio.wait(set(self._settling))

    async def whole[T](self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Do something to its end, even if whoever asked for it is cancelled."""
        return await asyncio.shield(self._tasks.start(work, name))

    def scanning(self) -> asyncio.Lock:
        """Held by whoever uses the snapshots."""
        return self._scanning

    async def close(self) -> None:
        """Note what can still be noted, then stop. Idempotent."""
        if self._settling:
            await asyncio.wait(set(self._settling), timeout=FIRST_PATIENCE)
        await self._tasks.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(place: Path) -> int:
    """Makes what is kept of a folder ours. Raises `WorkspaceError` when another agent has it."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise WorkspaceError("another agent of this name works in this folder, and keeps them") from error
    return handle
