"""What the scripted model does, one action after the other, and how a script says so.

A script is a generator. It yields actions and, when it calls tools, gets what they returned. Nothing is kept
between requests: each request carries all earlier outputs, and the script is run again from its beginning
up to the first call that has none (`script.answer`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Literal

from process_agent.wire.responses_stream import Phase, Source


@dataclass(frozen=True, slots=True)
class Say:
    """A message. `pieces` are its deltas; without them the text is split by `split.pieces`.

    `every_ms` is the pause before each delta but the first.
    """

    text: str
    phase: Phase = None
    pieces: tuple[str, ...] | None = None
    every_ms: float = 0
    cites: tuple[Source, ...] = ()
    """What the text rests on, told after it."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search of the web, as a provider's own tool does it; with an `error` in place of results."""

    query: str
    results: tuple[Source, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Think:
    """A reasoning item with this summary."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool on offer.

    `arguments` is JSON text for a function, free text for a custom tool, and the command for a local shell.
    """

    kind: Literal["function", "custom", "local_shell"]
    name: str
    arguments: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class CallTools:
    """Calls made in one response; it ends there, and the outputs come with the next request."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nothing happens for a while."""

    ms: float


@dataclass(frozen=True, slots=True)
class HttpFault:
    """The request is refused with this status. Only possible before anything else was said.

    With `times` set, only the first so many identical requests are refused, so that a retry succeeds.
    """

    status: int
    code: str
    message: str
    retry_after: int | None = None
    times: int | None = None


type FaultKind = Literal["failed", "incomplete", "disconnect", "silence", "unfinished", "garbage"]


@dataclass(frozen=True, slots=True)
class StreamFault:
    """The stream goes wrong after it began.

    failed: `response.failed` with `code` and `message`. incomplete: `response.incomplete` with `code` as
    reason. disconnect: the connection is cut. silence: nothing more comes until the client leaves.
    unfinished: the stream ends in order but without its last event. garbage: an event comes that is no JSON.

    With `times` set, it happens to the first so many identical requests only.
    """

    kind: FaultKind
    code: str = "server_error"
    message: str = "The scripted model was asked to fail."
    times: int | None = None


@dataclass(frozen=True, slots=True)
class RawEvents:
    """Events sent as they are; the ordinary end of the response still follows."""

    events: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The response says that its input had so many tokens, as if the conversation were that long."""

    count: int


type Action = Say | Search | Think | CallTools | Sleep | HttpFault | StreamFault | RawEvents | Tokens

type Replies = tuple[str, ...]
"""Outputs of the calls in one `CallTools`, in order; empty after every other action."""

type Script = Generator[Action, Replies]
type Step[T] = Generator[Action, Replies, T]
"""A part of a script that has a result."""
