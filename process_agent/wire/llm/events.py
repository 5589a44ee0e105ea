"""What a streamed answer says, whatever dialect it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from process_agent.core.content import Json
from process_agent.wire.llm.request import Call, Hosted, HostedTool, Reasoning, Text

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
    searches: int = 0
    """Searches of the web by the provider's own tool."""
    images: tuple[str, ...] = ()
    """Images that the provider made, each by quality and size, like `high 1024x1024`."""


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
    """The open message is complete. `parts` are its texts where the provider wants to see sources again."""

    parts: tuple[Text, ...] = ()


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
class HostedBegun:
    """A tool of the provider's own begins to work."""

    call_id: str
    tool: HostedTool


@dataclass(frozen=True, slots=True)
class HostedImage:
    """An image as far as it is made, in base64; `index` counts from 0."""

    call_id: str
    data: str
    index: int


@dataclass(frozen=True, slots=True)
class HostedDone:
    """It is done, or will go on in the next answer: then there is neither `result` nor `error`. It may be the
    first that is heard of it.
    """

    call_id: str
    hosted: Hosted
    arguments: Mapping[str, Json]
    result: Mapping[str, Json] | None = None
    error: str | None = None


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
    | HostedBegun
    | HostedImage
    | HostedDone
    | Cited
    | Used
    | Ended
    | Broken
)
