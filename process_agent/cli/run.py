"""`process run`: an agent and a conversation with it in one terminal, with or without a room."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.agent_options import (
    Approvals,
    ApprovalTimeout,
    Backends,
    JoinTimeout,
    Models,
    Network,
    Port,
    Provider,
    Sandbox,
    ThreadDir,
    ThreadingMode,
    ThreadStorage,
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
from process_agent.cli.talking import (
    Attach,
    Effort,
    HowToApprove,
    Message,
    OutputSchema,
    Person,
    Thread,
    Timeout,
    TurnJson,
    run_to_end,
    talk_of,
)
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
    from process_agent.cli.talking import Talk
    from process_agent.config import Settings

DEFAULT_NAME = "agent"


def run(
    room: Annotated[
        str | None,
        typer.Option("--room", metavar="NAME", help="Keep the threads in this room. [default: no room]"),
    ] = None,
    no_room: Annotated[
        bool, typer.Option("--no-room", help="No room, whatever $MESHAGENT_ROOM says: nothing is kept.")
    ] = False,
    agent_name: Annotated[
        str, typer.Option("--agent-name", metavar="NAME", help="The agent's name.")
    ] = DEFAULT_NAME,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="With --room, where others come in: chat, queue:NAME, toolkit:NAME, mail:ADDRESS, "
            "websocket:PORT or command:PROGRAM. Repeatable.",
        ),
    ] = None,
    backend: Backends = None,
    model: Models = None,
    provider: Provider = None,
    thread: Thread = None,
    message: Message = None,
    attach: Attach = None,
    json: TurnJson = False,
    approve: HowToApprove = None,
    name: Person = None,
    timeout: Timeout = None,
    effort: Effort = None,
    output_schema: OutputSchema = None,
    working_dir: WorkingDir = None,
    workspace: Workspace = "shared",
    worktrees: Worktrees = None,
    sandbox: Sandbox = "workspace-write",
    approvals: Approvals = "ask",
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
    join_timeout: JoinTimeout = 15,
    threading_mode: ThreadingMode = "default-new",
    thread_dir: ThreadDir = None,
    thread_storage: ThreadStorage = "dataset",
    websocket_auth: WebsocketAuthFlag = "jwt",
    websocket_origin: WebsocketOrigins = None,
    websocket_open: WebsocketOpen = False,
    channel_env: ChannelEnv = None,
    channel_users: ChannelUsers = False,
    redact: Redact = None,
    thread_retention: ThreadRetention = None,
) -> None:
    """Run an agent here and talk to it in this terminal.

    Without a room nothing else is started and nothing is kept. With --room the agent joins it for as long as
    you talk: its threads stay there, and others can join in through the --channel you name.

    Exit codes with --message: 0 completed, 5 failed or refused, 6 out of time.
    """
    started = time.monotonic()
    from process_agent import config
    from process_agent.channels.specs import parse_channel
    from process_agent.cli.checked import checked

    settings = config.load()
    place = _place(None if no_room else room or settings.room, no_room and room is not None, channel)
    options = checked(
        room=place,
        agent_name=agent_name,
        channels=tuple(parse_channel(text) for text in channel or ()),
        backends=backend,
        models=model,
        provider=provider,
        working_dir=working_dir,
        workspace=workspace,
        worktrees=worktrees,
        sandbox=sandbox,
        approvals=approvals,
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
        thread_storage=_storage(place, thread_storage),
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
        outside=outside_flags(mcp_server, mcp_config, web_search, image_generation, web_fetch),
    )
    talk = talk_of(
        message,
        thread=thread,
        json=json,
        approve=approve,
        timeout=timeout,
        history=settings.paths(data_dir).root / "chat-history",
        effort=effort,
        output_schema=output_schema,
        attach=attach,
    )
    _run(options, talk, name, settings)


def _run(options: JoinOptions, talk: Talk, name: str | None, settings: Settings) -> None:
    from process_agent.cli.channel_flags import check_used
    from process_agent.cli.running import Here, run_here
    from process_agent.cli.who import login_name

    check_used(options)
    here = Here(options, talk, name or login_name())
    run_to_end(lambda: run_here(here, settings), interactive=talk.message is None)


def _storage(place: str | None, storage: str) -> str:
    """Where threads are kept. Raises `UsageError` for a place that only a room has."""
    from process_agent.errors import UsageError

    if place is None and storage not in ("dataset", "none"):
        raise UsageError(f"Without a room --thread-storage {storage} keeps nothing.", fix="Name a --room.")
    return storage


def _place(room: str | None, contradicted: bool, channels: list[str] | None) -> str | None:
    """The room, if there is one. Raises `UsageError` for flags that do not fit."""
    from process_agent.errors import UsageError

    if contradicted:
        raise UsageError("--room and --no-room contradict each other.")
    if room is None and channels:
        raise UsageError("Without a room there is no channel but this terminal.", fix="Name a --room.")
    return room
