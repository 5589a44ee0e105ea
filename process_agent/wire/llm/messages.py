"""Anthropic's Messages, client side: `POST {base}/v1/messages`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

import msgspec

from process_agent.wire.llm import events as e
from process_agent.wire.llm.failures import stream_error
from process_agent.wire.llm.reader import StreamReader, count_of, object_of, text_of
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Document,
    Image,
    Item,
    JsonObject,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Text,
    split_data_url,
    used_tools,
)

MAX_OUTPUT: Final = 8_192
"""Tokens of an answer where nobody says how many: the dialect demands a number, and all models take this."""

_BUDGETS: Final = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
"""Tokens of thinking for an effort (gateway page, section 4.5)."""

_CACHE: Final = {"cache_control": {"type": "ephemeral"}}

_GONE: Final = "Used earlier in this conversation. It is not available any more: do not call it."

_PLACEHOLDER: Final = {"type": "text", "text": "(The conversation goes on.)"}


def body(request: ModelRequest) -> JsonObject:
    """The request as the provider takes it. Instructions, tools and the conversation so far are marked for
    its cache.
    """
    messages = _messages(request)
    found: JsonObject = {
        "model": request.model,
        "max_tokens": request.max_output or MAX_OUTPUT,
        "messages": messages,
        "stream": True,
    }
    if request.instructions:
        found["system"] = [{"type": "text", "text": request.instructions, **_CACHE}]
    tools = _tools(request)
    if tools:
        found["tools"] = tools
        if not request.tools:
            found["tool_choice"] = {"type": "none"}
    if request.effort in _BUDGETS and request.reasons:
        budget = _BUDGETS[request.effort]
        found["thinking"] = {"type": "enabled", "budget_tokens": budget}
        found["max_tokens"] = max(found["max_tokens"], budget + MAX_OUTPUT)
    if request.output is not None:
        found["output_config"] = {
            "format": {"type": "json_schema", "schema": dict(request.output.schema)},
        }
    _mark(messages)
    return found | dict(request.extra)


def _tools(request: ModelRequest) -> list[JsonObject]:
    """The tools on offer, and those that the conversation names, without which it is refused."""
    tools = [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": dict(tool.schema) or {"type": "object", "properties": {}},
        }
        for tool in request.tools
    ]
    offered = {tool.name for tool in request.tools}
    gone = [name for name in used_tools(request.items) if name not in offered]
    return tools + [{"name": name, "description": _GONE, "input_schema": {"type": "object"}} for name in gone]


def _messages(request: ModelRequest) -> list[JsonObject]:
    """Turns of user and assistant. What the assistant says and does in one go is one message, and so are
    the results of its calls; messages of people stay as they are, the provider joins them itself.
    """
    messages: list[JsonObject] = []
    for item in request.items:
        assistant, blocks = _blocks(item, request.origin)
        if not blocks:
            continue
        role = "assistant" if assistant else "user"
        last = messages[-1] if messages else {}
        result = isinstance(item, CallOutput) and last and last["content"][-1]["type"] == "tool_result"
        if last and last["role"] == role and (assistant or result):
            last["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [dict(_PLACEHOLDER)]})
    return messages


def _blocks(item: Item, origin: str) -> tuple[bool, list[JsonObject]]:
    """Whether the assistant said it, and its content blocks."""
    match item:
        case Message(role, parts):
            return role == "assistant", list(_content(parts))
        case Reasoning(_, replay):
            return True, [dict(replay.data)] if replay is not None and replay.origin == origin else []
        case Call(call_id, name, arguments):
            return True, [{"type": "tool_use", "id": call_id, "name": name, "input": _input(arguments)}]
        case CallOutput(call_id, parts, failed):
            block: JsonObject = {
                "type": "tool_result",
                "tool_use_id": call_id,
                "content": list(_content(parts)),
            }
            return False, [block | ({"is_error": True} if failed else {})]
        case _:
            assert_never(item)


def _content(parts: Iterable[Part]) -> Iterator[JsonObject]:
    for part in parts:
        match part:
            case Text(text):
                if text.strip():  # blank blocks are refused
                    yield {"type": "text", "text": text}
            case Image(url):
                yield {"type": "image", "source": _source(url)}
            case Document(url, name):
                yield {"type": "document", "source": _source(url), **({"title": name} if name else {})}
            case _:
                assert_never(part)


def _source(url: str) -> JsonObject:
    data = split_data_url(url)
    if data is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": data[0], "data": data[1]}


def _input(arguments: str) -> Any:
    """Arguments as an object, which they have to be."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": arguments}


def _mark(messages: list[JsonObject]) -> None:
    """What was said up to now is worth keeping until the next request."""
    block = messages[-1]["content"][-1]
    if block["type"] in ("text", "image", "tool_result", "document"):
        block.update(_CACHE)


class MessagesReader(StreamReader):
    """Reads the stream of one message."""

    def __init__(self, origin: str = "") -> None:
        super().__init__(origin)
        self._kinds: dict[int, JsonObject] = {}
        self._usage: dict[str, int] = {}
        self._stop = ""

    def _take(self, event: JsonObject) -> None:
        index = count_of(event, "index")
        match event.get("type"):
            case "content_block_delta":
                self._delta(object_of(event, "delta"), index)
            case "content_block_start":
                self._block(object_of(event, "content_block"), index)
            case "content_block_stop":
                self._block_stopped(index)
            case "message_start":
                self._named(object_of(event, "message"))
                self._count(object_of(object_of(event, "message"), "usage"))
            case "message_delta":
                self._stop = text_of(object_of(event, "delta"), "stop_reason") or self._stop
                self._count(object_of(event, "usage"))
            case "message_stop":
                self._finish()
            case "error":
                self._fail(stream_error(event))
            case _:
                pass  # ping, and whatever comes later

    def _block(self, block: JsonObject, index: int) -> None:
        self._kinds[index] = block
        match block.get("type"):
            case "text":
                self._close_reasoning(None)
                self._say(text_of(block, "text"))
            case "thinking" | "redacted_thinking":
                self._begin_reasoning()
                self._think(text_of(block, "thinking"))
            case "tool_use":
                self._begin_call(index, text_of(block, "id"), text_of(block, "name"))
            case _:
                pass

    def _delta(self, delta: JsonObject, index: int) -> None:
        match delta.get("type"):
            case "text_delta":
                self._say(text_of(delta, "text"))
            case "thinking_delta":
                self._think(text_of(delta, "thinking"))
            case "signature_delta":
                block = self._kinds.setdefault(index, {})
                block["signature"] = text_of(block, "signature") + text_of(delta, "signature")
            case "input_json_delta":
                self._write_call(index, text_of(delta, "partial_json"))
            case "citations_delta":
                cited = object_of(delta, "citation")
                if url := text_of(cited, "url"):
                    self._out.append(e.Cited(url, text_of(cited, "title")))
            case _:
                pass

    def _block_stopped(self, index: int) -> None:
        block = self._kinds.pop(index, {})
        match block.get("type"):
            case "thinking" if self._reasoning:
                thought = "".join(self._thoughts)
                signature = text_of(block, "signature")
                self._close_reasoning({"type": "thinking", "thinking": thought, "signature": signature})
            case "redacted_thinking":
                self._close_reasoning({"type": "redacted_thinking", "data": text_of(block, "data")})
            case "tool_use":
                given = block.get("input")
                whole = msgspec.json.encode(given).decode() if isinstance(given, dict) and given else None
                self._close_call(index, whole)
            case _:
                pass  # texts that follow one another are one message

    def _count(self, usage: JsonObject) -> None:
        for name in (
            "input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens",
        ):
            self._usage[name] = max(self._usage.get(name, 0), count_of(usage, name))
        counted = self._usage
        if any(counted.values()):
            cached, written = counted["cache_read_input_tokens"], counted["cache_creation_input_tokens"]
            given = counted["input_tokens"] + cached + written
            self.usage = e.TokenUsage(given, cached, written, counted["output_tokens"])

    def _finish(self) -> None:
        reason = _STOPS.get(self._stop, e.StopReason.END)
        if reason not in (e.StopReason.END, e.StopReason.CALLS):
            self._calls.clear()  # cut off while it was written
        self._end(reason)


_STOPS: Final = {
    "tool_use": e.StopReason.CALLS,
    "max_tokens": e.StopReason.LENGTH,
    "model_context_window_exceeded": e.StopReason.CONTEXT,
    "refusal": e.StopReason.REFUSED,
    "pause_turn": e.StopReason.PAUSED,
}
