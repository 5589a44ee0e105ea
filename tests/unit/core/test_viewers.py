"""Who gets the events of a thread."""

from __future__ import annotations

from process_agent.core.commands import Viewer
from process_agent.core.ids import ParticipantId
from process_agent.core.viewers import ThreadViewers


def viewer(channel: str, name: str) -> Viewer:
    return Viewer(channel, ParticipantId(name))


ANA, BEN = viewer("chat", "ana"), viewer("program", "ben")
WATCHER = viewer("program", "")


def test_an_observer_sees_what_nobody_views() -> None:
    viewers = ThreadViewers((WATCHER,))
    assert viewers.audience == {"program": ("",)}
    assert len(viewers) == 0
    assert WATCHER not in viewers


def test_an_observer_sees_beside_the_viewers() -> None:
    viewers = ThreadViewers((WATCHER,))
    viewers.add(ANA)
    assert viewers.audience == {"chat": ("ana",), "program": ("",)}
    viewers.remove(ANA)
    assert viewers.audience == {"program": ("",)}


def test_an_observer_is_not_told_what_came_through_its_own_channel() -> None:
    viewers = ThreadViewers((WATCHER,))
    viewers.add(ANA)
    viewers.add(BEN)
    assert viewers.without(BEN) == {"chat": ("ana",)}
    assert viewers.without(ANA) == {"program": ("ben", "")}
