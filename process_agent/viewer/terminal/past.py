"""The turns of an open thread that happened before those on the screen, shown when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import RenderableType
from rich.text import Text

from process_agent.viewer.items import Turn
from process_agent.viewer.terminal import render
from process_agent.viewer.terminal.plain import count
from process_agent.viewer.terminal.scroll import Scroll
from process_agent.viewer.updates import Older
from process_agent.viewer.view import ThreadView

RECENT_TURNS = 20
"""Turns of an opened thread that are shown, and earlier ones each time somebody asks."""

LOADED_TURNS = 100
"""Turns of an opened thread that are asked for at first."""


class Past:
    """What was left out of one thread: turns that came and were not shown, and those the agent still has."""

    def __init__(self, show: Callable[[Sequence[RenderableType]], None], me: str | None) -> None:
        self.width = 80
        self._show = show
        self._me = me
        self._left_out: list[Turn] = []

    def opened(self, view: ThreadView, scroll: Scroll) -> list[RenderableType]:
        """Leave all but the last turns out; the line that says so, if there are any."""
        self._left_out = scroll.skip(view.transcript, RECENT_TURNS)
        return self._earlier(view)

    def forget(self) -> None:
        """The thread was cleared, or another one is opened."""
        self._left_out = []

    async def show(self, view: ThreadView | None) -> None:
        """Show the turns before the first one shown, or ask the agent for them."""
        if view is not None and self._left_out:
            shown, self._left_out = self._left_out[-RECENT_TURNS:], self._left_out[:-RECENT_TURNS]
            self._show_turns(view, shown)
        elif view is None or not view.has_older:
            self._show([render.notice("There are no earlier turns.")])
        elif await view.older(RECENT_TURNS):
            self._show([render.notice("Reading earlier turns …")])

    def came(self, view: ThreadView, older: Older) -> None:
        """What the agent was asked for."""
        if older.error is None:
            self._show_turns(view, older.turns)
        else:
            text = f"Earlier turns cannot be read: {older.error.message}"
            self._show([render.warning(f"{text} /open the thread again.")])

    def _show_turns(self, view: ThreadView, turns: Sequence[Turn]) -> None:
        title = render.notice(f"── {count(len(turns), 'earlier turn')} ──")
        shown = Scroll(self._me).past(turns, self.width)
        end = render.notice("── what came after them is further up ──")
        self._show([*self._earlier(view), Text(), title, *shown, Text(), end])

    def _earlier(self, view: ThreadView) -> list[RenderableType]:
        if not self._left_out and not view.has_older:
            return []
        known = count(len(self._left_out), "earlier turn") if self._left_out else "earlier turns"
        more = " and more before" if self._left_out and view.has_older else ""
        return [render.notice(f"… {known}{more}; /older shows them")]
