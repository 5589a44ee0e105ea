"""`process join`: put an agent in a room and keep it there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from process_agent.cli.agent_options import (
    AgentName,
    Approvals,
    ApprovalTimeout,
    Approver,
    Backends,
    Channels,
    JoinTimeout,
    Models,
    Network,
    Port,
    Provider,
    Room,
    Sandbox,
    SummaryJson,
    ThreadDir,
    ThreadingMode,
    ThreadIsolation,
    ThreadStorage,
    TokenFromEnv,
    WorkingDir,
    Workspace,
    Worktrees,
)
from process_agent.cli.channel_flags import (
    ChannelEnv,
    ChannelUsers,
    WebsocketAuthFlag,
    WebsocketOpen,
    WebsocketOrigins,
    channel_flags,
)
from process_agent.cli.health import HealthAddress
from process_agent.cli.model_flags import CodexHome, ModelsFile, ReasoningEffort, SkillDirs, model_flags
from process_agent.cli.options import DataDir, Local, ProjectId
from process_agent.cli.outside_flags import (
    ImageGeneration,
    McpConfig,
    McpServers,
    WebFetch,
    WebSearch,
    outside_flags,
)
from process_agent.cli.rule_flags import Instructions, RoomRules, RulesFiles, RuleTexts, rules_options
from process_agent.cli.thread_flags import Redact, ThreadRetention, thread_flags
from process_agent.cli.tool_flags import (
    TOOL_SECONDS,
    AdvancedShell,
    Mcp,
    ReadOnlyStorage,
    RequireToolkits,
    Shell,
    Storage,
    ToolApprovals,
    ToolSearchFlag,
    ToolTimeout,
    tool_flags,
)

if TYPE_CHECKING:
    from process_agent.cli.checked import JoinOptions
    from process_agent.config import Settings


def join(
    room: Room = None,
    agent_name: AgentName = None,
    channel: Channels = None,
    backend: Backends = None,
    model: Models = None,
    provider: Provider = None,
    working_dir: WorkingDir = None,
    workspace: Workspace = "shared",
    worktrees: Worktrees = None,
    sandbox: Sandbox = "workspace-write",
    approvals: Approvals = "ask",
    approver: Approver = None,
    approval_timeout: ApprovalTimeout = 300,
    network: Network = False,
    require_toolkit: RequireToolkits = None,
    tool_search: ToolSearchFlag = "none",
    storage: Storage = False,
    read_only_storage: ReadOnlyStorage = False,
    tool_approvals: ToolApprovals = "as-needed",
    tool_timeout: ToolTimeout = TOOL_SECONDS,
    mcp: Mcp = None,
    mcp_server: McpServers = None,
    mcp_config: McpConfig = None,
    shell: Shell = False,
    advanced_shell: AdvancedShell = False,
    web_search: WebSearch = False,
    web_fetch: WebFetch = False,
    image_generation: ImageGeneration = None,
    rule: RuleTexts = None,
    rules_file: RulesFiles = None,
    room_rules: RoomRules = None,
    instructions: Instructions = None,
    skill_dir: SkillDirs = None,
    reasoning_effort: ReasoningEffort = None,
    models_file: ModelsFile = None,
    codex_home: CodexHome = None,
    local: Local = False,
    data_dir: DataDir = None,
    port: Port = None,
    project_id: ProjectId = None,
    token_from_env: TokenFromEnv = None,
    join_timeout: JoinTimeout = 15,
    threading_mode: ThreadingMode = "default-new",
    thread_dir: ThreadDir = None,
    thread_storage: ThreadStorage = "dataset",
    thread_isolation: ThreadIsolation = "global",
    redact: Redact = None,
    thread_retention: ThreadRetention = None,
    websocket_auth: WebsocketAuthFlag = "jwt",
    websocket_origin: WebsocketOrigins = None,
    websocket_open: WebsocketOpen = False,
    channel_env: ChannelEnv = None,
    channel_users: ChannelUsers = False,
    health: HealthAddress = None,
    json: SummaryJson = False,
) -> None:
    """Join a room as an agent and stay until stopped.

    With MeshAgent credentials that room is a hosted one; with none, or --local, the local room, which is
    started if it isn't running.
    """
    started = time.monotonic()
    from process_agent import config
    from process_agent.channels.specs import parse_channels
    from process_agent.cli.agent_options import with_token
    from process_agent.cli.checked import checked

    options = checked(
        room=room,
        agent_name=agent_name,
        channels=parse_channels(channel or ()),
        backends=backend,
        models=model,
        provider=provider,
        working_dir=working_dir,
        workspace=workspace,
        worktrees=worktrees,
        sandbox=sandbox,
        approvals=approvals,
        approver=approver,
        approval_seconds=approval_timeout,
        network=network,
        rules=rules_options(rule, rules_file, room_rules, instructions),
        local=local,
        data_dir=data_dir,
        port=port,
        project_id=project_id,
        join_seconds=join_timeout,
        threading_mode=threading_mode,
        thread_dir=thread_dir,
        thread_storage=thread_storage,
        thread_isolation=thread_isolation,
        json=json,
        started=started,
        channel_flags=channel_flags(
            websocket_auth, websocket_origin, websocket_open, channel_env, channel_users
        ),
        model_flags=model_flags(reasoning_effort, skill_dir, codex_home, models_file),
        tool_flags=tool_flags(
            require_toolkit, tool_search, storage, read_only_storage, tool_approvals, tool_timeout, mcp
        ).with_shell(shell, advanced_shell),
        thread_flags=thread_flags(redact, thread_retention),
        health=health,
        outside=outside_flags(mcp_server, mcp_config, web_search, image_generation, web_fetch),
    )
    run(options, with_token(config.load(), token_from_env))


def run(options: JoinOptions, settings: Settings) -> None:
    """Join and stay; a seam for the tests of the options."""
    import asyncio

    from process_agent.cli import INTERRUPTED
    from process_agent.cli.joining import stay
    from process_agent.cli.logs import log_of_an_agent

    log_of_an_agent()
    try:
        asyncio.run(stay(options, settings))
    except asyncio.CancelledError:
        # The second signal cut the drain short.
        raise typer.Exit(INTERRUPTED) from None
