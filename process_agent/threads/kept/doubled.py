"""Rows that are in a thread twice: an insert was carried out twice, or somebody stored all again. Pure.

A published agent refuses a thread in which a number is there twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from process_agent.threads.kept.rows import StoredRow


@dataclass(slots=True)
class Single:
    """Each row once, in order. `doubled` counts the copies that were left out; `differing` rows share their
    number with another one and say something else: they are kept.
    """

    rows: list[StoredRow] = field(default_factory=list)
    doubled: int = 0
    differing: int = 0


def single(rows: Iterable[StoredRow]) -> Single:
    """The rows of a thread without the copies: rows of one number are the same when they say the same, at
    whatever time. The first one stays.
    """
    found, numbers = Single(), dict[int, list[tuple[Any, ...]]]()
    for row in sorted(rows, key=lambda row: row.sequence):
        others = numbers.setdefault(row.sequence, [])
        said = _said(row)
        if said in others:
            found.doubled += 1
            continue
        found.differing += bool(others)
        others.append(said)
        found.rows.append(row)
    return found


def _said(row: StoredRow) -> tuple[Any, ...]:
    try:
        data = json.dumps(json.loads(row.data), sort_keys=True)
    except ValueError:
        data = row.data
    return row.turn_id, row.item_id, row.type, data, row.attachment
