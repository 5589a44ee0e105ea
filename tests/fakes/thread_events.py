"""Short ways to say thread events in tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from process_agent.core import events as e
from process_agent.core.content import TextPart
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId

START = datetime(2026, 5, 1, 10, tzinfo=UTC)


class TestClock:
    """A clock that moves a millisecond at each look, or when told to."""

    __test__ = False

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


class Speaker:
    """Makes events of one thread with counted ids."""

    def __init__(
        self, thread_id: str = "dataset://agents/bot/threads/t", clock: TestClock | None = None
    ) -> None:
        self.thread_id = ThreadId(thread_id)
        self.clock = clock or TestClock()
        self._ids: Iterator[int] = itertools.count(1)

    def say(self, body: e.EventBody, turn: str | None = "u1", message_id: str | None = None) -> e.ThreadEvent:
        return e.ThreadEvent(
            message_id=MessageId(message_id or f"m{next(self._ids)}"),
            thread_id=self.thread_id,
            turn_id=None if turn is None else TurnId(turn),
            created_at=self.clock(),
            body=body,
            sender_name="bot",
        )

    def begin(self, text: str = "hello", turn: str = "u1") -> list[e.ThreadEvent]:
        """A turn asked for, accepted and started."""
        source, content = MessageId(f"source-{turn}"), (TextPart(text),)
        return [
            self.say(e.TurnRequested(content, "Ana"), turn, source),
            self.say(e.TurnAccepted(source, content, "Ana"), turn),
            self.say(e.TurnStarted(source, content, "Ana"), turn),
        ]

    def text(self, *pieces: str, item: str = "i1", turn: str = "u1") -> list[e.ThreadEvent]:
        """A whole message in pieces."""
        return [
            self.say(e.TextStarted(ItemId(item), "final_answer"), turn),
            *self.deltas(*pieces, item=item, turn=turn),
            self.say(e.TextEnded(ItemId(item), "final_answer"), turn),
        ]

    def deltas(self, *pieces: str, item: str = "i1", turn: str = "u1") -> list[e.ThreadEvent]:
        return [self.say(e.TextDelta(ItemId(item), piece, "final_answer"), turn) for piece in pieces]

    def end(self, turn: str = "u1", reason: e.EndReason = e.EndReason.COMPLETED) -> e.ThreadEvent:
        return self.say(e.TurnEnded(reason), turn)


def texts(events: list[e.ThreadEvent]) -> dict[tuple[str | None, str], str]:
    """What a client shows: the concatenated deltas of each message."""
    shown: dict[tuple[str | None, str], str] = {}
    for event in events:
        if isinstance(event.body, e.TextDelta):
            key = (event.turn_id, event.body.item_id)
            shown[key] = shown.get(key, "") + event.body.text
    return shown
