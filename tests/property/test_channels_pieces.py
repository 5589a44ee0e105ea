"""A client that loses its connection at any point of a text, and what was on its way, shows it exactly."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.channels import pieces as module
from process_agent.channels.flows import text_of
from process_agent.channels.merging import Merging
from process_agent.channels.pieces import Gone, Pieces
from process_agent.core import events as e
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.live import LiveTurn
from tests.fakes.flutter_rules import FlutterThread
from tests.fakes.react_rules import ReactThread

THREAD, TURN, ITEM = ThreadId("dataset://a/b"), TurnId("u"), ItemId("i")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = text_of(TURN, ITEM)
deltas = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=5), max_size=15)


class House:
    """The agent's side: the running turn, and a way to one viewer that is made anew."""

    def __init__(self) -> None:
        self._ids = (MessageId(f"m{n}") for n in itertools.count())
        self._live = LiveTurn()
        self._now = 0.0
        self.way = self._made(None)

    def _made(self, before: Pieces | None) -> Merging:
        return Merging(lambda: next(self._ids), before=before)

    def say(self, body: e.EventBody, *, listening: bool = True) -> list[e.ThreadEvent]:
        event = e.ThreadEvent(next(self._ids), THREAD, TURN, NOW, body)
        self._live.note(event)
        self._now += 0.01
        return [*self.way.take_due(self._now), *self.way.add(event, self._now)] if listening else []

    def again(self) -> list[e.ThreadEvent]:
        """The viewer comes back and gets what is under way."""
        self.way = self._made(self.way.sent)
        return [sent for event in self._live.open_events() for sent in self.way.add(event, self._now)]


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


def delta(message_id: str, text: str, item: str = ITEM) -> e.ThreadEvent:
    return e.ThreadEvent(MessageId(message_id), THREAD, TURN, NOW, e.TextDelta(ItemId(item), text))


def test_early_pieces_count_as_one_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIECES", 2)
    pieces = Pieces()
    pieces.note([delta(f"m{n}", "ab") for n in range(5)])
    assert pieces.of(KEY) == (("m0", 6), ("m3", 2), ("m4", 2))


def test_old_texts_and_old_viewers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TEXTS", 2)
    monkeypatch.setattr(module, "MAX_GONE", 2)
    pieces, gone = Pieces(), Gone()
    pieces.note([delta("m", "a", item) for item in ("one", "two", "three")])
    assert pieces.of(text_of(TURN, ItemId("one"))) == ()
    assert pieces.of(text_of(TURN, ItemId("three"))) == (("m", 1),)
    for name in ("ana", "ben", "cleo"):
        gone.keep(name, THREAD, pieces)
    assert gone.take("ana", THREAD) is None
    assert gone.take("cleo", THREAD) is pieces
    assert gone.take("cleo", THREAD) is None, "it is for one connection"


def test_another_text_of_the_item_is_cut_as_it_comes() -> None:
    """What begins with another delta, or is shorter than what was sent, is not the same text."""
    before = Pieces()
    before.note([delta("m1", "one "), delta("m2", "two")])
    for event in (delta("other", "one two three"), delta("m1", "one")):
        way = Merging(lambda: "new", before=before)
        (sent,) = way.add(event, 0.0)
        assert sent.message_id == event.message_id
