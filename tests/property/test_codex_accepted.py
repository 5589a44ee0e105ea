"""Codex may say anything of a turn, even all of it, before it answers that it has accepted the turn."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any
from unittest.mock import Mock, patch

from hypothesis import given
from hypothesis import strategies as st

from backends.codex import running as running_turn
from backends.codex.running import RunningTurn
from process_agent.core.events import BackendEvent, ReasoningDelta, TextDelta, ToolLog, TurnEnded
from process_agent.core.usage import Usage
from tests.unit.codex.replay import NAMES, FakeServer, Turn, replay


@cache
def turns() -> list[Turn]:
    """All turns of all recordings."""
    return [turn for name in NAMES for turn in replay(name)]


def joined(events: Iterable[BackendEvent]) -> list[object]:
    """The events, with pieces of one text or output that follow each other in one."""
    found: list[object] = []
    for event in events:
        match event:
            case TextDelta() | ReasoningDelta():
                key, text = (type(event).__name__, event.item_id), event.text
            case ToolLog():
                key, text = ("ToolLog", event.ref.item_id), "".join(line.text for line in event.lines)
            case _:
                found.append(event)
                continue
        last = found[-1] if found else None
        if isinstance(last, tuple) and last[0] == key:
            found[-1] = (key, last[1] + text)
        else:
            found.append((key, text))
    return found


def heard(turn: Turn, position: int, at_once: bool) -> list[BackendEvent]:
    """Events of a turn that is accepted after so many messages; read `at_once` or when all has been said."""
    running = RunningTurn(turn.running.frame)
    server: Any = FakeServer()  # it has what a turn uses of a server
    running.goes_to(server, turn.running.codex_thread or "", Usage())
    for text in turn.ours:
        running.mapper.said_by_us(text)
    events: list[BackendEvent] = []
    with patch.object(running_turn, "time", Mock(monotonic=lambda: 1.0)):
        for number, message in enumerate([*turn.heard, None]):
            if number == position:
                running.accepted(turn.turn_id)
            if message is not None:
                running.hear(message)
            if message is None or (at_once and number >= position):
                while running._heard:
                    events += running.take(running._heard.popleft())
    return events


@given(st.data(), st.booleans())
def test_nothing_is_lost_of_a_turn_that_is_accepted_late(data: st.DataObject, at_once: bool) -> None:
    turn = data.draw(st.sampled_from(turns()))
    position = data.draw(st.integers(0, len(turn.heard)))
    events = joined(heard(turn, position, at_once))
    assert events == joined(heard(turn, 0, at_once=True))
    assert [event for event in events if isinstance(event, TurnEnded)] == events[-1:]


def test_accepted_at_once_it_is_what_was_recorded() -> None:
    for turn in turns():
        texts, recorded = (
            [entry for entry in joined(events) if isinstance(entry, tuple | TurnEnded)]
            for events in (heard(turn, 0, at_once=True), turn.events)
        )
        assert texts == recorded
