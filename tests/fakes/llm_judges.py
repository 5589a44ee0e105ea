"""The official SDKs as judges: the same bytes, in any pieces, read by them, in the words of our readers."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from types import ModuleType
from typing import Any

import anthropic
import msgspec
import openai

from process_agent.core.providers import Dialect
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.llm.events import StopReason, TokenUsage


@dataclass
class Heard:
    """All that both know of an answer. `kept` is what of its reasoning goes back, as the dialect has it."""

    id: str | None = None
    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    cited: list[tuple[str, str]] = field(default_factory=list)
    searched: list[tuple[str, str]] = field(default_factory=list)
    usage: TokenUsage | None = None
    stop: StopReason | None = None


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The same in pieces."""
    edges = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def ours(dialect: Dialect, pieces: Sequence[bytes]) -> Heard:
    """What our reader makes of it."""
    reader = CODECS[dialect].reader("me")
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.eof()
    heard = Heard(reader.response_id)
    for event in events:
        match event:
            case e.TextDelta(text, refusal):
                heard.refusal += text if refusal else ""
                heard.text += "" if refusal else text
            case e.ReasoningDelta(text):
                heard.reasoning += text
            case e.Used(usage):
                heard.usage = usage
            case e.Ended(reason):
                heard.stop = reason
            case _:
                _add(heard, event)
    return heard


def _add(heard: Heard, event: e.StreamEvent) -> None:
    match event:
        case e.ReasoningDone(reasoning) if reasoning.replay is not None:
            heard.kept.append(reasoning.replay.data)
        case e.CallDone(_, call):
            heard.calls.append((call.call_id, call.name, same(call.arguments)))
        case e.Cited(url, title):
            heard.cited.append((url, title))
        case e.HostedDone(call_id, _, arguments):
            heard.searched.append((call_id, str(arguments.get("query"))))
        case _:
            pass


def same(arguments: str) -> str:
    """Arguments in one form: Anthropic's client tells them as an object."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def _http(sdk: ModuleType) -> Any:
    """The HTTP library that an SDK is built on: httpx, or a later one of the same form."""
    base = next(each for each in sdk.DefaultAsyncHttpxClient.__mro__ if each.__name__ == "AsyncClient")
    return importlib.import_module(base.__module__.partition(".")[0])


class Judges:
    """Both clients, which are given answers instead of asking anybody."""

    def __init__(self) -> None:
        self._openai = openai.AsyncOpenAI(max_retries=0, **self._given(openai))
        self._anthropic = anthropic.AsyncAnthropic(max_retries=0, **self._given(anthropic))
        self._next: Sequence[bytes] = ()

    async def close(self) -> None:
        """Close both."""
        await self._openai.close()
        await self._anthropic.close()

    def _given(self, sdk: ModuleType) -> dict[str, Any]:
        http = _http(sdk)

        async def pieces() -> AsyncIterator[bytes]:
            for piece in self._next:
                yield piece

        def answer(request: Any) -> Any:
            return http.Response(200, headers={"content-type": "text/event-stream"}, content=pieces())

        client = http.AsyncClient(transport=http.MockTransport(answer))
        return {"api_key": "k", "base_url": "http://judge.invalid/v1", "http_client": client}

    async def judge(self, dialect: Dialect, pieces: Sequence[bytes]) -> Heard:
        """What the SDK makes of it."""
        self._next = pieces
        match dialect:
            case "responses":
                return await self._responses()
            case "chat":
                return await self._chat()
            case "messages":
                return await self._messages()

    async def _responses(self) -> Heard:
        heard, final = Heard(), None
        async for event in await self._openai.responses.create(model="m", input="x", stream=True):
            match event.type:
                case "response.output_text.delta":
                    heard.text += event.delta
                case "response.refusal.delta":
                    heard.refusal += event.delta
                case "response.reasoning_summary_text.delta":
                    heard.reasoning += event.delta
                case "response.completed" | "response.incomplete":
                    final = event.response
                case _:
                    pass
        assert final is not None
        heard.id = final.id
        for item in final.output:
            self._item(item, heard)
        if final.usage is not None:
            heard.usage = _of_openai(
                final.usage.input_tokens,
                final.usage.input_tokens_details,
                final.usage.output_tokens,
                final.usage.output_tokens_details,
                searches=len([item for item in final.output if _charged(item)]),
            )
        why = final.incomplete_details.reason if final.incomplete_details else None
        heard.stop = {
            None: StopReason.CALLS if heard.calls else StopReason.END,
            "max_output_tokens": StopReason.LENGTH,
            "content_filter": StopReason.REFUSED,
        }[why]
        return heard

    def _item(self, item: Any, heard: Heard) -> None:
        match item.type:
            case "message":
                for part in item.content:
                    marks = part.annotations if part.type == "output_text" else []
                    heard.cited += [(mark.url, mark.title) for mark in marks]
            case "reasoning":
                kept = item.to_dict(exclude_none=True)
                kept.pop("status", None)
                heard.kept.append(kept)
            case "function_call":
                heard.calls.append((item.call_id, item.name, same(item.arguments or "{}")))
            case "web_search_call":
                heard.searched.append((item.id, item.action.query))

    async def _chat(self) -> Heard:
        heard, calls = Heard(stop=StopReason.END), dict[int, list[str]]()
        asked = self._openai.chat.completions
        messages: Any = [{"role": "user", "content": "x"}]
        async for chunk in await asked.create(model="m", messages=messages, stream=True):
            heard.id = heard.id or chunk.id
            if chunk.usage is not None:
                given = chunk.usage
                heard.usage = _of_openai(
                    given.prompt_tokens,
                    given.prompt_tokens_details,
                    given.completion_tokens,
                    given.completion_tokens_details,
                )
            for choice in chunk.choices:
                delta = choice.delta
                heard.text += delta.content or ""
                heard.refusal += delta.refusal or ""
                heard.reasoning += getattr(delta, "reasoning_content", None) or ""
                for mark in getattr(delta, "annotations", None) or []:
                    heard.cited.append((mark["url_citation"]["url"], mark["url_citation"]["title"]))
                for call in delta.tool_calls or []:
                    known = calls.setdefault(call.index, ["", "", ""])
                    known[0] += call.id or ""
                    known[1] += (call.function and call.function.name) or ""
                    known[2] += (call.function and call.function.arguments) or ""
                if choice.finish_reason is not None:
                    heard.stop = _FINISHED[choice.finish_reason]
        if heard.stop in (StopReason.END, StopReason.CALLS):
            heard.calls = [(number, name, same(text or "{}")) for number, name, text in calls.values()]
        return heard

    async def _messages(self) -> Heard:
        messages: Any = [{"role": "user", "content": "x"}]
        async with self._anthropic.messages.stream(model="m", messages=messages, max_tokens=9) as stream:
            final: Any = await stream.get_final_message()
        heard, usage = Heard(final.id), final.usage
        for block in final.content:
            self._block(block, heard)
        details = usage.output_tokens_details
        cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        counted = TokenUsage(
            usage.input_tokens + cached + written,
            cached,
            written,
            usage.output_tokens,
            details.thinking_tokens if details else 0,
            usage.server_tool_use.web_search_requests if usage.server_tool_use else 0,
        )
        heard.usage = None if counted == TokenUsage() else counted  # all zero is nothing told
        heard.stop = _STOPPED[final.stop_reason]
        if heard.stop not in (StopReason.END, StopReason.CALLS):
            heard.calls.clear()  # cut off while they were written
        return heard

    def _block(self, block: Any, heard: Heard) -> None:
        match block.type:
            case "text":
                heard.text += block.text
                heard.cited += [(mark.url, mark.title) for mark in block.citations or []]
            case "thinking" | "redacted_thinking":
                heard.reasoning += getattr(block, "thinking", "")
                heard.kept.append(block.to_dict())
            case "tool_use":
                heard.calls.append((block.id, block.name, json.dumps(block.input, sort_keys=True)))
            case "server_tool_use":
                heard.searched.append((block.id, block.input["query"]))


_FINISHED = {
    "stop": StopReason.END,
    "tool_calls": StopReason.CALLS,
    "length": StopReason.LENGTH,
    "content_filter": StopReason.REFUSED,
}

_STOPPED = {
    "end_turn": StopReason.END,
    "tool_use": StopReason.CALLS,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.CONTEXT,
    "refusal": StopReason.REFUSED,
    "pause_turn": StopReason.PAUSED,
}


def _charged(item: Any) -> bool:
    return bool(item.type == "web_search_call" and item.status != "failed")


def _of_openai(read: int, given: Any, written: int, made: Any, searches: int = 0) -> TokenUsage:
    return TokenUsage(
        read,
        getattr(given, "cached_tokens", None) or 0,
        getattr(given, "cache_write_tokens", None) or 0,
        written,
        getattr(made, "reasoning_tokens", None) or 0,
        searches,
    )


@asynccontextmanager
async def judges() -> AsyncIterator[Judges]:
    """Both, until the block ends."""
    sitting = Judges()
    try:
        yield sitting
    finally:
        await sitting.close()


def sse(events: Sequence[Mapping[str, Any]]) -> bytes:
    """Events as they are streamed, named where they have a type."""
    return b"".join(_lines(events))


def _lines(events: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    for event in events:
        if "type" in event:
            yield f"event: {event['type']}\n".encode()
        yield b"data: " + msgspec.json.encode(event) + b"\n\n"
