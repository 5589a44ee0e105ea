"""MCP servers that the sender of a turn brings along (agent protocol section 3.3).

Whoever can chat can name an address, and the backend's own program, outside every sandbox, connects to it. So
an operator has to allow it, and then only to servers on the internet over TLS, unless more is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from process_agent.core.content import ErrorInfo

type McpMode = Literal["none", "public", "any"]
"""Which servers may be brought: none, those at public addresses over https, or any."""

UNSUPPORTED = "unsupported_mcp"

_INSIDE = (".local", ".localhost", ".internal", ".lan", ".home", ".intranet", ".corp", ".test", ".invalid")


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server by its address. `url` and `headers` may hold secrets: they reach no log, no table, no text.
    `tools` are the only ones that may be used, if that was said.
    """

    label: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tools: tuple[str, ...] | None = None


def refusal(servers: tuple[McpServer, ...], mode: McpMode) -> ErrorInfo | None:
    """Why these servers cannot be used by a turn; None when they can."""
    if servers and mode == "none":
        text = (
            "This agent does not connect to the MCP servers of a message; whoever runs it can allow that "
            "with --mcp."
        )
        return ErrorInfo(text, UNSUPPORTED)
    for server in servers:
        problem = _problem(server, mode)
        if problem is not None:
            return ErrorInfo(f"The MCP server {server.label!r} cannot be used: {problem}.", UNSUPPORTED)
    return None


def _problem(server: McpServer, mode: McpMode) -> str | None:
    try:
        parts = urlsplit(server.url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its address is none"
    if parts.scheme not in ("https", "http") or not host:
        return "its address has to begin with https://"
    if parts.username is not None or parts.password is not None:
        return "its address holds a login; give it as authorization"
    if mode == "any":
        return None
    if parts.scheme != "https":
        return "only https is allowed here"
    return None if _is_public(host) else "its address is not a public one"


def _is_public(host: str) -> bool:
    """Whether a name can only mean a host on the internet. A name that resolves to an inside address is not
    seen here: TLS keeps such a host from posing as the named one.
    """
    plain = host.rstrip(".").lower()
    try:
        return ip_address(plain).is_global
    except ValueError:
        pass
    dotted_number = plain.replace(".", "").replace("x", "").isalnum() and plain.rsplit(".", 1)[-1].isdigit()
    return "." in plain and not plain.endswith(_INSIDE) and not dotted_number
