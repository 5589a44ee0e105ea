"""The options of an agent once they are checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, Unpack

from process_agent.cli.channel_flags import ChannelFlags
from process_agent.cli.model_flags import ModelFlags
from process_agent.cli.outside_flags import OutsideFlags
from process_agent.cli.providers import Providers, parse_providers
from process_agent.cli.thread_flags import ThreadFlags
from process_agent.cli.tool_flags import ToolFlags
from process_agent.core.approvers import NEVER, ROLE, Approvers
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.agent.standing_rules import RulesOptions
    from process_agent.channels.specs import ChannelSpec
    from process_agent.core.backend import ApprovalMode, SandboxMode
    from process_agent.core.speaker import IsolationMode
    from process_agent.core.workspace import WorkspaceMode

type ThreadStorage = Literal["dataset", "codex", "none"]

SANDBOXES: tuple[SandboxMode, ...] = ("read-only", "workspace-write", "full-access")
APPROVALS: tuple[ApprovalMode, ...] = ("ask", "deny", "auto")
WORKSPACES: tuple[WorkspaceMode, ...] = ("shared", "per-thread")
THREADING_MODES = ("default-new", "none")
THREAD_STORAGES: tuple[ThreadStorage, ...] = ("dataset", "codex", "none")
ISOLATIONS: tuple[IsolationMode, ...] = ("global", "participant")


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What the command line says, checked."""

    room: str | None
    agent_name: str | None
    channels: tuple[ChannelSpec, ...]
    backends: tuple[str, ...]
    models: tuple[str, ...]
    providers: Providers
    working_dir: Path
    workspace: WorkspaceMode
    worktrees: Path | None
    sandbox: SandboxMode
    approvals: ApprovalMode
    approvers: Approvers
    approval_seconds: float
    network: bool
    rules: RulesOptions
    local: bool
    data_dir: Path | None
    port: int | None
    project_id: str | None
    join_seconds: float
    single_thread: bool
    thread_dir: str | None
    thread_storage: ThreadStorage
    json: bool
    started: float
    """`time.monotonic()` when the command began."""
    channel_flags: ChannelFlags = field(default_factory=ChannelFlags)
    isolation: IsolationMode = "global"
    model_flags: ModelFlags = field(default_factory=ModelFlags)
    tool_flags: ToolFlags = field(default_factory=ToolFlags)
    outside: OutsideFlags = field(default_factory=OutsideFlags)
    thread_flags: ThreadFlags = field(default_factory=ThreadFlags)
    health: str | None = None


class Given(TypedDict):
    """The options as the command line has them; a list is None when its flag was not given."""

    room: str | None
    agent_name: str | None
    channels: tuple[ChannelSpec, ...]
    backends: list[str] | None
    models: list[str] | None
    provider: list[str] | None
    working_dir: Path | None
    workspace: NotRequired[str]
    worktrees: NotRequired[Path | None]
    sandbox: str
    approvals: str
    approver: NotRequired[list[str] | None]
    approval_seconds: float
    network: bool
    rules: RulesOptions
    local: bool
    data_dir: Path | None
    port: NotRequired[int | None]
    project_id: NotRequired[str | None]
    join_seconds: float
    threading_mode: NotRequired[str]
    thread_dir: str | None
    thread_storage: str
    json: bool
    started: float
    channel_flags: NotRequired[ChannelFlags]
    thread_isolation: NotRequired[str]
    model_flags: NotRequired[ModelFlags]
    tool_flags: NotRequired[ToolFlags]
    outside: NotRequired[OutsideFlags]
    thread_flags: NotRequired[ThreadFlags]
    health: NotRequired[str | None]


def checked(**given: Unpack[Given]) -> JoinOptions:
    """The options, or a `UsageError` that names the first that cannot be used."""
    if given["thread_dir"] is not None and given["thread_storage"] != "dataset":
        raise UsageError(f"--thread-dir has no use with --thread-storage {given['thread_storage']}.")
    if given.get("thread_flags", ThreadFlags()).retention and given["thread_storage"] != "dataset":
        raise UsageError(f"--thread-retention has no use with --thread-storage {given['thread_storage']}.")
    workspace = one_of("--workspace", given.get("workspace", "shared"), WORKSPACES)
    if workspace == "per-thread" and given["thread_storage"] == "codex":
        raise UsageError(
            "--workspace per-thread does not go with --thread-storage codex, which lists the threads of one "
            "working folder.",
            fix="Leave one of them out.",
        )
    worktrees = given.get("worktrees")
    if worktrees is not None and workspace == "shared":
        raise UsageError("--worktrees has no use without --workspace per-thread.")
    isolation = one_of("--thread-isolation", given.get("thread_isolation", "global"), ISOLATIONS)
    if isolation == "participant":
        _can_be_apart(given)
    return JoinOptions(
        room=given["room"],
        agent_name=given["agent_name"],
        channels=given["channels"],
        backends=tuple(given["backends"] or ()),
        models=tuple(given["models"] or ()),
        providers=parse_providers(given["provider"] or [], given["models"] or []),
        working_dir=folder(given["working_dir"]),
        workspace=workspace,
        worktrees=None if worktrees is None else worktrees.expanduser().absolute(),
        sandbox=one_of("--sandbox", given["sandbox"], SANDBOXES),
        approvals=one_of("--approvals", given["approvals"], APPROVALS),
        approvers=approvers(given.get("approver"), given["agent_name"]),
        approval_seconds=given["approval_seconds"],
        network=given["network"],
        rules=given["rules"],
        local=given["local"],
        data_dir=given["data_dir"],
        port=given.get("port"),
        project_id=given.get("project_id"),
        join_seconds=given["join_seconds"],
        single_thread=one_of("--threading-mode", given.get("threading_mode", "default-new"), THREADING_MODES)
        == "none",
        thread_dir=given["thread_dir"],
        thread_storage=one_of("--thread-storage", given["thread_storage"], THREAD_STORAGES),
        json=given["json"],
        started=given["started"],
        channel_flags=given.get("channel_flags", ChannelFlags()),
        isolation=isolation,
        model_flags=given.get("model_flags", ModelFlags()),
        tool_flags=given.get("tool_flags", ToolFlags()),
        outside=given.get("outside", OutsideFlags()),
        thread_flags=given.get("thread_flags", ThreadFlags()),
        health=_health(given.get("health")),
    )


def _can_be_apart(given: Given) -> None:
    """Raise `UsageError` for what contradicts threads of each participant's own."""
    if given.get("threading_mode") == "none":
        raise UsageError(
            "--thread-isolation participant needs more than the one thread of --threading-mode none."
        )
    if given.get("channel_flags", ChannelFlags()).websocket_auth == "none":
        raise UsageError(
            "--thread-isolation participant needs to know who comes in: --websocket-auth none does not ask.",
            fix="Use --websocket-auth jwt or iap.",
        )


def _health(address: str | None) -> str | None:
    from process_agent.cli.health import parse_address

    if address is not None:
        parse_address(address)
    return address


def one_of[T: str](flag: str, value: str, choices: tuple[T, ...]) -> T:
    """The choice that `value` names. Raises `UsageError` naming all of them."""
    for choice in choices:
        if choice == value:
            return choice
    raise UsageError(f"{flag} cannot be {value!r}.", fix=f"Choose one of {', '.join(choices)}.")


def approvers(given: list[str] | None, agent_name: str | None) -> Approvers:
    """Who may decide. Raises `UsageError` for one who never can."""
    found = Approvers() if given is None else Approvers(tuple(dict.fromkeys(given)))
    for entry in found.named:
        role = entry.removeprefix(ROLE)
        if role in NEVER or (agent_name is not None and entry == agent_name):
            raise UsageError(
                f"--approver {entry!r} can never decide: agents and tools do not.",
                fix="Name a person, or user for every person in the room.",
            )
        if not role.strip() or not entry.isprintable():
            raise UsageError(
                f"--approver {entry!r} is neither a role nor a name.",
                fix="Write user, the name of a participant, or role:NAME.",
            )
    return found


def folder(path: Path | None) -> Path:
    """The working folder. Raises `UsageError` when it is none."""
    found = (path or Path.cwd()).expanduser().absolute()
    if not found.is_dir():
        raise UsageError(f"--working-dir {found} is not a folder.", fix="Make it, or name another.")
    return found
