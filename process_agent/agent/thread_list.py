"""Carries out what concerns the list of threads and whose they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import assert_never

from process_agent.agent.record_names import RecordNames
from process_agent.core import commands as c
from process_agent.core.backend import KeptState
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ThreadId
from process_agent.core.store import Listed, ThreadStore, Unlisted
from process_agent.core.supervisor import Supervisor
from process_agent.errors import ProcessError, RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff

logger = logging.getLogger(__name__)

NOT_FOUND = 1003
"""The room's error number for what is not there."""

_WATCH_AGAIN = Backoff(first=1.0, ceiling=300.0)

type ListCommand = (
    c.TouchThread | c.NameThread | c.ReadList | c.Rename | c.Delete | c.FindOwner | c.ForkThread
)


class ThreadListWork:
    """Executes these commands and reports what came of them. `report` carries out what the supervisor says
    to that; `close_work` releases a thread, `discard` drops what backends kept with a deleted one.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        store: ThreadStore,
        report: Callable[[list[c.Command]], None],
        close_work: Callable[[ThreadId], Awaitable[None]],
        discard: Callable[[ThreadId, Sequence[tuple[str, KeptState]]], Awaitable[None]],
        names: RecordNames,
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._report = report
        self._close_work = close_work
        self._discard = discard
        self._names = names

    async def carry_out(self, command: ListCommand) -> None:
        """Do it. Raises nothing that a room raises."""
        supervisor, store = self._supervisor, self._store
        try:
            match command:
                case c.TouchThread():
                    await self._touch(command)
                case c.NameThread(thread_id, name, before):
                    entry = await store.rename(thread_id, name, instead_of=before)
                    self._report(supervisor.thread_updated(entry))
                    self._names.listed(entry, renamed=True)
                case c.ReadList(asked, owner):
                    page, total = await store.list(asked.limit, asked.offset, owner)
                    self._report(supervisor.list_read(asked, tuple(page), total))
                case c.Rename(rename):
                    entry = await store.rename(rename.thread_id, rename.name)
                    self._report(supervisor.thread_updated(entry, rename))
                    self._names.listed(entry, renamed=True)
                case c.Delete(delete):
                    await self._close_work(delete.thread_id)
                    kept = await store.delete(delete.thread_id, keep_files=delete.keep_files)
                    await self._discard(delete.thread_id, kept)
                    self._report(supervisor.thread_deleted(delete))
                case c.FindOwner():
                    await self._find_owner(command)
                case c.ForkThread(request, name, without, owner):
                    entry = await store.fork(request.thread_id, name, without=without, owner=owner)
                    self._report(supervisor.thread_forked(command, entry))
                case _:
                    assert_never(command)
        except ProcessError as error:
            self._failed(command, error)

    async def _touch(self, command: c.TouchThread) -> None:
        """Note that a thread was used, and report its entry."""
        if command.begun:
            entry = await self._store.begin(command.thread_id, told=self._supervisor.watched)
        else:
            entry = await self._store.touch(command.thread_id)
        if entry is not None:
            self._report(self._supervisor.thread_updated(entry))
            self._names.listed(entry)

    async def expire(self, thread_id: ThreadId, before: datetime) -> bool:
        """Delete a thread that nobody used since and that is not open; whether it did. Raises `RoomError`."""
        kept = await self._store.expire(thread_id, before)
        if kept is None:
            return False
        await self._discard(thread_id, kept)
        self._report(self._supervisor.list_changed(Unlisted(thread_id)))
        return True

    async def follow(self) -> None:
        """Report what others do to the list, until the room is left."""
        delays = _WATCH_AGAIN.delays()
        while True:
            try:
                async for change in self._store.changes():
                    delays = _WATCH_AGAIN.delays()
                    self._report(self._supervisor.list_changed(change))
                    if isinstance(change, Listed):
                        self._names.listed(change.entry)
                return
            except RoomClosedError:
                return
            except RoomError as error:
                logger.warning("what others do to the thread list is not seen: %s", error)
            await asyncio.sleep(next(delays))

    async def _find_owner(self, command: c.FindOwner) -> None:
        thread_id = command.thread_id
        try:
            owner = await self._store.owner(thread_id, command.claim, create=command.create)
        except ProcessError:
            raise
        except Exception as error:
            logger.exception("the owner of %s cannot be found", thread_id)
            failed = failure("The thread cannot be opened", error)
            self._report(self._supervisor.owner_not_found(thread_id, failed))
        else:
            self._report(self._supervisor.owner_found(thread_id, owner))

    def _failed(self, command: ListCommand, error: ProcessError) -> None:
        match command:
            case c.ReadList(request) | c.Rename(request) | c.Delete(request):
                self._report(self._supervisor.request_failed(request, failure("The room refused", error)))
            case c.ForkThread():
                logger.warning("a thread was not copied: %s", error)
                failed = failure("The room refused", error)
                self._report(self._supervisor.thread_forked(command, failed))
            case c.FindOwner(thread_id):
                logger.info("whose %s is, is not known: %s", thread_id, error)
                failed = failure("The thread cannot be opened", error)
                self._report(self._supervisor.owner_not_found(thread_id, failed))
            case c.TouchThread() if isinstance(error, RoomRequestError) and error.code == NOT_FOUND:
                logger.debug("a thread was deleted before its last use was listed")
            case _:
                logger.warning("the thread list is not up to date: %s", error)


def failure(what: str, error: Exception) -> ErrorInfo:
    """What participants are told of an error; `what` says what did not work."""
    if not isinstance(error, ProcessError):
        return ErrorInfo(f"{what}: {error!r}", "internal_error")
    missing = isinstance(error, RoomRequestError) and error.code == NOT_FOUND
    return ErrorInfo(f"{what}: {error}", "thread_not_available" if missing else "room_error")


def not_stored(reason: str) -> ErrorInfo:
    """What participants are told at the end of a turn that the room does not store."""
    text = f"This turn is over, but the room has not stored all of it: {reason}"
    logger.warning("%s", text)
    return ErrorInfo(text, "not_stored")
