"""Whatever a client loses, and however often it comes back: it shows each item exactly.

A person has two devices. Messages are on their way until they are delivered; a connection that breaks loses
the end of what was on its way. The agent hears of it at once, or late: until then it goes on sending. A
client keeps what it shows, or begins anew. Clients append, as Python and React do, or follow Flutter's rule.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.channels.merging import Merging, Pace
from process_agent.channels.sent_pieces import SentPieces
from process_agent.core import events as e
from process_agent.core.content import LogLine
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.live import LiveTurn
from process_agent.core.participants import Participant
from process_agent.wire.agent_messages import encode_event
from tests.fakes.flutter_rules import FlutterThread
from tests.fakes.react_rules import ReactThread

THREAD, TURN = ThreadId("dataset://a/b"), TurnId("u")
NOW, TICK = datetime(2026, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
"""Times grow by one tick, the least that they do."""
ITEMS = ("text", "thought", "log", "call")
LOG, CALL = (e.ToolRef(ItemId(item), "codex", "shell") for item in ("log", "call"))


def delta_of(item: str, text: str, *, whole: bool = False) -> e.EventBody:
    bodies: dict[str, e.EventBody] = {
        "text": e.TextDelta(ItemId(item), text, whole=whole),
        "thought": e.ReasoningDelta(ItemId(item), text, whole=whole),
        "log": e.ToolLog(LOG, tuple(map(LogLine, text))),
        "call": e.ToolArguments(CALL, text),
    }
    return bodies[item]


START: dict[str, e.EventBody | None] = {
    "text": e.TextStarted(ItemId("text")),
    "thought": e.ReasoningStarted(ItemId("thought")),
    "log": e.ToolStarted(LOG, {}),
    "call": None,
}
END: dict[str, e.EventBody] = {
    "text": e.TextEnded(ItemId("text")),
    "thought": e.ReasoningEnded(ItemId("thought")),
    "log": e.ToolEnded(LOG),
    "call": e.ToolStarted(CALL, {}),
}


class Screen:
    """What one device shows. The small models of the clients know no arguments: these are appended here."""

    def __init__(self) -> None:
        self.flutter, self.react = FlutterThread(), ReactThread()
        self.call = ""
        self._known: set[str] = set()

    def take(self, event: e.ThreadEvent) -> None:
        if isinstance(event.body, e.ToolArguments):
            if event.message_id not in self._known:
                self._known.add(event.message_id)
                self.call += event.body.delta
            return
        message: dict[str, Any] = dict(encode_event(event))
        self.flutter.take(message)
        self.react.take(message)

    def check(self, said: dict[str, str]) -> None:
        shown = sorted(said[item] for item in ITEMS if item != "call" and said[item])
        assert sorted(x.text for x in self.flutter.bubbles if x.text) == shown
        assert sorted(x.text for x in self.react.lines if x.text) == shown
        assert self.call == said["call"]


class Device:
    """One device, and the connections that the agent has to it: only the last one can be delivered to."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.screen = Screen()
        self.ways: list[Merging] = []
        self.flight: deque[e.ThreadEvent] = deque()
        self.connected = self.busy = False
        self._held: list[e.ThreadEvent] | None = None

    def show(self, event: e.ThreadEvent) -> None:
        for way in self.ways:
            if way is self.ways[-1] and self._held is not None:
                self._held.append(event)
            else:
                self._add(way, event)

    def _add(self, way: Merging, event: e.ThreadEvent) -> None:
        self._send(way, way.add(event, self._house.now))
        if not self.busy:
            self._send(way, way.take_due(self._house.now))

    def wait(self) -> None:
        for way in self.ways:
            if not self.busy:
                self._send(way, way.take_due(self._house.now))

    def _send(self, way: Merging, events: list[e.ThreadEvent]) -> None:
        if self.connected and way is self.ways[-1]:
            self.flight.extend(events)

    def deliver(self, most: int) -> None:
        for _ in range(min(most, len(self.flight))):
            self.screen.take(self.flight.popleft())

    def breaks(self, *, noticed: bool) -> None:
        self.loaded()
        self.connected = False
        self.flight.clear()
        if noticed:
            self.noticed()

    def noticed(self) -> None:
        """The agent hears that connections are over, but for one that is not."""
        live = self.ways[-1:] if self.connected else []
        for way in self.ways[: len(self.ways) - len(live)]:
            way.leave(self._house.now)
        self.ways = live

    def comes(self) -> None:
        if self.connected:
            return
        self.connected = True
        self.ways.append(self._house.way())
        self.opens()

    def opens(self) -> None:
        """Open the thread, again or for the first time. What happens meanwhile is held back."""
        if self.connected and self._held is None:
            self._held = self._house.so_far()

    def loaded(self) -> None:
        """What was stored and is open goes out, and what happened since."""
        held, self._held = self._held or [], None
        for event in held:
            self._add(self.ways[-1], event)


class House:
    """The agent: what was said, and what it remembers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said = dict.fromkeys(ITEMS, "")
        self.ended: set[str] = set()
        self.memory = SentPieces()
        self.pace = Pace()
        self._ids, self._people = count(), count()
        self._live = LiveTurn()
        self._first: dict[str, e.ThreadEvent] = {}
        self.devices = [Device(self), Device(self)]

    def way(self) -> Merging:
        ana = Participant(ParticipantId(f"p{next(self._people)}"), "user", {"name": "ana"})
        return Merging(self.pace, self.memory.arrive(ana, THREAD, self.now))

    def say(self, item: str, text: str) -> None:
        if item in self.ended:
            return
        if not self.said[item] and (start := START[item]) is not None:
            self._show(start)
        self.said[item] += text
        event = self._show(delta_of(item, text))
        self._first.setdefault(item, event)

    def end(self, item: str) -> None:
        if self.said[item] and item not in self.ended:
            self.ended.add(item)
            self._show(END[item])

    def _show(self, body: e.EventBody) -> e.ThreadEvent:
        number = next(self._ids)
        event = e.ThreadEvent(MessageId(f"m{number}"), THREAD, TURN, NOW + number * TICK, body)
        self._live.note(event)
        for device in self.devices:
            device.show(event)
        return event

    def so_far(self) -> list[e.ThreadEvent]:
        """As the store has it, then what is open."""
        stored = [event for item in sorted(self.ended) for event in self._stored(item)]
        events = stored + self._live.open_events()
        return [replace(x, created_at=NOW + n * TICK) for n, x in enumerate(events)]

    def _stored(self, item: str) -> list[e.ThreadEvent]:
        whole = replace(self._first[item], body=delta_of(item, self.said[item], whole=True))
        end = replace(whole, message_id=MessageId(f"end {item}"), body=END[item])
        start = START["log"] if item == "log" else None  # texts have no such row
        began = [] if start is None else [replace(whole, message_id=MessageId("began"), body=start)]
        return [*began, whole, end]


OFTEN = {"say": 8, "deliver": 3, "come": 2, "loaded": 3}
SELDOM = ["end", "break", "vanish", "noticed", "anew", "reload", "busy"]
steps = st.lists(
    st.tuples(
        st.sampled_from([kind for kind, times in OFTEN.items() for _ in range(times)] + SELDOM),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from(["text", "text", "text", *ITEMS]),
        st.text(alphabet="ab\n", min_size=1, max_size=4),
        st.sampled_from([0.0, 0.001, 0.02, 0.03, 0.5]),
    ),
    max_size=60,
)


def play(house: House, script: list[tuple[str, int, str, str, float]]) -> None:
    for kind, number, item, text, pause in script:
        house.now += pause
        if kind == "say":
            house.say(item, text)
        elif kind == "end":
            house.end(item)
        else:
            act(house.devices[number], kind, len(text))
        for each in house.devices:
            each.wait()


def act(device: Device, kind: str, size: int) -> None:
    match kind:
        case "deliver":
            device.deliver(size)
        case "break" | "vanish":
            device.breaks(noticed=kind == "break")
        case "noticed":
            device.noticed()
        case "come":
            device.comes()
        case "anew":
            device.breaks(noticed=size % 2 == 0)
            device.screen = Screen()
            device.comes()
        case "reload":
            device.opens()
        case "loaded":
            device.loaded()
        case "busy":
            device.busy = not device.busy


def finish(house: House) -> None:
    """Everybody comes back, and everything is said."""
    for device in house.devices:
        device.busy = False
        device.comes()
        device.loaded()
    for item in ITEMS:
        house.say(item, "ab")
        house.end(item)
    late = Device(house)
    house.devices.append(late)
    late.comes()
    late.loaded()
    sorting = FlutterThread()
    sorting.drain([dict(encode_event(x)) for x in late.flight])
    for device in house.devices:
        device.deliver(len(device.flight))
        device.screen.check(house.said)
    assert sorted(x.text for x in sorting.bubbles if x.text) == sorted(
        house.said[item] for item in ITEMS if item != "call" and house.said[item]
    )


@settings(max_examples=600)
@given(steps)
def test_whatever_is_lost_everybody_shows_it_exactly(script: list[tuple[str, int, str, str, float]]) -> None:
    house = House()
    house.devices[0].comes()
    house.devices[0].loaded()
    play(house, script)
    finish(house)


@settings(max_examples=300)
@given(steps, st.booleans(), st.booleans())
def test_the_next_agent_repeats_nothing_to_who_has_it_all(
    script: list[tuple[str, int, str, str, float]], busy: bool, lately: bool
) -> None:
    """It remembers only what is stored. However a client got it all, it knows the first id of each text."""
    house = House()
    first = house.devices[0]
    first.comes()
    first.loaded()
    play(house, [step for step in script if step[0] in {"say", "deliver", "end", "busy"} and not step[1]])
    finish(house)
    house.memory = SentPieces()
    device = Device(house) if lately else first
    for _ in range(3):
        device.breaks(noticed=True)
        device.busy = busy
        device.comes()
        device.loaded()
        device.deliver(len(device.flight))
        device.screen.check(house.said)
        house.memory, busy = SentPieces(), not busy
