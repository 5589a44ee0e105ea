"""The built-in toolkits of a room and where they keep their files.

Below `rooms/<name>`: `queues.sqlite`, `datasets`, `storage` and `documents`. The table engine takes a third
of a second to load, so a server is ready before it is; whoever joins meanwhile waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from process_agent.io.collector import spare_what_is_loaded
from process_agent.room_server.developer import DeveloperToolkit
from process_agent.room_server.empty import empty_toolkits
from process_agent.room_server.hub import Announce
from process_agent.room_server.queues import QueueToolkit
from process_agent.room_server.services.services import LocalServices
from process_agent.room_server.services.toolkit import ServicesToolkit
from process_agent.room_server.toolkit import Toolkit


class RoomToolkits:
    """Opens the toolkits of rooms. `address` gives the server's own, without a slash at its end."""

    def __init__(self, rooms: Path, address: Callable[[], str], services: LocalServices) -> None:
        self._rooms = rooms
        self._services = services
        self._address = address
        self._loading = asyncio.Lock()
        self._loaded = False

    async def load(self) -> None:
        """Load what is slow to load, once, without holding up the server. `open` needs it."""
        async with self._loading:
            if not self._loaded:
                await asyncio.to_thread(_import)
                spare_what_is_loaded()
                self._loaded = True

    def open(self, name: str, announce: Announce) -> Sequence[Toolkit]:
        """The toolkits of one room."""
        from process_agent.room_server.datasets import DatasetToolkit
        from process_agent.room_server.storage import StorageToolkit
        from process_agent.room_server.sync import SyncToolkit

        root = self._rooms / name
        storage = StorageToolkit(
            root / "storage", announce, public_url=lambda: f"{self._address()}/rooms/{name}/files"
        )
        return [
            QueueToolkit(root),
            DeveloperToolkit(),
            DatasetToolkit(root / "datasets"),
            storage,
            SyncToolkit(root / "documents", read_file=storage.read_small),
            ServicesToolkit(name, self._services),
            *empty_toolkits(),
        ]


def _import() -> None:
    from process_agent.room_server import datasets, storage, sync  # noqa: F401 - loaded for later
