"""What a thread needs of its backend, and what it makes a Codex thread with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from backends.codex.app_server import AppServer
from backends.codex.bare import BareTurns
from process_agent.core.backend import TurnInput
from process_agent.core.mcp import McpServer
from process_agent.core.models import ModelChoice


@dataclass(frozen=True, slots=True)
class Standing:
    """What is fixed when a Codex thread is made: `instructions` beside the operator's, tools of the client.

    Both hold for one turn. What Codex takes with a turn stays in the thread and piles up (tried with 0.163.0:
    additional context, collaboration modes, injected messages), so that other ones need another thread.
    """

    instructions: str | None = None
    tools: tuple[dict[str, Any], ...] = ()
    provider: str | None = None
    """One of the further providers; None is that of the account."""
    servers: tuple[McpServer, ...] = ()


class Host(Protocol):
    """What a thread needs of the backend."""

    @property
    def folder(self) -> str:
        """The working folder of threads that have none of their own."""
        ...

    @property
    def home(self) -> str:
        """The Codex home, an absolute path."""
        ...

    bare: BareTurns
    """Asks models beside all threads."""

    keeps_history: bool
    """Whether Codex's records are all that is kept of threads."""

    @property
    def provider(self) -> str:
        """What tells one provider of models from another."""
        ...

    def endpoint_of(self, model: ModelChoice) -> str | None:
        """The further provider that a model is of, if it is of one."""
        ...

    async def server(self) -> AppServer:
        """The app-server, started again if it is gone. Raises `BackendError`."""
        ...

    def default_model(self) -> ModelChoice:
        """The model of a thread that never chose one."""
        ...

    def thread_settings(self, model: str | None, instructions: str | None, folder: str) -> dict[str, Any]:
        """Parameters of `thread/start`, `thread/resume` and `thread/fork`; the thread works in `folder`."""
        ...

    def turn_settings(self, turn: TurnInput, about_senders: str) -> dict[str, Any]:
        """Members of `turn/start` beside thread and input. Raises `TurnRefusedError` for what the model of
        the turn cannot do.
        """
        ...

    def compacts_at(self, model: str | None, window: int | None) -> int | None:
        """The fill at which Codex compacts, in tokens, if known; `window` is what Codex reports."""
        ...
