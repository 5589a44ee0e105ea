"""`--require-toolkit`: toolkits of the room that the operator named."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from process_agent.agent.tools.remote import RoomTools, callable_tools, plain
from process_agent.agent.tools.tool import Toolkit
from process_agent.core.room_ports import RemoteToolkit
from process_agent.errors import RoomError, UsageError

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
"""How long an agent waits at its start for the hosts of its toolkits."""

PAUSE = 0.5
"""Seconds between two looks."""

_MOST_NAMED = 40


class RequiredToolkits:
    """See `ToolSource`. A toolkit whose host is away stays on offer as it was: its calls then say so."""

    def __init__(self, tools: RoomTools, names: Sequence[str]) -> None:
        self._tools = tools
        self._names = tuple(dict.fromkeys(names))
        self._seen: dict[str, RemoteToolkit] = {}

    async def start(self) -> None:
        """Wait for all of them. Raises `RoomError` that says what is there, and `UsageError` for one that
        nobody could call.
        """
        waited = False
        try:
            async with asyncio.timeout(START_SECONDS):
                while missing := await self._missing():
                    if not waited:
                        logger.warning("waiting for somebody to host %s", ", ".join(missing))
                    waited = True
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            missing = [name for name in self._names if name not in self._seen]
            raise RoomError(
                f"Nobody in the room hosts the toolkit {', '.join(missing)} (waited {START_SECONDS:.0f} s). "
                f"There is {self._there()}.",
                fix="Start its host first, or correct --require-toolkit.",
            ) from None

    async def toolkits(self) -> Sequence[Toolkit]:
        """See `ToolSource`."""
        await self._missing()
        return [self._tools.toolkit(kit) for _, kit in sorted(self._seen.items())]

    def kits(self) -> list[RemoteToolkit]:
        """They, as they were seen last."""
        return [kit for _, kit in sorted(self._seen.items())]

    async def _missing(self) -> list[str]:
        await self._tools.look()
        known = self._tools.known
        for name in self._names:
            kit = known.get(name)
            if kit is not None:
                self._seen[name] = self._usable(kit)
                self._tools.trusted.setdefault(name, self._tools.identity(kit))
        return [name for name in self._names if name not in self._seen]

    def _usable(self, kit: RemoteToolkit) -> RemoteToolkit:
        if kit.host is None and not kit.tools:
            raise UsageError(
                f"The room's own toolkit {kit.name!r} lists no tools that a model could call.",
                fix="Of the room itself there is --storage. Other built-in names are chat and search.",
            )
        if kit.host is not None and kit.host == self._tools.toolkits.me:
            raise UsageError(f"The agent hosts {kit.name!r} itself: it would call itself.")
        return kit

    def _there(self) -> str:
        names = [plain(kit.name, 60) for kit in self._tools.others() if callable_tools(kit)]
        return ", ".join(names[:_MOST_NAMED]) or "no toolkit of anybody else"
