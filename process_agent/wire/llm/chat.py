"""Chat Completions, client side: `POST {base}/chat/completions`, as OpenAI and most other servers have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, assert_never

from process_agent.wire.llm import chat_reasoning as reasoned
from process_agent.wire.llm import events as e
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
    Replay,
    Text,
)
from process_agent.wire.sse import SseEvent

_DONE: Final = "[DONE]"

MAX_CITED: Final = 256
"""Sources of one answer."""


def body(request: ModelRequest) -> JsonObject:
    """The request as servers take it."""
    messages: list[JsonObject] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    talk = request.built.made(
        "chat", request.origin, request.items, _Talk, lambda talk, item: talk.add(request.origin, item)
    )
    said = talk.messages()
    messages += reasoned.with_blanks(said) if request.reasoned_calls else said
    found: JsonObject = {
        "model": request.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        found["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.schema) or {"type": "object", "properties": {}},
                },
            }
            for tool in request.tools
        ]
    if request.effort is not None:
        found["reasoning_effort"] = request.effort
    if request.output is not None:
        schema = {"name": request.output.name, "schema": dict(request.output.schema), "strict": True}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.max_output is not None:
        found["max_tokens"] = request.max_output
    return found | dict(request.extra)


class _Talk:
    """The messages of a conversation."""

    def __init__(self) -> None:
        self._found: list[JsonObject] = []
        self._seen: list[JsonObject] = []
        """Images that tools gave back: a message of its own after the outputs, which hold text only."""

    def add(self, origin: str, item: Item) -> None:
        """Something more was said or done."""
        if isinstance(item, Hosted):
            return  # the dialect has no tools of a provider's own
        found = self._found
        if self._seen and not isinstance(item, CallOutput):
            found.append({"role": "user", "content": self._seen})
            self._seen = []
        match item:
            case Message("assistant", parts):
                message = _assistant(found)
                before, text = message["content"], _text(parts)
                message["content"] = f"{before}\n\n{text}" if before else text
            case Message(role, parts):
                found.append({"role": "system" if role == "developer" else role, "content": _content(parts)})
            case Reasoning(text, replay):
                if replay is not None and replay.origin == origin:
                    reasoned.think(found, text, replay.data)
            case Call(call_id, name, arguments):
                function = {"name": name, "arguments": arguments}
                call = {"id": call_id, "type": "function", "function": function}
                _assistant(found, calls=True).setdefault("tool_calls", []).append(call)
            case CallOutput(call_id, parts):
                found.append({"role": "tool", "tool_call_id": call_id, "content": _text(parts)})
                self._seen += [part for part in _parts(parts) if part["type"] != "text"]
            case _:
                assert_never(item)

    def messages(self) -> list[JsonObject]:
        """Those that say something."""
        seen = [{"role": "user", "content": [*self._seen]}] if self._seen else []
        found = [message for message in self._found if message["role"] != "assistant" or _says(message)]
        return [*found, *seen]


def _assistant(found: list[JsonObject], *, calls: bool = False) -> JsonObject:
    """The message that the assistant is writing: reasoning, then text, then calls."""
    last = found[-1] if found else {}
    if last.get("role") != "assistant" or ("tool_calls" in last and not calls):
        found.append({"role": "assistant", "content": None})
    return found[-1]


def _says(message: JsonObject) -> bool:
    return bool(message.get("content") or message.get("tool_calls"))


def _content(parts: Sequence[Part]) -> Any:
    if all(isinstance(part, Text) for part in parts):
        return _text(parts)
    return list(_parts(parts))


def _text(parts: Sequence[Part]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _parts(parts: Sequence[Part]) -> Iterator[JsonObject]:
    for part in parts:
        match part:
            case Text(text):
                yield {"type": "text", "text": text}
            case Image(url):
                yield {"type": "image_url", "image_url": {"url": url}}
            case Document(url, name):
                yield {"type": "file", "file": {"filename": name or "file", "file_data": url}}
            case _:
                assert_never(part)


class ChatReader(StreamReader):
    """Reads the stream of one completion."""

    def __init__(self, origin: str = "") -> None:
        super().__init__(origin)
        self._finish: str | None = None
        self._ids: dict[str, int] = {}
        self._thinks_in = reasoned.TEXTS[0]
        self._details = reasoned.Details()
        self._cited: set[str] = set()

    def _event(self, event: SseEvent) -> None:
        if event.data.strip() == _DONE:
            self._finished()
        else:
            super()._event(event)

    def _ended_early(self) -> None:
        if self._finish is None:
            super()._ended_early()
        else:  # some servers send no [DONE]
            self._finished()

    def _take(self, event: JsonObject) -> None:
        if event.get("error"):
            self._fail(stream_error(event))
            return
        for choice in list_of(event, "choices")[:1]:
            self._delta(object_of(choice, "delta"))
            self._finish = text_of(choice, "finish_reason") or self._finish
            self._count(object_of(choice, "usage"))  # Kimi tells it here, too
        self._named(event)
        self._count(object_of(event, "usage"))
        self._cite_all(event.get("citations"))

    def _count(self, usage: JsonObject) -> None:
        if usage:
            self.usage = _usage(usage)

    def _cite_all(self, citations: object) -> None:
        """The addresses that a whole answer rests on (xAI, Perplexity); some repeat it with every piece."""
        for url in citations if isinstance(citations, list) else []:
            if isinstance(url, str) and url and url not in self._cited and len(self._cited) < MAX_CITED:
                self._cited.add(url)
                self._out.append(e.Cited(url))

    def _delta(self, delta: JsonObject) -> None:
        member, thought = reasoned.thought(delta)
        if thought:
            self._thinks_in = member
            self._think(thought)
        self._details.add(list_of(delta, reasoned.DETAILS))
        for said, refusal in ((text_of(delta, "content"), False), (text_of(delta, "refusal"), True)):
            if said:
                self._thought()
                self._say(said, refusal=refusal)
        for position, call in enumerate(list_of(delta, "tool_calls")):
            self._call(call, position)
        for annotation in list_of(delta, "annotations"):
            cited = object_of(annotation, "url_citation")
            if url := text_of(cited, "url"):
                self._out.append(e.Cited(url, text_of(cited, "title")))

    def _thought(self) -> None:
        """Reasoning is over as soon as something else comes; servers that show it want it back."""
        shown = self._thinks_in in reasoned.TEXTS
        self._close_reasoning({self._thinks_in: "".join(self._thoughts)} if shown else None)

    def _call(self, call: JsonObject, position: int) -> None:
        function = object_of(call, "function")
        call_id, name = text_of(call, "id"), text_of(function, "name")
        index = self._index(call, call_id, position)
        if index not in self._calls and (name or call_id):
            self._thought()
            self._begin_call(index, call_id, name)
        self._write_call(index, text_of(function, "arguments"))

    def _index(self, call: JsonObject, call_id: str, position: int) -> int:
        """Some servers number no calls: then a new id is a new call."""
        index = call.get("index")
        if isinstance(index, int) and not isinstance(index, bool):
            return index
        if call_id:
            return self._ids.setdefault(call_id, len(self._calls))
        return max(self._calls, default=position)

    def _detailed(self) -> None:
        """Blocks of reasoning go back as one: what is signed or encrypted may come with the last piece."""
        if blocks := self._details.taken():
            kept = Replay(self._origin, {reasoned.DETAILS: blocks})
            self._out += [e.ReasoningBegun(), e.ReasoningDone(Reasoning("", kept))]

    def _finished(self) -> None:
        self._thought()
        self._detailed()
        reason = _STOPS.get(self._finish or "", e.StopReason.END)
        if reason not in (e.StopReason.END, e.StopReason.CALLS):
            self._calls.clear()  # cut off while it was written
        self._end(reason)


_STOPS: Final = {
    "tool_calls": e.StopReason.CALLS,
    "function_call": e.StopReason.CALLS,
    "length": e.StopReason.LENGTH,
    "content_filter": e.StopReason.REFUSED,
}


def _usage(usage: JsonObject) -> e.TokenUsage:
    given, made = object_of(usage, "prompt_tokens_details"), object_of(usage, "completion_tokens_details")
    read, written = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    thought = count_of(made, "reasoning_tokens")
    if thought and count_of(usage, "total_tokens") == read + written + thought:
        written += thought  # xAI counts it beside what was written, all others within
    cached = count_of(given, "cached_tokens") or count_of(usage, "cached_tokens")  # the latter is Kimi's
    return e.TokenUsage(read, cached, count_of(given, "cache_write_tokens"), written, thought)
