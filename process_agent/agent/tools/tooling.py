"""The tools of an agent: where they come from, and those of each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from process_agent.agent.tools.tool import Report, Scope, Toolkit, ToolSource
from process_agent.agent.tools.toolbox import Consents, TurnTools
from process_agent.core.backend import ToolkitInfo
from process_agent.core.tools import model_name


class Tooling:
    """All sources of tools of one agent."""

    def __init__(self, sources: Sequence[ToolSource] = ()) -> None:
        self._sources = tuple(sources)
        self._consents = Consents()
        self._known: tuple[ToolkitInfo, ...] = ()

    async def start(self) -> None:
        """Look whether what was asked for is there. Raises what the sources raise."""
        for source in self._sources:
            await source.start()
        await self._toolkits()

    async def open(self, scope: Scope, report: Report) -> TurnTools | None:
        """The tools of a turn, None when there are none. Whoever opens them closes them."""
        if not self._sources:
            return None
        kits = await self._toolkits()
        return TurnTools(kits, scope, self._consents, report) if kits else None

    def listed(self) -> tuple[ToolkitInfo, ...]:
        """The toolkits of the last turn, as clients list them."""
        return self._known

    async def _toolkits(self) -> list[Toolkit]:
        kits = _named([kit for source in self._sources for kit in await source.toolkits()])
        self._known = tuple(kit.info for kit in kits)
        return kits


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
