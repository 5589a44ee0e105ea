"""`process join`: put an agent in a room and keep it there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="Room to join. [default: $MESHAGENT_ROOM]")
    ] = None,
    agent_name: Annotated[
        str | None,
        typer.Option(
            "--agent-name", metavar="NAME", help="The agent's name. [default: the one in $MESHAGENT_TOKEN]"
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel", metavar="CHANNEL", help="Where turns come from, like chat. Required, repeatable."
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option("--backend", metavar="NAME", help="What runs the turns: codex. Repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Offer this model, like codex/gpt-5.5; the first is the default. Repeatable.",
        ),
    ] = None,
    provider: Annotated[
        str,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="default, or scripted: the built-in model that needs no account.",
        ),
    ] = "default",
    working_dir: Annotated[
        Path | None,
        typer.Option(
            "--working-dir", metavar="FOLDER", help="Folder the agent works in. [default: this one]"
        ),
    ] = None,
    sandbox: Annotated[
        str,
        typer.Option(
            "--sandbox",
            metavar="MODE",
            help="What commands may touch: read-only, workspace-write, full-access.",
        ),
    ] = "workspace-write",
    approvals: Annotated[
        str,
        typer.Option(
            "--approvals",
            metavar="MODE",
            help="What leaves the sandbox: ask (in the room), deny, or auto (accept all).",
        ),
    ] = "ask",
    approval_timeout: Annotated[
        float,
        typer.Option(
            "--approval-timeout", metavar="SECONDS", min=1, help="Seconds until no answer means no."
        ),
    ] = 300,
    network: Annotated[
        bool, typer.Option("--network", help="Let sandboxed commands use the network.")
    ] = False,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", "-r", metavar="TEXT", help="A rule for the agent. Repeatable."),
    ] = None,
    rules_file: Annotated[
        list[Path] | None,
        typer.Option("--rules-file", metavar="FILE", help="A file with a rule per line. Repeatable."),
    ] = None,
    local: Local = False,
    data_dir: DataDir = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65535, help="Port of the local room, if it is not running."
        ),
    ] = None,
    project_id: Annotated[
        str | None,
        typer.Option(
            "--project-id", metavar="ID", help="MeshAgent project. [default: $MESHAGENT_PROJECT_ID]"
        ),
    ] = None,
    join_timeout: Annotated[
        float,
        typer.Option("--join-timeout", metavar="SECONDS", min=0.1, help="How long the first join may take."),
    ] = 15,
    json: Annotated[
        bool, typer.Option("--json", help="Print the start summary as one line of JSON.")
    ] = False,
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
