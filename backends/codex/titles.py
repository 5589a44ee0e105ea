"""A short name for a thread, made by the model."""

from __future__ import annotations

import asyncio
from typing import Final

from backends.codex.app_server import AppServer
from backends.codex.bare import BareTurns
from process_agent.core.title_words import ASK, INSTRUCTIONS, MAX_READ, clean_title
from process_agent.core.usage import Meter
from process_agent.errors import BackendError, ProcessError

PATIENCE: Final = 20.0
"""Seconds a title may take, waiting for its turn included."""

MAX_TITLES: Final = 16
"""Titles that are wanted at once; they are made one after the other."""


class Titles:
    """Makes titles for one backend."""

    def __init__(self, bare: BareTurns) -> None:
        self._bare = bare
        self._one = asyncio.Semaphore(1)
        self._wanted = 0

    async def make(self, server: AppServer, model: str | None, text: str, meter: Meter) -> str:
        """A title for a thread that begins with `text`. Raises `BackendError`; may be cancelled."""
        if self._wanted >= MAX_TITLES or server.busy:
            raise BackendError("Codex is too busy to name a thread.")
        self._wanted += 1
        try:
            async with asyncio.timeout(PATIENCE), self._one:
                if server.busy:
                    raise BackendError("Codex is too busy to name a thread.")
                asked = ASK + text[:MAX_READ]
                said = await self._bare.ask(server, model, INSTRUCTIONS, asked, meter, "title")
        except TimeoutError as error:
            raise BackendError(f"The model gave no title within {PATIENCE:g} s.") from error
        except BackendError:
            raise
        except ProcessError as error:
            raise BackendError(f"Codex made no title: {error}") from error
        finally:
            self._wanted -= 1
        title = clean_title(said)
        if not title:
            raise BackendError("The model gave an empty title.")
        return title
