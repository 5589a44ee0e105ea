"""The MCP servers that a turn brings along, as the published clients write them (`MCPServerConfig`).

An entry that cannot be used refuses the turn, which would miss its tools. Nothing of it is in the refusal but
its label: addresses and headers may hold secrets.
"""

from __future__ import annotations

import re

from process_agent.core.content import Json
from process_agent.core.mcp import UNSUPPORTED, McpServer
from process_agent.errors import WireError
from process_agent.wire.agent_messages.parts import Fields

MAX_SERVERS = 8
MAX_HEADERS = 20
MAX_TOOLS = 200
MAX_TEXT = 8_192
"""Characters of an address, and of a header's value."""

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_OF_MESHAGENT = ("openai_connector_id", "use_proxy_secret")
_FIXED = frozenset(("host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade"))
"""Headers that belong to the transport."""


def decode_servers(f: Fields) -> tuple[McpServer, ...]:
    """The servers of a `turn.start` or `thread.start`. Raises `WireError` with the code to refuse it with."""
    kit = f.object("toolkits").get("mcp")
    options = kit.get("client_options") if isinstance(kit, dict) else None
    listed: list[Json] = []
    for place in (f.object("mcp"), options if isinstance(options, dict) else {}):
        servers = place.get("servers") or []
        if not isinstance(servers, list):
            raise _refused("servers must be a list")
        listed += [server for server in servers if server not in listed]
    if len(listed) > MAX_SERVERS:
        raise _refused(f"a turn can bring {MAX_SERVERS} MCP servers")
    found = tuple(_server(entry) for entry in listed)
    if len({server.label for server in found}) < len(found):
        raise _refused("two MCP servers have one server_label")
    return found


def _server(entry: Json) -> McpServer:
    about = entry if isinstance(entry, dict) else {}
    label, url = about.get("server_label"), about.get("server_url")
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise _refused("an MCP server needs a server_label of 1 to 40 letters, digits, - and _")
    if any(about.get(name) for name in _OF_MESHAGENT):
        raise _refused(f"the MCP server {label} is a connector, or wants a secret of MeshAgent's own")
    if not isinstance(url, str) or not 0 < len(url) <= MAX_TEXT or not url.isprintable():
        raise _refused(f"the MCP server {label} needs a server_url")
    headers = _headers(label, about.get("headers"))
    token = about.get("authorization")
    if token is not None:
        headers["Authorization"] = _value(label, f"Bearer {token}" if isinstance(token, str) else token)
    return McpServer(label, url, headers, _tools(label, about.get("allowed_tools")))


def _headers(label: str, given: Json) -> dict[str, str]:
    pairs: list[tuple[Json, Json]] = []
    if isinstance(given, dict):
        pairs = [*given.items()]
    elif isinstance(given, list):
        pairs = [(h.get("name"), h.get("value")) if isinstance(h, dict) else (None, None) for h in given]
    elif given is not None:
        raise _refused(f"headers of the MCP server {label} must be a list")
    if len(pairs) > MAX_HEADERS:
        raise _refused(f"the MCP server {label} has more than {MAX_HEADERS} headers")
    found: dict[str, str] = {}
    for name, value in pairs:
        if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower() in _FIXED:
            raise _refused(f"a header of the MCP server {label} cannot be sent")
        found[name] = _value(label, value)
    return found


def _value(label: str, value: Json) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not (value.isascii() and value.isprintable()):
        raise _refused(f"a header of the MCP server {label} cannot be sent")
    return value


def _tools(label: str, given: Json) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_TOOLS:
        raise _refused(f"allowed_tools of the MCP server {label} must be a list")
    return tuple(name for name in given if isinstance(name, str))


def _refused(text: str) -> WireError:
    return WireError(f"This turn's MCP servers cannot be used: {text}.", refusal=UNSUPPORTED)
