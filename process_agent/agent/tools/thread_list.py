"""`chat.list_threads` and `chat.grep_thread_list`: the other conversations of this agent, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from process_agent.agent.tools.tool import Call, Tool, number_argument, parameters, said, text_argument
from process_agent.core.store import ThreadEntry, ThreadStore
from process_agent.core.tools import ToolOutput, ToolSpec

MAX_LISTED = 100
MAX_SEARCHED = 10_000
"""Threads of one answer, and threads whose names are looked through."""

_PAGE = 200


@dataclass(frozen=True, slots=True)
class ThreadListTools:
    """Names and dates of threads; what was said in them is not told."""

    store: ThreadStore

    def tools(self) -> tuple[Tool, ...]:
        """The tools."""
        listing = ToolSpec(
            "list_threads",
            "List the conversations of this agent, the newest first.",
            parameters([], limit=number_argument("how many"), offset=number_argument("how many to skip")),
        )
        grep = ToolSpec(
            "grep_thread_list",
            "Find conversations of this agent whose name contains a text, in any case.",
            parameters(["text"], text=text_argument("the text, not a pattern")),
        )
        return (Tool(listing, self._list), Tool(grep, self._grep))

    async def _list(self, call: Call) -> ToolOutput:
        limit = call.number("limit", 20, MAX_LISTED) or 1
        page, total = await self.store.list(limit, call.number("offset", 0, 1_000_000))
        return said("\n".join([f"{total} conversations", *_lines(page, call)]))

    async def _grep(self, call: Call) -> ToolOutput:
        wanted, found, offset = call.text("text").lower(), list[ThreadEntry](), 0
        while offset < MAX_SEARCHED:
            page, total = await self.store.list(_PAGE, offset)
            found += [entry for entry in page if wanted in entry.name.lower()]
            offset += _PAGE
            if not page or offset >= total or len(found) >= MAX_LISTED:
                break
        return said("\n".join(_lines(found[:MAX_LISTED], call)) or "No conversation has it in its name.")


def _lines(entries: Sequence[ThreadEntry], call: Call) -> list[str]:
    return [
        f"{entry.modified_at:%Y-%m-%d %H:%M} {' '.join(entry.name.split())[:100]} {entry.path}"
        + (" (this one)" if entry.path == call.scope.thread_id else "")
        for entry in entries
    ]
