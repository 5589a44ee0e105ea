"""What turns of Codex can use, as clients list it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backends.codex.account import Account
from backends.codex.items import CODEX, shorten
from backends.codex.shapes import as_dict
from process_agent.core.backend import BackendConfig, ToolkitInfo

MAX_TOOLS: Final = 200
"""Tools of one MCP server that are listed."""

_SHELL: Final = {
    "read-only": "Runs a command that may read files; writing asks first.",
    "workspace-write": "Runs a command that may write below the working folder; more asks first.",
    "full-access": "Runs a command with the rights of the agent's owner.",
}


def own_toolkit(config: BackendConfig, account: Account) -> ToolkitInfo:
    """Codex's own tools, by the names that their calls have in a thread."""
    tools = [
        ("shell", _SHELL[config.sandbox]),
        ("apply_patch", "Changes files; each change is shown as a diff."),
        ("plan", "Keeps a checklist of the turn."),
        ("view_image", "Looks at an image file."),
    ]
    if searches(config, account):
        tools.append(("web_search", "Searches the web."))
    return ToolkitInfo(CODEX, "Codex", tuple(tools))


def searches(config: BackendConfig, account: Account) -> bool:
    """Whether Codex may search the web: as the flag says, and else, as its own configuration has it, with the
    network of commands.
    """
    return config.web_search or (config.network and not account.scripted)


def search_lines(config: BackendConfig) -> list[tuple[str, str]]:
    """The line of the start summary about searches of the web that were asked for."""
    return [("web search", "Codex")] if config.web_search else []


def mcp_toolkits(servers: Sequence[dict[str, Any]]) -> tuple[ToolkitInfo, ...]:
    """MCP servers that have tools, from `mcpServerStatus/list`."""
    found = []
    for server in servers:
        name, tools = str(server.get("name") or ""), as_dict(server.get("tools"))
        listed = tuple((tool, _about(tools[tool])) for tool in sorted(tools)[:MAX_TOOLS])
        if name and listed:
            title = as_dict(server.get("serverInfo")).get("title")
            found.append(ToolkitInfo(name, str(title or name), listed))
    return tuple(found)


def _about(tool: object) -> str:
    described = as_dict(tool)
    return shorten(str(described.get("description") or described.get("title") or ""), 500)
