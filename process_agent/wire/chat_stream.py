"""The Chat Completions dialect, server side: the chunks of one answer. Like `wire.responses_stream`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from process_agent.wire.responses import JsonObject
from process_agent.wire.responses_stream import Event, Phase, Source, TokenCount
from process_agent.wire.sse import encode_event

DONE: Event = {}
"""Stands for the `[DONE]` that ends a stream."""


class ChatStream:
    """Builds the chunks of one completion."""

    def __init__(self, *, response_id: str, model: str, created_at: int) -> None:
        """`created_at` is in seconds since 1970."""
        self._head = {
            "id": response_id.replace("resp_", "chatcmpl-", 1),
            "created": created_at,
            "model": model,
        }
        self._message: JsonObject = {"role": "assistant", "content": None, "refusal": None}
        self._end: JsonObject = {"finish_reason": None}
        self._usage: JsonObject = {}

    @property
    def body(self) -> JsonObject:
        """The completion as it stands; complete once an end was written."""
        choice = {"index": 0, "message": self._message, **self._end}
        usage = {"usage": self._usage} if self._usage else {}
        return {**self._head, "object": "chat.completion", "choices": [choice], **usage}

    def encode(self, event: Mapping[str, object]) -> bytes:
        """One chunk as server-sent event; chunks have no names."""
        return encode_event("[DONE]" if event == DONE else msgspec.json.encode(event).decode())

    def begin(self, read: int = 0) -> list[Event]:
        """The chunk before any content; what was read is told at the end only."""
        return [self._chunk({"role": "assistant", "content": ""})]

    def message_begin(self, item_id: str, phase: Phase = None) -> list[Event]:
        """The dialect has one message only; a second text goes on with it."""
        return [self._chunk({"content": "\n\n"})] if self._message["content"] else []

    def text(self, item_id: str, delta: str) -> list[Event]:
        """More of the text."""
        return [self._chunk({"content": delta})]

    def cite(self, item_id: str, text: str, sources: Iterable[Source]) -> list[Event]:
        """What the text rests on, as servers other than OpenAI say it."""
        cited = [
            {"type": "url_citation", "url_citation": {"url": each.url, "title": each.title}}
            for each in sources
        ]
        self._message.setdefault("annotations", []).extend(cited)
        return [self._chunk({"annotations": cited})] if cited else []

    def web_search(
        self, item_id: str, query: str, results: Iterable[Source], error: str | None
    ) -> list[Event]:
        """Nothing: the dialect shows no searches."""
        return []

    def message_end(self, item_id: str, text: str, phase: Phase = None) -> list[Event]:
        """The text is complete, for now."""
        before = self._message["content"]
        self._message["content"] = text if before is None else f"{before}\n\n{text}"
        return []

    def reasoning(self, item_id: str, deltas: Iterable[str]) -> list[Event]:
        """Reasoning, as most servers other than OpenAI show it."""
        pieces = list(deltas)
        self._message["reasoning_content"] = "".join(pieces)
        return [self._chunk({"reasoning_content": piece}) for piece in pieces]

    def function_call(
        self, item_id: str, call_id: str, name: str, arguments: str, namespace: str | None = None
    ) -> list[Event]:
        """A call of a function; `arguments` is JSON text."""
        calls = self._message.setdefault("tool_calls", [])
        index, half = len(calls), len(arguments) // 2
        whole = {"id": call_id, "type": "function"}
        calls.append({**whole, "function": {"name": name, "arguments": arguments}})
        begun = {"index": index, **whole, "function": {"name": name, "arguments": ""}}
        return [
            self._chunk({"tool_calls": [begun]}),
            *(
                self._chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
                for piece in (arguments[:half], arguments[half:])
            ),
        ]

    def custom_call(self, item_id: str, call_id: str, name: str, text: str) -> list[Event]:
        """The dialect as most servers have it knows functions only: the text is their one argument."""
        return self.function_call(item_id, call_id, name, msgspec.json.encode({"input": text}).decode())

    def local_shell_call(self, item_id: str, call_id: str, command: list[str]) -> list[Event]:
        """As `custom_call`."""
        arguments = msgspec.json.encode({"command": command}).decode()
        return self.function_call(item_id, call_id, "local_shell", arguments)

    def complete(self, usage: TokenCount) -> list[Event]:
        """The completion is complete."""
        self._usage = {
            "prompt_tokens": usage.input,
            "prompt_tokens_details": {"cached_tokens": usage.cached},
            "completion_tokens": usage.output,
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        }
        ends = self._finish("tool_calls" if "tool_calls" in self._message else "stop")
        counted = {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage}
        return [*ends, counted, DONE]

    def fail(self, code: str, message: str) -> list[Event]:
        """The completion failed after it began."""
        return [{"error": {"message": message, "type": code, "code": code}}]

    def stop_short(self, reason: str) -> list[Event]:
        """The completion ends unfinished."""
        return [*self._finish("length" if reason == "max_output_tokens" else reason), DONE]

    def raw(self, event: Mapping[str, object]) -> Event:
        """A chunk as given."""
        return dict(event)

    def _finish(self, reason: str) -> list[Event]:
        self._end = {"finish_reason": reason}
        return [self._chunk({})]

    def _chunk(self, delta: JsonObject) -> Event:
        choice = {"index": 0, "delta": delta, **self._end}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
