"""The collector passes over what a program had when it began."""

from __future__ import annotations

import gc

from process_agent.io.collector import spare_what_is_loaded


def test_only_the_first_call_counts() -> None:
    gc.unfreeze()
    try:
        spare_what_is_loaded()
        spared = gc.get_freeze_count()
        assert spared > 10_000
        later = [[number] for number in range(1_000)]
        spare_what_is_loaded()
        assert gc.get_freeze_count() == spared
        assert len(later) == 1_000
    finally:
        gc.unfreeze()
