"""From actions to the parts of an HTTP answer: pure, so that the server only has to send and to wait."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import assert_never

import msgspec

from process_agent.scripted.actions import (
    Action,
    CallTools,
    HttpFault,
    RawEvents,
    Say,
    Search,
    Sleep,
    StreamFault,
    Think,
    Tokens,
    ToolCall,
)
from process_agent.scripted.split import pieces
from process_agent.wire.chat_stream import ChatStream
from process_agent.wire.messages_stream import MessagesStream
from process_agent.wire.responses import Call, CallOutput, Message, OtherItem, ResponsesRequest
from process_agent.wire.responses_stream import Event, ResponseStream, TokenCount

CHARS_PER_TOKEN = 4
"""How the scripted model counts tokens."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next part; None waits until the client leaves."""

    ms: float | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut the connection."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that follow no dialect."""

    data: bytes


type Part = Event | Pause | Cut | Noise
"""One part of a streamed answer."""


type AnswerStream = ResponseStream | MessagesStream | ChatStream
"""Builds the events of an answer in one of the dialects."""


def http_fault(actions: Sequence[Action]) -> HttpFault | None:
    """The fault that refuses this request as a whole, when that is what the script begins with."""
    first = actions[0] if actions else None
    return first if isinstance(first, HttpFault) else None


def seed_of(request: ResponsesRequest) -> str:
    """A short name of a request, the same when it is repeated; item ids are made from it."""
    return hashlib.sha256(repr((request.cache_key, request.input)).encode()).hexdigest()[:16]


class Answer:
    """The answer to one request. `parts` is to be taken once; `stream.body` is complete after that."""

    def __init__(
        self, request: ResponsesRequest, actions: Sequence[Action], stream: AnswerStream, *, seed: str
    ) -> None:
        """`seed` is `seed_of(request)`."""
        self.stream = stream
        self._actions = actions
        self._seed = seed
        told = [action.count for action in actions if isinstance(action, Tokens)]
        self._input = told[-1] if told else _tokens(_asked_chars(request))
        self._items = 0
        self._said = 0
        self._thought = 0

    def parts(self) -> Iterator[Part]:
        """All parts in order."""
        yield from self.stream.begin(self._input)
        for action in self._actions:
            if isinstance(action, StreamFault):
                yield from self._fault(action)
                return
            yield from self._parts_of(action)
        yield from self.stream.complete(self._usage())

    def _parts_of(self, action: Action) -> Iterator[Part]:
        match action:
            case Say():
                yield from self._say(action)
            case Think():
                self._thought += len(action.text)
                yield from self.stream.reasoning(self._id("rs"), pieces(action.text))
            case CallTools(calls):
                yield from chain.from_iterable(map(self._call, calls))
            case Search():
                yield from self._search(action)
            case Sleep():
                yield Pause(action.ms)
            case RawEvents():
                yield from map(self.stream.raw, action.events)
            case Tokens():
                pass  # counted from the beginning
            case HttpFault() | StreamFault():
                yield from self._fault(action)
            case _:
                assert_never(action)

    def _say(self, action: Say) -> Iterator[Part]:
        item_id = self._id("msg")
        self._said += len(action.text)
        yield from self.stream.message_begin(item_id, action.phase)
        for number, piece in enumerate(pieces(action.text) if action.pieces is None else action.pieces):
            if number and action.every_ms:
                yield Pause(action.every_ms)
            yield from self.stream.text(item_id, piece)
        yield from self.stream.cite(item_id, action.text, action.cites)
        yield from self.stream.message_end(item_id, action.text, action.phase)

    def _search(self, action: Search) -> Iterator[Part]:
        item_id = self._id("ws" if isinstance(self.stream, ResponseStream) else "srvtoolu")
        yield from self.stream.web_search(item_id, action.query, action.results, action.error)

    def _call(self, call: ToolCall) -> Iterator[Part]:
        self._said += len(call.arguments)
        call_id = f"call_{self._seed}_{self._items}"
        match call.kind:
            case "function":
                yield from self.stream.function_call(
                    self._id("fc"), call_id, call.name, call.arguments, call.namespace
                )
            case "custom":
                yield from self.stream.custom_call(self._id("ctc"), call_id, call.name, call.arguments)
            case "local_shell":
                words = msgspec.json.decode(call.arguments, type=list[str])
                yield from self.stream.local_shell_call(self._id("lsh"), call_id, words)

    def _fault(self, fault: HttpFault | StreamFault) -> Iterator[Part]:
        if isinstance(fault, HttpFault):  # too late to refuse the request
            yield from self.stream.fail(fault.code, fault.message)
            return
        match fault.kind:
            case "failed":
                yield from self.stream.fail(fault.code, fault.message)
            case "incomplete":
                yield from self.stream.stop_short(fault.code)
            case "disconnect":
                yield Cut()
            case "silence":
                yield Pause(None)
            case "unfinished":
                pass
            case "garbage":
                yield Noise(b"data: {this is no JSON\n\n")
            case _:
                assert_never(fault.kind)

    def _id(self, prefix: str) -> str:
        self._items += 1
        return f"{prefix}_{self._seed}_{self._items - 1}"

    def _usage(self) -> TokenCount:
        reasoning = _tokens(self._thought)
        return TokenCount(self._input, _tokens(self._said) + reasoning, reasoning=reasoning)


def _asked_chars(request: ResponsesRequest) -> int:
    total = 0
    for item in request.input:
        match item:
            case Message():
                total += sum(map(len, item.parts))
            case Call():
                total += len(item.arguments)
            case CallOutput():
                total += len(item.output)
            case OtherItem():
                pass
            case _:
                assert_never(item)
    return total


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)
