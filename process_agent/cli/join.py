"""`process join`: put an agent in a room and keep it there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from process_agent.cli.agent_options import (
    AgentName,
    Approvals,
    ApprovalTimeout,
    Backends,
    Channels,
    JoinTimeout,
    Models,
    Network,
    Port,
    ProjectId,
    Provider,
    Room,
    Rules,
    RulesFiles,
    Sandbox,
    SummaryJson,
    WorkingDir,
)
from process_agent.cli.options import DataDir, Local
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.channels.specs import ChannelSpec
    from process_agent.config import Settings
    from process_agent.core.backend import ApprovalMode, SandboxMode

PROVIDERS = ("default", "scripted")
SANDBOXES: tuple[SandboxMode, ...] = ("read-only", "workspace-write", "full-access")
APPROVALS: tuple[ApprovalMode, ...] = ("ask", "deny", "auto")
MAX_RULES_BYTES = 256 * 1024
"""Largest rules file: rules travel with every turn."""


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What the command line says, checked."""

    room: str | None
    agent_name: str | None
    channels: tuple[ChannelSpec, ...]
    backends: tuple[str, ...]
    models: tuple[str, ...]
    scripted: bool
    working_dir: Path
    sandbox: SandboxMode
    approvals: ApprovalMode
    approval_seconds: float
    network: bool
    instructions: str | None
    local: bool
    data_dir: Path | None
    port: int | None
    project_id: str | None
    join_seconds: float
    json: bool
    started: float
    """`time.monotonic()` when the command began."""


def join(
    room: Room = None,
    agent_name: AgentName = None,
    channel: Channels = None,
    backend: Backends = None,
    model: Models = None,
    provider: Provider = "default",
    working_dir: WorkingDir = None,
    sandbox: Sandbox = "workspace-write",
    approvals: Approvals = "ask",
    approval_timeout: ApprovalTimeout = 300,
    network: Network = False,
    rule: Rules = None,
    rules_file: RulesFiles = None,
    local: Local = False,
    data_dir: DataDir = None,
    port: Port = None,
    project_id: ProjectId = None,
    join_timeout: JoinTimeout = 15,
    json: SummaryJson = False,
) -> None:
    """Join a room as an agent and stay until stopped.

    With MeshAgent credentials that room is a hosted one; with none, or --local, the local room, which is
    started if it isn't running.
    """
    started = time.monotonic()
    from process_agent import config
    from process_agent.channels.specs import parse_channels

    options = JoinOptions(
        channels=parse_channels(channel or ()),
        room=room,
        agent_name=agent_name,
        backends=tuple(backend or ()),
        models=tuple(model or ()),
        scripted=one_of("--provider", provider, PROVIDERS) == "scripted",
        working_dir=folder(working_dir),
        sandbox=one_of("--sandbox", sandbox, SANDBOXES),
        approvals=one_of("--approvals", approvals, APPROVALS),
        approval_seconds=approval_timeout,
        network=network,
        instructions=rules(rule or [], rules_file or []),
        local=local,
        data_dir=data_dir,
        port=port,
        project_id=project_id,
        join_seconds=join_timeout,
        json=json,
        started=started,
    )
    run(options, config.load())


def run(options: JoinOptions, settings: Settings) -> None:
    """Join and stay; a seam for the tests of the options."""
    import asyncio

    from process_agent.cli import INTERRUPTED
    from process_agent.cli.joining import stay

    try:
        asyncio.run(stay(options, settings))
    except asyncio.CancelledError:
        # The second signal cut the drain short.
        raise typer.Exit(INTERRUPTED) from None


def one_of[T: str](flag: str, value: str, choices: tuple[T, ...]) -> T:
    """The choice that `value` names. Raises `UsageError` naming all of them."""
    for choice in choices:
        if choice == value:
            return choice
    raise UsageError(f"{flag} cannot be {value!r}.", fix=f"Choose one of {', '.join(choices)}.")


def folder(path: Path | None) -> Path:
    """The working folder. Raises `UsageError` when it is none."""
    found = (path or Path.cwd()).expanduser().absolute()
    if not found.is_dir():
        raise UsageError(f"--working-dir {found} is not a folder.", fix="Make it, or name another.")
    return found


def rules(lines: list[str], files: list[Path]) -> str | None:
    """The rules of flags and files, a line each; lines that begin with # are comments.

    Raises `UsageError` for a file that cannot be read or is too large.
    """
    found = [line.strip() for line in lines]
    for path in files:
        try:
            if path.stat().st_size > MAX_RULES_BYTES:
                raise UsageError(f"The rules file {path} is larger than {MAX_RULES_BYTES} bytes.")
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UsageError(f"The rules file {path} cannot be read: {reason}.") from error
        found += [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(line for line in found if line) or None
