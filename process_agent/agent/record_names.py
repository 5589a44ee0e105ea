"""Records that backends have of threads are called as the room's threads are, for who looks at them there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from process_agent.agent.turn_work import TurnWork
from process_agent.core.backend import Backend, KeptState
from process_agent.core.ids import ThreadId
from process_agent.core.records import Recording
from process_agent.core.store import ThreadEntry, ThreadStore
from process_agent.errors import ProcessError
from process_agent.io.tasks import Tasks
from process_agent.threads.recorded import RecordedThreadStore

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.05
"""Between two names: where many threads get theirs together, turns come first. Nobody waits for a name."""


class RecordNames:
    """Names records in the background, one after the other. A thread that nobody named keeps a record
    without a name, which costs nothing: it is listed by its first message there.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        store: ThreadStore,
        work: Mapping[ThreadId, TurnWork],
        tasks: Tasks,
    ) -> None:
        own = isinstance(store, RecordedThreadStore)  # it names them itself
        found = () if own else backends.items()
        self._records = {name: each.records for name, each in found if isinstance(each, Recording)}
        self._store = store
        self._work = work
        self._tasks = tasks
        self._one = asyncio.Lock()

    def listed(self, entry: ThreadEntry, *, renamed: bool = False) -> None:
        """The list says this of a thread; `renamed` when it was given this name just now."""
        work = self._work.get(entry.path)
        if work is not None:
            renamed = renamed or work.recorded_anew or work.called not in (None, entry.name)
            work.called = entry.name
        if renamed and self._records:
            self._tasks.start(self._name(entry), "name a record")

    async def _name(self, entry: ThreadEntry) -> None:
        async with self._one:
            work = self._work.get(entry.path)
            try:
                kept = await self._kept(entry.path, work)
                named = [name for name in self._records if kept.get(name)]
                for name in named:
                    await self._records[name].rename(kept[name], entry.name)
            except ProcessError as error:
                logger.info("the record of %s is not called %r: %s", entry.path, entry.name, error)
            else:
                if work is not None:  # where there is no record yet, after the turn that makes one
                    work.recorded_anew = not named and work.log.durable
            await asyncio.sleep(PAUSE_SECONDS)

    async def _kept(self, thread_id: ThreadId, work: TurnWork | None) -> Mapping[str, KeptState]:
        if work is not None:
            return await work.log.kept()
        log = await self._store.open(thread_id)
        try:
            return await log.kept()
        finally:
            await log.close()
