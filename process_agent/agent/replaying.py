"""Stored turns on their way to one who opened a thread, or pages back in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from process_agent.agent.thread_list import failure
from process_agent.agent.turn_work import TurnWork
from process_agent.core import commands as c
from process_agent.core.channel import Channel
from process_agent.core.ids import ThreadId
from process_agent.core.store import Page
from process_agent.core.supervisor import Supervisor
from process_agent.errors import ProcessError

logger = logging.getLogger(__name__)

ONE_BY_ONE = 3
"""Events that leave before the next is looked at: whoever opens a thread sees that something comes."""

TOGETHER = 32
"""Events after which everything else gets its turn: it would wait for what is read as long as for a turn."""


class Replaying:
    """Carries out replays; what comes of them is reported to the supervisor, its commands to `report`."""

    def __init__(
        self,
        supervisor: Supervisor,
        channels: Mapping[str, Channel],
        work: Mapping[ThreadId, TurnWork],
        report: Callable[[list[c.Command]], None],
    ) -> None:
        self._supervisor = supervisor
        self._channels = channels
        self._work = work
        self._report = report
        self._finding: dict[ThreadId, asyncio.Task[None]] = {}
        self._opening: ThreadId | None = None
        self._beginning: dict[str, tuple[ThreadId, asyncio.Event]] = {}

    def model_due(self, thread_id: ThreadId, finding: asyncio.Task[None]) -> None:
        """The model of a thread is being looked for: it is told before the end of a replay."""
        self._finding[thread_id] = finding
        finding.add_done_callback(lambda _: self._finding.pop(thread_id, None))

    async def begun(self, thread_id: ThreadId) -> None:
        """Wait until what is being read of a thread has shown its first event: it need not share the room."""
        for of, shown in list(self._beginning.values()):
            if of == thread_id:
                await shown.wait()

    @contextmanager
    def opening(self, thread_id: ThreadId) -> Iterator[None]:
        """Replays that begin meanwhile were asked for before the log of the thread was opened."""
        self._opening = thread_id
        try:
            yield
        finally:
            self._opening = None

    def begin(self, command: c.Replay) -> Coroutine[Any, Any, None]:
        """Show what was asked for, no faster than it is taken."""
        return self._carry_out(command, as_opened=command.thread_id == self._opening)

    async def _carry_out(self, command: c.Replay, *, as_opened: bool) -> None:
        work, error = self._work.get(command.thread_id), None
        if work is None:
            return
        begun = asyncio.Event()
        self._beginning[command.replay_id] = command.thread_id, begun
        try:
            await self._show(command, work, begun, as_opened=as_opened)
        except Exception as reason:
            logger.warning(
                "%s cannot be read: %s",
                command.thread_id,
                reason,
                exc_info=not isinstance(reason, ProcessError),
            )
            error = failure("The thread cannot be read to its end", reason)
        finally:
            del self._beginning[command.replay_id]
            begun.set()
        if (finding := self._finding.get(command.thread_id)) is not None:
            await asyncio.wait([finding])
        self._report(self._supervisor.replay_ended(command.replay_id, error))

    async def _show(
        self, command: c.Replay, work: TurnWork, begun: asyncio.Event, *, as_opened: bool
    ) -> None:
        channel, viewer = self._channels[command.viewer.channel], command.viewer.participant
        shown = 0

        def older(cursor: str) -> None:
            self._report(self._supervisor.replay_older(command.replay_id, cursor))

        page = Page(command.before, command.limit, older, as_opened)
        async for event in work.log.replay(command.since, page):
            if not self._supervisor.replaying(command.replay_id):
                return
            self._report(self._supervisor.replayed(command.replay_id, event))
            begun.set()
            await channel.ready(viewer, command.thread_id)
            shown += 1
            if shown <= ONE_BY_ONE or shown % TOGETHER == 0:
                await asyncio.sleep(0)
