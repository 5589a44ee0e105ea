"""What a streamed answer says, whatever dialect it came in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from process_agent.wire.llm.request import Call, Reasoning

type Phase = Literal["commentary", "final_answer"] | None


class ErrorKind(StrEnum):
    """What went wrong, as far as it decides what to do about it."""

    AUTH = "auth"
    FORBIDDEN = "forbidden"
    QUOTA = "quota"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    CONTEXT_LENGTH = "context_length"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    CUT = "cut"
    """The answer ended before its end."""
    GARBLED = "garbled"
    """The answer does not follow its dialect."""
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    LONG = "long"
    """The answer is longer, or took longer, than allowed."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """A failure as the provider tells it. `retry_after` is in seconds from now."""

    kind: ErrorKind
    message: str
    code: str = ""
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one answer. `input` includes `cached` (read from the provider's cache) and `cache_written`;
    `output` includes `reasoning`.
    """

    input: int = 0
    cached: int = 0
    cache_written: int = 0
    output: int = 0
    reasoning: int = 0


# --- Events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextBegun:
    """A message begins; what follows belongs to it until `TextDone`."""

    phase: Phase = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the open message; `refusal` when the model says why it does not answer."""

    text: str
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class TextDone:
    """The open message is complete."""


@dataclass(frozen=True, slots=True)
class ReasoningBegun:
    """Reasoning begins."""


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the open reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDone:
    """The open reasoning is complete."""

    reasoning: Reasoning


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A tool call begins. Calls may be written side by side; `index` tells them apart."""

    index: int
    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallDelta:
    """More of a call's arguments."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class CallDone:
    """A call is complete."""

    index: int
    call: Call


@dataclass(frozen=True, slots=True)
class Cited:
    """The text said so far rests on this source."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """What the answer cost."""

    usage: TokenUsage


class StopReason(StrEnum):
    """Why a model stopped."""

    END = "end"
    CALLS = "calls"
    LENGTH = "length"
    CONTEXT = "context"
    """No room is left in the context window."""
    REFUSED = "refused"
    PAUSED = "paused"
    """The provider wants to be asked to go on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of an answer that came to its end."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Broken:
    """The last event of an answer that did not."""

    error: ApiError


type StreamEvent = (
    TextBegun
    | TextDelta
    | TextDone
    | ReasoningBegun
    | ReasoningDelta
    | ReasoningDone
    | CallBegun
    | CallDelta
    | CallDone
    | Cited
    | Used
    | Ended
    | Broken
)
