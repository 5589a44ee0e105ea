"""The Messages dialect, server side: what a request asks, in the terms of `wire.responses`.

The dialect is Anthropic's `POST /v1/messages`. What has no use for a server that makes no real answers, like
thinking and images, becomes an `OtherItem` or is left out. The answer is built by `wire.messages_stream`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from process_agent.errors import WireError
from process_agent.wire.responses import (
    Call,
    CallOutput,
    InputItem,
    JsonObject,
    Message,
    OtherItem,
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
    if not isinstance(raw.get("max_tokens"), int):
        raise WireError("`max_tokens` is missing.")
    system = texts(raw.get("system"), "system")
    items: list[InputItem] = [Message("system", system)] if system else []
    for index, message in enumerate(messages):
        items += _items(message, f"messages[{index}]")
    metadata = raw.get("metadata")
    key = metadata.get("user_id") if isinstance(metadata, dict) else None
    return ResponsesRequest(
        model=str(raw["model"]),
        input=tuple(items),
        tools=tuple(_tools(raw.get("tools") or [])),
        stream=raw.get("stream") is True,
        cache_key=key if isinstance(key, str) else None,
    )


def _items(raw: object, where: str) -> Iterator[InputItem]:
    if not isinstance(raw, dict) or raw.get("role") not in ("user", "assistant", "system"):
        raise WireError(f"`{where}.role` is none of user, assistant, system.")
    role, content = raw["role"], raw.get("content")
    if isinstance(content, str):
        yield Message(role, (content,))
        return
    if not isinstance(content, list):
        raise WireError(f"`{where}.content` is neither text nor a list.")
    said: list[str] = []
    for block in content:
        if not isinstance(block, dict):
            raise WireError(f"`{where}.content` holds something that is no object.")
        if block.get("type") == "text":
            said.append(str(block.get("text", "")))
            continue
        if said:
            yield Message(role, tuple(said))
            said = []
        yield _block(block, where)
    if said:
        yield Message(role, tuple(said))


def _block(block: JsonObject, where: str) -> InputItem:
    match block.get("type"):
        case "tool_use":
            arguments = msgspec.json.encode(block.get("input")).decode()
            return Call(str(block.get("id")), str(block.get("name")), arguments)
        case "tool_result":
            output = "\n".join(texts(block.get("content"), f"{where}.content"))
            return CallOutput(str(block.get("tool_use_id")), output)
        case kind:
            return OtherItem(str(kind))


def _tools(raw: Any) -> Iterator[Tool]:
    if not isinstance(raw, list):
        raise WireError("`tools` is not a list.")
    for tool in raw:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise WireError("`tools` holds an entry without a name.")
        kind = "function" if "input_schema" in tool else str(tool.get("type"))
        yield Tool(kind, tool["name"], None, properties(tool.get("input_schema")))
