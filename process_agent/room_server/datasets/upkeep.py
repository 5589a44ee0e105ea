"""Keeping appends cheap and the space bounded, blocking, in the background.

Each write adds a fragment and a version, and each version lists all fragments: unattended, an append grows
from 2 to 6 ms within 2,000 of them. Small fragments are folded together in tiers, each row only a few times
in its life; old versions go once there are more than `KEEP_VERSIONS`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import lance
from lance.optimize import Compaction

from process_agent.room_server.datasets.durable import sync_indexes, sync_version

logger = logging.getLogger(__name__)

KEEP_VERSIONS: Final = 64
"""Versions of a table that can be listed and restored."""

FOLD_AT: Final = 32
"""Fragments of one tier that are folded into the next."""

TIERS: Final = (1_024, 32_768, 1_048_576)
"""Rows of a fragment that belongs to the next tier."""

MAX_FOLD_BYTES: Final = 256 * 1024 * 1024
"""What one round rewrites at most; tables of large values keep more fragments instead."""

QUICK_BYTES: Final = 16 * 1024 * 1024
"""Tables up to this size are folded while writers wait (about 20 ms): constant updates would otherwise
get in the way of every fold. Larger ones are folded beside the writers."""

EVERY: Final = 16
"""Writes to a table between two looks at it."""

ATTEMPTS: Final = 3
"""Times that maintenance beside writers begins again when one of them got in its way; then they wait."""


_COMPACTION: Final = (
    "target_rows_per_fragment",
    "max_rows_per_group",
    "max_bytes_per_file",
    "materialize_deletions",
    "materialize_deletions_threshold",
)


def fold(dataset: lance.LanceDataset, path: Path) -> int:
    """Compact the tiers that are full. Returns how many fragments went away."""
    removed = 0
    for target in full_tiers(_rows_by_fragment(dataset)):
        before = dataset.checkout_version(dataset.version)
        plan = Compaction.plan(dataset, {"target_rows_per_fragment": target, "num_threads": 1})
        tasks = [task for task in plan.tasks if _bytes(task) <= MAX_FOLD_BYTES]
        if not tasks:
            continue
        metrics = Compaction.commit(dataset, [task.execute(dataset) for task in tasks])
        removed += metrics.fragments_removed
        sync_version(dataset, path, before)
        sync_indexes(dataset, path)
    return removed


def is_quick(dataset: lance.LanceDataset) -> bool:
    """Whether folding takes no longer than a writer may wait."""
    fragments = dataset.get_fragments()
    return sum(file.file_size_bytes or 0 for each in fragments for file in each.metadata.files) <= QUICK_BYTES


def full_tiers(rows: list[int]) -> list[int]:
    """Targets to compact to, for the rows of each fragment: tiers with `FOLD_AT` fragments or more."""
    found: list[int] = []
    floor = 0
    for target in TIERS:
        if sum(1 for count in rows if floor <= count < target) >= FOLD_AT:
            found.append(target)
        floor = target
    return found


def forget_old_versions(dataset: lance.LanceDataset) -> None:
    """Remove versions, and the files only they use."""
    if len(dataset.versions()) >= 2 * KEEP_VERSIONS:
        dataset.cleanup_old_versions(retain_versions=KEEP_VERSIONS, error_if_tagged_old_versions=False)


def compact(dataset: lance.LanceDataset, path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Fold small fragments as a caller of `optimize` wants it. Returns how many there were."""
    before = dataset.checkout_version(dataset.version)
    options = {name: config[name] for name in _COMPACTION if config.get(name) is not None}
    metrics = dataset.optimize.compact_files(num_threads=1, **options)
    sync_version(dataset, path, before)
    sync_indexes(dataset, path)  # folded rows have other places
    counts = ("fragments_removed", "fragments_added", "files_removed", "files_added")
    return {name: getattr(metrics, name) for name in counts}


def cleanup(dataset: lance.LanceDataset, config: Mapping[str, Any]) -> dict[str, Any]:
    """Forget old versions as a caller of `optimize` wants it. Returns what went."""
    retain = config.get("retain_versions")
    stats = dataset.cleanup_old_versions(
        retain_versions=retain if isinstance(retain, int) and retain > 0 else KEEP_VERSIONS,
        error_if_tagged_old_versions=False,
    )
    return {"bytes_removed": stats.bytes_removed, "old_versions": stats.old_versions}


def _rows_by_fragment(dataset: lance.LanceDataset) -> list[int]:
    return [fragment.metadata.physical_rows for fragment in dataset.get_fragments()]


def _bytes(task: Any) -> int:
    return sum(file.file_size_bytes or 0 for fragment in task.fragments for file in fragment.files)
