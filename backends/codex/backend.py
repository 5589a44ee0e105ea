"""The Codex backend: one app-server for all threads of an agent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from backends.codex import client
from backends.codex.account import (
    SCRIPTED_LABEL,
    Account,
    agent_folder,
    choose_account,
    endpoint_of,
)
from backends.codex.app_server import AppServer
from backends.codex.association import read_association, resume_command
from backends.codex.bare import BareTurns
from backends.codex.catalogue import Windows, describe_models
from backends.codex.diagnosis import Unstarted
from backends.codex.launch import Launch, prepare
from backends.codex.login import account_label
from backends.codex.models import by_name, default_choice, efforts_of, provider_models
from backends.codex.record_upkeep import discard_thread
from backends.codex.records import CodexRecords
from backends.codex.sandbox import Sandbox, choose_sandbox, unasked
from backends.codex.shapes import as_dict
from backends.codex.skills import offer_skills
from backends.codex.thread import CodexThread
from backends.codex.titles import Titles
from backends.codex.toolkits import mcp_toolkits, own_toolkit, search_lines
from backends.codex.turn_settings import Efforts, turn_settings
from process_agent.core.backend import (
    BackendConfig,
    BackendSummary,
    BackendThread,
    HistoryItem,
    KeptState,
    ThreadState,
    ToolkitInfo,
    TurnInput,
)
from process_agent.core.hosting import WEB_SEARCH
from process_agent.core.ids import ThreadId
from process_agent.core.models import ModelChoice, ProviderModels
from process_agent.core.title_words import asks_for_title
from process_agent.core.usage import UNMETERED, Meter
from process_agent.errors import BackendError, ProcessError, RemoteError, TimeLimitError
from process_agent.io.backoff import Backoff
from process_agent.io.codex_program import locate
from process_agent.io.command_profile import NO_SANDBOX_FIX, PROFILE, MountPoints
from process_agent.io.project_docs import project_docs
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

NAME: Final = "codex"
_RESTARTS: Final = 3  # attempts to start the app-server again before a turn fails

_APPROVAL_LINES: Final = {
    "ask": "ask: somebody in the room decides, no answer means no",
    "deny": "deny: whatever needs an approval is declined",
    "auto": "auto: everything is accepted",
}


class CodexBackend(Unstarted):
    """Implements the port `Backend`."""

    takes_tools = True
    """Codex calls tools of the agent as dynamic tools."""
    takes_mcp = True
    """It connects to servers of one thread only."""
    runs_commands = True
    """It has a shell, patches and skills."""

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.keeps_history = config.keeps_history
        self._launch: Launch | None = None
        self._server: AppServer | None = None
        self._restarting = asyncio.Lock()
        self._closed = False
        self._sandbox = choose_sandbox(config)
        self._mount_points: MountPoints | None = None
        self._models: tuple[ProviderModels, ...] = ()
        self._default = default_choice(NAME, config, None, [])
        self._windows: Windows = {}
        self._compact_limit: int | None = None
        self._toolkits: tuple[ToolkitInfo, ...] = ()
        self._hooks: tuple[str, ...] = ()
        self._login: tuple[int, int] | None = None
        self._skills: tuple[str, ...] = ()
        self._efforts = Efforts()
        self._user_effort: str | None = None
        self._user_instructions = ""
        self.bare = BareTurns(str(config.working_dir))
        self._titles = Titles(self.bare)
        self._tasks = Tasks("codex")

    hosts_tools: Final = WEB_SEARCH
    """See `core.hosting.HostedTools`; images are made as the user's own login has it."""

    @property
    def name(self) -> str:
        """The name in model specs."""
        return NAME

    @property
    def alive(self) -> bool:
        """See `core.diagnosis.Living`."""
        return self._server is not None and self._server.alive

    @property
    def folder(self) -> str:
        """The working folder of threads that have none of their own."""
        return str(self._config.working_dir)

    @property
    def home(self) -> str:
        """The Codex home."""
        return "" if self._launch is None else str(self._launch.account.home)

    @property
    def records(self) -> CodexRecords:
        """See `core.records.Recording`."""
        return CodexRecords(self)

    @property
    def provider(self) -> str:
        """Who makes the model's answers: reasoning is encrypted for one of them."""
        account = None if self._launch is None else self._launch.account
        if account is None or account.provider is None:
            return "of the user's configuration"
        return SCRIPTED_LABEL if account.scripted else f"{account.provider} at {account.base_url}"

    async def start(self) -> BackendSummary:
        """Start the app-server and see what works. Raises `BackendError` or `AuthError`."""
        config = self._config
        if not config.working_dir.is_dir():
            raise BackendError(f"The working folder {config.working_dir} does not exist.")
        self._mount_points = MountPoints(config.working_dir)
        self._mount_points.forget_leftovers()
        account = choose_account(config)
        self._toolkits = (own_toolkit(config, account),)
        launch = await self._prepare(account)
        self._launch = launch
        server = self._server = await self._greeted(launch)
        try:
            label = await account_label(server, account)
            if not account.own_home:
                account = await self._configured(server, account)
            self._sandbox = await self._checked_sandbox(server)
            listed = await client.list_models(server)
            self._default = default_choice(NAME, config, account, listed)
            self._efforts = self._known_efforts(listed)
        except BaseException:
            await server.close()
            raise
        self.bare.provider = self.endpoint_of(self._default)
        self._models = provider_models(NAME, config, account, listed, self._windows)
        return self._summary(launch, label, server.warnings)

    def models(self) -> Sequence[ProviderModels]:
        """The pinned models, or those Codex lists."""
        return self._models

    def default_model(self) -> ModelChoice:
        """The first pinned model, or Codex's default."""
        return self._default

    def toolkits(self) -> Sequence[ToolkitInfo]:
        """Codex's own tools, and those of the user's MCP servers as soon as they have been listed."""
        return self._toolkits

    async def listed(self) -> None:
        """Wait until `toolkits` is complete."""
        await self._tasks.wait()

    async def title(self, text: str, meter: Meter = UNMETERED) -> str | None:
        """A short name for a thread; see the port. The scripted model gives none that no script asks for."""
        if self._config.provider == "scripted" and not asks_for_title(text):
            return None
        server, model = await self.server(), self._default.model
        try:
            return await self._titles.make(server, model, text, meter)
        except BackendError:
            if server.alive:
                raise
        return await self._titles.make(await self.server(), model, text, meter)

    async def open_thread(
        self, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> BackendThread:
        """Open a thread; Codex hears of it with the first turn."""
        return CodexThread(self, thread_id, history, state)

    async def discard(self, thread_id: ThreadId, state: KeptState) -> None:
        """Delete the Codex thread of a thread of the room that is cleared or gone; see the port."""
        kept = read_association(state)
        if kept is None or kept.room != thread_id:
            return
        if kept.home != self.home:
            logger.warning("Codex thread %s stays in %s, which is not ours now", kept.thread, kept.home)
            return
        await discard_thread(await self.server(), kept.thread)

    def command(self, thread_id: ThreadId, state: KeptState) -> str | None:
        """`codex resume …`; see the port."""
        kept = read_association(state)
        if kept is None or kept.room != thread_id:
            return None
        return resume_command(kept, self._config.environment)

    async def close(self) -> None:
        """Stop the app-server and everything below it. Idempotent."""
        self._closed = True
        await self._tasks.close()
        await self.bare.close()
        if self._server is not None:
            await self._server.close()
        if self._launch is not None:
            await asyncio.to_thread(self._launch.mark.remove)
        if self._mount_points is not None:
            self._mount_points.remove()

    async def server(self) -> AppServer:
        """The app-server, started again if it is gone. Raises `BackendError`."""
        async with self._restarting:
            if self._launch is None or self._server is None or self._closed:
                raise BackendError("Codex is not running.")
            if self._server.alive and self._server.idle and self._login_changed(self._launch):
                logger.info("the login changed, and Codex is started again with it")
                await self._server.close()
            elif not self._server.alive:
                logger.warning("Codex is gone and is started again")
            if not self._server.alive:
                await self._server.close()
                self._server = await self._restarted(self._launch)
            return self._server

    def endpoint_of(self, model: ModelChoice) -> str | None:
        """The further provider that a model is of; see the port `Host`."""
        account = self._launch.account if self._launch else None
        return endpoint_of(self._config, account, self._default if model.model is None else model)

    def _login_changed(self, launch: Launch) -> bool:
        """Codex reads a key when it starts, and a login that it could not renew once more at most."""
        return launch.account.login_stamp() != self._login

    def thread_settings(self, model: str | None, instructions: str | None, folder: str) -> dict[str, Any]:
        """What every thread is made, resumed and copied with."""
        chosen = model or self._default.model
        provider = self.endpoint_of(ModelChoice(NAME, None, chosen))
        developer = "\n\n".join(text for text in (self._user_instructions, instructions) if text)
        return {
            "cwd": folder,
            "approvalPolicy": self._sandbox.approval_policy,
            "approvalsReviewer": "user",
            **self._sandbox.thread,
            **({"model": chosen} if chosen else {}),
            **({"modelProvider": provider} if provider else {}),
            **({"developerInstructions": developer} if instructions else {}),
            **({"config": {"features.hooks": False}} if self._hooks else {}),
        }

    def turn_settings(self, turn: TurnInput, about_senders: str) -> dict[str, Any]:
        """Members of `turn/start` beside thread and input; see the port `Host`."""
        model = turn.model.model or self._default.model or ""
        texts = (project_docs(turn.folder or self._config.working_dir).text, about_senders)
        return turn_settings(turn, model, self._efforts, texts)

    def compacts_at(self, model: str | None, window: int | None) -> int | None:
        """The fill at which Codex compacts, in tokens; None when `window` is not what the catalogue says."""
        known = self._windows.get(model or "")
        if known is None or window != known.usable:
            return self._compact_limit
        return min(known.compacts_at, self._compact_limit or known.compacts_at)

    async def _configured(self, server: AppServer, account: Account) -> Account:
        """Heed the user's own configuration."""
        found = await client.read_config(server, self._config.working_dir)
        limit, model = found.get("model_auto_compact_token_limit"), found.get("model")
        self._compact_limit = limit if isinstance(limit, int) else None
        self._user_instructions = str(found.get("developer_instructions") or "")
        self._user_effort = str(found.get("model_reasoning_effort") or "") or None
        self.bare.servers = tuple(as_dict(found.get("mcp_servers")))
        if self.bare.servers:
            self._tasks.start(self._list_mcp(server), "MCP servers")
        return replace(account, model=account.model or (model if isinstance(model, str) and model else None))

    def _known_efforts(self, listed: Sequence[dict[str, Any]]) -> Efforts:
        """Raises `UsageError` or `BackendError` when the agent's own model cannot be used as wanted."""
        if self._default.model is None:
            raise BackendError("Codex names no model to use.", fix="Name one with --model codex/NAME.")
        levels = {name: found for name, model in by_name(listed).items() if (found := efforts_of(model))}
        Efforts(self._config.effort, levels).check_default(self._default.model)
        return Efforts(self._config.effort or self._user_effort, levels)

    async def _list_mcp(self, server: AppServer) -> None:
        """Beside the start: servers may take long to come up, and nothing waits for their names."""
        try:
            listed = await client.list_mcp_servers(server)
        except ProcessError as error:
            logger.warning("MCP servers cannot be listed: %s", error)
            return
        self._toolkits = (*self._toolkits, *mcp_toolkits(listed))

    async def _restarted(self, launch: Launch) -> AppServer:
        failure = BackendError("Codex could not be started again.")
        for delay in islice(Backoff(first=0.2, ceiling=2).delays(), _RESTARTS):
            try:
                return await self._greeted(launch)
            except BackendError as error:
                failure = error
                await asyncio.sleep(delay)
        raise failure

    async def _greeted(self, launch: Launch) -> AppServer:
        """A new app-server, with what has to be settled before its first thread. Raises `BackendError`."""
        self._login = launch.account.login_stamp()
        server = AppServer(launch)
        await server.start()
        try:
            folder = self._config.working_dir
            self._hooks = await client.hooks_that_approve(server, folder)
            self._skills = await offer_skills(server, self._config.skill_dirs, folder)
        except BaseException as error:
            await server.close()
            if isinstance(error, RemoteError | TimeLimitError):
                raise BackendError(f"Codex did not take its settings: {error}") from error
            raise
        return server

    async def _prepare(self, account: Account) -> Launch:
        config = self._config
        folder = agent_folder(config)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            program = await locate(config.environment, folder)
            launch = prepare(config, program, account)
            self._windows = await describe_models(launch, folder)
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
        # the bundled bubblewrap works
        shown = [text.partition("\n")[0] for text in warnings if "bubblewrap" not in text]
        approvals = _APPROVAL_LINES[config.approvals]
        if config.sandbox == "full-access" and config.approvals == "deny":
            approvals = "deny: nothing needs one with full access"
        rules = unasked(self._sandbox, launch.account.home, config.working_dir)
        return BackendSummary(
            (
                ("codex", f"{program.version_text}, {program.path}"),
                ("account", account),
                ("model", self._default.model or "default of Codex"),
                ("sandbox", self._sandbox.line),
                ("approvals", approvals),
                ("working folder", self.folder),
                *search_lines(config),
                *((("skills", ", ".join(self._skills)),) if self._skills else ()),
                *(("warning", f"hooks of Codex are off: {key} could approve") for key in self._hooks),
                *(("warning", text) for text in (*launch.warnings, *rules, *shown)),
            ),
            self._sandbox.caution,
        )
