"""Whatever the timing, a viewer gets each item's text exactly, in legal pieces, and everything in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.channels.flows import flow_of
from process_agent.channels.merging import WINDOW, Merging, Pace
from process_agent.channels.sent_pieces import piece_id
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, GeneratedImage, LogLine
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.live import item_of
from process_agent.core.recut import is_legal
from tests.fakes.moments import added

NOW = datetime(2026, 1, 1, tzinfo=UTC)

KINDS = ("reason", "log", "arguments", "image", "drawn", "tool", "end", "restart", "usage", "due")
steps = st.lists(
    st.tuples(
        st.sampled_from(["text", "text", "text", *KINDS]),
        st.sampled_from(["i1", "i2"]),
        st.sampled_from(["a", "b", "ab", "ba", "aa", "x y"]),
        st.sampled_from([0.0, 0.001, 0.02, 0.03]),
        st.booleans(),
    ),
    max_size=60,
)


def made(body: e.EventBody, ids: count[int]) -> e.ThreadEvent:
    number = next(ids)
    at = NOW + number * timedelta(milliseconds=1)
    return e.ThreadEvent(MessageId(f"e{number}"), ThreadId("T"), TurnId("U"), at, body)


def body_of(kind: str, item: str, text: str) -> e.EventBody:
    ref = e.ToolRef(ItemId(f"tool-{item}"), "codex", "shell")
    bodies: dict[str, e.EventBody] = {
        "text": e.TextDelta(ItemId(item), text),
        "reason": e.ReasoningDelta(ItemId(f"r-{item}"), text),
        "log": e.ToolLog(ref, (LogLine(text),)),
        "arguments": e.ToolArguments(ref, text),
        "image": e.ImagePartial(ItemId(f"image-{item}"), GeneratedImage(f"data:,{text}"), 0),
        "drawn": e.ImageCompleted(ItemId(f"image-{item}"), (GeneratedImage("data:,whole"),)),
        "tool": e.ToolStarted(ref, {}),
        "end": e.TextEnded(ItemId(item)),
        "restart": e.TextStarted(ItemId(item)),
        "usage": e.Interrupted(MessageId("m")),
    }
    return bodies[kind]


@settings(max_examples=200)
@given(steps)
def test_any_timing(script: list[tuple[str, str, str, float, bool]]) -> None:
    ids, now = count(), 0.0
    merging = Merging()
    given_events: list[e.ThreadEvent] = []
    out: list[e.ThreadEvent] = []
    for kind, item, text, pause, busy in script:
        now += pause
        if kind == "due":
            out += merging.take_due(now)
            continue
        event = made(body_of(kind, item, text), ids)
        given_events.append(event)
        out += merging.add(event, now)
        if not busy:
            out += merging.take_due(now)
    for item in ("i1", "i2", "r-i1", "r-i2"):
        ended = e.ReasoningEnded(ItemId(item)) if item.startswith("r") else e.TextEnded(ItemId(item))
        given_events.append(made(ended, ids))
        out += merging.add(given_events[-1], now)
    for last in sorted({"image-i1", "image-i2"}):
        given_events.append(made(e.ImageFailed(ItemId(last), ErrorInfo("no", "no")), ids))
        out += merging.add(given_events[-1], now)
    assert merging.due is None
    assert [x for x in out if not _delta(x)] == [x for x in given_events if not _delta(x)]
    assert len({x.message_id for x in out}) == len(out)
    for of in {_item(x) for x in given_events}:
        times = [x.created_at for x in _of(of, out) if not isinstance(x.body, e.ImagePartial)]
        assert times == sorted(set(times)), "the mobile client sorts by time what it loads"
    for of in {_item(x) for x in given_events}:
        _check_item(_of(of, out), _of(of, given_events))


def _item(event: e.ThreadEvent) -> ItemId | None:
    flow = flow_of(event)
    return item_of(event.body) if flow is None else flow[1]


def _of(item_id: ItemId | None, events: list[e.ThreadEvent]) -> list[e.ThreadEvent]:
    return [x for x in events if _item(x) == item_id]


def _check_item(out: list[e.ThreadEvent], given_events: list[e.ThreadEvent]) -> None:
    """Between two starts or ends the text is the same, and each piece is legal after those before it."""
    assert _spans(out) == _spans(given_events)
    _check_images(out, given_events)
    sent = ""
    for event in out:
        match event.body:
            case e.TextDelta(_, text) | e.ReasoningDelta(_, text):
                assert is_legal(sent, text)
                sent += text
            case e.TextStarted() | e.TextEnded():
                sent = ""


def _spans(events: list[e.ThreadEvent]) -> list[str]:
    spans, arguments = [""], ""
    for event in events:
        match event.body:
            case e.TextDelta(_, text) | e.ReasoningDelta(_, text):
                spans[-1] += text
            case e.ToolLog(_, lines):
                spans[-1] += "".join(line.text for line in lines)
            case e.ToolArguments(_, delta):
                arguments += delta
            case e.TextEnded():
                spans.append("")
            case e.TextStarted():  # whatever was there is void
                spans[-1] = ""
    return [*spans, arguments]


def _delta(event: e.ThreadEvent) -> bool:
    return flow_of(event) is not None


def _check_images(out: list[e.ThreadEvent], given_events: list[e.ThreadEvent]) -> None:
    """Partial images come as they were given, in order, some left out, and none after its image is done."""
    remaining = ((event.message_id, event.body) for event in given_events)
    for event in out:
        if isinstance(event.body, e.ImagePartial | e.ImageCompleted | e.ImageFailed):
            assert (event.message_id, event.body) in remaining  # `in` moves the iterator on


def test_only_the_newest_partial_image_waits() -> None:
    merging, ids = Merging(), count()

    def partial(n: int) -> e.ThreadEvent:
        return made(e.ImagePartial(ItemId("i"), GeneratedImage(f"data:,{n}"), n), ids)

    first, *waiting, newest = (partial(n) for n in range(5))
    assert added(merging, first, 0.0) == [first]
    for event in [*waiting, newest]:
        assert merging.add(event, 0.001) == []
    assert merging.size == len("data:,4")
    assert merging.take_due(1.0) == [newest]
    merging.add(partial(6), 1.001)
    done = made(e.ImageCompleted(ItemId("i"), (GeneratedImage("data:,whole"),)), ids)
    assert merging.add(done, 1.002) == [done]
    assert merging.due is None


def test_arguments_are_merged_and_come_before_the_call() -> None:
    merging, ids = Merging(), count()
    ref = e.ToolRef(ItemId("i"), "codex", "shell")
    (first,) = added(merging, made(e.ToolArguments(ref, '{"a'), ids), 0.0)
    assert first.body == e.ToolArguments(ref, '{"a')
    assert merging.add(made(e.ToolArguments(ref, '":'), ids), 0.001) == []
    assert merging.add(made(e.ToolArguments(ref, "1}"), ids), 0.002) == []
    rest, started = merging.add(made(e.ToolStarted(ref, {"a": 1}), ids), 0.003)
    assert (rest.message_id, rest.body) == (piece_id(first.message_id, 7), e.ToolArguments(ref, '":1}'))
    assert isinstance(started.body, e.ToolStarted)


def test_the_first_at_once_and_then_one_a_window() -> None:
    ids = count()
    merging = Merging()
    first = added(merging, made(e.TextDelta(ItemId("i"), "Hello"), ids), 1.0)
    assert [x.body for x in first] == [e.TextDelta(ItemId("i"), "Hell")]
    messages = 0
    for n in range(1, 1001):
        now = 1.0 + n / 1000
        messages += len(added(merging, made(e.TextDelta(ItemId("i"), f" w{n}"), ids), now))
    assert messages <= 1 / WINDOW + 1


def test_the_window_grows_with_the_number_of_items_that_stream() -> None:
    ids, pace = count(), Pace(messages_a_second=500)
    viewers = [Merging(pace) for _ in range(200)]
    messages = 0
    for step in range(500):
        now = 10 + step / 100
        for viewer in viewers:
            messages += len(added(viewer, made(e.TextDelta(ItemId("i"), f" w{step}"), ids), now))
    assert messages < 5 * 500 + 2 * 200 + 400
    assert pace.window == 0.4
    late = viewers[0].take_due(20.0)
    assert late
    assert pace.window == WINDOW


def test_the_first_piece_keeps_the_id_of_the_first_delta() -> None:
    """So that a replay of the item is known to those who have it."""
    merging = Merging()
    delta = e.ThreadEvent(MessageId("d1"), ThreadId("T"), TurnId("U"), NOW, e.TextDelta(ItemId("i"), "a"))
    assert merging.add(delta, 0.0) == []  # one character may be held back
    second = e.ThreadEvent(MessageId("d2"), ThreadId("T"), TurnId("U"), NOW, e.TextDelta(ItemId("i"), "b"))
    (piece,) = added(merging, second, 1.0)
    assert (piece.message_id, piece.body) == ("d1", e.TextDelta(ItemId("i"), "a"))


def test_what_comes_in_the_same_moment_goes_together() -> None:
    merging, ids = Merging(), count()
    for text in ("one ", "two ", "three"):
        assert merging.add(made(e.TextDelta(ItemId("i"), text), ids), 0.0) == []
    assert merging.due == 0.0
    (piece,) = merging.take_due(0.0)
    assert isinstance(piece.body, e.TextDelta)
    assert piece.body.text.startswith("one two "), "an end may be held back"
