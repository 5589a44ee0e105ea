"""`process spec`: the document that makes the agent of these flags a service of MeshAgent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.cli.agent_options import (
    Approvals,
    ApprovalTimeout,
    Approver,
    Backends,
    Channels,
    JoinTimeout,
    Models,
    Network,
    Provider,
    Sandbox,
    ThreadDir,
    ThreadingMode,
    ThreadIsolation,
    ThreadStorage,
    Workspace,
)
from process_agent.cli.channel_flags import (
    ChannelEnv,
    ChannelUsers,
    WebsocketAuthFlag,
    WebsocketOpen,
    WebsocketOrigins,
    channel_flags,
)
from process_agent.cli.given_flags import given
from process_agent.cli.model_flags import ModelsFile, ReasoningEffort, model_flags
from process_agent.cli.outside_flags import (
    ImageGeneration,
    McpServers,
    WebFetch,
    WebSearch,
    outside_flags,
)
from process_agent.cli.rule_flags import Instructions, RoomRules, RulesFiles, RuleTexts, rules_options
from process_agent.cli.thread_flags import Redact, thread_flags
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
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.cli.checked import JoinOptions
    from process_agent.core.content import Json
    from process_agent.core.discovery import ChatProfile
    from process_agent.services.document import ShippedFile

FILES_FOLDER = "/etc/process"
"""Where the container finds the files of this machine that flags name."""

AgentName = Annotated[
    str | None, typer.Option("--agent-name", metavar="NAME", help="The agent's name. Required.")
]
ServiceName = Annotated[
    str | None,
    typer.Option("--service-name", metavar="NAME", help="The service's name. [default: the agent's]"),
]
Description = Annotated[
    str | None, typer.Option("--service-description", metavar="TEXT", help="What the service is for.")
]
Image = Annotated[
    str | None,
    typer.Option("--image", metavar="IMAGE", help="Container image with this program. Required."),
]
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME=ID",
        help="Set this variable to the MeshAgent secret with this id. Needs --run-as. Repeatable.",
    ),
]
RunAs = Annotated[
    str | None,
    typer.Option("--run-as", metavar="EMAIL", help="Service account that may read the secrets."),
]
ContainerFolder = Annotated[
    str | None,
    typer.Option(
        "--working-dir",
        metavar="FOLDER",
        help="Folder of the container the agent works in, like /data, the room's storage.",
    ),
]
ContainerSkills = Annotated[
    list[str] | None,
    typer.Option(
        "--skill-dir", metavar="FOLDER", help="Folder of the container with agent skills. Repeatable."
    ),
]
ContainerMcp = Annotated[
    str | None,
    typer.Option(
        "--mcp-config",
        metavar="FILE",
        help="File of the container with MCP servers for language models: Codex's table [mcp_servers].",
    ),
]
ContainerHome = Annotated[
    str | None,
    typer.Option(
        "--codex-home",
        metavar="FOLDER",
        help="Codex's folder in the container: configuration, skills, login, like /data/.codex.",
    ),
]
ContainerWorktrees = Annotated[
    str | None,
    typer.Option(
        "--worktrees", metavar="FOLDER", help="Folder of the container for the work trees of threads."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON in place of YAML.")]


def spec(
    context: typer.Context,
    agent_name: AgentName = None,
    channel: Channels = None,
    backend: Backends = None,
    model: Models = None,
    provider: Provider = None,
    working_dir: ContainerFolder = None,
    workspace: Workspace = "shared",
    worktrees: ContainerWorktrees = None,
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
    mcp_config: ContainerMcp = None,
    shell: Shell = False,
    advanced_shell: AdvancedShell = False,
    web_search: WebSearch = False,
    web_fetch: WebFetch = False,
    image_generation: ImageGeneration = None,
    rule: RuleTexts = None,
    rules_file: RulesFiles = None,
    room_rules: RoomRules = None,
    instructions: Instructions = None,
    skill_dir: ContainerSkills = None,
    reasoning_effort: ReasoningEffort = None,
    models_file: ModelsFile = None,
    codex_home: ContainerHome = None,
    join_timeout: JoinTimeout = 15,
    threading_mode: ThreadingMode = "default-new",
    thread_dir: ThreadDir = None,
    thread_storage: ThreadStorage = "dataset",
    thread_isolation: ThreadIsolation = "global",
    redact: Redact = None,
    websocket_auth: WebsocketAuthFlag = "jwt",
    websocket_origin: WebsocketOrigins = None,
    websocket_open: WebsocketOpen = False,
    channel_env: ChannelEnv = None,
    channel_users: ChannelUsers = False,
    service_name: ServiceName = None,
    service_description: Description = None,
    image: Image = None,
    secret: Secrets = None,
    run_as: RunAs = None,
    json: AsJson = False,
) -> None:
    """Print the service document of an agent with these flags of `process join`.

    MeshAgent runs it in a container of a room. The document holds no key: the container gets its token, and
    the secrets that you name, from MeshAgent. Nothing is sent anywhere.
    """
    from process_agent.channels.specs import parse_channels
    from process_agent.cli.checked import checked
    from process_agent.services.document import Service, secret_variable, service_document

    options = checked(
        room=None,
        agent_name=agent_name,
        channels=parse_channels(channel or ()),
        backends=backend,
        models=model,
        provider=provider,
        working_dir=None,
        workspace=workspace,
        worktrees=None if worktrees is None else Path(worktrees),
        sandbox=sandbox,
        approvals=approvals,
        approver=approver,
        approval_seconds=approval_timeout,
        network=network,
        rules=rules_options(rule, rules_file, room_rules, instructions),
        local=False,
        data_dir=None,
        join_seconds=join_timeout,
        threading_mode=threading_mode,
        thread_dir=thread_dir,
        thread_storage=thread_storage,
        thread_isolation=thread_isolation,
        json=json,
        started=0.0,
        channel_flags=channel_flags(
            websocket_auth, websocket_origin, websocket_open, channel_env, channel_users
        ),
        model_flags=model_flags(reasoning_effort, None, None, models_file),
        tool_flags=tool_flags(
            require_toolkit, tool_search, storage, read_only_storage, tool_approvals, tool_timeout, mcp
        ).with_shell(shell, advanced_shell),
        thread_flags=thread_flags(redact),
        outside=outside_flags(mcp_server, None, web_search, image_generation, web_fetch),
    )
    folders = _folders(working_dir, worktrees, codex_home, mcp_config, skill_dir or ())
    name, rules, models = _check(options, folders), _shipped(rules_file or ()), _shipped_models(options)
    flags = (*given(context), *_naming("--rules-file", rules), *_naming("--models-file", models))
    document = service_document(
        Service(
            name=service_name if service_name is not None else name,
            agent_name=name,
            image=_image(image),
            flags=flags,
            chat=_chat(options, name),
            description=service_description,
            files=(*rules, *models),
            secrets=tuple(secret_variable(text) for text in secret or ()),
            run_as=run_as,
        )
    )
    _print(document, flags, json=json)


def _naming(flag: str, files: Sequence[ShippedFile]) -> Iterator[str]:
    """The flags that name the files in the container."""
    for file in files:
        yield from (flag, file.path)


def _folders(
    working_dir: str | None,
    worktrees: str | None,
    codex_home: str | None,
    mcp_config: str | None,
    skill_dirs: Sequence[str],
) -> list[tuple[str, str | None]]:
    """Places of the container, by the flag that names them."""
    skills = (("--skill-dir", folder) for folder in skill_dirs)
    return [
        ("--working-dir", working_dir),
        ("--worktrees", worktrees),
        ("--codex-home", codex_home),
        ("--mcp-config", mcp_config),
        *skills,
    ]


def _print(document: dict[str, Json], flags: Sequence[str], *, json: bool) -> None:
    """In bytes, because a document is UTF-8 whatever the terminal is; one with a credential is refused."""
    from process_agent.services.written import as_json, as_yaml

    _refuse_credentials(document, flags)
    typer.echo((as_json if json else as_yaml)(document).encode(), nl=False)


def _check(options: JoinOptions, folders: Sequence[tuple[str, str | None]]) -> str:
    """The agent's name. Raises `UsageError` for what would end `process join` in the container."""
    from process_agent.agent import registry
    from process_agent.agent.models import select
    from process_agent.cli.channel_flags import check_used
    from process_agent.cli.joining import usable_name

    if options.agent_name is None:
        raise UsageError("Under which name?", fix="Give one with --agent-name.")
    check_used(options)
    _check_folders(folders)
    chosen = select(options.backends, options.models, registry.installed())
    registry.check(name for name, _ in chosen.backends)
    return usable_name(options.agent_name)


def _check_folders(named: Sequence[tuple[str, str | None]]) -> None:
    """Raise `UsageError` for a place, beside its flag, that cannot be one of the container."""
    for flag, folder in named:
        if folder is not None and not PurePosixPath(folder).is_absolute():
            raise UsageError(
                f"{flag} {folder!r} is no folder of a container.",
                fix="Name it from its root, like /data, where the room's storage is.",
            )


def _chat(options: JoinOptions, name: str) -> ChatProfile | None:
    """What the agent's chat channel will say of itself, if it has one."""
    from process_agent.channels.specs import ChatSpec
    from process_agent.core.discovery import ChatProfile, only_thread
    from process_agent.threads.paths import directory_at, directory_of, namespace_of, temporary_directory_of

    if options.thread_storage == "dataset":
        directory = directory_at(namespace_of(options.thread_dir or directory_of(name)))
    else:
        directory = temporary_directory_of(name)
    if not any(isinstance(channel, ChatSpec) for channel in options.channels):
        return None
    return ChatProfile(name, directory, only_thread(directory) if options.single_thread else None)


def _image(image: str | None) -> str:
    if image is None:
        raise UsageError(
            "A service needs a container image, and none of ours is published yet.",
            fix="Build one with this package and Codex in it, push it where MeshAgent can pull it, "
            "and name it with --image.",
        )
    return image


def _shipped(paths: Sequence[Path]) -> tuple[ShippedFile, ...]:
    """The rules files, which were read once: they are text, and not too large."""
    from process_agent.services.document import ShippedFile

    return tuple(
        ShippedFile(f"{FILES_FOLDER}/rules-{number}.txt", path.read_text("utf-8"))
        for number, path in enumerate(paths, 1)
    )


def _shipped_models(options: JoinOptions) -> tuple[ShippedFile, ...]:
    """The file about models that was named, checked. Raises `UsageError`."""
    from process_agent.io.model_facts import read_own
    from process_agent.services.document import ShippedFile

    named = options.model_flags.models_file
    if named is None:
        return ()
    text, _ = read_own(named)
    return (ShippedFile(f"{FILES_FOLDER}/models.toml", text),)


def _refuse_credentials(document: dict[str, Json], flags: Sequence[str]) -> None:
    """Refuse them in the words of the command line too: its quotes could part a key."""
    from process_agent import config
    from process_agent.services.credentials import refuse_credentials

    settings = config.load()
    known = (
        settings.token,
        settings.api_key,
        settings.secret,
        settings.openai_api_key,
        settings.anthropic_api_key,
        settings.smtp.password,
    )
    refuse_credentials({**document, "flags": list(flags)}, known)
