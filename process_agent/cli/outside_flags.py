"""What the flags say about tools that reach outside of room and machine."""

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


WebSearch = Annotated[
    bool,
    typer.Option("--web-search", help="Let models and Codex search the web with their provider's tool."),
]
WebFetch = Annotated[
    bool, typer.Option("--web-fetch", help="Offer a tool that reads pages of the web; new addresses ask.")
]
ImageGeneration = Annotated[
    str | None,
    typer.Option(
        "--image-generation",
        metavar="MODEL",
        help="Let OpenAI's models make images with this model, like gpt-image-1.",
    ),
]


@dataclass(frozen=True, slots=True)
class OutsideFlags:
    """The flags, checked."""

    servers: tuple[McpLaunch, ...] = ()
    web_search: bool = False
    image_model: str | None = None
    web_fetch: bool = False

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Lines of the start summary: names only, addresses and commands may hold secrets."""
        names = ", ".join(server.name for server in self.servers)
        about = f"{names}, for language models; each starts with the first turn"
        return (("mcp servers", about),) if names else ()


def outside_flags(
    servers: list[str] | None, file: Path | None, web_search: bool, image_model: str | None, web_fetch: bool
) -> OutsideFlags:
    """Check the flags. Raises `UsageError`."""
    if image_model is not None and not (image_model.strip() and image_model.isprintable()):
        raise UsageError("--image-generation is empty.", fix="Name a model, like gpt-image-1.")
    return OutsideFlags(_servers(servers, file), web_search, image_model, web_fetch)


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


def variables_of(texts: list[str] | None, file: Path | None) -> list[str]:
    """The variables that the servers of `--mcp-server` and `--mcp-config` need. Raises `UsageError`."""
    from process_agent.config import variable
    from process_agent.core.mcp_config import parse_server, parse_servers

    asked: list[str] = []

    def noted(name: str) -> str | None:
        asked.append(name)
        return variable(name)

    for text in texts or ():
        parse_server(text, noted)
    if file is not None:
        parse_servers(_read(file), f"--mcp-config {file.name}", noted)
    return asked


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
