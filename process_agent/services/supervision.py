"""Keeps one service running: when to start it, to give up on it, and how long to wait before the next try.

Pure: what happened comes in with its time, what to do goes out; times are seconds of any clock that does not
go backwards. At most one child exists at a time: `Action.START` comes only after the end of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a service is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"


class Action(StrEnum):
    """What its owner has to do now. `TERMINATE` asks the child to end, `KILL` does not ask."""

    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits, in seconds."""

    start: float = 90.0
    """How long a service has to be seen in its room after it was started."""
    absent: float = 45.0
    """How long it may be missing there before it is started anew."""
    drain: float = 15.0
    """How long it has to end what it does when it is asked to end; then it is killed."""
    kill: float = 5.0
    """How long until a kill is repeated."""
    first_wait: float = 1.0
    """The wait before the first start anew; it doubles with each start that did not last."""
    longest_wait: float = 60.0
    steady: float = 60.0
    """Who was in the room for so long has started well: the next wait is the first one again."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """It shall run from now on, or not."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """Somebody wants it started anew, without a wait."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether it is in its room."""

    here: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The child is gone, or could not be started. `reason` is for people."""

    reason: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """Time went by; needed no later than at `Supervision.deadline`."""


type Event = Enabled | RestartAsked | Seen | Ended | Passed


class Supervision:
    """The state of one service. Read its attributes, change it through `step` only."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self.phase = Phase.STOPPED
        self.wanted = False
        self.deadline: float | None = None
        """When `Passed` is due; None when only an event can change anything."""
        self.since: float | None = None
        """When the phase began."""
        self.restarts = 0
        """Starts that followed an end nobody had asked for."""
        self.last_end: Ended | None = None
        self.trouble: str | None = None
        """Why the service was ended by us, when it was for its health."""
        self._failures = 0
        self._at_once = False

    @property
    def has_child(self) -> bool:
        """Whether a child exists, or is being started."""
        return self.phase in (Phase.STARTING, Phase.RUNNING, Phase.STOPPING)

    def step(self, event: Event, now: float) -> tuple[Action, ...]:
        """Take in what happened. Returns what to do, in order."""
        match event:
            case Enabled(wanted):
                self.wanted = wanted
                return self._want(now)
            case RestartAsked():
                return self._restart(now)
            case Seen(here):
                self._seen(here, now)
            case Ended():
                return self._ended(event, now)
            case Passed():
                return self._passed(now)
        return ()

    def _want(self, now: float) -> tuple[Action, ...]:
        if self.wanted and self.phase is Phase.STOPPED:
            return self._start(now)
        if self.wanted and self.phase is Phase.STOPPING:
            self._at_once = True
        if not self.wanted:
            self._failures, self._at_once = 0, False
            if self.phase is Phase.WAITING:
                self._enter(Phase.STOPPED, now, None)
            elif self.phase in (Phase.STARTING, Phase.RUNNING):
                return self._end(now, None)
        return ()

    def _restart(self, now: float) -> tuple[Action, ...]:
        self.wanted, self._failures = True, 0
        if not self.has_child:
            return self._start(now)
        self._at_once = True
        return () if self.phase is Phase.STOPPING else self._end(now, None)

    def _seen(self, here: bool, now: float) -> None:
        if self.phase is Phase.STARTING and here:
            self._enter(Phase.RUNNING, now, None)
        elif self.phase is Phase.RUNNING and here:
            self.deadline = None
        elif self.phase is Phase.RUNNING and self.deadline is None:
            self.deadline = now + self._policy.absent

    def _ended(self, event: Ended, now: float) -> tuple[Action, ...]:
        if not self.has_child:
            return ()
        self.last_end = event
        lasted = (
            self.phase is Phase.RUNNING and self.since is not None and now - self.since >= self._policy.steady
        )
        asked = self.phase is Phase.STOPPING and self.trouble is None
        if not self.wanted:
            self._enter(Phase.STOPPED, now, None)
            return ()
        if self._at_once:
            return self._start(now)
        self._failures = 1 if lasted or asked else self._failures + 1
        self._enter(Phase.WAITING, now, now + self._wait())
        return ()

    def _passed(self, now: float) -> tuple[Action, ...]:
        if self.deadline is None or now < self.deadline:
            return ()
        match self.phase:
            case Phase.WAITING:
                self.restarts += 1
                return self._start(now)
            case Phase.STARTING:
                return self._end(now, f"it was not in the room after {self._policy.start:.0f} s")
            case Phase.RUNNING:
                return self._end(now, f"it was away from the room for {self._policy.absent:.0f} s")
            case Phase.STOPPING:
                self.deadline = now + self._policy.kill
                return (Action.KILL,)
        return ()

    def _start(self, now: float) -> tuple[Action, ...]:
        self._at_once, self.trouble = False, None
        self._enter(Phase.STARTING, now, now + self._policy.start)
        return (Action.START,)

    def _end(self, now: float, trouble: str | None) -> tuple[Action, ...]:
        self.trouble = trouble
        self._enter(Phase.STOPPING, now, now + self._policy.drain)
        return (Action.TERMINATE,)

    def _wait(self) -> float:
        doublings = min(self._failures - 1, 30)
        return float(min(self._policy.first_wait * 2**doublings, self._policy.longest_wait))

    def _enter(self, phase: Phase, now: float, deadline: float | None) -> None:
        self.phase, self.since, self.deadline = phase, now, deadline
