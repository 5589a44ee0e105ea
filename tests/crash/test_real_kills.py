"""Agent, room server and Codex are killed for real, at random moments of conversations; see docs/threads.md.

`make soak SEED=1 KILLS=1000` does it for longer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.real_kills import kill_many

SEED = int(os.environ.get("CRASH_SEED", "20260501"))
KILLS = 30
ROOMS = 2
"""At once, each with programs of its own: most of the time they wait for somebody to speak or to start."""


@pytest.mark.skipif(sys.platform != "linux", reason="finds Codex among the children of the agent in /proc")
@pytest.mark.timeout(900)
async def test_whatever_is_killed_the_conversation_goes_on(tmp_path: Path) -> None:
    killed: Counter[str] = Counter()

    async def kill_in(room: int) -> None:
        killed.update(await kill_many(tmp_path / f"room-{room}", SEED + room, KILLS // ROOMS, print))

    async with asyncio.TaskGroup() as rooms:
        for room in range(ROOMS):
            rooms.create_task(kill_in(room))
    assert killed.total() >= KILLS
    assert {"agent", "room", "codex"} == set(killed)
