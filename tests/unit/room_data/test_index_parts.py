"""Which parts of an index are put together."""

from __future__ import annotations

import pytest

from process_agent.room_server.datasets.indexes import FRESH_BYTES, parts_to_merge

SMALL = FRESH_BYTES // 2


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ([], 0),
        ([SMALL], 1),
        ([100 * SMALL], 0),
        ([100 * SMALL, SMALL], 1),
        ([100 * SMALL, 3 * SMALL, SMALL], 2),
        ([100 * SMALL, 4 * SMALL, SMALL], 1),
        ([4 * SMALL, 4 * SMALL], 0),
    ],
)
def test_parts_no_larger_than_what_is_newer(sizes: list[int], merged: int) -> None:
    assert parts_to_merge(sizes) == merged


def test_a_byte_is_written_a_few_times_and_parts_stay_few() -> None:
    """A thousand refreshes of an index of ten parts: not 1,000 times its size, and not 1,000 parts."""
    sizes, written, added = [1_000 * SMALL], 0, SMALL // 8
    for _ in range(10_000):
        merged = parts_to_merge(sizes)
        new = sum(sizes[len(sizes) - merged :]) + added
        sizes[len(sizes) - merged :] = [new]
        written += new
        assert len(sizes) < 12
    assert written < 20 * sum(sizes)
