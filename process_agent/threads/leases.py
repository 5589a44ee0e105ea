"""The lease of an agent in a table beside its threads, and those of others: see `core.leases`.

The dataset interface cannot compare and set: who claims a writer's part reads the table after it wrote, and
the first claim counts.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from process_agent.core.ids import Clock
from process_agent.core.leases import RENEW_SECONDS, Lease, Leases, comes_first
from process_agent.core.room import Datasets, TableRef
from process_agent.errors import RoomError
from process_agent.io.tables import up_to_date
from process_agent.io.tasks import Tasks
from process_agent.threads.index import iso
from process_agent.threads.own_turns import Signs
from process_agent.threads.schema import LEASES, LEASES_TABLE
from process_agent.threads.sequence import choose_writer, moment_of_number, writer_of
from process_agent.threads.table import quoted

logger = logging.getLogger(__name__)

CLAIMS = 8
"""Times an agent tries to get a writer's part for itself."""

CLOSE_SECONDS = 2.0
"""How long giving the lease up may take."""

FIRST_SECONDS = 10.0
"""How long turns run before the lease is renewed for them: until then their rows are news enough."""

FRESH_SECONDS = 5.0
"""How long what was read of leases is taken for news."""

FORGOTTEN = timedelta(days=2)
"""Leases that were not renewed for so long are removed."""


@dataclass(frozen=True, slots=True)
class Presence:
    """How agents of one name know of each other: `process` names ours, `is_gone` tells whether that of
    another agent is gone, and an agent that named none is there while `others_here`.
    """

    process: str | None = None
    is_gone: Callable[[str], bool] = lambda _process: False
    others_here: Callable[[], bool] = lambda: False


ALONE = Presence()
"""Nobody else writes the threads."""


class ThreadLease:
    """`busy` says whether we run turns."""

    def __init__(
        self,
        datasets: Datasets,
        namespace: tuple[str, ...],
        clock: Clock,
        presence: Presence,
        busy: Callable[[], bool],
    ) -> None:
        self._datasets = datasets
        self._table = TableRef(LEASES_TABLE, namespace)
        self._clock = clock
        self._presence = presence
        self._busy = busy
        self._holder = secrets.token_hex(16)
        self._mine: Lease | None = None
        self._seen = Leases(self._known_gone)
        self._tasks = Tasks("lease")
        self._renewing: asyncio.Task[None] | None = None
        self._read_at = 0.0
        self._signs = Signs(math.inf)

    @property
    def writer(self) -> int | None:
        """The writer's part of our rows, once it is ours alone."""
        return None if self._mine is None else self._mine.writer

    @property
    def signs(self) -> Signs:
        """See `own_turns.TurnLease`; without a lease nobody is told anything."""
        return self._signs

    async def confirm(self) -> None:
        """See `own_turns.TurnLease`."""
        if self._mine is not None:
            at = asyncio.get_running_loop().time()
            self._mine = replace(self._mine, renewed_at=self._clock())
            await self._put(self._mine)
            self._signs = self._signs.renewed(at)

    async def claim(self) -> None:
        """Get a lease, and read those of others. Raises `RoomError`."""
        await up_to_date(self._datasets, self._table, LEASES)
        before = await self.read()
        if [lease for lease in before if self._clock() - lease.renewed_at > FORGOTTEN]:
            old = quoted(iso(self._clock() - FORGOTTEN))
            await self._datasets.delete(self._table, f"renewed_at <= {old}")
        taken = {lease.writer for lease in before}
        for _ in range(CLAIMS):
            now, writer = self._clock(), choose_writer(taken, random.randrange)
            at = asyncio.get_running_loop().time()
            mine = Lease(self._holder, writer, now, now, self._presence.process)
            await self._put(mine)
            same = [lease for lease in await self._read(f"writer = {writer}") if lease.holder != self._holder]
            if comes_first(mine, same):
                self._mine, self._signs = mine, Signs(at)
                return
            taken.add(writer)
        raise RoomError("The agent got no lease of its threads: too many others start beside it.")

    async def read(self) -> list[Lease]:
        """Read the leases of others; those that are not renewed run out. Raises `RoomError`."""
        leases = [lease for lease in await self._read(None) if lease.holder != self._holder]
        self._read_at = asyncio.get_running_loop().time()
        self._seen.read(leases, self._read_at)
        return leases

    async def refresh(self) -> bool:
        """Read the leases again, unless that was done just now; whether it was needed. Raises `RoomError`."""
        if self._mine is None or asyncio.get_running_loop().time() - self._read_at < FRESH_SECONDS:
            return False
        await self.read()
        return True

    def others_run(self, number: int) -> bool:
        """Whether somebody else may still run the turn of a row with this number."""
        if self._mine is not None and self._mine.wrote(writer_of(number), moment_of_number(number)):
            return False
        at = asyncio.get_running_loop().time()
        told = self._seen.running(writer_of(number), moment_of_number(number), self._clock(), at)
        return self._presence.others_here() if told is None else told

    def turn_begins(self) -> None:
        """Say that we are there while turns run."""
        if self._mine is not None and self._renewing is None:
            self._renewing = self._tasks.start(self._renew(), "renew")

    async def close(self) -> None:
        """Give the lease up: nothing runs any more. Idempotent."""
        await self._tasks.close()
        mine, self._mine = self._mine, None
        if mine is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._datasets.delete(self._table, f"holder = {quoted(mine.holder)}")
        except (TimeoutError, RoomError) as error:
            logger.info("the lease is not given up and runs out: %s", error)

    async def _renew(self) -> None:
        await asyncio.sleep(FIRST_SECONDS)
        while self._mine is not None and self._busy():
            try:
                await self.confirm()
            except RoomError as error:
                logger.info("the lease is not renewed: %s", error)
            await asyncio.sleep(RENEW_SECONDS)
        self._renewing = None

    def _known_gone(self, lease: Lease) -> bool:
        if lease.process is None:
            return not self._presence.others_here()
        return self._presence.is_gone(lease.process)

    async def _put(self, lease: Lease) -> None:
        row: dict[str, Any] = {
            "holder": lease.holder,
            "writer": lease.writer,
            "since": iso(lease.since),
            "renewed_at": iso(lease.renewed_at),
            "process": lease.process,
        }
        await self._datasets.merge(self._table, pa.Table.from_pylist([row], schema=LEASES), "holder")

    async def _read(self, where: str | None) -> list[Lease]:
        found: list[Lease] = []
        async for batch in self._datasets.search(self._table, where=where):
            found += [lease for row in pa.table(batch).to_pylist() if (lease := _lease(row)) is not None]
        return found


def _lease(row: dict[str, Any]) -> Lease | None:
    """What a row says; None for one that an agent of ours did not write."""
    try:
        since, renewed_at = (datetime.fromisoformat(row[name]) for name in ("since", "renewed_at"))
        return Lease(str(row["holder"]), int(row["writer"]), since, renewed_at, row["process"])
    except (KeyError, TypeError, ValueError):
        return None
