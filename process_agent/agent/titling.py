"""Asks backends for short names of threads: one at a time, beside the turns, and never for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from process_agent.agent.metering import UNMETERED_AGENT, Metering
from process_agent.core.backend import Backend
from process_agent.core.commands import MakeTitle
from process_agent.core.ids import ThreadId
from process_agent.errors import ProcessError

logger = logging.getLogger(__name__)

TITLE_SECONDS = 30.0
"""How long a backend may take for one name."""

MAX_WAITING = 100
"""Threads that wait for a name; further ones keep the one they have."""

type ReportTitle = Callable[[ThreadId, str | None], None]


class Titling:
    """The names one agent asks for."""

    def __init__(
        self, backends: Mapping[str, Backend], report: ReportTitle, metering: Metering = UNMETERED_AGENT
    ) -> None:
        self._backends = backends
        self._metering = metering
        self._report = report
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def make(self, command: MakeTitle) -> None:
        """Ask, and report what came of it: None keeps the name the thread has."""
        title = None
        if self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                async with self._turn:
                    title = await self._ask(command)
            finally:
                self._waiting -= 1
        self._report(command.thread_id, title)

    async def _ask(self, command: MakeTitle) -> str | None:
        backend = self._backends.get(command.backend)
        if backend is None:
            return None
        try:
            async with asyncio.timeout(TITLE_SECONDS):
                meter = self._metering.of_title(command.thread_id, backend.default_model())
                return await backend.title(command.text, meter)
        except TimeoutError:
            logger.info("%s has no better name after %.0f s", command.thread_id, TITLE_SECONDS)
        except ProcessError as error:
            logger.info("%s has no better name: %s", command.thread_id, error)
        except Exception:
            logger.exception("naming %s failed", command.thread_id)
        return None
