"""Whoever waits for a service waits through an end that came before, and hears of one that comes after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from process_agent.cli.service_place import Found
from process_agent.cli.service_progress import until_it_runs
from process_agent.errors import BackendError


class Place:
    """A service that is in one state after the other, each time somebody looks."""

    look_seconds = 0.0

    def __init__(self, *states: dict[str, Any]) -> None:
        self._states: Iterator[dict[str, Any]] = iter(states)

    def services(self) -> list[Found]:
        return [service(next(self._states))]

    def log_after(self, _service: Found, position: int) -> tuple[str, int]:
        return "", position

    def pause(self, _seconds: float) -> None:
        pass


def service(state: dict[str, Any]) -> Found:
    return Found("1", "a", "a", enabled=True, document={}, state=state)


def wait(*states: dict[str, Any]) -> None:
    place: Any = Place(*states)
    until_it_runs(place, service({}), 60, 0, patient=True)


KILLED = {"phase": "waiting", "restarts": 1, "last_end": "it was ended by signal 9"}
STARTING, RUNNING = {"phase": "starting", "restarts": 1}, {"phase": "running", "restarts": 1}


def test_an_end_before_is_waited_through() -> None:
    wait(KILLED, KILLED, STARTING, RUNNING)


def test_an_end_after_is_told() -> None:
    for states in ([KILLED, STARTING, KILLED], [KILLED, {**KILLED, "restarts": 2}], [{"phase": "stopped"}]):
        with pytest.raises(BackendError, match="does not run"):
            wait(*states)
