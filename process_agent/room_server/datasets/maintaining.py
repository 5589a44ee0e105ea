"""Maintenance that callers ask for: what of it writers wait for, and what goes on beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from process_agent.room_server.datasets import indexes, upkeep
from process_agent.room_server.datasets.names import TableKey
from process_agent.room_server.datasets.tables import Tables


class Maintaining:
    """Indexes and `optimize` for one room's tables. Every method raises `ToolError`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._building = asyncio.Lock()
        """One index at a time: more would take the room's threads from everybody else."""

    async def create_index(self, key: TableKey, config: Mapping[str, Any]) -> None:
        """Build an index, of a snapshot, while others write."""

        def work(path: Path, label: str) -> None:
            indexes.create(self._tables.engine.open(path, label), path, config)

        async with self._building:
            await self._tables.beside(key, work)

    async def drop_index(self, key: TableKey, name: str) -> None:
        """Remove an index."""

        def work(path: Path, label: str) -> None:
            indexes.drop(self._tables.engine.open(path, label), name)

        await self._tables.alone(key, work)

    async def optimize(self, key: TableKey, config: Mapping[str, Any]) -> dict[str, Any]:
        """What a caller of `optimize` asked for, and what came of it: small fragments are folded and old
        versions forgotten while nobody writes, indexes brought up to date beside writers.
        """
        engine = self._tables.engine

        def compact(path: Path, label: str) -> tuple[dict[str, Any] | None, bool]:
            dataset = engine.open(path, label)
            wanted = config.get("compact_files", True)
            return upkeep.compact(dataset, path, config) if wanted else None, dataset.has_index

        def refresh(path: Path, label: str) -> None:
            indexes.refresh(engine.open(path, label), path)

        def cleanup(path: Path, label: str) -> dict[str, Any]:
            return upkeep.cleanup(engine.open(path, label), config)

        compaction, indexed = await self._tables.alone(key, compact)
        wanted = bool(config.get("optimize_indices", True))
        if wanted and indexed:
            await self._tables.beside(key, refresh)
        cleaned = await self._tables.alone(key, cleanup) if config.get("cleanup_old_versions") else None
        return {"compaction": compaction, "optimized_indices": wanted, "cleanup": cleaned}
