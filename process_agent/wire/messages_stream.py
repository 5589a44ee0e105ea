"""The Messages dialect, server side: the events of one answer. Like `wire.responses_stream`, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from process_agent.wire.responses import JsonObject
from process_agent.wire.responses_stream import Event, Phase, Source, TokenCount, encode

SIGNATURE = "c2NyaXB0ZWQ="
"""The signature of all thinking: providers want it back as it is, and nobody can check it here."""


class MessagesStream:
    """Builds the events of one message. Blocks are written one after the other."""

    def __init__(self, *, response_id: str, model: str, created_at: int) -> None:
        """`created_at` is not in the dialect."""
        self._message: JsonObject = {
            "id": response_id.replace("resp_", "msg_", 1),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        self._called = False
        self._cited: list[JsonObject] = []
        self._searches = 0

    @property
    def body(self) -> JsonObject:
        """The message as it stands; complete once an end was written."""
        return self._message

    def encode(self, event: Mapping[str, object]) -> bytes:
        """One event as server-sent event."""
        return encode(event)

    def begin(self, read: int = 0) -> list[Event]:
        """The event before any content; it tells how many tokens were read."""
        self._message["usage"] = {"input_tokens": read, "output_tokens": 0}
        return [{"type": "message_start", "message": self._message | {"content": []}}]

    def message_begin(self, item_id: str, phase: Phase = None) -> list[Event]:
        """A text begins."""
        return [self._start({"type": "text", "text": ""})]

    def text(self, item_id: str, delta: str) -> list[Event]:
        """More of the text that is open."""
        return [self._delta({"type": "text_delta", "text": delta})]

    def cite(self, item_id: str, text: str, sources: Iterable[Source]) -> list[Event]:
        """What the open text, which says this by now, rests on."""
        events = []
        for number, source in enumerate(sources):
            about = {"type": "web_search_result_location", "url": source.url, "title": source.title}
            citation = {**about, "encrypted_index": f"index-{number}", "cited_text": text[:150]}
            events.append(self._delta({"type": "citations_delta", "citation": citation}))
            self._cited.append(citation)
        return events

    def web_search(
        self, item_id: str, query: str, results: Iterable[Source], error: str | None
    ) -> list[Event]:
        """A search of the web by the provider's own tool."""
        use = {"type": "server_tool_use", "id": item_id, "name": "web_search"}
        found: Any = [
            {
                "type": "web_search_result",
                "url": each.url,
                "title": each.title,
                "encrypted_content": f"encrypted-{number}",
                "page_age": None,
            }
            for number, each in enumerate(results)
        ]
        if error is not None:
            found = {"type": "web_search_tool_result_error", "error_code": error}
        self._searches += error is None
        result = {"type": "web_search_tool_result", "tool_use_id": item_id, "content": found}
        written = msgspec.json.encode({"query": query}).decode()
        return [
            self._start({**use, "input": {}}),
            self._delta({"type": "input_json_delta", "partial_json": written}),
            self._stop({**use, "input": {"query": query}}),
            self._start(result),
            self._stop(result),
        ]

    def message_end(self, item_id: str, text: str, phase: Phase = None) -> list[Event]:
        """The open text is complete."""
        cited = {"citations": [*self._cited]} if self._cited else {}
        self._cited.clear()
        return [self._stop({"type": "text", "text": text, **cited})]

    def reasoning(self, item_id: str, deltas: Iterable[str]) -> list[Event]:
        """Thinking, signed."""
        pieces = list(deltas)
        whole = {"type": "thinking", "thinking": "".join(pieces), "signature": SIGNATURE}
        return [
            self._start({"type": "thinking", "thinking": "", "signature": ""}),
            *(self._delta({"type": "thinking_delta", "thinking": piece}) for piece in pieces),
            self._delta({"type": "signature_delta", "signature": SIGNATURE}),
            self._stop(whole),
        ]

    def function_call(
        self, item_id: str, call_id: str, name: str, arguments: str, namespace: str | None = None
    ) -> list[Event]:
        """A call of a tool; `arguments` is JSON text."""
        self._called = True
        block = {"type": "tool_use", "id": call_id, "name": name}
        half = len(arguments) // 2
        return [
            self._start(block | {"input": {}}),
            *(
                self._delta({"type": "input_json_delta", "partial_json": piece})
                for piece in (arguments[:half], arguments[half:])
            ),
            self._stop(block | {"input": _decoded(arguments)}),
        ]

    def custom_call(self, item_id: str, call_id: str, name: str, text: str) -> list[Event]:
        """The dialect has functions only: the text is their one argument."""
        return self.function_call(item_id, call_id, name, msgspec.json.encode({"input": text}).decode())

    def local_shell_call(self, item_id: str, call_id: str, command: list[str]) -> list[Event]:
        """As `custom_call`."""
        arguments = msgspec.json.encode({"command": command}).decode()
        return self.function_call(item_id, call_id, "local_shell", arguments)

    def complete(self, usage: TokenCount) -> list[Event]:
        """The message is complete."""
        counted: JsonObject = {
            "input_tokens": usage.input - usage.cached,
            "cache_read_input_tokens": usage.cached,
            "output_tokens": usage.output,
            "output_tokens_details": {"thinking_tokens": usage.reasoning},
        }
        if self._searches:
            counted["server_tool_use"] = {"web_search_requests": self._searches}
        return self._end("tool_use" if self._called else "end_turn", counted)

    def fail(self, code: str, message: str) -> list[Event]:
        """The message failed after it began."""
        kind = {"rate_limit_exceeded": "rate_limit_error", "server_error": "api_error"}.get(code, code)
        return [{"type": "error", "error": {"type": kind, "message": message}}]

    def stop_short(self, reason: str) -> list[Event]:
        """The message ends unfinished."""
        stops = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}
        return self._end(stops.get(reason, reason), dict(self._message["usage"]))

    def raw(self, event: Mapping[str, object]) -> Event:
        """An event as given."""
        return dict(event)

    def _start(self, block: JsonObject) -> Event:
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: JsonObject) -> Event:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self, block: JsonObject) -> Event:
        event = {"type": "content_block_stop", "index": self._index}
        self._message["content"].append(block)
        return event

    def _end(self, reason: str, usage: JsonObject) -> list[Event]:
        self._message |= {"stop_reason": reason, "usage": usage}
        delta = {"stop_reason": reason, "stop_sequence": None}
        return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]

    @property
    def _index(self) -> int:
        return len(self._message["content"])


def _decoded(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}
