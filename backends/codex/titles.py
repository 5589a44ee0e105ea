"""A short name for a thread, made by the model on a Codex thread of its own, without tools."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from backends.codex import client
from backends.codex.app_server import AppServer
from backends.codex.frame import Frame
from backends.codex.inputs import input_items
from backends.codex.running import RunningTurn
from process_agent.core.content import TextPart
from process_agent.core.events import EndReason, TextDelta, TextStarted, TurnEnded
from process_agent.core.ids import TurnId
from process_agent.core.title_words import ASK, INSTRUCTIONS, MAX_READ, clean_title
from process_agent.core.usage import Meter
from process_agent.errors import BackendError, ProcessError
from process_agent.io.tasks import Tasks

PATIENCE: Final = 20.0
"""Seconds a title may take, waiting for its turn included."""

MAX_TITLES: Final = 16
"""Titles that are wanted at once; they are made one after the other."""

_BARE: Final[dict[str, Any]] = {
    "features.hooks": False,
    "features.shell_tool": False,
    "features.unified_exec": False,
    "features.view_image": False,
    "tools.update_plan.enabled": False,
    "tools.experimental_request_user_input.enabled": False,
    "include_environment_context": False,
    "include_permissions_instructions": False,
    "include_apps_instructions": False,
    "skills.include_instructions": False,
    "skills.bundled.enabled": False,
    "web_search": "disabled",
}
"""Settings that leave instructions and message: 2 kB instead of 40 (tried with 0.163.0)."""


class Titles:
    """Makes titles for one backend. Whoever makes it closes it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.provider: str | None = None
        """The further provider that the model for titles is of, if any."""
        self.servers: tuple[str, ...] = ()
        """MCP servers of the user's configuration, which are not started for a title."""
        self._one = asyncio.Semaphore(1)
        self._wanted = 0
        self._tasks = Tasks("codex titles")

    async def make(self, server: AppServer, model: str | None, text: str, meter: Meter) -> str:
        """A title for a thread that begins with `text`. Raises `BackendError`; may be cancelled."""
        if self._wanted >= MAX_TITLES or server.busy:
            raise BackendError("Codex is too busy to name a thread.")
        self._wanted += 1
        try:
            async with asyncio.timeout(PATIENCE), self._one:
                if server.busy:
                    raise BackendError("Codex is too busy to name a thread.")
                said = await self._ask(server, model, text, meter)
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

    async def close(self) -> None:
        """Stop what is under way. Idempotent."""
        await self._tasks.close()

    async def _ask(self, server: AppServer, model: str | None, text: str, meter: Meter) -> str:
        settings = {
            "cwd": self._folder,
            "ephemeral": True,
            "approvalPolicy": "never",
            "sandbox": "read-only",
            "environments": [],
            "baseInstructions": INSTRUCTIONS,
            "config": {**_BARE, "mcp_servers": {name: {"enabled": False} for name in self.servers}},
            **({"model": model} if model else {}),
            **({"modelProvider": self.provider} if self.provider else {}),
        }
        thread = await client.start_thread(server, settings)
        frame = Frame(TurnId("title"), self._folder, asks=False, meter=meter, purpose="title")
        running = RunningTurn(frame)
        server.attach(thread, running.hear)
        try:
            items = input_items([TextPart(ASK + text[:MAX_READ])])
            turn = await client.start_turn(server, thread, items, {"effort": "low"})
            running.server, running.codex_thread = server, thread
            running.accepted(turn)
            return await _said(running)
        finally:
            server.detach(thread)
            with contextlib.suppress(RuntimeError):  # closed: then Codex itself is on its way out
                self._tasks.start(_clear_up(server, thread, running), "title's thread")


async def _said(running: RunningTurn) -> str:
    """The last message of the turn. Raises `BackendError` when the turn does not end well."""
    text = ""
    async for event in running.events():
        match event:
            case TextStarted():
                text = ""
            case TextDelta(_, delta):
                text += delta
            case TurnEnded(reason, error) if reason is not EndReason.COMPLETED:
                raise BackendError(f"Codex made no title: {error.message if error else reason.value}")
            case _:
                pass
    return text


async def _clear_up(server: AppServer, thread: str, running: RunningTurn) -> None:
    with contextlib.suppress(ProcessError):
        if running.codex_turn is not None and not running.over.is_set():
            await client.interrupt_turn(server, thread, running.codex_turn)
        await client.unsubscribe(server, thread)
