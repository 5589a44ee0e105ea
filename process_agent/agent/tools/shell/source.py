"""Where the tools of `--shell` and `--advanced-shell` come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from process_agent.agent.tools.shell.commands import CommandTools
from process_agent.agent.tools.shell.patching import PatchTool
from process_agent.agent.tools.shell.running import Commands
from process_agent.agent.tools.tool import Scope, Tool, Toolkit
from process_agent.core.backend import BackendConfig
from process_agent.core.recalled import SHELL
from process_agent.io.command_sandbox import CommandSandbox

_ABOUT: Final = "Commands and patches in the working folder."


class Shell:
    """Implements `ToolSource`. Whoever opens it closes it; it knows what commands may do once it is open."""

    def __init__(self, config: BackendConfig, *, one_shot: bool, lasting: bool) -> None:
        self.sandbox = CommandSandbox(config)
        self.folder = config.working_dir
        self._config = config
        self._commands = Commands(self.sandbox)
        self._one_shot = one_shot
        self._lasting = lasting
        self._kits: tuple[Toolkit, ...] = ()

    async def open(self) -> None:
        """See what commands may do here. Raises `BackendError` and `UsageError`."""
        await self.sandbox.start()
        tools = CommandTools(self._commands, self._config.working_dir)
        found: list[Tool] = [tools.one_shot()] if self._one_shot else []
        found += tools.lasting() if self._lasting else ()
        read_only = self._config.sandbox == "read-only"
        found.append(PatchTool(self.sandbox, self._config.working_dir, read_only).tool())

        def stopped(scope: Scope) -> None:
            tools.sessions.end(scope.thread_id)

        self._kits = (
            Toolkit(
                SHELL,
                _ABOUT,
                tuple(found),
                "Shell",
                plain=True,
                local=True,
                on_stop=stopped,
                on_leave=tools.sessions.end,
            ),
        )

    async def start(self) -> None:
        """See `ToolSource`."""

    async def toolkits(self) -> Sequence[Toolkit]:
        """See `ToolSource`."""
        return self._kits

    async def close(self) -> None:
        """End all commands. Idempotent."""
        await self._commands.close()
