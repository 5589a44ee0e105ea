"""The tools of an agent: where they come from, and those of each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from process_agent.agent.tools.mcp import McpTools, TurnServers
from process_agent.agent.tools.tool import Report, Scope, Toolkit, ToolSource
from process_agent.agent.tools.toolbox import Consents, TurnTools
from process_agent.core.backend import ToolkitInfo
from process_agent.core.tools import model_name


@dataclass(frozen=True, slots=True)
class Opened:
    """The tools of a turn, None when there are none, and what people should know of those missing."""

    tools: TurnTools | None
    problems: tuple[str, ...] = ()


class Tooling:
    """All sources of tools of one agent."""

    def __init__(self, sources: Sequence[ToolSource] = (), mcp: McpTools | None = None) -> None:
        """`mcp` are servers for models that connect to none themselves."""
        self._sources = tuple(sources)
        self._mcp = mcp
        self._consents = Consents()
        self._known: tuple[ToolkitInfo, ...] = ()
        self._known_mcp: tuple[ToolkitInfo, ...] = ()

    async def start(self) -> None:
        """Look whether what was asked for is there. Raises what the sources raise."""
        for source in self._sources:
            await source.start()
        await self._toolkits()
        if self._mcp is not None:
            await self._mcp.start()

    async def open(self, scope: Scope, report: Report, servers: TurnServers | None = None) -> Opened:
        """The tools of a turn; with those of MCP servers for a model that connects to none itself. Whoever
        opens them closes them.
        """
        kits = await self._toolkits()
        more = await self._mcp.open(servers) if self._mcp is not None and servers is not None else None
        if more is not None:
            self._known_mcp = tuple(kit.info for kit in more.kits if kit.tools)
            kits = _named([*kits, *more.kits, *more.brought])
        end = more.end if more is not None else _nothing
        tools = TurnTools(kits, scope, self._consents, report, end) if kits else None
        if tools is None:
            end()
        return Opened(tools, () if more is None else more.problems)

    def listed(self, *, mcp: bool = False) -> tuple[ToolkitInfo, ...]:
        """The toolkits of the last turn, as clients list them; with `mcp` those of servers too."""
        return (*self._known, *self._known_mcp) if mcp else self._known

    async def close(self) -> None:
        """Release what tools hold. Idempotent."""
        if self._mcp is not None:
            await self._mcp.close()

    async def _toolkits(self) -> list[Toolkit]:
        kits = _named([kit for source in self._sources for kit in await source.toolkits()])
        self._known = tuple(kit.info for kit in kits)
        return kits


def _nothing() -> None:
    """Nothing has to be ended."""


def _named(kits: Sequence[Toolkit]) -> list[Toolkit]:
    """Each under a name of its own. The agent's own sources come first, and keep theirs."""
    taken: set[str] = set()
    found = []
    for kit in kits:
        if not kit.tools:
            continue
        name = model_name(kit.name, taken, toolkit=True)
        taken.add(name)
        found.append(replace(kit, name=name))
    return found
