"""A client that loses its connection at any point of a text, and what was on its way, shows it exactly."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.channels.merging import Merging
from process_agent.channels.sent_pieces import SentPieces
from process_agent.core import events as e
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.live import LiveTurn
from process_agent.core.participants import Participant
from tests.fakes.flutter_rules import FlutterThread
from tests.fakes.moments import added
from tests.fakes.react_rules import ReactThread

THREAD, TURN, ITEM = ThreadId("dataset://a/b"), TurnId("u"), ItemId("i")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANA = Participant(ParticipantId("p"), "user", {"name": "ana"})
deltas = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=5), max_size=15)


class House:
    """The agent's side: the running turn, and a way to one viewer that is made anew."""

    def __init__(self) -> None:
        self._ids = (MessageId(f"m{n}") for n in itertools.count())
        self._live = LiveTurn()
        self._now = 0.0
        self._memory = SentPieces()
        self.way = self._made()

    def _made(self) -> Merging:
        return Merging(connection=self._memory.arrive(ANA, THREAD, self._now))

    def say(self, body: e.EventBody, *, listening: bool = True) -> list[e.ThreadEvent]:
        event = e.ThreadEvent(next(self._ids), THREAD, TURN, NOW, body)
        self._live.note(event)
        self._now += 0.01
        return added(self.way, event, self._now) if listening else []

    def again(self) -> list[e.ThreadEvent]:
        """The viewer comes back and gets what is under way."""
        self.way.leave(self._now)
        self.way = self._made()
        return [sent for event in self._live.open_events() for sent in added(self.way, event, self._now)]


def wire(event: e.ThreadEvent) -> dict[str, object]:
    from process_agent.wire.agent_messages import encode_event

    return dict(encode_event(event))


@settings(max_examples=400)
@given(deltas, deltas, deltas, st.integers(0, 20))
def test_any_break(before: list[str], away: list[str], after: list[str], lost: int) -> None:
    house = House()
    sent = house.say(e.TextStarted(ITEM))
    for piece in before:
        sent += house.say(e.TextDelta(ITEM, piece))
    kept = sent[: max(len(sent) - lost, 0)]  # the last ones never arrived
    for piece in away:
        house.say(e.TextDelta(ITEM, piece), listening=False)
    later = house.again()
    for piece in after:
        later += house.say(e.TextDelta(ITEM, piece))
    later += house.say(e.TextEnded(ITEM))
    text = "".join([*before, *away, *after])
    for got in (kept + later, later):  # one who kept what it had, and one who begins anew
        flutter, react = FlutterThread(), ReactThread()
        for event in got:
            flutter.take(wire(event))
            react.take(wire(event))
        assert [bubble.text for bubble in flutter.bubbles] == [text]
        assert [line.text for line in react.lines] == [text]
