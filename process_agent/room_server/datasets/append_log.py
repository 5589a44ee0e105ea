"""A log on disk that many share: whatever waits is flushed once.

It is a row of files, named by their first position; only the last one is written to. A record is durable
when `add`'s future is done. Mostly it is with the system when `add` returns, and then it outlives this
process: whoever is told of it before it is flushed is told the truth, unless the machine loses its power in
that millisecond. Files go, oldest first, when nobody needs their records any more.

One log serves all tables of a room: 200 tables that each flush a file of their own cost 200 flushes, and as
many open files.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from process_agent.io.tasks import Tasks
from process_agent.room_server.datasets import log_records
from process_agent.room_server.datasets.disk import Disk
from process_agent.room_server.datasets.log_records import Record
from process_agent.room_server.datasets.names import TableKey
from process_agent.room_server.toolkit import OPERATION_FAILED, ToolError

logger = logging.getLogger(__name__)

FILE_BYTES: Final = 16 * 1024 * 1024
"""Size at which the next file is begun."""

IDLE_BYTES: Final = 256 * 1024
"""A file of this size or more goes as soon as nothing in it is needed; smaller ones are kept on."""

MAX_WAITING: Final = 32 * 1024 * 1024
"""Bytes that wait to be written; above that `add` refuses. Callers wait for their answers long before."""

_SUFFIX: Final = ".rows"
_DAMAGED: Final = ".damaged"


@dataclass(slots=True)
class _File:
    """One file of the log. `size` counts what is durable, `written` what the system has."""

    first: int
    path: Path
    size: int
    written: int


type _Waiting = tuple[int, bytes, asyncio.Future[None]]
"""A record that is not durable yet: its position, its bytes, and who waits."""


class AppendLog:
    """The log in one folder. Used from the event loop; a thread of its own writes and flushes."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = Disk() if disk is None else disk
        self._files: deque[_File] = deque()
        self._descriptor: int | None = None
        self._next = 1
        self._unwritten: list[_Waiting] = []
        self._unflushed: list[_Waiting] = []
        """Written, and not flushed. Nothing is written behind what is unwritten."""
        self._waiting_bytes = 0
        self._alone = 0
        """Above 0 while the thread changes files: nobody else writes."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rows log")
        self._tasks = Tasks("rows log")
        self._committing = False
        self._broken: OSError | None = None

    @property
    def next_position(self) -> int:
        """The position the next record gets."""
        return self._next

    @property
    def disk_bytes(self) -> int:
        """Bytes of its files."""
        return sum(file.size for file in self._files)

    def read(self) -> Iterator[Record]:
        """All records, in order; a torn end is cut off. Blocking; to be exhausted before the first `add`."""
        self._release()
        self._files.clear()
        self._next = 1
        paths = self._disk.paths(self._folder, _SUFFIX)
        for path in paths:
            data, end = self._disk.read(path), 0
            for end, record in log_records.decode(data, self._next - 1):  # noqa: B007 - the last one counts
                self._next = record.position + 1
                yield record
            if end < len(data):
                self._cut(path, end, len(data), last=path is paths[-1])
            if end:
                self._files.append(_File(int(path.stem), path, end, end))
            else:
                self._disk.remove(path)

    def add(self, kind: bytes, key: TableKey, payload: bytes) -> tuple[int, asyncio.Future[None]]:
        """Queue a record; its position, and a future that is done when it is on disk.

        The future raises `ToolError` when it cannot be stored, and then it is not in the log.
        """
        record = log_records.encode(Record(kind, self._next, key, payload))
        if self._waiting_bytes + len(record) > MAX_WAITING:
            raise ToolError("the room's disk does not keep up", code=OPERATION_FAILED)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        position, self._next = self._next, self._next + 1
        at_once = not (self._unwritten or self._alone) and self._write_at_once(record)
        (self._unflushed if at_once else self._unwritten).append((position, record, stored))
        self._waiting_bytes += len(record)
        if not self._committing:
            self._committing = True
            self._tasks.start(self._commit(), "commit")
        return position, stored

    def _write_at_once(self, record: bytes) -> bool:
        """Put a record behind the others; whether that could be done. If not, the thread finds out why."""
        descriptor = self._descriptor
        if descriptor is None or self._broken is not None or self._files[-1].written >= FILE_BYTES:
            return False
        file = self._files[-1]
        try:
            if self._disk.write(descriptor, record) == len(record):
                file.written += len(record)
                return True
            self._disk.shorten(descriptor, file.written)
        except OSError as error:
            logger.warning("a record waits for its place in the log of rows: %s", error)
        return False

    async def trim(self, needed: int) -> None:
        """Remove files whose records all lie before position `needed`."""
        last = self._files[-1] if self._files else None
        idle = last is not None and needed >= self._next and last.size >= IDLE_BYTES and not self._committing
        if idle or (len(self._files) > 1 and self._files[1].first <= needed):
            try:
                await self._run_alone(self._remove, needed, idle)
            except OSError as error:
                logger.warning("a file of the log of rows could not be removed: %s", error)

    async def close(self, needed: int) -> None:
        """Write what waits, remove what nobody needs, and let go of the files."""
        await self._tasks.wait()
        await self._tasks.close()
        await self._run(self._remove, needed, needed >= self._next)
        await self._run(self._release)
        await asyncio.to_thread(self._thread.shutdown)

    async def _run[*Arguments](self, work: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _run_alone[*Arguments](
        self, work: Callable[[*Arguments], object], *arguments: *Arguments
    ) -> None:
        self._alone += 1
        try:
            await self._run(work, *arguments)
        finally:
            self._alone -= 1

    async def _commit(self) -> None:
        try:
            while self._unflushed or self._unwritten:
                if self._unflushed:
                    await self._commit_written()
                else:
                    await self._commit_unwritten()
        finally:
            self._committing = False

    async def _commit_written(self) -> None:
        batch, self._unflushed = self._unflushed, []
        file = self._files[-1]
        try:
            await self._run(self._flush, file, file.written)
        except OSError as error:
            batch += self._unflushed  # written since: nobody knows how much of the file is on disk
            self._unflushed = []
            await self._run_alone(self._take_back, file)
            self._settle(batch, error)
        else:
            self._settle(batch)

    async def _commit_unwritten(self) -> None:
        batch, self._unwritten = self._unwritten, []
        try:
            await self._run_alone(self._write, batch[0][0], [data for _, data, _ in batch])
        except OSError as error:
            self._settle(batch, error)
        else:
            self._settle(batch)

    def _settle(self, batch: list[_Waiting], error: OSError | None = None) -> None:
        self._waiting_bytes -= sum(len(record) for _, record, _ in batch)
        if error is not None:
            logger.error("rows could not be stored: %s", error)
        for _, _, stored in batch:
            if stored.done():
                continue  # cancelled: its caller has gone
            if error is None:
                stored.set_result(None)
            else:
                why = f"the room's disk refuses: {error.strerror}"
                stored.set_exception(ToolError(why, code=OPERATION_FAILED))

    # In the thread

    def _flush(self, file: _File, written: int) -> None:
        """Make so many bytes of the last file durable."""
        if self._broken is not None:
            raise self._broken
        if self._descriptor is not None:
            self._disk.flush(self._descriptor)
        file.size = written

    def _write(self, first: int, records: list[bytes]) -> None:
        if self._broken is not None:
            raise self._broken
        descriptor = self._descriptor
        if descriptor is None or self._files[-1].written >= FILE_BYTES:
            descriptor = self._begin(first)
        file, data = self._files[-1], b"".join(records)
        try:
            self._disk.shorten(descriptor, file.written)  # a write that failed at once may have left a part
            view = memoryview(data)
            while view:
                view = view[self._disk.write(descriptor, view) :]
            self._disk.flush(descriptor)
        except OSError:
            self._take_back(file)
            raise
        file.written += len(data)
        file.size = file.written

    def _begin(self, first: int) -> int:
        self._release()
        self._disk.make_folder(self._folder)
        path = self._folder / f"{first:020d}{_SUFFIX}"
        descriptor = self._descriptor = self._disk.create(path)
        self._files.append(_File(first, path, 0, 0))
        self._disk.sync_names(self._folder)
        return descriptor

    def _take_back(self, file: _File) -> None:
        """After a failed write nobody knows what is on disk: end the file where it was known."""
        try:
            self._release()
            self._disk.cut(file.path, file.size)
            file.written = file.size
        except OSError as error:
            self._broken = error
            logger.error("the log of rows is unusable until the room starts again: %s", error)

    def _remove(self, needed: int, idle: bool) -> None:
        while len(self._files) > 1 and self._files[1].first <= needed:
            self._unlink()
        if idle and len(self._files) == 1:
            self._release()
            self._unlink()

    def _unlink(self) -> None:
        """Each name goes for good before the next: a later file may say that the rows of an earlier one are
        in their tables."""
        self._disk.remove(self._files.popleft().path)
        self._disk.sync_names(self._folder)

    def _release(self) -> None:
        if self._descriptor is not None:
            self._disk.close(self._descriptor)
            self._descriptor = None

    def _cut(self, path: Path, end: int, size: int, *, last: bool) -> None:
        if not last:
            logger.error("the log of rows is damaged at byte %d of %s; what follows in it is lost", end, path)
            self._disk.copy(path, path.with_suffix(_DAMAGED))
        else:
            logger.warning("%d bytes of an unfinished write were cut off the log of rows", size - end)
        self._disk.cut(path, end)
