"""OpenAI's Responses, client side: `POST {base}/responses`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, assert_never

from process_agent.wire.llm import events as e
from process_agent.wire.llm import responses_hosted as hosted
from process_agent.wire.llm.failures import stream_error
from process_agent.wire.llm.reader import StreamReader, count_of, list_of, object_of, text_of
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
    Text,
    replayed,
)


def body(request: ModelRequest) -> JsonObject:
    """The request as the provider takes it. Nothing is stored there: the conversation comes with each."""
    entries = request.built.made(
        "responses", request.origin, request.items, list[JsonObject], partial(_add, request.origin)
    )
    found: JsonObject = {
        "model": request.model,
        "input": [*entries],
        "stream": True,
        "store": False,
    }
    if request.instructions:
        found["instructions"] = request.instructions
    tools: list[JsonObject] = []
    if request.tools:
        tools = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.schema) or {"type": "object", "properties": {}},
                "strict": False,
            }
            for tool in request.tools
        ]
    if tools := [*tools, *hosted.offered(request)]:
        found["tools"] = tools
    include = hosted.included(request)
    effort = {} if request.effort is None else {"effort": request.effort}
    if request.reasons:
        found["reasoning"] = {"summary": "auto", **effort}
        include = ["reasoning.encrypted_content", *include]
    elif effort:  # a model of which nobody said that it reasons: the server knows
        found["reasoning"] = effort
    if include:
        found["include"] = include
    if request.output is not None:
        schema = {"name": request.output.name, "schema": dict(request.output.schema), "strict": True}
        found["text"] = {"format": {"type": "json_schema", **schema}}
    if request.cache_key is not None:
        found["prompt_cache_key"] = request.cache_key
    if request.max_output is not None:
        found["max_output_tokens"] = request.max_output
    return found | dict(request.extra)


def _add(origin: str, entries: list[JsonObject], item: Item) -> None:
    entries += _item(item, origin)


def _item(item: Item, origin: str) -> Iterator[JsonObject]:
    match item:
        case Message(role, parts):
            if parts:
                yield {"type": "message", "role": role, "content": list(_content(parts, role == "assistant"))}
        case Reasoning(_, replay):
            if replay is not None and replay.origin == origin:
                yield dict(replay.data)
        case Hosted(_, replay):
            if replay.origin == origin:
                yield from replayed(replay)
        case Call(call_id, name, arguments):
            yield {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        case CallOutput(call_id, parts):
            texts = all(isinstance(part, Text) for part in parts)
            output: Any = list(_content(parts, assistant=False))
            if texts:
                output = "\n".join(part.text for part in parts if isinstance(part, Text))
            yield {"type": "function_call_output", "call_id": call_id, "output": output}
        case _:
            assert_never(item)


def _content(parts: Iterable[Part], assistant: bool) -> Iterator[JsonObject]:
    for part in parts:
        match part:
            case Text(text):
                yield {"type": "output_text" if assistant else "input_text", "text": text}
            case Image(url):
                yield {"type": "input_image", "image_url": url, "detail": "auto"}
            case Document(url, name):
                yield {"type": "input_file", "filename": name or "file", "file_data": url}
            case _:
                assert_never(part)


class ResponsesReader(StreamReader):
    """Reads the stream of one response."""

    def __init__(self, origin: str = "") -> None:
        super().__init__(origin)
        self._streamed: set[int] = set()
        self._searches = 0
        self._made: tuple[str, ...] = ()
        self._summary: tuple[str, object] | None = None

    def _take(self, event: JsonObject) -> None:
        kind = event.get("type")
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self._streamed.add(count_of(event, "output_index"))
            self._say(text_of(event, "delta"), refusal=kind == "response.refusal.delta")
        else:
            self._take_other(event)

    def _take_other(self, event: JsonObject) -> None:
        match event.get("type"):
            case "response.reasoning_summary_text.delta":
                self._thought(("summary", event.get("summary_index")), event)
            case "response.reasoning_text.delta":
                self._thought(("content", event.get("content_index")), event)
            case "response.function_call_arguments.delta":
                self._write_call(count_of(event, "output_index"), text_of(event, "delta"))
            case "response.output_text.annotation.added":
                self._cite(object_of(event, "annotation"))
            case "response.output_item.added":
                self._added(object_of(event, "item"), count_of(event, "output_index"))
            case "response.output_item.done":
                self._done(object_of(event, "item"), count_of(event, "output_index"))
            case "response.created" | "response.in_progress":
                self._named(object_of(event, "response"))
            case "response.completed" | "response.incomplete" | "response.failed":
                self._finish(object_of(event, "response"))
            case "error":
                self._fail(stream_error(event))
            case _:
                self._out += hosted.heard(event)  # whatever comes later says nothing

    def _thought(self, part: tuple[str, object], event: JsonObject) -> None:
        gap = "" if self._summary in (None, part) or not self._reasoning else "\n\n"
        self._summary = part
        self._think(gap + text_of(event, "delta"))

    def _added(self, item: JsonObject, index: int) -> None:
        match item.get("type"):
            case "message":
                self._begin_text(_phase(item))
            case "reasoning":
                self._summary = None
                self._begin_reasoning()
            case "function_call":
                self._begin_call(index, text_of(item, "call_id"), text_of(item, "name"))
            case kind if kind in hosted.KINDS:
                self._hosted(hosted.begun(item))
            case _:
                pass

    def _done(self, item: JsonObject, index: int) -> None:
        match item.get("type"):
            case "message":
                if index not in self._streamed:
                    for part in list_of(item, "content"):
                        self._say(text_of(part, "text"))
                        self._say(text_of(part, "refusal"), refusal=True)
                self._close_text()
            case "reasoning":
                if not (self._reasoning and self._thoughts):
                    for number, part in enumerate(list_of(item, "summary") or list_of(item, "content")):
                        self._thought(("done", number), {"delta": part.get("text")})
                kept = {name: value for name, value in item.items() if name != "status" and value is not None}
                if not self._reasoning:
                    self._begin_reasoning()
                self._close_reasoning(kept)
            case "function_call":
                if index not in self._calls:
                    self._begin_call(index, text_of(item, "call_id"), text_of(item, "name"))
                self._close_call(index, text_of(item, "arguments"))
            case _:
                self._made += hosted.made(item)
                self._hosted(hosted.done(item, self._origin))

    def _hosted(self, event: e.StreamEvent | None) -> None:
        """A tool of the provider's own; nothing where the item is none of those."""
        if event is not None:
            self._searches += hosted.searched(event)
            self._close_text()
            self._close_reasoning(None)
            self._out.append(event)

    def _cite(self, annotation: JsonObject) -> None:
        url = text_of(annotation, "url")
        if url:
            self._out.append(e.Cited(url, text_of(annotation, "title")))

    def _finish(self, response: JsonObject) -> None:
        self._named(response)
        usage = object_of(response, "usage")
        if usage:
            self.usage = replace(_usage(usage), searches=self._searches, images=self._made)
        match response.get("status"):
            case "failed":
                self._fail(stream_error(object_of(response, "error")))
            case "incomplete":
                why = text_of(object_of(response, "incomplete_details"), "reason")
                self._calls.clear()  # cut off while it was written
                self._end(e.StopReason.REFUSED if why == "content_filter" else e.StopReason.LENGTH)
            case _:
                self._end(e.StopReason.END)


def _phase(item: JsonObject) -> e.Phase:
    phase = item.get("phase")
    if phase == "commentary":
        return "commentary"
    return "final_answer" if phase == "final_answer" else None


def _usage(usage: JsonObject) -> e.TokenUsage:
    given, made = object_of(usage, "input_tokens_details"), object_of(usage, "output_tokens_details")
    return e.TokenUsage(
        count_of(usage, "input_tokens"),
        count_of(given, "cached_tokens"),
        count_of(given, "cache_write_tokens"),
        count_of(usage, "output_tokens"),
        count_of(made, "reasoning_tokens"),
    )
