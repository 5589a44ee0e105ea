"""The Codex backend: one app-server for all threads of an agent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from backends.codex import client
from backends.codex.account import Account, agent_folder, choose_account, no_model
from backends.codex.app_server import AppServer
from backends.codex.launch import Launch, catalog, catalog_path, prepare
from backends.codex.locate import locate
from backends.codex.models import default_choice, provider_models
from backends.codex.project_docs import project_docs
from backends.codex.sandbox import NO_SANDBOX_FIX, PROFILE, MountPoints, Sandbox, choose_sandbox
from backends.codex.thread import CodexThread
from process_agent.core.backend import (
    ApprovalMode,
    BackendConfig,
    BackendSummary,
    BackendThread,
    HistoryItem,
    ToolkitInfo,
)
from process_agent.core.ids import ThreadId
from process_agent.core.models import ModelChoice, ProviderModels
from process_agent.errors import BackendError
from process_agent.io.backoff import Backoff
from process_agent.io.child import Command

logger = logging.getLogger(__name__)

NAME: Final = "codex"
_RESTARTS: Final = 3
"""Attempts to start the app-server again before a turn fails."""

_APPROVAL_LINES: Final = {
    "ask": "ask: somebody in the room decides, no answer means no",
    "deny": "deny: whatever needs an approval is declined",
    "auto": "auto: everything is accepted",
}


class CodexBackend:
    """Implements the port `Backend`."""

    def __init__(self, config: BackendConfig) -> None:
        self._config = config
        self._launch: Launch | None = None
        self._server: AppServer | None = None
        self._restarting = asyncio.Lock()
        self._closed = False
        self._sandbox = choose_sandbox(config)
        self._mount_points: MountPoints | None = None
        self._models: tuple[ProviderModels, ...] = ()
        self._default = default_choice(NAME, config, None, [])

    @property
    def name(self) -> str:
        """The name in model specs."""
        return NAME

    @property
    def folder(self) -> str:
        """The working folder of all threads."""
        return str(self._config.working_dir)

    @property
    def approvals(self) -> ApprovalMode:
        """Who answers Codex's questions."""
        return self._config.approvals

    async def start(self) -> BackendSummary:
        """Start the app-server and see what works. Raises `BackendError` or `AuthError`."""
        config = self._config
        if not config.working_dir.is_dir():
            raise BackendError(f"The working folder {config.working_dir} does not exist.")
        self._mount_points = MountPoints(config.working_dir)
        self._mount_points.forget_leftovers()
        account = choose_account(config)
        launch = await self._prepare(account)
        self._launch = launch
        server = self._server = AppServer(launch)
        await server.start()
        try:
            label = await _account_label(server, account)
            if not account.own_home and account.model is None:
                account = replace(account, model=await client.configured_model(server, config.working_dir))
            self._sandbox = await self._checked_sandbox(server)
            listed = await client.list_models(server)
        except BaseException:
            await server.close()
            raise
        self._models = provider_models(NAME, config, account, listed)
        self._default = default_choice(NAME, config, account, listed)
        return self._summary(launch, label, server.warnings)

    def models(self) -> Sequence[ProviderModels]:
        """The pinned models, or those Codex lists."""
        return self._models

    def default_model(self) -> ModelChoice:
        """The first pinned model, or Codex's default."""
        return self._default

    def toolkits(self) -> Sequence[ToolkitInfo]:
        """Codex's own tools."""
        tools = (
            ("shell", "Runs a command."),
            ("apply_patch", "Changes files."),
            ("plan", "Keeps a checklist."),
        )
        return (ToolkitInfo(NAME, "Codex", tools),)

    async def title(self, text: str) -> str | None:
        """None: Codex names no threads yet."""
        return None

    async def open_thread(self, thread_id: ThreadId, history: Sequence[HistoryItem]) -> BackendThread:
        """Open a thread; Codex hears of it with the first turn."""
        return CodexThread(self, history)

    async def close(self) -> None:
        """Stop the app-server and everything below it. Idempotent."""
        self._closed = True
        if self._server is not None:
            await self._server.close()
        if self._mount_points is not None:
            self._mount_points.remove()

    async def server(self) -> AppServer:
        """The app-server, started again if it is gone. Raises `BackendError`."""
        async with self._restarting:
            if self._launch is None or self._server is None or self._closed:
                raise BackendError("Codex is not running.")
            if not self._server.alive:
                await self._server.close()
                self._server = await self._restarted(self._launch)
            return self._server

    def thread_settings(self, model: str | None) -> dict[str, Any]:
        """Parameters of `thread/start`: the room keeps the history, so Codex does not have to."""
        chosen = model or self._default.model
        instructions = [self._config.instructions or "", project_docs(self._config.working_dir)]
        developer = "\n\n".join(text for text in instructions if text)
        return {
            "cwd": self.folder,
            "ephemeral": True,
            "experimentalRawEvents": True,
            "approvalPolicy": self._sandbox.approval_policy,
            **self._sandbox.thread,
            **({"model": chosen} if chosen else {}),
            **({"developerInstructions": developer} if developer else {}),
        }

    async def _restarted(self, launch: Launch) -> AppServer:
        logger.warning("Codex is gone and is started again")
        failure = BackendError("Codex could not be started again.")
        for delay in islice(Backoff(first=0.2, ceiling=2).delays(), _RESTARTS):
            server = AppServer(launch)
            try:
                await server.start()
            except BackendError as error:
                failure = error
                await asyncio.sleep(delay)
            else:
                return server
        raise failure

    async def _prepare(self, account: Account) -> Launch:
        config = self._config
        folder = agent_folder(config)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            program = await locate(config.environment, folder)
            launch = prepare(config, program, account)
            if account.slugs:
                await _write_catalog(launch)
        except OSError as error:
            raise BackendError(
                f"The data folder {config.data_dir} cannot be used: {error.strerror or error}.",
                fix="Choose another with --data-dir.",
            ) from error
        return launch

    async def _checked_sandbox(self, server: AppServer) -> Sandbox:
        config = self._config
        if config.sandbox == "full-access":
            return choose_sandbox(config)
        problem = await client.probe_sandbox(server, config.working_dir, PROFILE)
        if problem is None:
            return choose_sandbox(config)
        if config.approvals != "ask":
            raise BackendError(
                f"The {config.sandbox} sandbox does not work on this machine: {problem[:500]}.",
                fix=NO_SANDBOX_FIX,
            )
        return choose_sandbox(config, available=False)

    def _summary(self, launch: Launch, account: str, warnings: Sequence[str]) -> BackendSummary:
        program, config = launch.program, self._config
        shown = [
            text.partition("\n")[0] for text in warnings if "bubblewrap" not in text
        ]  # the bundled one works
        approvals = _APPROVAL_LINES[config.approvals]
        if config.sandbox == "full-access" and config.approvals == "deny":
            approvals = "deny: nothing needs one with full access"
        return BackendSummary(
            (
                ("codex", f"{program.version_text}, {program.path}"),
                ("account", account),
                ("model", self._default.model or "default of Codex"),
                ("sandbox", self._sandbox.line),
                ("approvals", approvals),
                ("working folder", self.folder),
                *(("warning", text) for text in shown),
            )
        )


async def _account_label(server: AppServer, account: Account) -> str:
    """The kind of account. Raises `AuthError` when the user's Codex turns out to have no login."""
    if account.own_home:
        return account.label
    answer = await client.read_account(server)
    found = answer.get("account")
    if isinstance(found, dict):
        if found.get("type") == "chatgpt":
            return f"ChatGPT login ({found.get('planType') or 'unknown plan'})"
        return "API key of the Codex login" if found.get("type") == "apiKey" else f"{found.get('type')} login"
    if answer.get("requiresOpenaiAuth"):
        raise no_model()
    return "provider of the user's Codex configuration"


async def _write_catalog(launch: Launch) -> None:
    """Describe our models to Codex with the entry of a model it knows; kept for each version of Codex."""
    account, program = launch.account, launch.program
    target = catalog_path(account, program.version)
    if target.is_file():
        return
    arguments = [str(program.path), "debug", "models", "--bundled"]
    command = Command(arguments, launch.command.environment, account.home)
    text = catalog(await client.read_catalog(command), account)
    if text is None:
        raise BackendError(f"Codex {program.version_text} does not know the model this backend builds on.")
    fresh = target.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)
