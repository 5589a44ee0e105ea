"""What a channel remembers of the pieces it sent, for how long, and who is behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from process_agent.channels import flows
from process_agent.channels import sent_pieces as module
from process_agent.channels.merging import Merging
from process_agent.channels.sent_pieces import KEPT_SECONDS, RECEIVED_SECONDS, SETTLED_SECONDS, SentPieces
from process_agent.core import events as e
from process_agent.core.content import LogLine
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.live import MAX_LOG, LiveTurn
from process_agent.core.participants import Participant
from tests.fakes.moments import added

THREAD, ITEM = ThreadId("dataset://a/b"), ItemId("i")
REF = e.ToolRef(ItemId("tool"), "codex", "shell")
TEXT = "".join(chr(ord("a") + n % 26) for n in range(300))
"""No two characters beside each other are the same, so nothing but the last one is held back."""


def event(message_id: str, body: e.EventBody) -> e.ThreadEvent:
    return e.ThreadEvent(MessageId(message_id), THREAD, TurnId("u"), datetime(2026, 1, 1, tzinfo=UTC), body)


def delta(start: int, end: int, item: ItemId = ITEM) -> e.ThreadEvent:
    return event(f"{item} {start}", e.TextDelta(item, TEXT[start:end]))


def ended(item: ItemId = ITEM) -> e.ThreadEvent:
    return event(f"{item} ended", e.TextEnded(item))


def person(name: str | None = "ana", role: str = "user") -> Participant:
    return Participant(ParticipantId("p"), role, {} if name is None else {"name": name})


class Agent:
    """Sends one thread to connections of people."""

    def __init__(self) -> None:
        self.memory = SentPieces()
        self.now = 1000.0

    def arrives(self, who: Participant | None = None) -> Merging:
        return Merging(connection=self.memory.arrive(who or person(), THREAD, self.now))

    def says(self, way: Merging, start: int, end: int, every: float = 1.0) -> None:
        """One character at a time."""
        for place in range(start, end):
            added(way, delta(place, place + 1), self.now)
            self.now += every

    def replay(self, end: int, who: Participant | None = None) -> list[str]:
        """The pieces that somebody who arrives now gets of the text so far."""
        return texts(added(self.arrives(who), delta(0, end), self.now))


def texts(events: list[e.ThreadEvent]) -> list[str]:
    return [x.body.text for x in events if isinstance(x.body, e.TextDelta)]


def test_what_was_surely_received_is_one_piece() -> None:
    agent = Agent()
    agent.says(agent.arrives(), 0, 200)
    first, *rest = agent.replay(200)
    received = 200 - int(RECEIVED_SECONDS)
    assert first == TEXT[:received]
    assert rest == list(TEXT[received:199])


def test_what_was_on_its_way_when_somebody_left_is_kept_until_it_is_back() -> None:
    agent = Agent()
    way = agent.arrives()
    agent.says(way, 0, 20)
    way.leave(agent.now)
    agent.now += KEPT_SECONDS - 10
    assert agent.replay(30) == [*TEXT[:19], TEXT[19:29]]
    way = agent.arrives()
    way.leave(agent.now)
    agent.now += KEPT_SECONDS + 1
    assert agent.replay(30) == [TEXT[:29]]


def test_one_who_comes_and_goes_at_once_has_received_nothing_more() -> None:
    agent = Agent()
    way = agent.arrives()
    agent.says(way, 0, 20)
    for _ in range(3):
        way.leave(agent.now)
        agent.now += SETTLED_SECONDS + 1
        way = agent.arrives()
        agent.now += 1
    assert agent.replay(30) == [*TEXT[:19], TEXT[19:29]]
    agent.now += SETTLED_SECONDS
    assert agent.replay(30) == [TEXT[:29]]


def test_a_device_that_is_away_is_waited_for_while_another_one_stays() -> None:
    agent = Agent()
    desk, phone = agent.arrives(), agent.arrives()
    agent.says(desk, 0, 20)
    phone.leave(agent.now)
    agent.now += 600
    desk.leave(agent.now)
    desk = agent.arrives()
    added(desk, delta(0, 20), agent.now)
    agent.now += SETTLED_SECONDS + 1
    agent.says(desk, 20, 25)
    pieces = agent.replay(25)
    assert "".join(pieces) == TEXT[:24]
    assert pieces[:19] == list(TEXT[:19]), "the phone may be anywhere in these"


def test_one_who_catches_up_is_cut_where_another_one_was() -> None:
    agent = Agent()
    ahead, behind = agent.arrives(), agent.arrives()
    for start in range(0, 100, 10):
        added(ahead, delta(start, start + 10), agent.now)
        agent.now += 1
    places = [9, *range(19, 100, 10)]
    snapshot = added(behind, delta(0, 45), agent.now)
    assert texts(snapshot) == [TEXT[a:b] for a, b in zip([0, *places], places[:4], strict=False)]
    later = [*added(behind, delta(45, 100), agent.now + 1), *added(behind, ended(), agent.now + 2)]
    assert texts(later) == [*(TEXT[a:b] for a, b in pairwise(places[3:])), TEXT[99:100]]


def test_one_far_behind_gets_it_in_one_piece_and_so_does_who_comes_then() -> None:
    agent = Agent()
    ahead, behind = agent.arrives(), agent.arrives()
    added(behind, delta(0, 1), agent.now)
    agent.says(behind, 1, 3, every=0.1)
    added(ahead, delta(0, 3), agent.now)
    agent.says(ahead, 3, 100, every=0.1)
    assert texts(added(behind, delta(3, 100), agent.now)) == [TEXT[2:99]]
    assert agent.replay(100) == [TEXT[0], TEXT[1], TEXT[2:99]]


def test_people_and_roles_are_told_apart() -> None:
    agent = Agent()
    agent.says(agent.arrives(), 0, 20)
    assert agent.replay(20, person("ben")) == [TEXT[:19]]
    assert agent.replay(20, person("ana", "agent")) == [TEXT[:19]]
    assert agent.replay(20, person(None)) == [TEXT[:19]]
    assert agent.replay(20) == list(TEXT[:19])


def test_output_that_is_too_long_to_be_told_again_continues_where_it_is_known() -> None:
    agent, turn, sent = Agent(), LiveTurn(), 0
    turn.note(event("started", e.ToolStarted(REF, {})))
    way = agent.arrives()
    for number in range(MAX_LOG + 200):
        log = event(f"log {number}", e.ToolLog(REF, (LogLine(f"{number}\n"),)))
        turn.note(log)
        if number < MAX_LOG:
            added(way, log, agent.now)
            agent.now += 0.03
            sent = number + 1
    way.leave(agent.now)
    again = agent.arrives()
    pieces = [x for known in turn.open_events() for x in added(again, known, agent.now)]
    logs = [x.body.lines for x in pieces if isinstance(x.body, e.ToolLog)]
    assert logs[0][0].text.startswith("… 200 earlier pieces")
    assert logs[1] == (LogLine("200\n"),)
    assert logs[-1] == tuple(LogLine(f"{n}\n") for n in range(sent, MAX_LOG + 200))


def test_stored_output_that_is_shorter_than_what_was_sent_is_told_to_its_end() -> None:
    agent = Agent()
    way = agent.arrives()
    first = event("log", e.ToolLog(REF, (LogLine("1\n"),)))
    added(way, first, agent.now)
    added(way, event("more", e.ToolLog(REF, (LogLine("2\n"), LogLine("3\n")))), agent.now + 1)
    again = agent.arrives()
    whole = replace(first, body=e.ToolLog(REF, (LogLine("1\n"), LogLine("… not stored\n"))))
    end = event("end", e.ToolEnded(REF))
    sent = [*added(again, whole, agent.now + 2), *added(again, end, agent.now + 2)]
    assert [x.body.lines for x in sent if isinstance(x.body, e.ToolLog)] == [
        (LogLine("1\n"),),
        (LogLine("… not stored\n"),),
    ]


def test_a_text_that_its_turn_left_open_is_told_to_its_end() -> None:
    agent = Agent()
    way = agent.arrives()
    sent = [
        *added(way, delta(0, 9), agent.now),
        *added(way, event("e", e.TurnEnded(e.EndReason.LOST)), agent.now),
    ]
    assert "".join(texts(sent)) == TEXT[:9]


def test_the_newest_pieces_of_an_item_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIECES", 10)
    agent = Agent()
    way = agent.arrives()
    agent.says(way, 0, 200, every=0.1)
    assert agent.memory.pieces < 20
    first, *rest = agent.replay(200)
    assert first + "".join(rest) == TEXT[:199]
    assert rest == list(TEXT[190:199])


def test_old_items_and_old_people_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 5)
    monkeypatch.setattr(module, "MAX_PEOPLE", 3)
    agent = Agent()
    for name in "abcdef":
        way = agent.arrives(person(name))
        for number in range(20):
            added(way, delta(0, 9, ItemId(f"i{number}")), agent.now)
            added(way, ended(ItemId(f"i{number}")), agent.now)
        way.leave(agent.now)
        assert agent.memory.pieces <= 2 * 5 * 3
    stay = [agent.arrives(person(name)) for name in "uvwxyz"]
    for way in stay:
        added(way, delta(0, 9), agent.now)
    assert agent.memory.pieces == 3, "the others are not remembered"


def test_what_is_over_and_received_is_forgotten() -> None:
    agent = Agent()
    way = agent.arrives()
    for number in range(50):
        item = ItemId(f"i{number}")
        for start in range(0, 40, 2):
            added(way, delta(start, start + 2, item), agent.now)
            agent.now += 1
        added(way, ended(item), agent.now)
    assert agent.memory.pieces <= 20 * (RECEIVED_SECONDS / 20 + 2)


def test_all_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IN_ALL", 100)
    agent = Agent()
    ways = [agent.arrives(person(f"{n}")) for n in range(10)]
    for place in range(200):
        for way in ways:
            added(way, delta(place, place + 1), agent.now)
        agent.now += 0.1
        assert agent.memory.pieces <= 100
    for way in ways:
        way.leave(agent.now)
    assert flows.MAX_BEHIND < module.MAX_PIECES
