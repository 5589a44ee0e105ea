"""What the supervisor asks the world to do.

The supervisor decides and returns these; `agent.runner` carries them out and reports what came of them
through the supervisor's methods named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from process_agent.core.backend import Answered, TurnInput
from process_agent.core.content import ContentPart
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import AskId, ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.replies import Reply
from process_agent.core.requests import DeleteThread, ListThreads, RenameThread, StartTurn
from process_agent.core.usage import UsageQuestion
from process_agent.core.workspace import FileCommand

type Audience = Mapping[str, tuple[ParticipantId, ...]]
"""Participants by channel."""

NOBODY: Audience = {}


@dataclass(frozen=True, slots=True)
class Viewer:
    """A participant as one channel knows it."""

    channel: str
    participant: ParticipantId


# --- To participants ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emit:
    """Remember an event in the thread's log (if `store`), then show it to `to`."""

    event: ThreadEvent
    to: Audience
    store: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Send a reply to one participant; `thread_id` keeps it in order with that thread's events."""

    to: Viewer
    reply: Reply
    thread_id: ThreadId | None = None


@dataclass(frozen=True, slots=True)
class OpenView:
    """The channel may prepare to send events of this thread to the viewer."""

    viewer: Viewer
    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class CloseView:
    """The viewer gets no more events of this thread."""

    viewer: Viewer
    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class Replay:
    """Read the log from `since` on, or a page of it. Report older turns with `replay_older` before the first
    event, each event with `replayed`, the end with `replay_ended`.
    """

    replay_id: str
    viewer: Viewer
    thread_id: ThreadId
    since: str | None
    before: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Warn:
    """Write a line to the program's log."""

    text: str


# --- To the thread store -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateThread:
    """Create a thread, `owner`'s if it is to be anybody's, and open its log; report `thread_created` or
    `thread_not_created` with `key`.
    """

    key: str
    name: str
    owner: str | None = None
    asked_by: str = ""
    """Whose it is to wait, where many are to be made."""


@dataclass(frozen=True, slots=True)
class FindOwner:
    """Find out whose a thread is; with `create` it need not exist, and is `claim`'s then. Report
    `owner_found` or `owner_not_found`.
    """

    thread_id: ThreadId
    claim: str | None = None
    create: bool = False


@dataclass(frozen=True, slots=True)
class OpenLog:
    """Open the log of a thread; report `log_opened` or `log_not_opened`. `create` is the name of a thread
    that may have to be made; `turns` are to be shown then, or as many as a replay may have.
    """

    thread_id: ThreadId
    create: str | None = None
    turns: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseThread:
    """Close the log and the backend thread of a thread nobody needs now."""

    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class StoreTurnEnd:
    """Make everything in the log durable; report `turn_stored`."""

    thread_id: ThreadId
    turn_id: TurnId


@dataclass(frozen=True, slots=True)
class TouchThread:
    """Note in the index that something happened; report `thread_updated`. With `begun` a turn begins: that is
    kept in memory until its end is noted, and reported only where it is known and news.
    """

    thread_id: ThreadId
    begun: bool = False


@dataclass(frozen=True, slots=True)
class NameThread:
    """Give a thread its title, if its name is still `instead_of` (None: whatever it is); report
    `thread_updated`.
    """

    thread_id: ThreadId
    name: str
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class MakeTitle:
    """Let a backend make a title for a thread that begins with `text`; report `title_made`."""

    thread_id: ThreadId
    backend: str
    text: str


@dataclass(frozen=True, slots=True)
class ReadList:
    """Read a page of the index, or of an owner's threads in it; report `list_read` or `request_failed`."""

    request: ListThreads
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class ForkThread:
    """Copy a thread, without these turns, as `name` (None: after the thread), `owner`'s if it is to be
    anybody's; report `thread_forked`.
    """

    request: StartTurn
    name: str | None
    without: frozenset[TurnId] = frozenset()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Rename:
    """Rename as asked; report `thread_updated` or `request_failed`."""

    request: RenameThread


@dataclass(frozen=True, slots=True)
class Delete:
    """Close the thread's log and remove the thread; report `thread_deleted` or `request_failed`."""

    request: DeleteThread


# --- To the backend ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunTurn:
    """Run a turn on the backend of `turn.model`; report `backend_event` for each event, `backend_lost` when
    it stops without a `TurnEnded`.
    """

    thread_id: ThreadId
    turn: TurnInput


@dataclass(frozen=True, slots=True)
class AskWorkspace:
    """Have the workspace of a thread carry out a command, or look up what was used; report what is to be said
    as `backend_event`s of this turn, the last a `TurnEnded`.
    """

    thread_id: ThreadId
    turn_id: TurnId
    command: FileCommand | UsageQuestion


@dataclass(frozen=True, slots=True)
class FindLastMessage:
    """Look in the log for what was said last to a model (`retry.of_log`); report `last_message`."""

    thread_id: ThreadId
    request: StartTurn


@dataclass(frozen=True, slots=True)
class SteerBackend:
    """Give the running turn more input; report `steer_decided`."""

    thread_id: ThreadId
    turn_id: TurnId
    source: MessageId
    content: tuple[ContentPart, ...]
    sender_name: str | None


@dataclass(frozen=True, slots=True)
class InterruptBackend:
    """Stop the running turn; its end comes as a `backend_event`."""

    thread_id: ThreadId
    turn_id: TurnId


@dataclass(frozen=True, slots=True)
class AbandonTurn:
    """Stop listening to a backend that does not end its turn, and close its thread; the turn is over."""

    thread_id: ThreadId
    turn_id: TurnId


@dataclass(frozen=True, slots=True)
class DecideItem:
    """Answer an approval request; report `item_decided`."""

    thread_id: ThreadId
    turn_id: TurnId
    item_id: ItemId
    decision: Decision
    answers: Answers = NO_ANSWERS


@dataclass(frozen=True, slots=True)
class AnswerAsk:
    """Give the backend the answer to what the running turn asked of its sender. Secrets stay unprinted."""

    thread_id: ThreadId
    turn_id: TurnId
    ask_id: AskId
    answer: Answered


@dataclass(frozen=True, slots=True)
class CloseBackendThread:
    """Make the backend forget a thread in which nothing runs; its next turn opens it with what the log holds
    then.
    """

    thread_id: ThreadId


# --- To the clock ------------------------------------------------------------------------------


class TimerKind(StrEnum):
    """What a timer is for."""

    APPROVAL = "approval"
    """Nobody decided about an item."""
    INTERRUPT = "interrupt"
    """The backend was interrupted and did not end the turn."""
    STEER = "steer"
    """The turn is over and the backend has not said whether it took a steer."""
    ASK = "ask"
    """The sender of a turn did not answer it."""
    IDLE = "idle"
    """Nobody views a thread in which nothing runs."""


@dataclass(frozen=True, slots=True)
class Timer:
    """The name of a timer; one of each name runs at most."""

    kind: TimerKind
    thread_id: ThreadId
    turn_id: TurnId | None = None
    item_id: ItemId | None = None
    ask_id: AskId | None = None


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Report `timer_fired` after this many seconds, unless stopped. Starting it again starts it anew."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Forget a timer; fine when it does not run."""

    timer: Timer


type ForThread = (
    RunTurn
    | AskWorkspace
    | FindLastMessage
    | SteerBackend
    | InterruptBackend
    | AbandonTurn
    | DecideItem
    | AnswerAsk
)
"""What a thread that is open does itself."""

type Command = (
    Emit
    | Answer
    | OpenView
    | CloseView
    | Replay
    | Warn
    | CreateThread
    | FindOwner
    | OpenLog
    | ReleaseThread
    | StoreTurnEnd
    | TouchThread
    | NameThread
    | MakeTitle
    | ReadList
    | ForkThread
    | Rename
    | Delete
    | ForThread
    | CloseBackendThread
    | StartTimer
    | StopTimer
)
