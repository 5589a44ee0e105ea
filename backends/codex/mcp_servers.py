"""MCP servers of one turn, as configuration of its Codex thread.

Tried with 0.163.0: streamable HTTP, headers, a choice of tools; none of it is written below the Codex home.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from process_agent.core.mcp import McpServer

PREFIX: Final = "mcp_servers.turn_"
"""With it no server takes the place of one of the operator's own configuration."""

_KEY: Final = secrets.token_bytes(32)
"""Tokens of servers leave no trace in what is kept of a thread but through this key, which goes with us."""


def servers_config(servers: Sequence[McpServer]) -> dict[str, Any]:
    """Members of the thread's `config`."""
    return {
        f"{PREFIX}{server.label}": {
            "url": server.url,
            **({"http_headers": dict(server.headers)} if server.headers else {}),
            **({"enabled_tools": list(server.tools)} if server.tools is not None else {}),
        }
        for server in servers
    }


def servers_key(config: Mapping[str, Any]) -> str | None:
    """Stands for the servers in a thread's `config`; None when there are none."""
    found = {name: value for name, value in config.items() if name.startswith(PREFIX)}
    if not found:
        return None
    return hmac.digest(_KEY, json.dumps(found, sort_keys=True).encode(), "sha256").hex()
