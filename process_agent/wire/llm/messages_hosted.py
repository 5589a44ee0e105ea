"""Anthropic's own search of the web in the Messages dialect (`web_search_20250305`).

The search is a block of the assistant, what it found another, in the same answer or, after a pause, in the
next. Both go back as they came: what was found is encrypted for the provider alone.
"""

from __future__ import annotations

from typing import Any

from process_agent.core.content import Json
from process_agent.wire.llm import events as e
from process_agent.wire.llm.reader import list_of, object_of, text_of
from process_agent.wire.llm.request import Hosted, JsonObject, Replay, Text
from process_agent.wire.llm.responses_hosted import MAX_RESULTS, searched_text


def search_done(use: JsonObject | None, block: JsonObject, origin: str) -> e.HostedDone:
    """A search that is complete; `use` is its call, unless that was in the answer before."""
    query = text_of(object_of(use, "input"), "query")
    found = list_of(block, "content")[:MAX_RESULTS]
    results: list[Json] = [
        {name: text for name in ("url", "title", "page_age") if (text := text_of(entry, name))}
        for entry in found
    ]
    code = text_of(block.get("content"), "error_code")
    seen = searched_text(query, [text_of(entry, "url") for entry in found])
    items: list[Json] = [*([] if use is None else [use]), block]
    return e.HostedDone(
        text_of(block, "tool_use_id"),
        Hosted("web_search", Replay(origin, {"items": items}), (Text(seen),)),
        {} if use is None else _arguments(query),
        None if code else {"results": results},
        f"The search failed: {code.replace('_', ' ')}." if code else None,
    )


def search_open(use: JsonObject, origin: str) -> e.HostedDone:
    """A search whose results come with the next answer."""
    arguments = _arguments(text_of(object_of(use, "input"), "query"))
    hosted = Hosted("web_search", Replay(origin, {"items": [use]}), unfinished=True)
    return e.HostedDone(text_of(use, "id"), hosted, arguments)


def _arguments(query: str) -> dict[str, Any]:
    return {"query": query}
