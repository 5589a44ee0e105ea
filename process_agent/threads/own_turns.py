"""Turns of ours that another agent closed while we were away: nothing more is written of them.

An agent whose lease was not renewed for long is taken for gone (`core.leases`). It has to find that out
before it writes again, or such a turn would end twice, and what follows would come after its end.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from process_agent.core.ids import TurnId
from process_agent.core.leases import LEASE_SECONDS
from process_agent.threads.rows import Row
from process_agent.threads.table import ThreadTable

logger = logging.getLogger(__name__)

SURE_SECONDS: Final = LEASE_SECONDS * 2 / 3
"""How long nobody can have taken us for gone after a sign of life: others read leases, and rows, up to some
seconds before they act.
"""

MAX_CLOSED: Final = 1_000
"""Closed turns of a thread that are remembered."""

_BEGUN: Final = frozenset(("turn.start", "turn.start.accepted", "turn.started"))
_ENDED: Final = "turn.ended"


@dataclass(frozen=True, slots=True)
class Signs:
    """Signs of life that others could see, by the clock of the event loop: the latest, and the two between
    which there was none for too long, the last time that happened.
    """

    at: float
    silent_from: float = 0.0
    silent_until: float = 0.0

    def renewed(self, at: float) -> Signs:
        """With another one."""
        if at - self.at > SURE_SECONDS:
            return Signs(at, self.at, at)
        return Signs(max(at, self.at), self.silent_from, self.silent_until)

    def unbroken(self, since: float, now: float) -> bool:
        """Whether nobody can have taken us for gone between two moments, the first of which is a sign too."""
        silence = self.silent_until - max(since, self.silent_from)
        return now - max(since, self.at) <= SURE_SECONDS and silence <= SURE_SECONDS


class TurnLease(Protocol):
    """What says to other agents that we are there."""

    @property
    def signs(self) -> Signs:
        """When it was renewed."""
        ...

    async def confirm(self) -> None:
        """Renew it now. Raises `RoomError`."""
        ...

    def turn_begins(self) -> None:
        """Keep it renewed while turns run."""
        ...


class Unshared:
    """The lease of an agent whose threads nobody else writes."""

    signs = Signs(math.inf)

    async def confirm(self) -> None:
        """There is nobody to tell."""

    def turn_begins(self) -> None:
        """There is nobody to tell."""


class OwnTurns:
    """The turns under way in one thread of which rows are stored, written with `writer` in their numbers.

    `closed` hears of each that another agent closed.
    """

    def __init__(
        self, table: ThreadTable, lease: TurnLease, writer: int, closed: Callable[[TurnId], None]
    ) -> None:
        self._table = table
        self._lease = lease
        self._writer = writer
        self._tell = closed
        self._begun: set[str] = set()
        self._closed: dict[str, None] = {}
        self._loop = asyncio.get_running_loop()
        self._stored_at = -math.inf

    def in_doubt(self, rows: Sequence[Row]) -> bool:
        """Whether somebody may have closed a turn of these rows."""
        if self._lease.signs.unbroken(self._stored_at, self._loop.time()):
            return False
        return any(row.turn_id in self._begun for row in rows)

    async def ours(self, rows: list[Row]) -> list[Row]:
        """The rows without those of turns that others closed. Raises `RoomError`."""
        if self.in_doubt(rows):
            await self._lease.confirm()  # first: whoever looks from now on leaves our turns alone
            asked = self._begun.intersection(row.turn_id for row in rows if row.turn_id is not None)
            for turn in await self._table.ended(asked, but_by=self._writer):
                self._lose(turn)
            self._stored_at = self._loop.time()
        return [row for row in rows if row.turn_id not in self._closed] if self._closed else rows

    def stored(self, rows: Sequence[Row]) -> None:
        """These rows were inserted just now."""
        self._stored_at = self._loop.time()
        self.landed(rows)

    def landed(self, rows: Iterable[Row]) -> None:
        """These rows are in the table, since whenever."""
        for row in rows:
            if row.turn_id is not None and row.kind in _BEGUN:
                self._begun.add(row.turn_id)
            elif row.turn_id is not None and row.kind == _ENDED:
                self._begun.discard(row.turn_id)

    def _lose(self, turn: str) -> None:
        logger.warning("turn %s was closed by another agent, which took this one for gone", turn)
        self._begun.discard(turn)
        self._closed[turn] = None
        if len(self._closed) > MAX_CLOSED:
            del self._closed[next(iter(self._closed))]
        self._tell(TurnId(turn))
