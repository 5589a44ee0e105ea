"""What clients need of a replay: the ids by which they know what they saw live, and times that grow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime

from process_agent.core import events as e
from process_agent.core.content import LogLine
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.threads.fold import Fold
from process_agent.threads.reading import Reading
from process_agent.threads.rows import Row, to_row

THREAD, TURN, ITEM = ThreadId("dataset://agents/a/threads/t"), TurnId("u"), ItemId("i")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHELL = e.ToolRef(ITEM, "codex", "codex", "shell")


def live(*bodies: e.EventBody) -> list[e.ThreadEvent]:
    return [e.ThreadEvent(MessageId(f"m{n}"), THREAD, TURN, NOW, body) for n, body in enumerate(bodies)]


def rows_of(events: list[e.ThreadEvent], tick_each: bool) -> list[Row]:
    fold, numbers = Fold(), itertools.count()
    stored = [row for event in events for row in (*fold.add(event), *(fold.tick() if tick_each else ()))]
    return [to_row(row, next(numbers), NOW) for row in stored]


def replay(events: list[e.ThreadEvent], tick_each: bool) -> list[e.ThreadEvent]:
    reading = Reading(THREAD)
    told = [event for row in rows_of(events, tick_each) for event in reading.feed(row)]
    return told + reading.finish()


def check(events: list[e.ThreadEvent], kind: type[e.EventBody], whole: Callable[[e.EventBody], str]) -> None:
    first = next(event for event in events if isinstance(event.body, kind))
    text = "".join(whole(event.body) for event in events if isinstance(event.body, kind))
    ended = isinstance(events[-1].body, e.TextEnded | e.ReasoningEnded | e.ToolEnded | e.TurnEnded)
    for tick_each in (False, True) if ended else (True,):
        (again,) = [event for event in replay(events, tick_each) if isinstance(event.body, kind)]
        assert again.message_id == first.message_id
        assert whole(again.body) == text


def test_a_text_comes_back_whole_with_the_id_of_its_first_delta() -> None:
    pieces = [e.TextDelta(ITEM, text) for text in ("one ", "two, ", "three ", "three")]

    def text(body: e.EventBody) -> str:
        return body.text if isinstance(body, e.TextDelta) else ""

    check(live(e.TextStarted(ITEM), *pieces, e.TextEnded(ITEM)), e.TextDelta, text)
    check(live(e.TextStarted(ITEM), *pieces), e.TextDelta, text)


def test_reasoning_too() -> None:
    pieces = [e.ReasoningDelta(ITEM, text) for text in ("hm", ", ", "hm")]

    def text(body: e.EventBody) -> str:
        return body.text if isinstance(body, e.ReasoningDelta) else ""

    check(live(e.ReasoningStarted(ITEM), *pieces, e.ReasoningEnded(ITEM)), e.ReasoningDelta, text)


def test_a_log_comes_back_whole_with_the_id_of_its_first_line() -> None:
    pieces = [e.ToolLog(SHELL, (LogLine(f"{number}\n"),)) for number in range(4)]

    def text(body: e.EventBody) -> str:
        return "".join(line.text for line in body.lines) if isinstance(body, e.ToolLog) else ""

    check(live(e.ToolStarted(SHELL, {}), *pieces, e.ToolEnded(SHELL)), e.ToolLog, text)
    check(live(e.ToolStarted(SHELL, {}), *pieces, e.TurnEnded(e.EndReason.FAILED)), e.ToolLog, text)
    check(live(e.ToolStarted(SHELL, {}), *pieces), e.ToolLog, text)


def test_times_grow_where_the_clock_stood_still() -> None:
    said: list[e.EventBody] = [e.TextStarted(ITEM), e.TextDelta(ITEM, "one"), e.TextEnded(ITEM)]
    events = live(*said, e.ToolStarted(SHELL, {}), e.ToolEnded(SHELL), e.TurnEnded(e.EndReason.COMPLETED))
    times = [event.created_at for event in replay(events, tick_each=False)]
    assert times == sorted(set(times))
    assert len(times) == 5
