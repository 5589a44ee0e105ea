"""Everything that happens in a thread, as typed variants.

Two families. A `BackendEvent` is what a backend says while it works on one turn; it knows nothing of
threads, viewers or message ids. The supervisor adds the `Lifecycle` events and wraps both in a
`ThreadEvent`, which is what channels send and the thread store keeps.

Matching over these unions ends with `assert_never`: a new variant breaks the type check until every
place handles it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from process_agent.core.content import ErrorInfo, GeneratedImage, Json, LogLine, ToolResult
from process_agent.core.decisions import YES_OR_NO, Decision, Question
from process_agent.core.ids import AskId, ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.lifecycle import (
    InterruptAccepted,
    Interrupted,
    ModelChanged,
    Status,
    SteerAccepted,
    Steered,
    SteerRejected,
    SteerRequested,
    ThreadCleared,
    TurnAccepted,
    TurnRejected,
    TurnRequested,
    TurnStarted,
)
from process_agent.core.usage import ContextWindow, Usage

type Phase = Literal["commentary", "final_answer"] | None


# --- What a backend says while it works -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Working:
    """A few words for the status line: "Thinking", "Running pytest -q". Live only, never stored.

    `steerable` tells clients that a message sent now steers the turn instead of queueing behind it.
    """

    text: str
    steerable: bool = True
    pending_item_id: ItemId | None = None


@dataclass(frozen=True, slots=True)
class TextStarted:
    """A message of the agent begins. A second start for the same item resets its text."""

    item_id: ItemId
    phase: Phase = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of a message, exactly as the model wrote it. `whole` when it is told again and this is all of
    it, to the end; it is in no message and no row.
    """

    item_id: ItemId
    text: str
    phase: Phase = None
    whole: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class TextEnded:
    """The message is complete. The text is the concatenation of its deltas."""

    item_id: ItemId
    phase: Phase = None


@dataclass(frozen=True, slots=True)
class ReasoningStarted:
    """The model begins to think aloud."""

    item_id: ItemId


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning summary."""

    item_id: ItemId
    text: str
    whole: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class ReasoningEnded:
    """The reasoning is complete; `metadata` may hold what a provider wants back on the next call."""

    item_id: ItemId
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileShown:
    """A file or image the agent shows, by URL."""

    item_id: ItemId
    url: str


@dataclass(frozen=True, slots=True)
class ToolRef:
    """Which tool an item is about. `namespace` is `codex` for Codex's own tools."""

    item_id: ItemId
    toolkit: str
    tool: str
    namespace: str = "meshagent"
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """More of the arguments a model is writing, as JSON text; the whole of them follows as `ToolStarted`."""

    ref: ToolRef
    delta: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call begins, or its arguments changed (the diff of a turn is sent again as it grows)."""

    ref: ToolRef
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ToolLog:
    """Output of a running tool. `skipped` counts the lines left out where it is told again; it is in no
    message and no row.
    """

    ref: ToolRef
    lines: tuple[LogLine, ...]
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool call is over: with a result, or with an error."""

    ref: ToolRef
    result: ToolResult | None = None
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """The turn waits until somebody who may decide accepts or declines `ref`, or answers its `questions`.

    Answered through `BackendThread.decide(ref.item_id, …)`. `decisions` are those that can be made. `number`
    is how people name it among those of the turn, and `approvers` who may decide, in the words of
    `core.approvers` (empty: not known); the supervisor fills both in.
    """

    ref: ToolRef
    arguments: Mapping[str, Json]
    reason: str | None = None
    decisions: tuple[Decision, ...] = YES_OR_NO
    questions: tuple[Question, ...] = ()
    number: int = 0
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """An image is being made."""

    item_id: ItemId
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImagePartial:
    """The image as far as it is made; `index` counts from 0. Live only, never stored."""

    item_id: ItemId
    image: GeneratedImage
    index: int


@dataclass(frozen=True, slots=True)
class ImageCompleted:
    """The images are made. `prompt` is what they were to show, as the model that made them put it."""

    item_id: ItemId
    images: tuple[GeneratedImage, ...]
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """No image was made."""

    item_id: ItemId
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class ClientToolRequested:
    """The turn waits for a tool that the client of its sender offers. Live only, never stored, and shown to
    `target` alone, which the supervisor fills in. Answered through `BackendThread.answer(ask_id, …)`.
    """

    ask_id: AskId
    tool: str
    arguments: Mapping[str, Json]
    target: ParticipantId | None = None


@dataclass(frozen=True, slots=True)
class ClientToolCancelled:
    """Nobody waits for the client's answer any more: it took too long, left, or the turn is ending."""

    ask_id: AskId
    tool: str
    reason: str
    target: ParticipantId | None = None


@dataclass(frozen=True, slots=True)
class SecretRequested:
    """The turn waits for a secret from its sender, like a key or the code of an OAuth login. Live only, never
    stored, and shown to the turn's sender alone. Answered through `BackendThread.answer(ask_id, …)`; the
    answer never reaches a log or a table. `oauth` has the fields of the protocol's OAuth request.
    """

    ask_id: AskId
    name: str
    prompt: str | None = None
    oauth: Mapping[str, Json] | None = None
    challenge: str | None = None


@dataclass(frozen=True, slots=True)
class ContextCompacted:
    """The backend shortened what its model remembers of the thread; what the room keeps is untouched.

    `automatic` says that nobody asked for it; `summary` is what stands for the earlier conversation now, if
    the backend tells.
    """

    checkpoint_id: str
    automatic: bool
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class UsageUpdated:
    """Tokens of the turn so far; `cost` in US dollars, filled in by the supervisor when prices are known."""

    usage: Usage
    context: ContextWindow | None = None
    cost: float | None = None


class EndReason(StrEnum):
    """How a turn ended. Every started turn ends exactly once."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    LOST = "lost"
    """Whoever ran it is gone: the agent was killed, or the backend's process died."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The last event of a turn. `error` is set when `reason` is FAILED or LOST."""

    reason: EndReason
    error: ErrorInfo | None = None


type BackendEvent = (
    Working
    | TextStarted
    | TextDelta
    | TextEnded
    | ReasoningStarted
    | ReasoningDelta
    | ReasoningEnded
    | FileShown
    | ToolArguments
    | ToolStarted
    | ToolLog
    | ToolEnded
    | ApprovalRequested
    | ImageStarted
    | ImagePartial
    | ImageCompleted
    | ImageFailed
    | ClientToolRequested
    | ClientToolCancelled
    | SecretRequested
    | ContextCompacted
    | UsageUpdated
    | TurnEnded
)


# --- What the supervisor says about turns: these and those of `core.lifecycle` --------------------


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    """It was decided about an item. Shown as a line of the item's log.

    `by` is a participant's name or the rule that decided; nobody did when it is None, and `why` says so.
    `answer` is what was answered, for people.
    """

    ref: ToolRef
    decision: Decision
    by: str | None
    why: str | None = None
    answer: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether it may be done."""
        return self.decision.accepts

    @property
    def text(self) -> str:
        """One line for people: `Approved for the session by ana`."""
        said = _DECIDED[self.decision]
        if self.answer is not None:
            said = "Answered"
        by = "" if self.by is None else f" by {self.by}"
        what = "" if self.answer is None else f": {self.answer}"
        return f"{said}{by}{what}" if self.why is None else f"{said}{by}: {self.why}"


_DECIDED = {
    Decision.ACCEPT: "Approved",
    Decision.ACCEPT_FOR_SESSION: "Approved for the session",
    Decision.DECLINE: "Declined",
    Decision.CANCEL: "Declined and stopped",
    Decision.UNANSWERED: "Declined",
}


type Lifecycle = (
    TurnRequested
    | SteerRequested
    | TurnAccepted
    | TurnRejected
    | TurnStarted
    | SteerAccepted
    | Steered
    | SteerRejected
    | InterruptAccepted
    | Interrupted
    | ApprovalDecided
    | Status
    | ModelChanged
    | ThreadCleared
)

type EventBody = BackendEvent | Lifecycle


@dataclass(frozen=True, slots=True)
class ThreadEvent:
    """One event with everything a client needs to place it.

    `provider` and `model` name what produced it; `sender_name` is the agent's own name.
    """

    message_id: MessageId
    thread_id: ThreadId
    turn_id: TurnId | None
    created_at: datetime
    body: EventBody
    sender_name: str | None = None
    provider: str | None = None
    model: str | None = None
