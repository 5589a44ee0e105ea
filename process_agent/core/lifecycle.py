"""What the supervisor says about turns and threads, as typed variants; `core.events` has the unions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.ids import ItemId, MessageId, TurnId


@dataclass(frozen=True, slots=True)
class TurnRequested:
    """What a participant asked for, with the turn it became; the event's message id is the request's own.

    Stored, and shown to the other viewers of the thread.
    """

    content: tuple[ContentPart, ...]
    sender_name: str | None
    backend: str | None = None
    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class SteerRequested:
    """What a participant told the running turn; the event's message id is the request's own."""

    content: tuple[ContentPart, ...]
    sender_name: str | None


@dataclass(frozen=True, slots=True)
class TurnAccepted:
    """A turn is queued. `source` is the id of the request that asked for it."""

    source: MessageId
    content: tuple[ContentPart, ...]
    sender_name: str | None


@dataclass(frozen=True, slots=True)
class TurnRejected:
    """A turn was refused; nothing was queued."""

    source: MessageId
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A queued turn runs now. No model sees anything of the turn that it `replaces` from then on."""

    source: MessageId
    content: tuple[ContentPart, ...]
    sender_name: str | None
    replaces: TurnId | None = None


@dataclass(frozen=True, slots=True)
class SteerAccepted:
    """A steer was received; the running turn will take it up."""

    source: MessageId
    content: tuple[ContentPart, ...]
    sender_name: str | None


@dataclass(frozen=True, slots=True)
class Steered:
    """The running turn took the steer up."""

    source: MessageId
    content: tuple[ContentPart, ...]
    sender_name: str | None


@dataclass(frozen=True, slots=True)
class SteerRejected:
    """The steer was refused."""

    source: MessageId
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class InterruptAccepted:
    """An interrupt was received."""

    source: MessageId


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The interrupt took effect."""

    source: MessageId


@dataclass(frozen=True, slots=True)
class Status:
    """The live status line; None everywhere means cleared. Never stored."""

    text: str | None = None
    mode: Literal["busy", "steerable"] | None = None
    started_at: datetime | None = None
    pending_item_id: ItemId | None = None


@dataclass(frozen=True, slots=True)
class ModelChanged:
    """The thread uses another model, or the same with another effort, from its next turn on."""

    source: MessageId | None
    backend: str
    provider: str | None
    model: str | None
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadCleared:
    """Somebody cleared the thread: earlier events count as gone, for viewers and for models."""

    source: MessageId
