"""A running agent: backends, thread store, channels and supervisor put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from process_agent.agent import registry
from process_agent.agent.attachments import Attachments
from process_agent.agent.channels import (
    AgentRoom,
    ChannelOptions,
    ChannelProfile,
    create_channels,
    first_mails,
)
from process_agent.agent.flags import check_effort, check_flags, check_hosted, mcp_lines
from process_agent.agent.local_tools import make_shell, shell_lines
from process_agent.agent.metering import Metering
from process_agent.agent.models import Selection, select
from process_agent.agent.provisions import Provisions
from process_agent.agent.retention import Retention
from process_agent.agent.runner import Runner
from process_agent.agent.shelf import Shelf, plain_name
from process_agent.agent.standing_rules import RulesOptions, StandingRules
from process_agent.agent.tools.given import ToolRoom
from process_agent.agent.tools.mail import NAME as MAIL
from process_agent.agent.tools.shell.source import Shell
from process_agent.agent.tools.sources import ToolOptions, check_tools, mcp_tools, tool_sources
from process_agent.agent.tools.tooling import Tooling
from process_agent.channels.specs import ChannelSpec, ChatSpec
from process_agent.core.approvers import Approvers
from process_agent.core.backend import Backend, BackendConfig, BackendSummary, ToolkitInfo
from process_agent.core.channel import Ask, Channel, Observing
from process_agent.core.commands import Viewer
from process_agent.core.discovery import only_thread
from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.core.models import ModelChoice
from process_agent.core.selection import Catalogue
from process_agent.core.speaker import IsolationMode, Limits, Setting
from process_agent.core.supervisor import Supervisor
from process_agent.core.workspace import WorkspaceMode, Workspaces
from process_agent.io.private_places import private_places
from process_agent.io.random_ids import random_uuid
from process_agent.threads.kept.retention import Rule
from process_agent.workspaces.places import places_of
from process_agent.workspaces.shared import SharedWorkspaces, home_of
from process_agent.workspaces.worktrees import ThreadWorktrees

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""How long a stopping agent waits for its turns to end."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What the command line says about an agent.

    `backends` and `models` are the texts of `--backend` and `--model`. `backend` holds what every backend
    gets; its `models` are filled in from those texts.
    """

    agent_name: str
    backend: BackendConfig
    backends: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    channels: tuple[ChannelSpec, ...] = (ChatSpec(),)
    channel_options: ChannelOptions = field(default_factory=ChannelOptions)
    tools: ToolOptions = field(default_factory=ToolOptions)
    copies: Path | None = None
    """Folder for copies of what people attach, which commands can read; none are kept without one."""
    rules: RulesOptions = field(default_factory=RulesOptions)
    approvers: Approvers = field(default_factory=Approvers)
    approval_seconds: float = 300.0
    single_thread: bool = False
    workspace: WorkspaceMode = "shared"
    worktrees: Path | None = None
    """Where work trees of threads are made; None: beside the repository."""
    isolation: IsolationMode = "global"
    retention: Rule | None = None
    """Threads that go by themselves."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What the start summary says once the agent answers. `thread_dir` is the folder of its threads."""

    agent_name: str
    channels: tuple[str, ...]
    backends: tuple[tuple[str, BackendSummary], ...]
    default_model: ModelChoice
    thread_dir: str
    tools: str = ""
    """The toolkits that flags asked for, and on mixed agents, whose models can use them."""
    shell: tuple[tuple[str, str], ...] = ()
    """What commands of models may do that have none of their own."""
    mcp: tuple[tuple[str, str], ...] = ()
    """The MCP servers that flags asked for, and on mixed agents, whose models can use them."""


@dataclass(frozen=True, slots=True)
class StartedBackends:
    """Backends that run, each with its lines of the start summary; and the shell opened with them."""

    backends: tuple[Backend, ...]
    summaries: tuple[BackendSummary, ...]
    shell: Shell | None = None


async def run_agent(
    config: AgentConfig,
    room: AgentRoom,
    backends: StartedBackends,
    on_ready: Callable[[Ready], None],
    stop: asyncio.Event,
) -> None:
    """Run an agent until `stop` is set, then drain: running turns are interrupted, ended and stored, waiting
    ones are visibly refused.

    Raises `UsageError` for names that cannot be used, `RoomError` when the room refuses what an agent needs.
    """
    async with Agent(config, room, backends) as agent:
        on_ready(agent.ready)
        await stop.wait()


@asynccontextmanager
async def started(
    backends: Sequence[Backend], config: AgentConfig | None = None
) -> AsyncIterator[StartedBackends]:
    """Start backends side by side, before anything is joined, and close them at the end of the block. With
    `config` its shell is opened too, so that a sandbox that does not work is known before anybody waits.

    Raises `BackendError` and `AuthError` when one does not start, and `UsageError` where `config` wants a
    tool of providers that no model has; all are closed then.
    """
    shell = None if config is None else make_shell(config.tools, config.backend)
    async with AsyncExitStack() as leaving:
        for backend in backends:
            leaving.push_async_callback(backend.close)
        if shell is not None:
            leaving.push_async_callback(shell.close)
        starting = [backend.start() for backend in backends]
        opening = [] if shell is None else [shell.open()]
        results = await asyncio.gather(*starting, *opening, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        for error in failed[1:]:
            logger.error("%s", error)
        if failed:
            raise failed[0]
        if config is not None:
            check_hosted(config.backend, backends)
            check_effort(config.backend, backends)
        summaries = tuple(result for result in results if isinstance(result, BackendSummary))
        yield StartedBackends(tuple(backends), summaries, shell)


def create_backends(config: AgentConfig) -> tuple[Backend, ...]:
    """The backends of an agent, not started. Raises `UsageError` and `BackendError`; does no other I/O than
    loading them, so that wrong names, and flags that none of them can use, are told before anything is
    joined.
    """
    check_tools(config.tools, config.channels)
    chosen = _selection(config)
    backends = tuple(
        registry.create(name, replace(config.backend, models=models, beside_defaults=name in config.backends))
        for name, models in chosen.backends
    )
    check_flags(config.tools, config.backend, backends)
    return backends


class Agent:
    """Entered, it answers; left, it is gone. `ready` holds once it is entered."""

    ready: Ready

    def __init__(
        self,
        config: AgentConfig,
        room: AgentRoom,
        backends: StartedBackends,
        *,
        new_id: IdSource = random_uuid,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._room = room
        self._backends = backends.backends
        self._summaries = backends.summaries
        self._new_id = new_id
        self._clock = clock
        self._leaving = AsyncExitStack()
        messaging, name = room.messaging, config.agent_name
        here = ToolRoom(room.files, room.toolkits, self._shelf(), messaging.participant, name, room.store)
        apart = config.isolation == "participant"
        wanted = config.channels if MAIL in config.tools.required else ()
        self._opened = backends.shell is not None
        self._shell = backends.shell or make_shell(config.tools, config.backend)
        mails = first_mails(wanted, self._profile(), room)
        self._tooling = Tooling(
            tool_sources(
                config.tools,
                here,
                config.backend,
                config.channels,
                apart=apart,
                mails=mails,
                shell=self._shell,
            ),
            mcp_tools(config.tools, here, config.backend),
        )

    async def __aenter__(self) -> Agent:
        async with AsyncExitStack() as leaving:
            leaving.push_async_callback(self._room.store.close)
            if self._shell is not None and not self._opened:
                leaving.push_async_callback(self._shell.close)
                await self._shell.open()
            self._look_for_others()
            await self._room.store.start()
            if (only := self._only_thread()) is not None:
                await (await self._room.store.open(only, create=self._config.agent_name)).close()
            channels = create_channels(self._config.channels, self._profile(), self._room)
            setting = self._setting(channels)
            backends = {backend.name: backend for backend in self._backends}
            attachments = Attachments(self._room.files, self._shelf(), self._room.store.images)
            if attachments.shelf is not None:
                await attachments.shelf.tidy()
            leaving.push_async_callback(self._tooling.close)
            await self._tooling.start()
            workspaces = create_workspaces(self._config)
            leaving.push_async_callback(workspaces.close)
            await workspaces.start()
            rules = StandingRules(self._config.rules, self._room.files)
            await rules.start()
            if (ledger := self._room.ledger) is not None:
                leaving.push_async_callback(ledger.close)
                ledger.start()
            metering = Metering(self._config.agent_name, ledger, setting.catalogue, self._clock)
            anywhere = self._config.tools.mcp == "any"
            folder = None if self._shell is None else self._shell.folder
            provisions = Provisions(
                attachments, self._tooling, rules, anywhere, metering=metering, shell_folder=folder
            )
            supervisor, store = Supervisor(setting), self._room.store
            runner = Runner(supervisor, store, backends, channels, provisions, workspaces)
            leaving.push_async_callback(runner.close)
            for channel in channels:
                leaving.push_async_callback(channel.close)
            leaving.push_async_callback(_drain, runner)
            await _start(channels, runner.ask)
            rule = self._config.retention
            runner.start(None if rule is None else Retention(rule, store, self._clock))
            self._leaving = leaving.pop_all()
        self.ready = Ready(
            agent_name=self._config.agent_name,
            channels=tuple(channel.name for channel in channels),
            backends=tuple(zip((b.name for b in self._backends), self._summaries, strict=True)),
            default_model=setting.catalogue.default,
            thread_dir=self._room.store.directory,
            tools=self._tools_line(),
            shell=shell_lines(self._shell, self._config.tools, self._backends),
            mcp=mcp_lines(self._config.tools, self._backends),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leaving.aclose()

    def _setting(self, channels: Sequence[Channel]) -> Setting:
        config = self._config
        providers = [entry for backend in self._backends for entry in backend.models()]
        named = _selection(config).default
        default = named or self._backends[0].default_model()
        return Setting(
            agent_name=config.agent_name,
            catalogue=Catalogue(providers, default),
            new_id=self._new_id,
            clock=self._clock,
            approvals=config.backend.approvals,
            sandbox=config.backend.sandbox,
            approvers=config.approvers,
            toolkits=self._toolkits,
            limits=Limits(approval=config.approval_seconds),
            isolation=config.isolation,
            mcp=config.tools.mcp,
            observers=tuple(Viewer(c.name, c.observer) for c in channels if isinstance(c, Observing)),
        )

    def _toolkits(self, name: str) -> Sequence[ToolkitInfo]:
        backend = next((backend for backend in self._backends if backend.name == name), None)
        if backend is None:
            return ()
        return (*backend.toolkits(), *self._tools_for(backend))

    def _tools_for(self, backend: Backend) -> Sequence[ToolkitInfo]:
        if not backend.takes_tools:
            return ()
        return self._tooling.listed(local=not backend.runs_commands, mcp=not backend.takes_mcp)

    def _look_for_others(self) -> None:
        name = self._config.agent_name
        others = [p for p in self._room.messaging.participants() if p.name == name and p.role == "agent"]
        if others:
            logger.warning(
                "another agent called %r is in this room, and clients talk to either of them. One that was "
                "just stopped will be gone soon; stop any other, or choose another --agent-name",
                name,
            )

    def _tools_line(self) -> str:
        if not self._config.tools.flags:
            return ""
        names = ", ".join(info.name for info in self._tooling.listed(local=False))
        takers = [backend.name for backend in self._backends if backend.takes_tools]
        others = [backend.name for backend in self._backends if not backend.takes_tools]
        return f"{names}, for {', '.join(takers)}; not for {', '.join(others)}" if others else names

    def _shelf(self) -> Shelf | None:
        folder = self._config.copies
        if folder is None:
            return None
        return Shelf(folder / plain_name(self._config.agent_name))

    def _profile(self) -> ChannelProfile:
        config = self._config
        cautions = [summary.caution for summary in self._summaries if summary.caution]
        if self._shell is not None and (caution := self._shell.sandbox.caution) is not None:
            cautions = [*(text for text in cautions if text != caution), caution]
        return ChannelProfile(
            config.agent_name,
            config.channel_options,
            self._new_id,
            self._clock,
            self._only_thread(),
            " ".join(cautions) or None,
            config.tools.mcp != "none",
        )

    def _only_thread(self) -> ThreadId | None:
        if not self._config.single_thread:
            return None
        return only_thread(self._room.store.directory)


def create_workspaces(config: AgentConfig) -> Workspaces:
    """Where the agent's threads work."""
    backend = config.backend
    home = home_of(backend.data_dir, backend.agent_name, backend.working_dir)
    if config.workspace == "shared":
        return SharedWorkspaces(backend.working_dir, home, backend.environment)
    places = places_of(backend.data_dir, backend.agent_name)
    private = private_places(backend.environment, backend.data_dir)
    return ThreadWorktrees(backend.working_dir, home, places, backend.environment, config.worktrees, private)


def _selection(config: AgentConfig) -> Selection:
    return select(config.backends, config.models, registry.installed())


async def _start(channels: Sequence[Channel], ask: Ask) -> None:
    """Start channels side by side: a program may take seconds. Raises what the first that failed raised."""
    try:
        async with asyncio.TaskGroup() as starting:
            for channel in channels:
                starting.create_task(channel.start(ask), name=f"start {channel.name}")
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _drain(runner: Runner) -> None:
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await runner.drain()
    except TimeoutError:
        logger.warning("some turns did not end in %.0f s", DRAIN_SECONDS)
