"""What the readers of all dialects have in common: bytes to JSON events, and events in good order.

Whatever arrives, in whatever pieces: texts, reasoning and calls that were begun are done before the end, and
the end, `Ended` or `Broken`, comes once and last. Half a call is never done: a stream that breaks drops it.
What the provider said that it used comes once, right before the end: some repeat it with every piece.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from process_agent.core.content import Json
from process_agent.errors import FrameTooLargeError
from process_agent.wire.llm import events as e
from process_agent.wire.llm.request import Call, JsonObject, Reasoning, Replay, Text
from process_agent.wire.sse import SseEvent, SseParser

MAX_CALLS = 256
"""Tool calls of one answer."""


MAX_ID = 200
"""Characters of the provider's name for an answer."""


class StreamReader(ABC):
    """Feed it the bytes of an answer, then say `eof`. `origin` names the provider, see `request.Replay`."""

    def __init__(self, origin: str = "") -> None:
        self.over = False
        self.begun = False
        """Whether anything of an answer has come."""
        self.response_id: str | None = None
        """The provider's name for the answer, once it is known."""
        self.usage: e.TokenUsage | None = None
        """What the provider said by now that the answer used."""
        self._origin = origin
        self._sse = SseParser()
        self._out: list[e.StreamEvent] = []
        self._texting = False
        self._reasoning = False
        self._thoughts: list[str] = []
        self._calls: dict[int, _OpenCall] = {}
        self._called = False

    def feed(self, chunk: bytes) -> list[e.StreamEvent]:
        """The events that these bytes complete; neighbouring deltas come as one."""
        if self.over:
            return []
        try:
            arrived = self._sse.feed(chunk)
        except FrameTooLargeError as error:
            self._break(e.ErrorKind.GARBLED, str(error))
            arrived = []
        for event in arrived:
            self._event(event)
        out, self._out = self._out, []
        return out

    def eof(self) -> list[e.StreamEvent]:
        """The connection ended."""
        if not self.over:
            self._ended_early()
        out, self._out = self._out, []
        return out

    @abstractmethod
    def _take(self, event: JsonObject) -> None:
        """One JSON event of the dialect."""

    def _ended_early(self) -> None:
        """The stream ended without its last event."""
        self._break(e.ErrorKind.CUT, "The answer of the model broke off.")

    def _event(self, event: SseEvent) -> None:
        if self.over:
            return
        try:
            value: object = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, RecursionError):
            self._break(e.ErrorKind.GARBLED, "The answer of the model is not what its interface promises.")
            return
        if not isinstance(value, dict):
            self._break(e.ErrorKind.GARBLED, "The answer of the model is not what its interface promises.")
            return
        self.begun = True
        self._take(value)

    # --- What a dialect says ---------------------------------------------------------------------

    def _named(self, answer: JsonObject) -> None:
        """The object that is the answer as a whole, or a part that names it."""
        self.response_id = self.response_id or text_of(answer, "id")[:MAX_ID] or None

    def _used(self) -> None:
        if self.usage is not None:
            self._out.append(e.Used(self.usage))

    def _begin_text(self, phase: e.Phase = None) -> None:
        self._close_text()
        self._close_reasoning(None)
        self._texting = True
        self._out.append(e.TextBegun(phase))

    def _say(self, text: str, *, refusal: bool = False) -> None:
        if not text:
            return
        if not self._texting:
            self._begin_text()
        last = self._out[-1] if self._out else None
        if isinstance(last, e.TextDelta) and last.refusal == refusal:
            self._out[-1] = e.TextDelta(last.text + text, refusal)
        else:
            self._out.append(e.TextDelta(text, refusal))

    def _close_text(self) -> None:
        if self._texting:
            self._texting = False
            self._out.append(e.TextDone(self._text_parts()))

    def _text_parts(self) -> tuple[Text, ...]:
        """The texts of the open message, where a dialect has more to say of them."""
        return ()

    def _begin_reasoning(self) -> None:
        self._close_text()
        self._close_reasoning(None)
        self._reasoning = True
        self._thoughts = []
        self._out.append(e.ReasoningBegun())

    def _think(self, text: str) -> None:
        if not text:
            return
        if not self._reasoning:
            self._begin_reasoning()
        self._thoughts.append(text)
        last = self._out[-1] if self._out else None
        if isinstance(last, e.ReasoningDelta):
            self._out[-1] = e.ReasoningDelta(last.text + text)
        else:
            self._out.append(e.ReasoningDelta(text))

    def _close_reasoning(self, replay: dict[str, Json] | None) -> None:
        if not self._reasoning:
            return
        text, self._reasoning = "".join(self._thoughts), False
        found = None if replay is None else Replay(self._origin, replay)
        self._out.append(e.ReasoningDone(Reasoning(text, found)))

    def _begin_call(self, index: int, call_id: str, name: str) -> None:
        if len(self._calls) >= MAX_CALLS:
            self._break(e.ErrorKind.GARBLED, f"The model made more than {MAX_CALLS} calls at once.")
            return
        self._close_text()
        self._close_reasoning(None)
        self._calls[index] = _OpenCall(call_id or f"call_{index}", name)
        self._out.append(e.CallBegun(index, call_id or f"call_{index}", name))

    def _write_call(self, index: int, arguments: str) -> None:
        call = self._calls.get(index)
        if call is None or not arguments:
            return
        call.arguments.append(arguments)
        last = self._out[-1] if self._out else None
        if isinstance(last, e.CallDelta) and last.index == index:
            self._out[-1] = e.CallDelta(index, last.arguments + arguments)
        else:
            self._out.append(e.CallDelta(index, arguments))

    def _close_call(self, index: int, arguments: str | None = None) -> None:
        """The call is complete, with exactly these arguments if they are told."""
        call = self._calls.pop(index, None)
        if call is None:
            return
        written = "".join(call.arguments)
        self._called = True
        whole = written if arguments is None else arguments
        self._out.append(e.CallDone(index, Call(call.call_id, call.name, whole or "{}")))

    def _end(self, reason: e.StopReason) -> None:
        self._close_text()
        self._close_reasoning(None)
        for index in list(self._calls):
            self._close_call(index)
        if self._called and reason is e.StopReason.END:
            reason = e.StopReason.CALLS
        self.over = True
        self._used()
        self._out.append(e.Ended(reason))

    def _break(self, kind: e.ErrorKind, message: str) -> None:
        self._fail(e.ApiError(kind, message))

    def _fail(self, error: e.ApiError) -> None:
        self._close_text()
        self._close_reasoning(None)
        self._calls.clear()
        self.over = True
        self._used()
        self._out.append(e.Broken(error))


class _OpenCall:
    __slots__ = ("arguments", "call_id", "name")

    def __init__(self, call_id: str, name: str) -> None:
        self.call_id = call_id
        self.name = name
        self.arguments: list[str] = []


def text_of(raw: Any, member: str) -> str:
    """A member that should be text; empty where it is not."""
    value = raw.get(member) if isinstance(raw, dict) else None
    return value if isinstance(value, str) else ""


def object_of(raw: Any, member: str) -> JsonObject:
    """A member that should be an object; empty where it is not."""
    value = raw.get(member) if isinstance(raw, dict) else None
    return value if isinstance(value, dict) else {}


def list_of(raw: Any, member: str) -> list[JsonObject]:
    """The objects in a member that should be a list of them."""
    value = raw.get(member) if isinstance(raw, dict) else None
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def count_of(raw: Any, member: str) -> int:
    """A number of tokens, never negative; 0 where there is none."""
    value = raw.get(member) if isinstance(raw, dict) else None
    return max(value, 0) if isinstance(value, int) and not isinstance(value, bool) else 0
