"""The built-in toolkits of a room and where they keep their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from process_agent.room_server.developer import DeveloperToolkit
from process_agent.room_server.empty import empty_toolkits
from process_agent.room_server.hub import Announce
from process_agent.room_server.queues import QueueToolkit
from process_agent.room_server.toolkit import Toolkit


def toolkits_below(rooms: Path) -> Callable[[str, Announce], Sequence[Toolkit]]:
    """What opens the toolkits of a room, with one folder per room below `rooms`."""

    def open_toolkits(name: str, announce: Announce) -> Sequence[Toolkit]:
        root = rooms / name
        return [QueueToolkit(root), DeveloperToolkit(), *empty_toolkits()]

    return open_toolkits
