"""The Responses dialect, server side: the events of one answer.

`ResponseStream` is a state machine without I/O. Every method returns the events that come next, numbered
and in the order OpenAI sends them; at the end `body` is the same answer for a client that did not stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from process_agent.wire.responses import JsonObject
from process_agent.wire.sse import encode_event

type Event = JsonObject
"""One event with its `type` and `sequence_number`."""

type Phase = Literal["commentary", "final_answer"] | None


class Source(msgspec.Struct, frozen=True):
    """A page of the web."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens as the dialect counts them: the input includes the cached part, the output the reasoning."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0

    def wire(self) -> JsonObject:
        """The `usage` object."""
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }


def encode(event: Mapping[str, object]) -> bytes:
    """One event as server-sent event, named by its type."""
    return encode_event(msgspec.json.encode(event).decode(), name=str(event["type"]))


class ResponseStream:
    """Builds the events of one response. Items are written one after the other, never interleaved."""

    def __init__(self, *, response_id: str, model: str, created_at: int) -> None:
        """`created_at` is in seconds since 1970."""
        self._id = response_id
        self._model = model
        self._created_at = created_at
        self._sequence = 0
        self._output: list[JsonObject] = []
        self._cited: list[JsonObject] = []
        self._body = self._snapshot("in_progress")

    @property
    def body(self) -> JsonObject:
        """The response object as it stands; complete once an end was written."""
        return self._body

    def encode(self, event: Mapping[str, object]) -> bytes:
        """One event as server-sent event."""
        return encode(event)

    def begin(self, read: int = 0) -> list[Event]:
        """The two events before any output; what was read is told at the end only."""
        return [
            self._event("response.created", response=self._body),
            self._event("response.in_progress", response=self._body),
        ]

    def message(self, item_id: str, deltas: Iterable[str], phase: Phase = None) -> list[Event]:
        """A whole message. For one that takes time use `message_begin`, `text`, `message_end`."""
        pieces = list(deltas)
        events = self.message_begin(item_id, phase)
        events.extend(event for piece in pieces for event in self.text(item_id, piece))
        return events + self.message_end(item_id, "".join(pieces), phase)

    def message_begin(self, item_id: str, phase: Phase = None) -> list[Event]:
        """A message of the model begins."""
        part = {"type": "output_text", "text": "", "annotations": []}
        return [
            self._item_added(_message_item(item_id, "in_progress", [], phase)),
            self._event("response.content_part.added", **self._at(item_id), content_index=0, part=part),
        ]

    def text(self, item_id: str, delta: str) -> list[Event]:
        """More text of the message that is open."""
        return [self._event("response.output_text.delta", **self._at(item_id), content_index=0, delta=delta)]

    def message_end(self, item_id: str, text: str, phase: Phase = None) -> list[Event]:
        """The open message is complete; `text` is all of it."""
        part = {"type": "output_text", "text": text, "annotations": [*self._cited]}
        self._cited.clear()
        at = self._at(item_id)
        return [
            self._event("response.output_text.done", **at, content_index=0, text=text),
            self._event("response.content_part.done", **at, content_index=0, part=part),
            self._item_done(_message_item(item_id, "completed", [part], phase)),
        ]

    def cite(self, item_id: str, text: str, sources: Iterable[Source]) -> list[Event]:
        """What the open message, which says this by now, rests on."""
        at = self._at(item_id) | {"content_index": 0}
        events = []
        for number, source in enumerate(sources):
            about = {"type": "url_citation", "start_index": 0, "end_index": len(text)}
            annotation = {**about, "url": source.url, "title": source.title}
            events.append(
                self._event(
                    "response.output_text.annotation.added",
                    **at,
                    annotation_index=number,
                    annotation=annotation,
                )
            )
            self._cited.append(annotation)
        return events

    def web_search(
        self, item_id: str, query: str, results: Iterable[Source], error: str | None
    ) -> list[Event]:
        """A search of the web by the provider's own tool."""
        item: JsonObject = {"type": "web_search_call", "id": item_id}
        at = self._at(item_id)
        sources = [{"type": "url", "url": each.url} for each in results]
        action = {"type": "search", "query": query, **({"sources": sources} if sources else {})}
        status = "failed" if error is not None else "completed"
        return [
            self._item_added(item | {"status": "in_progress"}),
            self._event("response.web_search_call.searching", **at),
            self._item_done(item | {"status": status, "action": action}),
        ]

    def reasoning(self, item_id: str, deltas: Iterable[str]) -> list[Event]:
        """A reasoning item with one summary part."""
        pieces = list(deltas)
        part = {"type": "summary_text", "text": "".join(pieces)}
        at = self._at(item_id) | {"summary_index": 0}
        name = "response.reasoning_summary"
        events = [
            self._item_added({"type": "reasoning", "id": item_id, "summary": []}),
            self._event(f"{name}_part.added", **at, part={"type": "summary_text", "text": ""}),
        ]
        events.extend(self._event(f"{name}_text.delta", **at, delta=piece) for piece in pieces)
        events.append(self._event(f"{name}_text.done", **at, text=part["text"]))
        events.append(self._event(f"{name}_part.done", **at, part=part))
        events.append(self._item_done({"type": "reasoning", "id": item_id, "summary": [part]}))
        return events

    def function_call(
        self, item_id: str, call_id: str, name: str, arguments: str, namespace: str | None = None
    ) -> list[Event]:
        """A call of a function tool; `arguments` is JSON text."""
        item: JsonObject = {"type": "function_call", "id": item_id, "call_id": call_id, "name": name}
        if namespace is not None:
            item["namespace"] = namespace
        return self._call(item, "function_call_arguments", "arguments", arguments)

    def custom_call(self, item_id: str, call_id: str, name: str, text: str) -> list[Event]:
        """A call of a custom tool, which takes free text."""
        item = {"type": "custom_tool_call", "id": item_id, "call_id": call_id, "name": name}
        return self._call(item, "custom_tool_call_input", "input", text)

    def local_shell_call(self, item_id: str, call_id: str, command: list[str]) -> list[Event]:
        """A call of the hosted tool `local_shell`."""
        action = {"type": "exec", "command": command, "env": {}}
        item: JsonObject = {"type": "local_shell_call", "id": item_id, "call_id": call_id, "action": action}
        return [
            self._item_added(item | {"status": "in_progress"}),
            self._item_done(item | {"status": "completed"}),
        ]

    def complete(self, usage: TokenCount) -> list[Event]:
        """The response is complete."""
        return self._end("completed", usage=usage.wire())

    def fail(self, code: str, message: str) -> list[Event]:
        """The response failed after it began."""
        return self._end("failed", error={"code": code, "message": message})

    def stop_short(self, reason: str) -> list[Event]:
        """The response ends unfinished, like for `max_output_tokens`."""
        return self._end("incomplete", incomplete_details={"reason": reason})

    def raw(self, event: Mapping[str, object]) -> Event:
        """An event as given, numbered unless it brings its own number."""
        numbered = {"sequence_number": self._sequence, **event}
        self._sequence += 1
        return numbered

    def _call(self, item: JsonObject, event: str, member: str, text: str) -> list[Event]:
        at = self._at(item["id"])
        return [
            self._item_added(item | {member: "", "status": "in_progress"}),
            self._event(f"response.{event}.delta", **at, delta=text),
            self._event(f"response.{event}.done", **at, **{member: text}),
            self._item_done(item | {member: text, "status": "completed"}),
        ]

    def _item_added(self, item: JsonObject) -> Event:
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _item_done(self, item: JsonObject) -> Event:
        event = self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        return event

    def _at(self, item_id: str) -> JsonObject:
        return {"item_id": item_id, "output_index": len(self._output)}

    def _end(self, status: str, **members: object) -> list[Event]:
        self._body = self._snapshot(status) | members
        return [self._event(f"response.{status}", response=self._body)]

    def _snapshot(self, status: str) -> JsonObject:
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "model": self._model,
            "output": list(self._output),
            "error": None,
            "incomplete_details": None,
            "usage": None,
        }

    def _event(self, kind: str, **members: object) -> Event:
        event: Event = {"type": kind, "sequence_number": self._sequence, **members}
        self._sequence += 1
        return event


def _message_item(item_id: str, status: str, content: list[JsonObject], phase: Phase) -> JsonObject:
    item: JsonObject = {
        "type": "message",
        "id": item_id,
        "status": status,
        "role": "assistant",
        "content": content,
    }
    return item if phase is None else item | {"phase": phase}
