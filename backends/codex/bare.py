"""Asks a model something on a Codex thread of its own, without tools, beside all others."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from backends.codex import client
from backends.codex.app_server import AppServer
from backends.codex.frame import Frame
from backends.codex.inputs import input_items
from backends.codex.running import RunningTurn
from process_agent.core.content import TextPart
from process_agent.core.events import EndReason, TextDelta, TextStarted, TurnEnded
from process_agent.core.ids import TurnId
from process_agent.core.usage import Meter, Purpose
from process_agent.errors import BackendError, ProcessError
from process_agent.io.tasks import Tasks

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


class BareTurns:
    """Turns of one backend that nobody sees. Whoever makes it closes it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.provider: str | None = None
        """The further provider that the default model is of, if any."""
        self.servers: tuple[str, ...] = ()
        """MCP servers of the user's configuration, which are not started for this."""
        self._tasks = Tasks("codex bare turns")

    async def ask(
        self,
        server: AppServer,
        model: str | None,
        instructions: str,
        text: str,
        meter: Meter,
        purpose: Purpose,
        *,
        history: Sequence[dict[str, Any]] = (),
    ) -> str:
        """What the model answers to `text` after a conversation of Responses items. Raises `ProcessError`;
        may be cancelled.
        """
        settings = {
            "cwd": self._folder,
            "ephemeral": True,
            "approvalPolicy": "never",
            "sandbox": "read-only",
            "environments": [],
            "baseInstructions": instructions,
            "config": {**_BARE, "mcp_servers": {name: {"enabled": False} for name in self.servers}},
            **({"model": model} if model else {}),
            **({"modelProvider": self.provider} if self.provider else {}),
        }
        thread = await client.start_thread(server, settings)
        frame = Frame(TurnId(purpose), self._folder, asks=False, meter=meter, purpose=purpose)
        running = RunningTurn(frame)
        server.attach(thread, running.hear)
        try:
            if history:
                await client.inject_items(server, thread, list(history))
            turn = await client.start_turn(server, thread, input_items([TextPart(text)]), {"effort": "low"})
            running.server, running.codex_thread = server, thread
            running.accepted(turn)
            return await _said(running)
        finally:
            server.detach(thread)
            with contextlib.suppress(RuntimeError):  # closed: then Codex itself is on its way out
                self._tasks.start(_clear_up(server, thread, running), "bare thread")

    async def close(self) -> None:
        """Stop what is under way. Idempotent."""
        await self._tasks.close()


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
                raise BackendError(f"Codex gave no answer: {error.message if error else reason.value}")
            case _:
                pass
    return text


async def _clear_up(server: AppServer, thread: str, running: RunningTurn) -> None:
    with contextlib.suppress(ProcessError):
        if running.codex_turn is not None and not running.over.is_set():
            await client.interrupt_turn(server, thread, running.codex_turn)
        await client.unsubscribe(server, thread)
