"""`process spec`: the document that makes the agent of these flags a service of MeshAgent."""

from __future__ import annotations

from typing import Annotated

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
)
from process_agent.cli.model_flags import ModelsFile, ReasoningEffort
from process_agent.cli.outside_flags import (
    ImageGeneration,
    McpServers,
    WebFetch,
    WebSearch,
)
from process_agent.cli.rule_flags import Instructions, RoomRules, RulesFiles, RuleTexts
from process_agent.cli.thread_flags import Redact, ThreadRetention
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
)

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
    typer.Option(
        "--image",
        metavar="IMAGE",
        help="Container image with this program; a hosted service needs one. [default: $PROCESS_IMAGE]",
    ),
]
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME=ID",
        help="Set this variable to the MeshAgent secret with this id. Needs --run-as. Repeatable.",
    ),
]
ContainerEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help="Set this variable, for everybody to read in the document. Repeatable.",
    ),
]
Volume = Annotated[
    str | None,
    typer.Option(
        "--volume",
        metavar="NAME",
        help="Work in this volume of the project, at /workspace, not in the room's storage.",
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
        "--skill-dir",
        metavar="FOLDER",
        help="Folder with agent skills: of the container, like /data/skills, or below this one, whose files "
        "travel along. Repeatable.",
    ),
]
ContainerMcp = Annotated[
    str | None,
    typer.Option(
        "--mcp-config",
        metavar="FILE",
        help="File with MCP servers for language models: Codex's table [mcp_servers]. Of the container, or "
        "below this folder, which travels along.",
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
    thread_retention: ThreadRetention = None,
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
    env: ContainerEnv = None,
    volume: Volume = None,
    json: AsJson = False,
) -> None:
    """Print the service document of an agent with these flags of `process join`.

    MeshAgent runs it in a container of a room. The document holds no key: the container gets its token, and
    the secrets that you name, from MeshAgent. Nothing is sent anywhere.
    """
    from process_agent.cli.service_flags import container_service, refuse_credentials
    from process_agent.services.document import service_document
    from process_agent.services.written import as_json, as_yaml

    service = container_service(context)
    document = service_document(service)
    refuse_credentials(document, service.flags)
    # In bytes, because a document is UTF-8 whatever the terminal is.
    typer.echo((as_json if json else as_yaml)(document).encode(), nl=False)
