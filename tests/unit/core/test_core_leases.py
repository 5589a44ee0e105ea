"""When a turn is left to the agent that began it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from process_agent.core.leases import LEASE_SECONDS, OLD, Lease, Leases, comes_first

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def lease(holder: str = "a", writer: int = 7, *, since: datetime = NOW - HOUR) -> Lease:
    return Lease(holder, writer, since, NOW, "machine/1/2")


def seen(*leases: Lease, gone: bool = False, at: float = 0.0) -> Leases:
    known = Leases(lambda _lease: gone)
    known.read(leases, at)
    return known


def test_a_lease_that_is_not_renewed_runs_out_by_our_own_clock() -> None:
    known = seen(lease())
    assert known.running(7, NOW, NOW, LEASE_SECONDS - 1) is True
    known.read([lease()], LEASE_SECONDS - 1)
    assert known.running(7, NOW, NOW, LEASE_SECONDS) is False


def test_a_renewed_lease_goes_on() -> None:
    known = seen(lease())
    known.read([Lease("a", 7, NOW - HOUR, NOW + timedelta(seconds=30), None)], 60.0)
    assert known.running(7, NOW, NOW, LEASE_SECONDS + 30) is True


def test_who_is_known_to_be_gone_runs_nothing() -> None:
    assert seen(lease(), gone=True).running(7, NOW, NOW, 0.0) is False


def test_old_leases_count_only_with_new_rows() -> None:
    later = NOW + 2 * OLD
    assert seen(lease()).running(7, NOW, later, 0.0) is False
    assert seen(lease()).running(7, later, later, 0.0) is True


def test_a_new_row_is_a_sign_of_life_once() -> None:
    known, later = seen(lease()), NOW + timedelta(seconds=200)
    assert known.running(7, later, later, 200.0) is True, "the lease was not renewed, for nothing ran"
    assert known.running(7, later, later, 200.0 + LEASE_SECONDS - 1) is True
    assert known.running(7, later, later, 200.0 + LEASE_SECONDS) is False
    known.read([lease()], 300.0)
    assert known.running(7, later, later, 300.0) is False


def test_rows_of_nobody_we_know_and_of_who_had_the_part_before() -> None:
    assert seen(lease()).running(8, NOW, NOW, 0.0) is None
    assert seen(lease(since=NOW)).running(7, NOW - HOUR, NOW, 0.0) is None


def test_of_those_who_took_a_part_at_once_the_first_has_it() -> None:
    first, second = lease("b", since=NOW - HOUR), lease("a", since=NOW)
    assert comes_first(first, [first, second])
    assert not comes_first(second, [first, second])
    assert comes_first(lease("a"), [lease("b")])
