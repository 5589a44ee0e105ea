"""What the flags say about tools that the agent runs for its models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.agent.tools.sources import ToolOptions
    from process_agent.cli.outside_flags import OutsideFlags

RequireToolkits = Annotated[
    list[str] | None,
    typer.Option(
        "--require-toolkit",
        "-rt",
        "--toolkit",
        metavar="NAME",
        help="Offer a toolkit of the room to the model, or a built-in one: chat, mail, search. Repeatable.",
    ),
]
ToolSearchFlag = Annotated[
    str,
    typer.Option(
        "--tool-search",
        metavar="WHERE",
        help="Find tools by searching: room (all its toolkits), agent (those required), none.",
    ),
]
Storage = Annotated[bool, typer.Option("--storage", help="Offer tools on the room's files.")]
ReadOnlyStorage = Annotated[
    bool, typer.Option("--read-only-storage", help="Offer tools that read the room's files.")
]
ToolApprovals = Annotated[
    str,
    typer.Option(
        "--tool-approvals",
        metavar="WHEN",
        help="When calls of room tools ask: as-needed (found by search, destructive) or always.",
    ),
]
ToolTimeout = Annotated[
    float,
    typer.Option("--tool-timeout", metavar="SECONDS", min=1, help="How long a tool of the room may take."),
]

Mcp = Annotated[
    bool | None,
    typer.Option(
        "--mcp-any/--mcp",
        help="Let messages bring MCP servers: at any address, or (--mcp) at public ones over https.",
    ),
]

Shell = Annotated[
    bool,
    typer.Option("--shell", help="Let language models run commands and change files, in the sandbox."),
]
AdvancedShell = Annotated[
    bool,
    typer.Option(
        "--advanced-shell",
        help="The same with commands that go on: started, written to, read and ended one by one.",
    ),
]

TOOL_SECONDS = 300.0
SEARCHES: tuple[Literal["none", "agent", "room"], ...] = ("none", "agent", "room")
ASKS: tuple[Literal["as-needed", "always"], ...] = ("as-needed", "always")


@dataclass(frozen=True, slots=True)
class ToolFlags:
    """The flags, checked."""

    required: tuple[str, ...] = ()
    search: Literal["none", "agent", "room"] = "none"
    storage: Literal["none", "read", "write"] = "none"
    ask_always: bool = False
    seconds: float = TOOL_SECONDS
    mcp: Literal["none", "public", "any"] = "none"
    shell: bool = False
    advanced_shell: bool = False

    def with_shell(self, one_shot: bool, lasting: bool) -> ToolFlags:
        """The same with what `--shell` and `--advanced-shell` say."""
        return replace(self, shell=one_shot, advanced_shell=lasting)

    def options(self, outside: OutsideFlags) -> ToolOptions:
        """What the agent is told."""
        from process_agent.agent.tools.sources import ToolOptions

        return ToolOptions(
            self.required,
            self.search,
            self.storage,
            self.ask_always,
            self.seconds,
            self.mcp,
            outside.web_fetch,
            outside.servers,
            self.shell,
            self.advanced_shell,
        )


def tool_flags(
    required: list[str] | None,
    search: str,
    storage: bool,
    read_only_storage: bool,
    approvals: str,
    seconds: float,
    mcp: bool | None,
) -> ToolFlags:
    """Check the flags. Raises `UsageError`."""
    from process_agent.cli.checked import one_of

    names = tuple(dict.fromkeys(name.strip() for name in required or ()))
    if "" in names:
        raise UsageError("--require-toolkit is empty.", fix="Name a toolkit of the room.")
    if storage and read_only_storage:
        raise UsageError("--storage and --read-only-storage contradict each other.")
    if "storage" in names:
        raise UsageError("The room's files are offered by --storage, or --read-only-storage.")
    mode = one_of("--tool-search", search, SEARCHES)
    if mode == "agent" and not names:
        raise UsageError("--tool-search agent has nothing to find without --require-toolkit.")
    return ToolFlags(
        names,
        mode,
        "write" if storage else ("read" if read_only_storage else "none"),
        one_of("--tool-approvals", approvals, ASKS) == "always",
        seconds,
        "none" if mcp is None else ("any" if mcp else "public"),
    )
