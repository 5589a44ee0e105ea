"""Searches of the web are used and charged for; hooks are the status while they run, and not after."""

from __future__ import annotations

import pytest

from process_agent.core.events import UsageUpdated, Working
from process_agent.core.usage import Usage
from tests.unit.codex.test_items import feed, mapper


def test_a_hook_that_is_over_is_not_the_status_any_more() -> None:
    mapped = mapper()
    feed(mapped, "hook/started", run={"eventName": "postToolUse"})
    events = feed(mapped, "hook/completed", run={"eventName": "postToolUse", "status": "completed"})
    assert events[-1] == Working("Thinking", steerable=True)


@pytest.mark.parametrize(
    ("action", "searches"),
    [({"type": "search"}, 1), (None, 1), ({"type": "openPage"}, 0), ({"type": "x"}, 0)],
)
def test_searches_are_used_with_the_call_that_made_them(action: dict[str, str] | None, searches: int) -> None:
    mapped, counts = mapper(), {"inputTokens": 5, "totalTokens": 5}
    item = {"type": "webSearch", "id": "s", "query": "cats", "action": action}
    feed(mapped, "item/completed", item=item)
    for total in ({"inputTokens": 5}, {"inputTokens": 9}):
        (told,) = feed(mapped, "thread/tokenUsage/updated", tokenUsage={"total": total, "last": counts})
        assert isinstance(told, UsageUpdated)
        assert told.usage == Usage(input=total["inputTokens"], searches=searches)
