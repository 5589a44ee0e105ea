"""Tokens of one turn, and how full the model's context is (page section 5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from backends.codex.shapes import as_dict
from process_agent.core.events import UsageUpdated
from process_agent.core.usage import UNMETERED, ContextWindow, Meter, ModelCall, Purpose, Usage

type CompactsAt = Callable[[int | None], int | None]
"""From the context window that Codex reports, in tokens, to the fill at which it compacts, if known."""


class TurnUsage:
    """What a turn has used: the totals of its Codex thread, less what that had used before.

    (Adding up what each notification says of the last call counts twice what a compaction repeats.) `meter`
    hears of each call.
    """

    def __init__(self, compacts_at: CompactsAt, meter: Meter = UNMETERED, purpose: Purpose = "turn") -> None:
        self._compacts_at = compacts_at
        self._meter = meter
        self._purpose: Purpose = purpose
        self._before: Usage | None = Usage()
        self.total: Usage | None = Usage()
        """Of the Codex thread, once it is known."""
        self._searched = Usage()
        self._uncounted = Usage()

    def begin(self, before: Usage | None) -> None:
        """What the Codex thread has used by now; None when it is not known: all but the first call then."""
        self._before = self.total = before

    def item_done(self, item: Mapping[str, Any]) -> None:
        """A search of the web is charged by the piece, and Codex counts none; to look at a page is none.

        It belongs to the call of the model whose tokens are told next.
        """
        action = as_dict(item.get("action")).get("type")
        if item.get("type") == "webSearch" and action in (None, "search"):
            self._searched += _SEARCH
            self._uncounted += _SEARCH

    def update(self, params: Mapping[str, Any]) -> list[UsageUpdated]:
        """Take a `thread/tokenUsage/updated`."""
        told = as_dict(params.get("tokenUsage"))
        total, last = told.get("total"), told.get("last")
        if not isinstance(total, dict) or not isinstance(last, dict):
            return []
        known, self.total = self.total, _usage(total)
        now = self.total
        if self._before is None or known is None:
            self._before = known = now - _usage(last)
        if (call := now - known + self._uncounted) != Usage():
            self._meter.used(ModelCall(call, self._purpose))
        self._uncounted = Usage()
        if now == self._before:
            return []  # a compaction begins with what was said before
        window = told.get("modelContextWindow")
        window = window if isinstance(window, int) else None
        context = ContextWindow(_count(last, "totalTokens"), window, self._compacts_at(window))
        return [UsageUpdated(now - self._before + self._searched, context)]


_SEARCH: Final = Usage(searches=1)


def _usage(counts: Mapping[str, Any]) -> Usage:
    return Usage(
        input=_count(counts, "inputTokens"),
        cached=_count(counts, "cachedInputTokens"),
        output=_count(counts, "outputTokens"),
        reasoning=_count(counts, "reasoningOutputTokens"),
        written=_count(counts, "cacheWriteInputTokens"),
    )


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) else 0
