"""Who runs the turns that a thread's rows leave open: leases of agents, and when they are given up. Pure.

An agent holds one lease for all its turns. Its rows are told by the writer's part of their numbers, which is
in the lease. It says that it is there while turns run, so that an agent that starts beside it, or while its
connection is lost, does not close them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

RENEW_SECONDS = 20.0
"""How often an agent says that it is there while it runs turns."""

LEASE_SECONDS = 90.0
"""How long a lease that is not renewed is respected, by the clock of who looks: a connection that is lost for
a minute costs no turn.
"""

OLD = timedelta(minutes=10)
"""Leases and rows older than that are given up at once; clocks of two machines may differ by less."""

_EARLY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Lease:
    """`writer` is in the numbers of the holder's rows since `since`. `process` names the process of the
    holder, where others on its machine can see whether that is gone.
    """

    holder: str
    writer: int
    since: datetime
    renewed_at: datetime
    process: str | None = None

    def wrote(self, writer: int, at: datetime) -> bool:
        """Whether a row is the holder's."""
        return writer == self.writer and at >= self.since - _EARLY


def comes_first(mine: Lease, others: Iterable[Lease]) -> bool:
    """Whether a writer's part is mine, where several took it at once."""
    rank = mine.since, mine.holder
    return all(rank < (other.since, other.holder) for other in others if other.holder != mine.holder)


class Leases:
    """What was read of the leases, and since when each is known not to have been renewed.

    `is_gone` tells of a lease's process whether it is known to be gone.
    """

    def __init__(self, is_gone: Callable[[Lease], bool]) -> None:
        self._is_gone = is_gone
        self._seen: dict[str, tuple[Lease, float]] = {}

    def read(self, leases: Iterable[Lease], at: float) -> None:
        """These are all there are, at a moment in seconds of a clock that never jumps."""
        before, self._seen = self._seen, {}
        for lease in leases:
            known = before.get(lease.holder)
            same = known is not None and known[0].renewed_at == lease.renewed_at
            self._seen[lease.holder] = (lease, known[1] if same and known is not None else at)

    def running(self, writer: int, written: datetime, now: datetime, at: float) -> bool | None:
        """Whether the writer of a row may still run its turn; None when no lease tells. `written` is when
        the row was, `now` the time, and `at` as above.
        """
        of_row = [(lease, since) for lease, since in self._seen.values() if lease.wrote(writer, written)]
        if not of_row:
            return None
        return any(self._holds(lease, since, written, now, at) for lease, since in of_row)

    def _holds(self, lease: Lease, since: float, written: datetime, now: datetime, at: float) -> bool:
        if self._is_gone(lease) or now - max(lease.renewed_at, written) > OLD:
            return False
        return at - since < LEASE_SECONDS
