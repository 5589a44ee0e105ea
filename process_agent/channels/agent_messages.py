"""Agent messages over some transport: what the channels that carry them have in common.

A channel gives its transport and gets requests decoded and asked, bad messages answered, and events and
replies encoded into one ordered outbox per viewer of a thread, and one per participant for everything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from process_agent.channels.merging import Merging, Pace
from process_agent.channels.outbox import Behind, Outbox
from process_agent.channels.refusing import Recordings, refusals, text_of
from process_agent.channels.repeats import Repeats
from process_agent.channels.sent_pieces import SentPieces
from process_agent.core.channel import Ask
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import (
    ClientToolCancelled,
    ClientToolRequested,
    SteerRejected,
    ThreadEvent,
    TurnRejected,
)
from process_agent.core.ids import Clock, IdSource, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.replies import Reply, ThreadStartRejected
from process_agent.core.requests import CloseThread, Envelope, Left, OpenThread, Request
from process_agent.errors import RoomError, WireError
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import (
    compact,
    decode_request,
    encode_behind,
    encode_event,
    encode_reply,
    limits,
    unpack,
)

logger = logging.getLogger(__name__)

INVALID = "invalid_message"
"""Code of a message that cannot be read; every other refusal is about what it asks."""

DRAIN_SECONDS = 2.0
"""How long a channel that closes goes on sending what is left."""


LONGEST_PAUSE = 30.0
QUIET_SECONDS = 60.0
"""Seconds after which nobody remembers that a viewer fell behind."""


class Transport(Protocol):
    """How one channel reaches its participants."""

    def who(self, participant: ParticipantId) -> Participant | None:
        """The participant, as it was authenticated, when it is there."""
        ...

    async def send(
        self, participant: ParticipantId, thread_id: ThreadId | None, body: Mapping[str, Json]
    ) -> None:
        """Send one message; `thread_id` when it is for a viewer of that thread. Waits while the way is full.
        Raises `RoomError` when the participant cannot be reached.
        """
        ...

    def lost(self, participant: ParticipantId, thread_id: ThreadId | None) -> bool:
        """The participant cannot be reached, or reads too slowly: nothing more is sent to it, as a viewer of
        `thread_id` or directly, until it asks again. False when nothing ends by which it hears of that.
        """
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """What every message of one channel is made with. `agent_name` signs what the agent says."""

    channel: str
    agent_name: str
    new_id: IdSource
    clock: Clock


class AgentMessages:
    """The common half of a channel; see `core.channel.Channel` for the methods both have."""

    def __init__(self, origin: Origin, transport: Transport, tasks: Tasks) -> None:
        self._origin = origin
        self._transport = transport
        self._tasks = tasks
        self._ask: Ask = _refuse_early
        self._views: dict[tuple[ParticipantId, ThreadId], Outbox] = {}
        self._direct: dict[ParticipantId, Outbox] = {}
        self._pace = Pace()
        self._sent = SentPieces()
        self._repeats = Repeats()
        self._recordings = Recordings()
        self._behind: set[tuple[ParticipantId, ThreadId]] = set()
        """Viewers that lost their view, and get it back as soon as they take something."""
        self._caught_up: dict[tuple[ParticipantId, ThreadId], tuple[float, float]] = {}
        """When they got it back, and after how long a pause."""

    def start(self, ask: Ask) -> None:
        """Requests go to `ask` from now on."""
        self._ask = ask

    async def drain(self) -> None:
        """Take nothing more to send, and send what is left. The caller sets the time limit."""
        outboxes = [*self._views.values(), *self._direct.values()]
        for outbox in outboxes:
            outbox.close()
        for outbox in outboxes:
            await outbox.closed()

    # --- To participants -------------------------------------------------------------------------

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        key = (participant, thread_id)
        if key not in self._views:
            self._views[key] = self._new_outbox(participant, thread_id)

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        outbox = self._views.pop((participant, thread_id), None)
        if outbox is not None:
            outbox.close()

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`. What one participant is asked for reaches that one, whoever else is named."""
        match event.body:
            case ClientToolRequested(target=target) | ClientToolCancelled(target=target) if (
                target is not None
            ):
                to = [participant for participant in to if participant == target]
            case TurnRejected(source) | SteerRejected(source):
                self._repeats.forget(source)
            case _:
                pass
        self._show(event, to)

    def _show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        body = _Once(event)
        for participant in to:
            outbox = self._outbox(participant, event.thread_id)
            if outbox is not None:
                outbox.show(event, body)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        if isinstance(reply, ThreadStartRejected):
            self._repeats.forget(reply.source)
        outbox = self._outbox(to, thread_id)
        if outbox is not None:
            outbox.put(self._encode(reply))

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        outbox = self._views.get((participant, thread_id))
        if outbox is not None:
            await outbox.ready()

    def _outbox(self, participant: ParticipantId, thread_id: ThreadId | None) -> Outbox | None:
        if thread_id is not None and (view := self._views.get((participant, thread_id))) is not None:
            return view
        direct = self._direct.get(participant)
        if direct is None and self._transport.who(participant) is not None:
            direct = self._direct[participant] = self._new_outbox(participant, None)
        return direct

    def _new_outbox(self, participant: ParticipantId, thread_id: ThreadId | None) -> Outbox:
        connection = None
        if thread_id is not None:
            now = asyncio.get_running_loop().time()
            connection = self._sent.arrive(self._transport.who(participant), thread_id, now)
        return Outbox(
            str(participant) if thread_id is None else f"{participant} in {thread_id}",
            partial(self._transport.send, participant, thread_id),
            lambda behind: self._failed(participant, thread_id, behind),
            self._tasks,
            Merging(self._pace, connection),
        )

    def _failed(self, participant: ParticipantId, thread_id: ThreadId | None, behind: Behind | None) -> None:
        if thread_id is None:
            self._direct.pop(participant, None)
        else:
            self._views.pop((participant, thread_id), None)
        told = self._transport.lost(participant, thread_id)
        if thread_id is None:
            return
        self.ask(CloseThread(self.envelope(Participant(participant)), thread_id))
        if behind is not None and not told:
            self._behind.add((participant, thread_id))
            self._tasks.start(self._catch_up(participant, thread_id, behind), f"{participant} catches up")

    async def _catch_up(self, participant: ParticipantId, thread_id: ThreadId, behind: Behind) -> None:
        """Show a thread again to one who fell behind and does not know it, once it takes messages again. What
        it has of it keeps its ids.
        """
        origin, key = self._origin, (participant, thread_id)
        notice = encode_behind(
            thread_id,
            message_id=origin.new_id(),
            created_at=origin.clock(),
            sender_name=origin.agent_name,
        )
        try:
            await self._transport.send(participant, thread_id, notice)
        except RoomError:
            self._behind.discard(key)
        await asyncio.sleep(self._pause(key))
        who = self._transport.who(participant)
        if key in self._behind and who is not None:
            self.ask(OpenThread(self.envelope(who), thread_id, load=True, since_turn=behind.since))
        self._behind.discard(key)

    def _pause(self, key: tuple[ParticipantId, ThreadId]) -> float:
        """Seconds to leave one alone that falls behind again and again: each replay is work for all."""
        now = asyncio.get_running_loop().time()
        last, pause = self._caught_up.get(key, (float("-inf"), 0.0))
        pause = 0.0 if now > last + QUIET_SECONDS else min(max(2 * pause, 1.0), LONGEST_PAUSE)
        self._caught_up[key] = (now, pause)
        return pause

    def _encode(self, reply: Reply) -> Mapping[str, Json]:
        encoded = encode_reply(
            reply,
            message_id=self._origin.new_id(),
            created_at=self._origin.clock(),
            sender_name=self._origin.agent_name,
        )
        return compact(encoded)

    # --- From participants -----------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        """Take a request in."""
        self._ask(request)

    def left(self, participant: Participant) -> None:
        """The participant is gone; nothing is sent to it any more."""
        self.ask(Left(participant, self._origin.channel))
        self._recordings.forget(participant.id)
        for key in [key for key in self._caught_up if key[0] == participant.id]:
            del self._caught_up[key]
        direct = self._direct.pop(participant.id, None)
        if direct is not None:
            direct.close()

    def envelope(self, sender: Participant) -> Envelope:
        """The envelope of a request that no message made."""
        return Envelope(MessageId(self._origin.new_id()), self._origin.channel, sender)

    def receive(self, body: Mapping[str, Json], sender: Participant) -> None:
        """Ask what a message asks; answer one that cannot be read, and leave unknown types alone."""
        try:
            self.take(body, sender)
        except WireError as error:
            self._reject(_unwrapped(body), sender, error)

    def take(self, body: Mapping[str, Json], sender: Participant) -> None:
        """Like `receive`, but raises `WireError` for a message that cannot be read. One that can be read and
        asks for what we do not do is answered.
        """
        whole = _unwrapped(body)
        for message in unpack(whole):
            try:
                request = self._decode(message, sender)
                if request is not None and not self._repeats.repeated(request):
                    if isinstance(request, OpenThread | CloseThread):  # it sees to that itself
                        self._behind.discard((sender.id, request.thread_id))
                    self.ask(request)
            except WireError as error:
                if message is whole and error.refusal == INVALID:
                    raise
                self._reject(message, sender, error)

    def decode(self, body: Mapping[str, Json], sender: Participant) -> Request | None:
        """The request of a message; None for a type that is not one. Raises `WireError`."""
        return self._decode(_unwrapped(body), sender)

    def _decode(self, body: Mapping[str, Json], sender: Participant) -> Request | None:
        origin = self._origin
        return decode_request(body, channel=origin.channel, sender=sender, new_id=origin.new_id)

    def _reject(self, body: Mapping[str, Json], sender: Participant, error: WireError) -> None:
        """Answer a message that is not taken, where the protocol has an answer."""
        if self._recordings.refused_before(body, sender.id):
            return
        logger.warning("refused a message of %r: %s", sender.name or sender.id, error)
        for refusal in refusals(body, ErrorInfo(str(error), error.refusal)):
            if isinstance(refusal, TurnRejected | SteerRejected):
                self._show(self._event(body, refusal), (sender.id,))
            else:
                self.answer(sender.id, refusal)

    def _event(self, body: Mapping[str, Json], refusal: TurnRejected | SteerRejected) -> ThreadEvent:
        turn_id = text_of(body, "turn_id")[: limits.MAX_ID]
        return ThreadEvent(
            message_id=MessageId(self._origin.new_id()),
            thread_id=ThreadId(text_of(body, "thread_id")[: limits.MAX_ID]),
            turn_id=TurnId(turn_id) if turn_id or isinstance(refusal, SteerRejected) else None,
            created_at=self._origin.clock(),
            body=refusal,
            sender_name=self._origin.agent_name,
        )


class _Once:
    """The message of an event, made when the first outbox wants it whole, and once for all of them."""

    __slots__ = ("_body", "_event")

    def __init__(self, event: ThreadEvent) -> None:
        self._event = event
        self._body: Mapping[str, Json] | None = None

    def __call__(self) -> Mapping[str, Json]:
        if self._body is None:
            self._body = compact(encode_event(self._event))
        return self._body


def _unwrapped(body: Mapping[str, Json]) -> Mapping[str, Json]:
    """The agent message, which some clients wrap in `payload`."""
    payload = body.get("payload")
    return payload if isinstance(payload, dict) and "type" not in body else body


def _refuse_early(request: Request) -> None:
    raise RuntimeError(f"{type(request).__name__} came before the channel was started")
