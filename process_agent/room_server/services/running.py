"""One service of the local room: its child process, its log, and the supervision that decides about both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from process_agent.errors import BackendError
from process_agent.io.child import Child, Command
from process_agent.io.tasks import Tasks
from process_agent.room_server.services.log import ServiceLog
from process_agent.services.local import Record
from process_agent.services.supervision import (
    Action,
    Enabled,
    Ended,
    Event,
    Passed,
    Phase,
    Policy,
    Seen,
    Supervision,
)

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a service that runs is looked for in its room."""

type Launch = Callable[[Record], Command]
"""The command that runs a service. Raises `BackendError` when it cannot be made."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a service that is or is not running. Times are seconds since 1970."""

    phase: Phase
    since: float | None
    pid: int | None
    restarts: int
    next_start: float | None
    last_code: int | None
    last_end: str | None

    def as_json(self) -> dict[str, Any]:
        """For clients."""
        return {
            "phase": str(self.phase),
            "since": self.since,
            "pid": self.pid,
            "restarts": self.restarts,
            "next_start": self.next_start,
            "last_exit_code": self.last_code,
            "last_end": self.last_end,
        }


class RunningService:
    """A service under supervision. Whoever made it calls `close`."""

    def __init__(
        self,
        record: Record,
        log: ServiceLog,
        launch: Launch,
        here: Callable[[Record], bool],
        policy: Policy | None = None,
    ) -> None:
        self.record = record
        self.log = log
        self._launch = launch
        self._here = here
        self._supervision = Supervision(policy)
        self._tasks = Tasks(f"service {record.id}")
        self._child: Child | None = None
        self._arrived = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._tasks.start(self._watch(), "watch")

    def tell(self, event: Event) -> None:
        """Take in an event and do what follows from it; returns at once."""
        before = self._supervision.phase
        for action in self._supervision.step(event, time.monotonic()):
            self._do(action)
        if self._supervision.phase is not before:
            self._note(event)
        if self._supervision.phase is Phase.STOPPED:
            self._stopped.set()
        else:
            self._stopped.clear()
        self._arrived.set()

    async def stopped(self) -> None:
        """Wait until it does not run."""
        await self._stopped.wait()

    async def close(self, seconds: float) -> None:
        """Have the child end what it does, within so many seconds, then end it. The record stays as it is."""
        self.tell(Enabled(False))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        await self._tasks.close()

    def facts(self) -> Facts:
        """What is known now."""
        s, offset = self._supervision, time.time() - time.monotonic()
        waits = s.phase is Phase.WAITING and s.deadline is not None
        return Facts(
            phase=s.phase,
            since=None if s.since is None else s.since + offset,
            pid=None if self._child is None else self._child.pid,
            restarts=s.restarts,
            next_start=(s.deadline or 0) + offset if waits else None,
            last_code=None if s.last_end is None else s.last_end.code,
            last_end=s.trouble or (None if s.last_end is None else s.last_end.reason),
        )

    async def _watch(self) -> None:
        while True:
            s = self._supervision
            now = time.monotonic()
            limit = None if s.deadline is None else max(0.0, s.deadline - now)
            if s.phase in (Phase.STARTING, Phase.RUNNING):
                limit = LOOK_SECONDS if limit is None else min(limit, LOOK_SECONDS)
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._arrived.wait()
            if self._child is not None:
                self.tell(Seen(self._here(self.record)))
                self._arrived.clear()
            self.tell(Passed())
            self._arrived.clear()

    def _do(self, action: Action) -> None:
        if action is Action.START:
            self._tasks.start(self._live(), "run")
        elif self._child is not None and action is Action.TERMINATE:
            self._child.terminate()
        elif self._child is not None:
            self._tasks.start(self._kill(self._child), "kill")

    async def _kill(self, child: Child) -> None:
        await child.stop(hanging=True)

    async def _live(self) -> None:
        """Run the child from its start to its end."""
        ended = Ended("it could not be started")
        try:
            child = await Child.spawn(self._launch(self.record))
            self._child, hanging = child, True
            if self._supervision.phase is Phase.STOPPING:  # asked to end while it was being made
                child.terminate()
            try:
                while data := await child.read():
                    self.log.feed(data)
                code = await child.wait()
                ended, hanging = Ended(_reason(code), code), False
            finally:
                await child.stop(hanging=hanging)
                self.log.end()
        except BackendError as error:
            ended = Ended(str(error))
        finally:
            self._child = None
            self.tell(ended)

    def _note(self, event: Event) -> None:
        """Say in the log what became of the service."""
        s = self._supervision
        reason = f": {event.reason}" if isinstance(event, Ended) else ""
        if s.phase is Phase.STOPPING and s.trouble:
            reason = f": {s.trouble}"
        if s.phase is Phase.WAITING and s.deadline is not None:
            reason += f"; it starts again in {s.deadline - time.monotonic():.0f} s"
        try:
            self.log.line(f"[service] {s.phase}{reason}")
        except OSError:
            logger.exception("the log of service %s cannot be written", self.record.id)


def _reason(code: int) -> str:
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
