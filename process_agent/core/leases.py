"""Who runs the turns that a thread's rows leave open: leases of agents, and when they are given up. Pure.

An agent holds one lease for all its turns. Its rows are told by the writer's part of their numbers, which is
in the lease. It says that it is there while turns run, so that an agent that starts beside it, or while its
connection is lost, does not close them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from process_agent.core.content import ErrorInfo

RENEW_SECONDS = 20.0
"""How often an agent says that it is there while it runs turns."""

LEASE_SECONDS = 90.0
"""How long a lease that is not renewed is respected, by the clock of who looks: a connection that is lost for
a minute costs no turn.
"""

OLD = timedelta(minutes=10)
"""Leases and rows older than that are given up at once; clocks of two machines may differ by less."""

CLOSED = ErrorInfo(
    "The agent was away from the room for so long that another closed this turn; what came since is lost.",
    "lost",
)
"""How a turn ends for those who look on where it ran, when another agent closed it meanwhile."""

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


@dataclass(slots=True)
class _Seen:
    """A lease, since when there is no newer sign of its holder, and the latest of its rows that was seen."""

    lease: Lease
    since: float
    written: datetime


class Leases:
    """What was read of the leases, and since when each is known not to have been renewed.

    `is_gone` tells of a lease's process whether it is known to be gone.
    """

    def __init__(self, is_gone: Callable[[Lease], bool]) -> None:
        self._is_gone = is_gone
        self._seen: dict[str, _Seen] = {}

    def read(self, leases: Iterable[Lease], at: float) -> None:
        """These are all there are, at a moment in seconds of a clock that never jumps."""
        before, self._seen = self._seen, {}
        for lease in leases:
            known = before.get(lease.holder)
            if known is None or known.lease.renewed_at != lease.renewed_at:
                known = _Seen(lease, at, known.written if known else lease.renewed_at)
            self._seen[lease.holder] = known

    def running(self, writer: int, written: datetime, now: datetime, at: float) -> bool | None:
        """Whether the writer of a row may still run its turn; None when no lease tells. `written` is when
        the row was, `now` the time, and `at` as above.
        """
        of_row = [seen for seen in self._seen.values() if seen.lease.wrote(writer, written)]
        if not of_row:
            return None
        for seen in of_row:
            if (
                written > seen.written
            ):  # a lease is not renewed while nothing runs: this row is a sign of life
                seen.written, seen.since = written, at
        return any(self._holds(seen, written, now, at) for seen in of_row)

    def _holds(self, seen: _Seen, written: datetime, now: datetime, at: float) -> bool:
        if self._is_gone(seen.lease) or now - max(seen.lease.renewed_at, written) > OLD:
            return False
        return at - seen.since < LEASE_SECONDS
