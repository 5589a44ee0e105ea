"""Which parts of an index are put together."""

from __future__ import annotations

import pytest

from process_agent.room_server.datasets.indexes import FRESH_BYTES, parts_to_merge

SMALL = FRESH_BYTES // 2


@pytest.mark.parametrize(
    ("sizes", "coming", "merged"),
    [
        ([], 0, 0),
        ([SMALL], 0, 1),
        ([100 * SMALL], 0, 0),
        ([100 * SMALL, SMALL], 0, 1),
        ([100 * SMALL, 3 * SMALL, SMALL], 0, 2),
        ([100 * SMALL, 4 * SMALL, SMALL], 0, 1),
        ([4 * SMALL, 4 * SMALL], 0, 0),
        ([4 * SMALL, 4 * SMALL], 4 * SMALL, 2),
    ],
)
def test_parts_no_larger_than_what_is_newer(sizes: list[int], coming: int, merged: int) -> None:
    assert parts_to_merge(sizes, coming) == merged


@pytest.mark.parametrize(("added", "times"), [(SMALL // 8, 10_000), (8 * SMALL, 1_000)])
def test_a_byte_is_written_a_few_times_and_parts_stay_few(added: int, times: int) -> None:
    """Thousands of refreshes: an index is not written anew each time, nor has it a part for each."""
    sizes, written = [1_000 * SMALL], 0
    for _ in range(times):
        merged = parts_to_merge(sizes, added)
        new = sum(sizes[len(sizes) - merged :]) + added
        sizes[len(sizes) - merged :] = [new]
        written += new
        assert len(sizes) < 12
    assert written < 20 * sum(sizes)
