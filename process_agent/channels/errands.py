"""Errands: requests of channels without people, whose end somebody waits for.

A queue item, a tool call and a letter each become one turn. An `Errand` collects what becomes of it;
`Errands` sends the requests of one channel and feeds their errands with what the channel is told. Each errand
is a participant of its own, `<channel>:<uuid5 of its request>`, with the role `tool`: it can never approve.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from process_agent.core.channel import Ask
from process_agent.core.content import ContentPart, ErrorInfo, Json
from process_agent.core.events import (
    EndReason,
    EventBody,
    FileShown,
    ImageCompleted,
    Phase,
    TextDelta,
    TextStarted,
    ThreadEvent,
    TurnAccepted,
    TurnEnded,
    TurnRejected,
    TurnStarted,
)
from process_agent.core.ids import IdSource, ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.images import GIVEN_BACK
from process_agent.core.participants import Participant, of_channel
from process_agent.core.replies import Reply, RequestRejected, ThreadStarted, ThreadStartRejected
from process_agent.core.requests import (
    Envelope,
    InterruptTurn,
    Left,
    ModelWish,
    StartThread,
    StartTurn,
    TurnOptions,
)

MAX_COLLECTED = 16 << 20
"""Characters of text and addresses that are kept of one turn; what comes after is dropped, and said."""

LOST = ErrorInfo("The agent stopped before the turn ended.", "agent_stopped")


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an errand is sent for. Without a thread a new one is made; a thread that is missing is made under
    this very id. `sender_name` is for display and gives no rights; where participants have threads of their
    own, these are those of `acts_for`, or the channel's own.
    """

    content: tuple[ContentPart, ...]
    thread_id: ThreadId | None = None
    sender_name: str | None = None
    wish: ModelWish = field(default_factory=ModelWish)
    options: TurnOptions = field(default_factory=TurnOptions)
    title: str | None = None
    acts_for: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an errand. `ended` is None when it was refused; then nothing ran.

    `texts` are the agent's messages in order, `commentary` what it said on the way, `files` the addresses of
    the files and images it showed. `started` is False when the agent stopped before the turn's time came.
    """

    ended: EndReason | None
    error: ErrorInfo | None = None
    thread_id: ThreadId | None = None
    turn_id: TurnId | None = None
    texts: tuple[str, ...] = ()
    commentary: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    started: bool = False
    truncated: bool = False

    @property
    def text(self) -> str:
        """The whole answer, a blank line between messages."""
        return "\n\n".join(self.texts)


@dataclass(slots=True)
class _Message:
    phase: Phase = None
    pieces: list[str] = field(default_factory=list)


class Errand:
    """Collects what becomes of one request, named by its message id. Pure; `outcome` is set at the end."""

    def __init__(self, source: MessageId) -> None:
        self.source = source
        self.turn_id: TurnId | None = None
        self.thread_id: ThreadId | None = None
        self.outcome: Outcome | None = None
        self._started = False
        self._messages: dict[ItemId, _Message] = {}
        self._files: list[str] = []
        self._room = MAX_COLLECTED
        self._truncated = False

    def show(self, event: ThreadEvent) -> None:
        """An event of some thread; those of other turns are passed over."""
        if self.outcome is not None:
            return
        match event.body:
            case TurnRejected(source, error) if source == self.source:
                self.end(None, error)
            case TurnAccepted(source) if source == self.source:
                self.turn_id, self.thread_id = event.turn_id, event.thread_id
            case body if self.turn_id is not None and event.turn_id == self.turn_id:
                self._note(body)

    def _note(self, body: EventBody) -> None:
        match body:
            case TurnStarted():
                self._started = True
            case TurnEnded(reason, error):
                self.end(reason, error)
            case TextStarted(item_id, phase):
                self._messages[item_id] = _Message(phase)
            case TextDelta(item_id, text, phase):
                message = self._messages.setdefault(item_id, _Message(phase))
                message.pieces.append(self._fitting(text))
            case FileShown(_, url):
                self._show(url)
            case ImageCompleted(item_id, images) if not item_id.endswith(GIVEN_BACK):
                for image in images:
                    self._show(image.uri)
            case _:
                pass

    def answer(self, reply: Reply) -> None:
        """A reply."""
        match reply:
            case ThreadStarted(source, thread_id) if source == self.source:
                self.thread_id = thread_id
            case ThreadStartRejected(source, error) if source == self.source:
                self.end(None, error)
            case RequestRejected(source, _, error) if source == self.source:
                self.end(None, error)
            case _:
                pass

    def end(self, ended: EndReason | None, error: ErrorInfo | None) -> None:
        """It is over. The first end counts."""
        if self.outcome is not None:
            return
        written = [(message.phase, "".join(message.pieces)) for message in self._messages.values()]
        self.outcome = Outcome(
            ended,
            error,
            self.thread_id,
            self.turn_id,
            texts=tuple(text for phase, text in written if phase != "commentary" and text.strip()),
            commentary=tuple(text for phase, text in written if phase == "commentary" and text.strip()),
            files=tuple(self._files),
            started=self._started,
            truncated=self._truncated,
        )

    def _show(self, url: str) -> None:
        if url in self._files:
            return
        if len(url) > self._room:
            self._truncated = True
            return
        self._room -= len(url)
        self._files.append(url)

    def _fitting(self, text: str) -> str:
        if len(text) > self._room:
            self._truncated = True
            text = text[: self._room]
        self._room -= len(text)
        return text


class RunningErrand:
    """An errand that was sent."""

    def __init__(self, errand: Errand, envelope: Envelope, ask: Ask, new_id: IdSource) -> None:
        self.errand = errand
        self.envelope = envelope
        self._ask = ask
        self._new_id = new_id
        self._over: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._abandoned = False

    async def outcome(self) -> Outcome:
        """Wait for the end; any number may."""
        return await asyncio.shield(self._over)

    def abandon(self) -> None:
        """Nobody wants it any more: its turn is interrupted, as soon as there is one."""
        if not self._abandoned:
            self._abandoned = True
            self._interrupt()

    def took(self, turn_id_before: TurnId | None) -> bool:
        """Something was fed to the errand; whether it is over now."""
        if self.errand.outcome is not None:
            if not self._over.done():
                self._over.set_result(self.errand.outcome)
            return True
        if self._abandoned and turn_id_before is None:
            self._interrupt()
        return False

    def _interrupt(self) -> None:
        errand = self.errand
        if errand.outcome is None and errand.turn_id is not None and errand.thread_id is not None:
            envelope = Envelope(MessageId(self._new_id()), self.envelope.channel, self.envelope.sender)
            self._ask(InterruptTurn(envelope, errand.thread_id, errand.turn_id))


class Errands:
    """The errands of one channel. `channel` is its name; hand it everything `Channel` says of events, replies
    and views.
    """

    def __init__(self, channel: str, ask: Ask, new_id: IdSource) -> None:
        self._channel = channel
        self._ask = ask
        self._new_id = new_id
        self._running: dict[ParticipantId, RunningErrand] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, assignment: Assignment) -> RunningErrand:
        """Send one request. Requests are asked in the order of the calls."""
        envelope = self._envelope(assignment)
        running = RunningErrand(Errand(envelope.message_id), envelope, self._ask, self._new_id)
        self._running[envelope.sender.id] = running
        self._ask(_request(assignment, envelope))
        return running

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        for participant in to:
            running = self._running.get(participant)
            if running is not None:
                before = running.errand.turn_id
                running.errand.show(event)
                self._fed(running, before)

    def answer(self, to: ParticipantId, reply: Reply) -> None:
        """See `Channel`."""
        running = self._running.get(to)
        if running is not None:
            before = running.errand.turn_id
            running.errand.answer(reply)
            self._fed(running, before)

    def close_view(self, participant: ParticipantId) -> None:
        """See `Channel`. An errand that sees no more of its thread cannot hear of its end."""
        running = self._running.get(participant)
        if running is not None:
            running.errand.end(EndReason.LOST, ErrorInfo("The thread was closed.", "thread_closed"))
            self._fed(running, None)

    def close(self) -> None:
        """The agent stops: whoever still waits hears that."""
        for running in tuple(self._running.values()):
            running.errand.end(EndReason.LOST, LOST)
            self._fed(running, None)

    def _fed(self, running: RunningErrand, turn_id_before: TurnId | None) -> None:
        if running.took(turn_id_before):
            sender = running.envelope.sender
            if self._running.pop(sender.id, None) is not None:
                self._ask(Left(sender, self._channel))

    def _envelope(self, assignment: Assignment) -> Envelope:
        message_id = MessageId(self._new_id())
        own = uuid.uuid5(uuid.NAMESPACE_URL, message_id)
        name = assignment.sender_name
        attributes: dict[str, Json] = {} if name is None else {"name": name}
        acts_for = assignment.acts_for or of_channel(self._channel)
        sender = Participant(ParticipantId(f"{self._channel}:{own}"), "tool", attributes, acts_for)
        return Envelope(message_id, self._channel, sender)


def _request(assignment: Assignment, envelope: Envelope) -> StartThread | StartTurn:
    content, wish = assignment.content, assignment.wish
    options = replace(assignment.options, can_answer=False)
    if assignment.thread_id is None:
        return StartThread(envelope, content, name=assignment.title, wish=wish, options=options)
    return StartTurn(envelope, assignment.thread_id, content, wish=wish, options=options, create=True)
