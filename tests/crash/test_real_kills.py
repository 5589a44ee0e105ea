"""Agent, room server and Codex are killed for real, at random moments of conversations; see docs/threads.md.

`make soak SEED=1 KILLS=1000` does it for longer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.crash.real_kills import kill_many

SEED = int(os.environ.get("CRASH_SEED", "20260501"))
KILLS = 30


@pytest.mark.skipif(sys.platform != "linux", reason="finds Codex among the children of the agent in /proc")
@pytest.mark.timeout(300)
async def test_whatever_is_killed_the_conversation_goes_on(tmp_path: Path) -> None:
    killed = await kill_many(tmp_path, SEED, KILLS, print)
    assert {"agent", "room", "codex"} == set(killed)
