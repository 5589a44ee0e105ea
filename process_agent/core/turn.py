"""One turn: queued, running, waiting for approval, ended.

The state only moves forward, and `end` happens once: everything that must happen exactly once hangs on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from process_agent.core.backend import TurnInput
from process_agent.core.commands import Viewer
from process_agent.core.content import ContentPart
from process_agent.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    ClientToolRequested,
    SecretRequested,
    Status,
    TurnEnded,
    Working,
)
from process_agent.core.ids import AskId, ItemId, MessageId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.requests import TurnOptions
from process_agent.core.workspace import FileCommand

type Ask = ClientToolRequested | SecretRequested
"""What a turn asks of its sender."""


class TurnState(StrEnum):
    """Where a turn is."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting for approval"
    ENDED = "ended"


@dataclass(slots=True)
class Approval:
    """An item that waits for a decision; `decided` is set once there is one and the backend is being told.

    `answers` are those to its questions so far. `told` when people were asked in words, `typed` when who
    decided is told so in a turn of its own.
    """

    request: ApprovalRequested
    decided: ApprovalDecided | None = None
    told: bool = False
    typed: bool = False
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Steer:
    """Input the running turn was given and has not confirmed yet. `sender` hears what comes of it, whether or
    not it views the thread; None once it left.
    """

    content: tuple[ContentPart, ...]
    sender_name: str | None
    sender: Viewer | None


@dataclass(slots=True)
class Turn:
    """One turn. `model` is what its request asked for, None for the thread's own; `present` is False once
    its sender left.
    """

    id: TurnId
    source: MessageId
    sender: Viewer
    sender_name: str | None
    content: tuple[ContentPart, ...]
    model: ModelChoice | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    present: bool = True
    client: str | None = None
    """Which program its sender uses, as that says: its attribute `client`."""
    compact: bool = False
    """Nobody asks anything: the backend shortens what its model remembers."""
    files: FileCommand | None = None
    """Nothing for a backend: the workspace is asked this."""
    replaces: TurnId | None = None
    """The turn whose message it repeats, which no model is to see any more."""
    state: TurnState = TurnState.QUEUED
    started_at: datetime | None = None
    working: Working | None = None
    interrupt: MessageId | None = None
    ending: TurnEnded | None = None
    """What the backend said last, while it has not said whether it took a steer."""
    verdict: TurnEnded | None = None
    """What its end says, whatever the backend makes of it."""
    added: tuple[ContentPart, ...] = ()
    """What it was steered with, as far as the backend took it."""
    steers: dict[MessageId, Steer] = field(default_factory=dict)
    approvals: dict[ItemId, Approval] = field(default_factory=dict)
    decided: dict[ItemId, ApprovalDecided] = field(default_factory=dict)
    """What was decided last about an item, for those who decide too late."""
    approvals_asked: int = 0
    asks: dict[AskId, Ask] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """Whether the backend is working on it."""
        return self.state in (TurnState.RUNNING, TurnState.WAITING)

    @property
    def for_model(self) -> bool:
        """Whether a model answers it."""
        return not self.compact and self.files is None

    def start(self, at: datetime, model: ModelChoice | None) -> None:
        """The backend gets it now; no model has to do with a command about files."""
        if self.state is not TurnState.QUEUED:
            raise ValueError(f"turn {self.id} is {self.state.value} and cannot start")
        self.state = TurnState.RUNNING
        self.started_at = at
        self.model = model

    def wait_for(self, approval: Approval) -> None:
        """An item needs a decision."""
        if not self.under_way:
            raise ValueError(f"turn {self.id} is {self.state.value} and cannot wait")
        self.approvals[approval.request.ref.item_id] = approval
        self.state = TurnState.WAITING

    def settle(self, item_id: ItemId) -> Approval | None:
        """The item needs no decision any more; None when it needed none."""
        approval = self.approvals.pop(item_id, None)
        if self.state is TurnState.WAITING and not self.approvals:
            self.state = TurnState.RUNNING
        return approval

    def end(self) -> None:
        """The turn is over. Raises ValueError the second time."""
        if self.state is TurnState.ENDED:
            raise ValueError(f"turn {self.id} ended already")
        self.state = TurnState.ENDED
        self.steers.clear()
        self.approvals.clear()


def input_of(turn: Turn, model: ModelChoice) -> TurnInput:
    """The turn as its backend gets it."""
    return TurnInput(
        turn.id,
        () if turn.compact else turn.content,
        turn.sender_name,
        model,
        turn.options.instructions,
        turn.options.client_tools,
        turn.compact,
        client=turn.client,
        effort=turn.options.effort or model.effort,
        output_schema=turn.options.output_schema,
        mcp_servers=turn.options.mcp_servers,
        replaces=turn.replaces,
    )


def status_of(turn: Turn) -> Status:
    """The status line of a running turn."""
    working = turn.working or Working("Thinking")
    text, pending = working.text, working.pending_item_id
    if turn.interrupt is not None:
        text = "Interrupting"
    elif (
        waiting := next((a.request for a in turn.approvals.values() if a.decided is None), None)
    ) is not None:
        text = "Waiting for an answer" if waiting.questions else "Waiting for approval"
        pending = waiting.ref.item_id
    elif turn.asks:
        text = f"Waiting for the client of {turn.sender_name or 'the sender'}"
    busy = turn.interrupt is not None or not working.steerable
    return Status(text, "busy" if busy else "steerable", turn.started_at, pending)
