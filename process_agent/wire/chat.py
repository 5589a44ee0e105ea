"""The Chat Completions dialect, server side: what a request asks, in the terms of `wire.responses`.

The dialect is OpenAI's `POST /v1/chat/completions`. The answer is built by `wire.chat_stream`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from process_agent.errors import WireError
from process_agent.wire.responses import (
    Call,
    CallOutput,
    InputItem,
    Message,
    ResponsesRequest,
    Tool,
    properties,
    request_object,
    texts,
)


def parse_request(body: bytes) -> ResponsesRequest:
    """Parse a request body. Raises `WireError` that says which member is wrong."""
    raw = request_object(body)
    messages = raw.get("messages")
    if not isinstance(messages, list):
        raise WireError("`messages` is not a list.")
    items = [item for index, message in enumerate(messages) for item in _items(message, f"messages[{index}]")]
    key = raw.get("prompt_cache_key") or raw.get("user")
    return ResponsesRequest(
        model=str(raw["model"]),
        input=tuple(items),
        tools=tuple(_tools(raw.get("tools") or [])),
        stream=raw.get("stream") is True,
        cache_key=key if isinstance(key, str) else None,
    )


def _items(raw: object, where: str) -> Iterator[InputItem]:
    if not isinstance(raw, dict):
        raise WireError(f"`{where}` is not an object.")
    said = texts(raw.get("content"), f"{where}.content")
    match raw.get("role"):
        case "tool":
            yield CallOutput(str(raw.get("tool_call_id")), "\n".join(said))
        case "user" | "system" | "developer" | "assistant" as role:
            if any(said):
                yield Message(role, said)
            yield from _calls(raw.get("tool_calls") or [], where)
        case _:
            raise WireError(f"`{where}.role` is none of user, assistant, system, developer, tool.")


def _calls(raw: Any, where: str) -> Iterator[InputItem]:
    for call in raw if isinstance(raw, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise WireError(f"`{where}.tool_calls` holds an entry without a function.")
        yield Call(str(call.get("id")), str(function.get("name")), str(function.get("arguments")))


def _tools(raw: Any) -> Iterator[Tool]:
    for tool in raw if isinstance(raw, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise WireError("`tools` holds an entry without a function.")
        yield Tool("function", function["name"], None, properties(function.get("parameters")))
