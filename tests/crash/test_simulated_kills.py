"""10,000 moments at which an agent is killed, on a virtual clock; see docs/threads.md.

`CRASH_SEED=123 CRASH_MOMENTS=50000 pytest tests/crash/test_simulated_kills.py` plays other conversations. A
failure names the seed of its conversation and the moment.
"""

from __future__ import annotations

import itertools
import os

import pytest

from tests.crash.kills import crash_everywhere

SEED = int(os.environ.get("CRASH_SEED", "20260501"))
MOMENTS = int(os.environ.get("CRASH_MOMENTS", "10000"))
SHARDS = 8
_APART = 10_000_000
"""Between the seeds of two shards."""


@pytest.mark.timeout(180 + MOMENTS // 50)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_whenever_an_agent_is_killed_the_next_one_goes_on(shard: int) -> None:
    killed = 0
    for seed in itertools.count(SEED + shard * _APART):
        killed += crash_everywhere(seed)
        if killed >= MOMENTS / SHARDS:
            break
