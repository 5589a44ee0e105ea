"""Anthropic's Messages, client side: `POST {base}/v1/messages`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

import msgspec

from process_agent.core.content import Json
from process_agent.wire.llm import events as e
from process_agent.wire.llm.failures import stream_error
from process_agent.wire.llm.messages_hosted import search_done, search_open
from process_agent.wire.llm.reader import StreamReader, count_of, object_of, text_of
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Document,
    Hosted,
    Image,
    Item,
    JsonObject,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Replay,
    Text,
    replayed,
    split_data_url,
)

MAX_OUTPUT: Final = 8_192
"""Tokens of an answer where nobody says how many: the dialect demands a number, and all models take this."""

_BUDGETS: Final = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
"""Tokens of thinking for an effort (gateway page, section 4.5)."""

_USUAL: Final = "high"
"""The effort of models that decide themselves how long to think, where none is asked for."""

_CACHE: Final = {"cache_control": {"type": "ephemeral"}}

_SEARCH: Final = {"type": "web_search_20250305", "name": "web_search", "max_uses": 10}

_GONE: Final = "Used earlier in this conversation. It is not available any more: do not call it."

_PLACEHOLDER: Final = {"type": "text", "text": "(The conversation goes on.)"}


def longest(reasons: bool, effort: str | None, max_output: int | None, adaptive: bool = False) -> int:
    """Tokens of the longest answer that a request allows, with what the model thinks before; conversation and
    answer have to fit together.
    """
    asked = effort or (_USUAL if adaptive else "")
    budget = _BUDGETS.get(asked, 0) if reasons else 0
    return max(max_output or MAX_OUTPUT, budget + MAX_OUTPUT if budget else 0)


def body(request: ModelRequest) -> JsonObject:
    """The request as the provider takes it. Instructions, tools and the conversation so far are marked for
    its cache.
    """
    talk = request.built.made(
        "messages", request.origin, request.items, _Talk, lambda talk, item: talk.add(request.origin, item)
    )
    messages = talk.marked()
    found: JsonObject = {
        "model": request.model,
        "max_tokens": longest(request.reasons, request.effort, request.max_output, request.adaptive),
        "messages": messages,
        "stream": True,
    }
    if request.instructions:
        found["system"] = [{"type": "text", "text": request.instructions, **_CACHE}]
    tools = _tools(request, talk.called)
    if tools:
        found["tools"] = tools
        if not request.tools and not request.search:
            found["tool_choice"] = {"type": "none"}
    output: JsonObject = {}
    if request.reasons and request.adaptive:  # these refuse a budget, and keep their thoughts unless asked
        found["thinking"] = {"type": "adaptive", "display": "summarized"}
        if request.effort in _BUDGETS:
            output["effort"] = request.effort
    elif request.effort in _BUDGETS and request.reasons:
        found["thinking"] = {"type": "enabled", "budget_tokens": _BUDGETS[request.effort]}
    if request.output is not None:
        output["format"] = {"type": "json_schema", "schema": dict(request.output.schema)}
    if output:
        found["output_config"] = output
    return found | dict(request.extra)


def _tools(request: ModelRequest, called: Iterable[str]) -> list[JsonObject]:
    """The tools on offer, and those that the conversation names, without which it is refused."""
    tools: list[JsonObject] = [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": dict(tool.schema) or {"type": "object", "properties": {}},
        }
        for tool in request.tools
    ]
    offered = {tool.name for tool in request.tools}
    gone = [name for name in called if name not in offered]
    if request.search:
        tools.append({**_SEARCH})
    return tools + [{"name": name, "description": _GONE, "input_schema": {"type": "object"}} for name in gone]


class _Talk:
    """Turns of user and assistant. What the assistant says and does in one go is one message, and so are the
    results of its calls; messages of people stay as they are, the provider joins them itself.
    """

    def __init__(self) -> None:
        self._messages: list[JsonObject] = []
        self.called: dict[str, None] = {}
        """Names of the tools that were called."""

    def add(self, origin: str, item: Item) -> None:
        """Something more was said or done."""
        assistant, blocks = _blocks(item, origin)
        if isinstance(item, Call):
            self.called.setdefault(item.name)
        if not blocks:
            return
        role = "assistant" if assistant else "user"
        last = self._messages[-1] if self._messages else {}
        result = isinstance(item, CallOutput) and last and last["content"][-1]["type"] == "tool_result"
        if last and last["role"] == role and (assistant or result):
            last["content"] += blocks
        else:
            self._messages.append({"role": role, "content": blocks})

    def marked(self) -> list[JsonObject]:
        """The messages, marked as worth keeping until the next request: that stands in the last one, which is
        another object for it.
        """
        messages = [*self._messages]
        if not messages or messages[0]["role"] == "assistant":
            messages.insert(0, {"role": "user", "content": [dict(_PLACEHOLDER)]})
        *before, block = messages[-1]["content"]
        if block["type"] in ("text", "image", "tool_result", "document"):
            block = {**block, **_CACHE}
        messages[-1] = {**messages[-1], "content": [*before, block]}
        return messages


def _blocks(item: Item, origin: str) -> tuple[bool, list[JsonObject]]:
    """Whether the assistant said it, and its content blocks."""
    match item:
        case Message(role, parts):
            return role == "assistant", list(_content(parts, origin))
        case Hosted(_, replay):
            return True, replayed(replay) if replay.origin == origin else []
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


def _content(parts: Iterable[Part], origin: str = "") -> Iterator[JsonObject]:
    for part in parts:
        match part:
            case Text(text, cited):
                if text.strip():  # blank blocks are refused
                    sources = cited.data if cited is not None and cited.origin == origin else {}
                    yield {"type": "text", "text": text, **sources}
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


class MessagesReader(StreamReader):
    """Reads the stream of one message."""

    def __init__(self, origin: str = "") -> None:
        super().__init__(origin)
        self._kinds: dict[int, JsonObject] = {}
        self._usage: dict[str, int] = {}
        self._texts: list[tuple[list[str], list[Json]]] = []
        self._searches: dict[str, JsonObject] = {}
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
                if not self._texting:
                    self._texts = []
                self._texts.append(([], []))
                self._write(text_of(block, "text"))
            case "server_tool_use" | "web_search_tool_result":
                self._close_text()
                self._close_reasoning(None)
                if block.get("name") == "web_search":
                    self._out.append(e.HostedBegun(text_of(block, "id"), "web_search"))
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
                self._write(text_of(delta, "text"))
            case "thinking_delta":
                self._think(text_of(delta, "thinking"))
            case "signature_delta":
                block = self._kinds.setdefault(index, {})
                block["signature"] = text_of(block, "signature") + text_of(delta, "signature")
            case "input_json_delta":
                block = self._kinds.get(index, {})
                if block.get("type") == "server_tool_use":
                    block["written"] = text_of(block, "written") + text_of(delta, "partial_json")
                self._write_call(index, text_of(delta, "partial_json"))
            case "citations_delta":
                cited = object_of(delta, "citation")
                if self._texts:
                    self._texts[-1][1].append(cited)
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
            case "server_tool_use":
                self._searches[text_of(block, "id")] = _use(block)
            case "web_search_tool_result":
                self._searched(block)
            case _:
                pass  # texts that follow one another are one message

    def _write(self, text: str) -> None:
        if text and not self._texts:
            self._texts.append(([], []))
        if text:
            self._texts[-1][0].append(text)
        self._say(text)

    def _text_parts(self) -> tuple[Text, ...]:
        texts, self._texts = self._texts, []
        if not any(cited for _, cited in texts):
            return ()
        return tuple(
            Text("".join(text), Replay(self._origin, {"citations": cited}) if cited else None)
            for text, cited in texts
        )

    def _searched(self, block: JsonObject) -> None:
        """What a search found; its call may be in the answer before."""
        call_id = text_of(block, "tool_use_id")
        use = self._searches.pop(call_id, None)
        self._out.append(search_done(use, block, self._origin))

    def _count(self, usage: JsonObject) -> None:
        counted, details = self._usage, object_of(usage, "output_tokens_details")
        told = {name: count_of(usage, name) for name in _COUNTS}
        told["thinking_tokens"] = count_of(details, "thinking_tokens")
        told["searches"] = count_of(object_of(usage, "server_tool_use"), "web_search_requests")
        for name, number in told.items():
            counted[name] = max(counted.get(name, 0), number)
        if any(counted.values()):
            cached, written = counted["cache_read_input_tokens"], counted["cache_creation_input_tokens"]
            given, output = counted["input_tokens"] + cached + written, counted["output_tokens"]
            thought, searches = counted["thinking_tokens"], counted["searches"]
            self.usage = e.TokenUsage(given, cached, written, output, thought, searches)

    def _finish(self) -> None:
        for use in self._searches.values() if self._stop == "pause_turn" else ():
            self._out.append(search_open(use, self._origin))
        self._searches.clear()
        reason = _STOPS.get(self._stop, e.StopReason.END)
        if reason not in (e.StopReason.END, e.StopReason.CALLS):
            self._calls.clear()  # cut off while it was written
        self._end(reason)


def _use(block: JsonObject) -> JsonObject:
    """The block of a call of the provider's own tool, as it wants to see it again."""
    written = text_of(block, "written")
    given = _input(written) if written else object_of(block, "input")
    return {**{name: value for name, value in block.items() if name != "written"}, "input": given}


_COUNTS: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)

_STOPS: Final = {
    "tool_use": e.StopReason.CALLS,
    "max_tokens": e.StopReason.LENGTH,
    "model_context_window_exceeded": e.StopReason.CONTEXT,
    "refusal": e.StopReason.REFUSED,
    "pause_turn": e.StopReason.PAUSED,
}
