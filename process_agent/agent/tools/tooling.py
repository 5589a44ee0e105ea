"""The tools of an agent: where they come from, and those of each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from process_agent.agent.tools.mcp import McpTools, TurnServers
from process_agent.agent.tools.tool import Report, Scope, Toolkit, ToolSource
from process_agent.agent.tools.toolbox import Consents, TurnTools
from process_agent.core.backend import ToolkitInfo
from process_agent.core.ids import ThreadId
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
        self._known: tuple[Toolkit, ...] = ()
        self._known_mcp: tuple[ToolkitInfo, ...] = ()

    async def start(self) -> None:
        """Look whether what was asked for is there. Raises what the sources raise."""
        for source in self._sources:
            await source.start()
        await self._toolkits()
        if self._mcp is not None:
            await self._mcp.start()

    async def open(
        self, scope: Scope, report: Report, servers: TurnServers | None = None, *, local: bool = True
    ) -> Opened:
        """The tools of a turn, `local` ones only if so wished; with those of MCP servers for a model that
        connects to none itself. Whoever opens them closes them.
        """
        kits = [kit for kit in await self._toolkits() if local or not kit.local]
        more = await self._mcp.open(servers) if self._mcp is not None and servers is not None else None
        if more is not None:
            self._known_mcp = tuple(kit.info for kit in more.kits if kit.tools)
            kits = _named([*kits, *more.kits, *more.brought])
        end = more.end if more is not None else _nothing
        tools = TurnTools(kits, scope, self._consents, report, end) if kits else None
        if tools is None:
            end()
        return Opened(tools, () if more is None else more.problems)

    def listed(self, *, local: bool = True, mcp: bool = False) -> tuple[ToolkitInfo, ...]:
        """The toolkits of the last turn, as clients list them; `local` ones, and with `mcp` those of servers,
        only if so wished.
        """
        known = tuple(kit.info for kit in self._known if local or not kit.local)
        return (*known, *self._known_mcp) if mcp else known

    def left(self, thread_id: ThreadId) -> None:
        """A thread is closed: what its tools left running ends."""
        for kit in self._known:
            if kit.on_leave is not None:
                kit.on_leave(thread_id)

    async def close(self) -> None:
        """Release what tools hold. Idempotent."""
        if self._mcp is not None:
            await self._mcp.close()

    async def _toolkits(self) -> list[Toolkit]:
        kits = _named([kit for source in self._sources for kit in await source.toolkits()])
        self._known = tuple(kits)
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
        name = kit.name if kit.plain else model_name(kit.name, taken, toolkit=True)
        taken.add(name)
        found.append(replace(kit, name=name))
    return found
