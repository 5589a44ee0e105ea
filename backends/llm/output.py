"""From what a model says to what the room is told, and to what the model has to know next time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from backends.llm.hosted import HostedCalls
from process_agent.core.content import ErrorInfo, ToolResult
from process_agent.core.events import (
    BackendEvent,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolArguments,
    ToolEnded,
    ToolRef,
    ToolStarted,
)
from process_agent.core.ids import ItemId, TurnId
from process_agent.wire.llm import events as e
from process_agent.wire.llm.request import Call, Item, Message, Text

MAX_SOURCES: Final = 50

type Names = Mapping[str, tuple[str, str]]
"""From the name of a tool as the model sees it to toolkit and tool."""

UNKNOWN_TOOLKIT: Final = "unknown"


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A call that the model has made. `arguments` is None when they are no JSON object."""

    ref: ToolRef
    call: Call
    arguments: dict[str, Any] | None


class Output:
    """The output of one turn, over all its model calls.

    Items are told as soon as there is something of them; whatever is open is ended by `close`.
    """

    def __init__(self, turn_id: TurnId, names: Names, provider: str = "") -> None:
        """`provider` names whose own tools may be heard of."""
        self._hosted = HostedCalls(turn_id, provider)
        self.said: list[Item] = []
        """What the model said and did in the current answer."""
        self.calls: list[WantedCall] = []
        """What it called in the current answer."""
        self.refused = False
        self._turn_id = turn_id
        self._names = names
        self._count = 0
        self._text: tuple[ItemId, e.Phase, list[str]] | None = None
        self._phase: e.Phase = None
        self._reasoning: ItemId | None = None
        self._refs: dict[int, ToolRef] = {}
        self._open: dict[ItemId, ToolRef] = {}
        self._sources: dict[str, str] = {}

    def begin(self) -> None:
        """The model is asked, perhaps once more."""
        self.said, self.calls = [], []
        self.refused = False
        self._refs.clear()

    def take(self, event: e.StreamEvent) -> Iterator[BackendEvent]:
        """What one event of the answer tells the room."""
        match event:
            case e.TextDelta(text, refusal):
                self.refused = self.refused or refusal
                yield from self._say(text)
            case e.TextBegun(phase):
                self._phase = phase
            case e.TextDone(parts):
                yield from self._end_text(parts)
            case e.HostedBegun() | e.HostedImage() | e.HostedDone():
                yield from self._host(event)
            case e.ReasoningBegun() | e.ReasoningDelta() | e.ReasoningDone():
                yield from self._reason(event)
            case e.CallBegun() | e.CallDelta() | e.CallDone():
                yield from self._call(event)
            case e.Cited():
                self._cite(event)
            case e.Used() | e.Ended() | e.Broken():
                pass  # for whoever asked

    def ended(self, ref: ToolRef, result: ToolResult | None, error: ErrorInfo | None) -> ToolEnded:
        """A call is over."""
        self._open.pop(ref.item_id, None)
        return ToolEnded(ref, result, error)

    def started(self, ref: ToolRef, arguments: Mapping[str, Any]) -> ToolStarted:
        """A call is carried out now."""
        self._open[ref.item_id] = ref
        return ToolStarted(ref, arguments)

    def close(self, error: ErrorInfo) -> Iterator[BackendEvent]:
        """Nothing more comes: what is open ends, calls with this error. What was said so far was said."""
        yield from self._end_text()
        yield from self._end_reasoning()
        for ref in list(self._open.values()):
            yield self.ended(ref, None, error)
        yield from self._hosted.close(error)

    def _cite(self, source: e.Cited) -> None:
        if len(self._sources) < MAX_SOURCES:
            self._sources.setdefault(source.url, source.title)

    def _host(self, event: e.HostedBegun | e.HostedImage | e.HostedDone) -> Iterator[BackendEvent]:
        if isinstance(event, e.HostedDone):
            self.said.append(event.hosted)
        yield from self._hosted.take(event)

    def _say(self, text: str) -> Iterator[BackendEvent]:
        if self._text is None:
            self._text = (self._id("text"), self._phase, [])
            yield TextStarted(self._text[0], self._phase)
        self._text[2].append(text)
        yield TextDelta(self._text[0], text, self._text[1])

    def _end_text(self, whole: Sequence[Text] = ()) -> Iterator[BackendEvent]:
        if self._text is None:
            return
        item_id, phase, parts = self._text
        self._text, self._phase = None, None
        self.said.append(Message("assistant", tuple(whole) or (Text("".join(parts)),)))
        if self._sources:
            yield TextDelta(item_id, _sources(self._sources), phase)
            self._sources = {}
        yield TextEnded(item_id, phase)

    def _end_reasoning(self) -> Iterator[BackendEvent]:
        if self._reasoning is not None:
            item_id, self._reasoning = self._reasoning, None
            yield ReasoningEnded(item_id)

    def _reason(self, event: e.ReasoningBegun | e.ReasoningDelta | e.ReasoningDone) -> Iterator[BackendEvent]:
        """Some reasoning is encrypted as a whole: then there is nothing to show."""
        match event:
            case e.ReasoningDelta(text):
                if self._reasoning is None:
                    self._reasoning = self._id("reasoning")
                    yield ReasoningStarted(self._reasoning)
                yield ReasoningDelta(self._reasoning, text)
            case e.ReasoningDone(reasoning):
                self.said.append(reasoning)
                yield from self._end_reasoning()
            case e.ReasoningBegun():
                pass

    def _call(self, event: e.CallBegun | e.CallDelta | e.CallDone) -> Iterator[BackendEvent]:
        match event:
            case e.CallBegun(index, call_id, name):
                toolkit, tool = self._names.get(name, (UNKNOWN_TOOLKIT, name))
                self._refs[index] = ToolRef(self._id("call"), toolkit, tool, call_id=call_id)
            case e.CallDelta(index, arguments):
                ref = self._refs[index]
                self._open[ref.item_id] = ref
                yield ToolArguments(ref, arguments)
            case e.CallDone(index, call):
                self.said.append(call)
                self.calls.append(WantedCall(self._refs[index], call, _object(call.arguments)))

    def _id(self, kind: str) -> ItemId:
        self._count += 1
        return ItemId(f"{self._turn_id}:{kind}-{self._count}")


def _object(arguments: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _sources(found: Mapping[str, str]) -> str:
    lines = [f"- [{_plain(title or url)}](<{_plain(url)}>)" for url, title in found.items()]
    return "\n\nSources:\n\n" + "\n".join(lines)


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable() and char not in "[]<>")[:500]
