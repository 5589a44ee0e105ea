"""The word that a stop is heard goes ahead of text that waits to be sent together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from process_agent.channels.merging import Merging
from process_agent.core import events as e
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, body: e.EventBody) -> e.ThreadEvent:
    at = NOW + number * timedelta(milliseconds=1)
    return e.ThreadEvent(MessageId(f"e{number}"), ThreadId("T"), TurnId("U"), at, body)


def test_text_that_waits_does_not_go_for_it() -> None:
    item, merging = ItemId("i"), Merging()
    merging.add(event(0, e.TextStarted(item)), 0.0)
    merging.add(event(1, e.TextDelta(item, "now")), 0.0)
    assert len(merging.take_due(0.0)) == 1
    assert merging.add(event(2, e.TextDelta(item, "later")), 0.001) == []
    accepted = event(3, e.InterruptAccepted(MessageId("m")))
    assert merging.add(accepted, 0.002) == [accepted]
    status = event(4, e.Status("Interrupting"))
    assert merging.add(status, 0.002) == [status]
    assert merging.size
    told = [*merging.add(event(5, e.TextEnded(item)), 0.003)]
    assert [type(each.body) for each in told] == [e.TextDelta, e.TextEnded]
    assert isinstance(told[0].body, e.TextDelta)
    assert told[0].body.text.endswith("later")
    assert status.created_at < told[0].created_at < told[1].created_at, "clients sort by time"
