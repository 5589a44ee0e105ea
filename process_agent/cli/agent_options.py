"""The options that make an agent: those of `process join`, and of every command that runs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from process_agent.config import Settings

Room = Annotated[
    str | None, typer.Option("--room", metavar="NAME", help="Room to join. [default: $MESHAGENT_ROOM]")
]
AgentName = Annotated[
    str | None,
    typer.Option(
        "--agent-name", metavar="NAME", help="The agent's name. [default: the one in $MESHAGENT_TOKEN]"
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        metavar="CHANNEL",
        help="Where turns come from: chat, queue:NAME, toolkit:NAME, mail:ADDRESS, websocket:PORT or "
        "command:PROGRAM. Required, repeatable.",
    ),
]
Backends = Annotated[
    list[str] | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="What runs the turns: codex, llm, or chat (people talk, nobody answers). Repeatable.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Offer this model, like gpt-5.5 or codex/gpt-5.5; the first is the default. Repeatable.",
    ),
]
Provider = Annotated[
    list[str] | None,
    typer.Option(
        "--provider",
        metavar="NAME",
        help="default; scripted: the built-in model that needs no account; meshagent: the hosted room's "
        "project pays; or NAME=ADDRESS of a Responses API, its key in $NAME_API_KEY. Repeatable.",
    ),
]
WorkingDir = Annotated[
    Path | None,
    typer.Option("--working-dir", metavar="FOLDER", help="Folder the agent works in. [default: this one]"),
]
Workspace = Annotated[
    str,
    typer.Option(
        "--workspace",
        metavar="MODE",
        help="shared: all threads work in the working folder; per-thread: each in its own Git work tree.",
    ),
]
Worktrees = Annotated[
    Path | None,
    typer.Option(
        "--worktrees",
        metavar="FOLDER",
        help="Where the work trees of threads are made. [default: REPOSITORY.threads, beside the repository]",
    ),
]
Sandbox = Annotated[
    str,
    typer.Option(
        "--sandbox",
        metavar="MODE",
        help="What commands may touch: read-only, workspace-write, full-access.",
    ),
]
Approvals = Annotated[
    str,
    typer.Option(
        "--approvals",
        metavar="MODE",
        help="What leaves the sandbox: ask (in the room), deny, or auto (accept all).",
    ),
]
Approver = Annotated[
    list[str] | None,
    typer.Option(
        "--approver",
        metavar="ROLE_OR_NAME",
        help="Who may approve and answer: user (every person), a participant's name, or role:NAME. "
        "Repeatable. [default: user]",
    ),
]
ApprovalTimeout = Annotated[
    float,
    typer.Option("--approval-timeout", metavar="SECONDS", min=1, help="Seconds until no answer means no."),
]
Network = Annotated[bool, typer.Option("--network", help="Let sandboxed commands use the network.")]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="PORT", min=0, max=65535, help="Port of the local room, if it is not running."
    ),
]
TokenFromEnv = Annotated[
    str | None,
    typer.Option(
        "--token-from-env",
        metavar="NAME",
        help="The variable that holds the agent's token. [default: MESHAGENT_TOKEN]",
    ),
]
JoinTimeout = Annotated[
    float,
    typer.Option("--join-timeout", metavar="SECONDS", min=0.1, help="How long the first join may take."),
]
SummaryJson = Annotated[bool, typer.Option("--json", help="Print the start summary as one line of JSON.")]

ThreadingMode = Annotated[
    str,
    typer.Option(
        "--threading-mode",
        metavar="MODE",
        help="default-new: many threads; none: one thread for everybody.",
    ),
]
ThreadDir = Annotated[
    str | None,
    typer.Option(
        "--thread-dir",
        metavar="PATH",
        help="Folder of the threads in the room. [default: /agents/NAME/threads]",
    ),
]
ThreadIsolation = Annotated[
    str,
    typer.Option(
        "--thread-isolation",
        metavar="MODE",
        help="global: everybody in the room sees all threads; participant: each sees its own.",
    ),
]
ThreadStorage = Annotated[
    str,
    typer.Option(
        "--thread-storage",
        metavar="KIND",
        help="dataset: in the room; codex: in Codex's own records; none: threads end with the agent.",
    ),
]


def with_token(settings: Settings, name: str | None) -> Settings:
    """The settings with the token that `--token-from-env` names. Raises `UsageError` when it is not there."""
    from dataclasses import replace

    from process_agent.config import variable
    from process_agent.errors import UsageError

    if name is None:
        return settings
    token = variable(name)
    if token is None:
        raise UsageError(
            f"--token-from-env: the variable {name} is not set.", fix="Export it, or leave it out."
        )
    return replace(settings, token=token)
