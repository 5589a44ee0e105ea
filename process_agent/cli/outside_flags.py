"""What the flags say about tools that reach outside of room and machine: MCP servers of the operator's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.core.mcp_config import McpLaunch

logger = logging.getLogger(__name__)

MAX_FILE = 1024 * 1024
"""Bytes of a file of servers."""

McpServers = Annotated[
    list[str] | None,
    typer.Option(
        "--mcp-server",
        metavar="NAME=COMMAND|URL",
        help="An MCP server for language models: a program to start, or an address. Repeatable.",
    ),
]
McpConfig = Annotated[
    Path | None,
    typer.Option(
        "--mcp-config",
        metavar="FILE",
        help="MCP servers for language models: a TOML file with Codex's table [mcp_servers].",
    ),
]


@dataclass(frozen=True, slots=True)
class OutsideFlags:
    """The flags, checked."""

    servers: tuple[McpLaunch, ...] = ()


def outside_flags(servers: list[str] | None = None, file: Path | None = None) -> OutsideFlags:
    """Check the flags. Raises `UsageError`."""
    return OutsideFlags(_servers(servers, file))


def _servers(texts: list[str] | None, file: Path | None) -> tuple[McpLaunch, ...]:
    """The servers of `--mcp-server` and `--mcp-config`, with the variables they name. Raises `UsageError`."""
    if not texts and file is None:
        return ()
    from process_agent.config import variable
    from process_agent.core.mcp_config import joined, parse_server, parse_servers, unknown_members

    found = [parse_server(text, variable) for text in texts or ()]
    if file is not None:
        raw = _read(file)
        found += parse_servers(raw, f"--mcp-config {file.name}", variable)
        for member in unknown_members(raw):
            logger.warning("%s: mcp_servers.%s has no effect here", file.name, member)
    return joined(found)


def _read(file: Path) -> dict[str, object]:
    import tomllib

    try:
        data = file.expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"--mcp-config {file} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_FILE:
        raise UsageError(f"--mcp-config {file} is larger than {MAX_FILE} bytes.")
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--mcp-config {file} is no TOML: {error}.") from error
