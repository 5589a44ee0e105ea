"""MCP servers that the operator names: the table `[mcp_servers]` of a TOML file, as Codex has it, and the
texts of `--mcp-server`. Pure.

Members: those of Codex 0.163.0's `config.toml`. What says how Codex logs in to a server has no effect here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from process_agent.errors import UsageError

type Asking = Literal["auto", "prompt", "approve"]
"""When calls ask: unless the tool only reads, always, never."""

START_SECONDS: Final = 20.0
CALL_SECONDS: Final = 120.0
"""How long a server may take to start, and one of its tools to answer, unless the file says otherwise."""

BASIC_ENVIRONMENT: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ"),
)
"""What a server's program gets of the agent's environment beside the variables that are named for it."""


MAX_SERVERS: Final = 32

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_ASKING: Final[dict[str, Asking]] = {"auto": "auto", "prompt": "prompt", "approve": "approve"}


@dataclass(frozen=True, slots=True)
class McpLaunch:
    """One server: a program to start (`command` with its arguments), or an address. `environment` is all that
    the program gets. Addresses, headers and values of variables may be secrets: they reach no log and
    no text.
    """

    name: str
    command: tuple[str, ...] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tools: tuple[str, ...] | None = None
    """The only tools that are offered, if that was said; `hidden` ones are not."""
    hidden: frozenset[str] = frozenset()
    start_seconds: float = START_SECONDS
    call_seconds: float = CALL_SECONDS
    required: bool = False
    asking: Asking = "auto"
    asking_of: Mapping[str, Asking] = field(default_factory=dict)
    """Where single tools ask otherwise than all."""
    public_only: bool = False
    """Whether only public addresses are connected to: a stranger named it."""

    def offers(self, tool: str) -> bool:
        """Whether a tool of the server is offered."""
        return (self.tools is None or tool in self.tools) and tool not in self.hidden


type Variable = Callable[[str], str | None]
"""The value of an environment variable."""


def parse_servers(raw: Mapping[str, Any], where: str, variable: Variable) -> tuple[McpLaunch, ...]:
    """The servers of a file that are enabled. Raises `UsageError` that names `where` and what is wrong."""
    table = raw.get("mcp_servers")
    if not isinstance(table, dict) or not table:
        raise UsageError(f"{where} names no MCP servers.", fix="Add a table like [mcp_servers.docs].")
    found = [
        _Reader(f"{where}: mcp_servers.{name}", entry, variable).server(str(name))
        for name, entry in table.items()
    ]
    return tuple(server for server in found if server is not None)


def parse_server(text: str, variable: Variable) -> McpLaunch:
    """The server in `NAME=COMMAND…` or `NAME=URL`. Raises `UsageError`."""
    name, _, rest = text.partition("=")
    where = f"--mcp-server {name.strip()[:40]}"
    if urlsplit(rest.strip()).scheme in ("http", "https"):
        entry: dict[str, Any] = {"url": rest.strip()}
    else:
        try:
            command, *arguments = shlex.split(rest) or [""]
        except ValueError as error:
            raise UsageError(f"{where}: the command cannot be read: {error}.") from error
        entry = {"command": command, "args": arguments}
    server = _Reader(where, entry, variable).server(name.strip())
    if server is None:
        raise UsageError(f"{where} is not enabled.")
    return server


def joined(servers: Iterable[McpLaunch]) -> tuple[McpLaunch, ...]:
    """All servers, each name once. Raises `UsageError`."""
    found = tuple(servers)
    names = [server.name.lower() for server in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"Two MCP servers are called {name}.")
    if len(found) > MAX_SERVERS:
        raise UsageError(f"An agent can have {MAX_SERVERS} MCP servers; these are {len(found)}.")
    return found


def unknown_members(raw: Mapping[str, Any]) -> list[str]:
    """Members of servers that have no effect here, for a warning."""
    table = raw.get("mcp_servers")
    return [
        f"{name}.{member}"
        for name, entry in (table.items() if isinstance(table, dict) else ())
        for member in (entry if isinstance(entry, dict) else ())
        if member not in _KINDS
    ]


class _Reader:
    """Reads one server. `where` is how errors call it."""

    def __init__(self, where: str, entry: object, variable: Variable) -> None:
        if not isinstance(entry, dict):
            raise UsageError(f"{where} is not a table.")
        self._where = where
        self._entry = entry
        self._variable = variable
        for member, kind in _KINDS.items():
            value = entry.get(member)
            fits = isinstance(value, kind) and (not isinstance(value, bool) or kind in (bool, object))
            if value is not None and not fits:
                raise self._wrong(f"`{member}` has the wrong type")

    def server(self, name: str) -> McpLaunch | None:
        """The server; None when it is not enabled."""
        if not _NAME.fullmatch(name):
            raise self._wrong("its name needs 1 to 40 letters, digits, - and _, a letter first")
        get = self._entry.get
        if get("enabled") is False:
            return None
        command, url = get("command"), get("url")
        if bool(command) == bool(url):
            raise self._wrong("it needs either a command or a url")
        tools = get("enabled_tools")
        asking, asking_of = self._asking()
        common = McpLaunch(
            name,
            tools=None if tools is None else tuple(map(str, tools)),
            hidden=frozenset(map(str, get("disabled_tools") or ())),
            start_seconds=self._seconds("startup_timeout_sec", START_SECONDS),
            call_seconds=self._seconds("tool_timeout_sec", CALL_SECONDS),
            required=get("required") is True,
            asking=asking,
            asking_of=asking_of,
        )
        if url:
            return replace(common, url=self._url(str(url)), headers=self._headers())
        folder = get("cwd")
        return replace(
            common,
            command=(str(command), *map(str, get("args") or ())),
            environment=self._environment(),
            folder=None if folder is None else Path(folder).expanduser(),
        )

    def _url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise self._wrong("its url is no web address")
        return url

    def _headers(self) -> dict[str, str]:
        if "bearer_token" in self._entry:
            raise self._wrong("a token is given by the name of a variable, as `bearer_token_env_var`")
        found = self._texts("http_headers")
        for header, name in self._texts("env_http_headers").items():
            found[header] = self._value(name)
        if token := self._entry.get("bearer_token_env_var"):
            found["Authorization"] = f"Bearer {self._value(str(token))}"
        return found

    def _environment(self) -> dict[str, str]:
        basic = {name: value for name in BASIC_ENVIRONMENT if (value := self._variable(name)) is not None}
        for entry in self._entry.get("env_vars") or ():
            name = entry.get("name") if isinstance(entry, dict) else entry
            basic[str(name)] = self._value(str(name))
        return basic | self._texts("env")

    def _value(self, name: str) -> str:
        value = self._variable(name)
        if value is None:
            raise UsageError(f"{self._where}: the variable {name[:100]} is not set.", fix="Set it.")
        return value

    def _texts(self, member: str) -> dict[str, str]:
        table = self._entry.get(member) or {}
        if not all(isinstance(value, str) for value in table.values()):
            raise self._wrong(f"`{member}` holds something that is no text")
        return dict(table)

    def _seconds(self, member: str, default: float) -> float:
        value = self._entry.get(member)
        if value is None:
            return default
        if not 0 < value <= 86_400:
            raise self._wrong(f"`{member}` is not a number of seconds up to a day")
        return float(value)

    def _asking(self) -> tuple[Asking, dict[str, Asking]]:
        chosen: str = self._entry.get("default_tools_approval_mode", "auto")
        each = {
            str(tool): about.get("approval_mode", chosen)
            for tool, about in (self._entry.get("tools") or {}).items()
            if isinstance(about, dict)
        }
        for mode in (chosen, *each.values()):
            if mode not in _ASKING:
                raise self._wrong(f"calls cannot ask {str(mode)[:40]!r}, only {', '.join(_ASKING)}")
        return _ASKING[chosen], {tool: _ASKING[mode] for tool, mode in each.items()}

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"{self._where}: {what}.")


_KINDS: Final[dict[str, Any]] = {
    "command": str,
    "args": list,
    "env": dict,
    "env_vars": list,
    "cwd": str,
    "url": str,
    "bearer_token": object,
    "bearer_token_env_var": str,
    "http_headers": dict,
    "env_http_headers": dict,
    "startup_timeout_sec": int | float,
    "tool_timeout_sec": int | float,
    "enabled": bool,
    "required": bool,
    "enabled_tools": list,
    "disabled_tools": list,
    "default_tools_approval_mode": str,
    "tools": dict,
}
