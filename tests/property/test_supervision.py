"""Services under supervision, whatever happens to them and in whatever order, on a clock of the test's."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from process_agent.services.supervision import (
    Action,
    Enabled,
    Ended,
    Event,
    Passed,
    Phase,
    Policy,
    RestartAsked,
    Seen,
    Supervision,
)

POLICY = Policy(start=20, absent=10, drain=5, kill=2, first_wait=1, longest_wait=16, steady=30)


class Supervised(RuleBasedStateMachine):
    """An owner that does as it is told, and a child that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.service = Supervision(POLICY)
        self.child = False
        self.asked_to_end_at: float | None = None
        self.wanted = False

    def step(self, event: Event) -> None:
        for action in self.service.step(event, self.now):
            if action is Action.START:
                assert not self.child, "a second child"
                assert self.wanted, "one that nobody wants"
                self.child, self.asked_to_end_at = True, None
            elif action is Action.TERMINATE:
                assert self.child
                self.asked_to_end_at = self.now
            else:
                assert self.asked_to_end_at is not None, "killed before it was asked"
                assert self.now - self.asked_to_end_at >= POLICY.drain, "killed before its time was over"
                self.child = False
                self.step(Ended("killed", -9))

    @rule(seconds=st.integers(1, 320).map(lambda eighths: eighths / 8))  # times that add up exactly
    def time_goes_by(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(200):
            due = self.service.deadline
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.step(Passed())
        else:
            raise AssertionError("deadlines that never move on")
        self.now = until

    @rule(wanted=st.booleans())
    def switched(self, wanted: bool) -> None:
        self.wanted = wanted
        self.step(Enabled(wanted))

    @rule()
    def restarted(self) -> None:
        self.wanted = True
        self.step(RestartAsked())

    @precondition(lambda self: self.child)
    @rule(code=st.integers(-15, 6))
    def child_ends(self, code: int) -> None:
        self.child = False
        self.step(Ended("it ended", code))

    @rule(here=st.booleans())
    def looked_for(self, here: bool) -> None:
        self.step(Seen(here and self.child))

    @rule()
    def told_again_of_an_end(self) -> None:
        if not self.child:
            self.step(Ended("a late word", 1))

    @invariant()
    def knows_whether_there_is_a_child(self) -> None:
        assert self.service.has_child == self.child

    @invariant()
    def always_on_its_way(self) -> None:
        """Wanted, it runs or something is due; unwanted, it is gone or its end is due."""
        if self.wanted:
            assert self.service.phase is Phase.RUNNING or self.service.deadline is not None
        else:
            assert self.service.phase is Phase.STOPPED or self.service.phase is Phase.STOPPING
            assert self.service.phase is Phase.STOPPED or self.service.deadline is not None

    @invariant()
    def waits_within_bounds(self) -> None:
        if self.service.phase is Phase.WAITING:
            assert self.service.deadline is not None
            assert self.service.since is not None
            assert POLICY.first_wait <= self.service.deadline - self.service.since <= POLICY.longest_wait


TestSupervised = Supervised.TestCase


def waits(lasting: float, times: int) -> list[float]:
    """The waits of a service that ends each time after it was `lasting` seconds in its room."""
    service, now, found = Supervision(POLICY), 0.0, []
    service.step(Enabled(True), now)
    for _ in range(times):
        service.step(Seen(True), now)
        now += lasting
        service.step(Ended("gone", 1), now)
        assert service.deadline is not None
        found.append(service.deadline - now)
        now = service.deadline
        assert service.step(Passed(), now) == (Action.START,)
    assert service.restarts == times
    return found


def test_waits_double_up_to_the_longest_and_begin_anew_after_a_good_run() -> None:
    assert waits(lasting=1, times=7) == [1, 2, 4, 8, 16, 16, 16]
    assert waits(lasting=30, times=3) == [1, 1, 1]


def test_a_service_that_is_never_seen_is_ended_and_says_why() -> None:
    service = Supervision(POLICY)
    service.step(Enabled(True), 0)
    assert service.step(Passed(), 19.9) == ()
    assert service.step(Passed(), 20) == (Action.TERMINATE,)
    assert service.trouble == "it was not in the room after 20 s"
    assert service.step(Passed(), 25) == (Action.KILL,)
    assert service.step(Passed(), 27) == (Action.KILL,)
    service.step(Ended("killed", -9), 27)
    assert (service.phase, service.deadline) == (Phase.WAITING, 28)


def test_a_short_absence_is_forgiven() -> None:
    service = Supervision(POLICY)
    service.step(Enabled(True), 0)
    service.step(Seen(True), 1)
    service.step(Seen(False), 2)
    service.step(Seen(False), 5)
    assert service.deadline == 12, "absence counts from its beginning"
    service.step(Seen(True), 11)
    assert str(service.phase) == "running"
    service.step(Seen(False), 20)
    assert service.step(Passed(), 30) == (Action.TERMINATE,)


def test_a_restart_that_was_asked_for_does_not_wait_and_is_not_counted() -> None:
    service = Supervision(POLICY)
    service.step(Enabled(True), 0)
    service.step(Seen(True), 1)
    assert service.step(RestartAsked(), 2) == (Action.TERMINATE,)
    assert service.step(Ended("it ended", 0), 3) == (Action.START,)
    assert service.restarts == 0
