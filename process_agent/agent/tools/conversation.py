"""Toolkit `search`: the current thread, beyond what the model still has of it."""

from __future__ import annotations

from process_agent.agent.tools.tool import (
    Call,
    Scope,
    Tool,
    Toolkit,
    number_argument,
    parameters,
    said,
    text_argument,
)
from process_agent.core.backend import AgentMessage, UserMessage
from process_agent.core.content import FilePart, TextPart
from process_agent.core.events import ContextCompacted
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.threads.history import History

NAME = "search"
MAX_HITS = 50
MAX_RANGE = 50
MAX_MESSAGE = 4_000
"""Messages of one answer, and characters of each."""

_AROUND = 200
_ABOUT = (
    "The current conversation: its last 1,000 turns, also those that were summarised for you. Messages count "
    "from 0."
)


def search_toolkit() -> Toolkit:
    """The toolkit."""
    grep = ToolSpec(
        "grep_current_thread",
        "Find messages of this conversation that contain a text, in any case.",
        parameters(
            ["text"], text=text_argument("the text, not a pattern"), limit=number_argument("most hits")
        ),
    )
    range_ = ToolSpec(
        "get_message_range",
        "Read messages of this conversation from start on, as many as count.",
        parameters(["start"], start=number_argument("first message"), count=number_argument("how many")),
    )
    count = ToolSpec(
        "count_current_thread_messages", "How many messages this conversation has.", parameters([])
    )
    tools = (Tool(grep, _grep), Tool(range_, _range), Tool(count, _count))
    return Toolkit(NAME, _ABOUT, tools, "Search")


async def _grep(call: Call) -> ToolOutput:
    wanted = call.text("text").lower()
    limit = call.number("limit", MAX_HITS, MAX_HITS) or 1
    found = [(n, text) for n, text in enumerate(await _messages(call.scope)) if wanted in text.lower()]
    lines = [f"{n}: {_piece(text, wanted)}" for n, text in found[-limit:]]
    if len(found) > limit:
        lines.insert(0, f"[{len(found) - limit} earlier messages contain it too.]")
    return said("\n".join(lines) or "No message contains it.")


async def _range(call: Call) -> ToolOutput:
    messages = await _messages(call.scope)
    start = call.number("start", 0, len(messages))
    count = call.number("count", 10, MAX_RANGE)
    lines = [f"{n}: {_cut(text)}" for n, text in enumerate(messages[start : start + count], start)]
    return said("\n".join(lines) or f"There are {len(messages)} messages.")


async def _count(call: Call) -> ToolOutput:
    return said(str(len(await _messages(call.scope))))


async def _messages(scope: Scope) -> list[str]:
    """What people and agent said, each with who said it."""
    history = History()
    async for event in scope.log.replay():
        if not isinstance(event.body, ContextCompacted):
            history.add(event)
    found = []
    for item in history.items():
        if isinstance(item, UserMessage):
            parts = [part.text if isinstance(part, TextPart) else _named(part) for part in item.content]
            found.append(f"{item.sender_name or 'somebody'}: " + "\n".join(parts))
        elif isinstance(item, AgentMessage):
            found.append(f"you: {item.text}")
    return found


def _named(part: FilePart) -> str:
    return f"[file {part.name or part.url[:200]}]"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} […]"


def _piece(text: str, wanted: str) -> str:
    """The surroundings of the first hit, on one line."""
    at = max(text.lower().find(wanted) - _AROUND, 0)
    piece = " ".join(text[at : at + len(wanted) + 2 * _AROUND].split())
    return f"{'… ' if at else ''}{piece}"
