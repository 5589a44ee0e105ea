"""Since when others may have taken an agent for gone."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.leases import LEASE_SECONDS
from process_agent.threads.own_turns import SURE_SECONDS, Signs

moments = st.integers(0, 600).map(float)


def unbroken(signs: list[float], since: float, now: float) -> bool:
    """By looking at every pause between two signs."""
    seen = sorted([since, *(sign for sign in signs if since < sign <= now), now])
    return all(after - before <= SURE_SECONDS for before, after in pairwise(seen))


@given(st.lists(moments, min_size=1, max_size=20), moments, moments)
def test_a_pause_is_noticed_whenever_it_was(renewed: list[float], since: float, now: float) -> None:
    first, *rest = sorted(renewed)
    signs = Signs(first)
    for at in rest:
        signs = signs.renewed(at)
    since, now = max(first, min(since, now)), max(since, now, signs.at)  # rows come after the lease
    if signs.unbroken(since, now):
        assert unbroken([first, *rest], since, now)


def test_who_shares_nothing_is_never_in_doubt() -> None:
    assert Signs(math.inf).unbroken(-math.inf, 1e9)


def test_there_is_time_to_act_on_what_was_read() -> None:
    assert LEASE_SECONDS - SURE_SECONDS >= 20
