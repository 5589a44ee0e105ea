"""The chat channel: agent messages over room messaging and messaging streams (agent protocol section 1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from process_agent.channels.merging import Merging, Pace
from process_agent.channels.outbox import Outbox
from process_agent.channels.streams import LIST, Streams
from process_agent.core.channel import Ask
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import SteerRejected, ThreadEvent, TurnRejected
from process_agent.core.ids import Clock, IdSource, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.replies import Reply, ThreadStartRejected
from process_agent.core.requests import CloseThread, Envelope, Left, OpenThread, Request
from process_agent.core.room import AGENT_MESSAGE, IncomingStream, Messaging, RoomMessage
from process_agent.errors import WireError
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import PREFIX, compact, decode_request, encode_event, encode_reply

logger = logging.getLogger(__name__)

NAME = "chat"
DRAIN_SECONDS = 2.0
"""How long `close` goes on sending what is left."""

_LIST_TYPES = frozenset(PREFIX + kind for kind in ("thread.created", "thread.updated", "thread.deleted"))


@dataclass(frozen=True, slots=True)
class ChatProfile:
    """What clients learn about the agent before they talk to it. `thread_dir` has its scheme once."""

    agent_name: str
    thread_dir: str
    empty_state_title: str = "How can I help you?"

    def attributes(self) -> dict[str, Json]:
        """Participant attributes (section 2.1)."""
        return {
            "supports_agent_messages": True,
            "supports_messaging_streams": True,
            "empty_state_title": self.empty_state_title,
            "meshagent.chatbot.threading": "default-new",
            "meshagent.chatbot.thread-dir": self.thread_dir,
            "meshagent.chatbot.thread-list": f"{self.thread_dir}/index",
        }


class ChatChannel:
    """See `core.channel.Channel`."""

    def __init__(self, messaging: Messaging, profile: ChatProfile, *, new_id: IdSource, clock: Clock) -> None:
        self._messaging = messaging
        self._profile = profile
        self._new_id = new_id
        self._clock = clock
        self._tasks = Tasks("chat channel")
        self._ask: Ask = _refuse_early
        self._streams = Streams(NAME, self._decode, self._receive, self._asked, new_id)
        self._views: dict[tuple[ParticipantId, ThreadId], Outbox] = {}
        self._direct: dict[ParticipantId, Outbox] = {}
        self._pace = Pace()
        self._unsubscribes: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return NAME

    async def start(self, ask: Ask) -> None:
        """Listen, then tell the room that we do."""
        self._ask = ask
        self._unsubscribes = [
            self._messaging.on_message(self._message),
            self._messaging.on_stream(self._stream),
            self._messaging.on_left(self._left),
        ]
        await self._messaging.set_attributes(self._profile.attributes())

    async def close(self) -> None:
        """Stop listening, send what is left for at most `DRAIN_SECONDS`, close the streams."""
        for unsubscribe in self._unsubscribes:
            unsubscribe()
        self._unsubscribes = []
        withdrawn: dict[str, Json] = dict.fromkeys(self._profile.attributes())
        await self._messaging.set_attributes(withdrawn)
        outboxes = [*self._views.values(), *self._direct.values()]
        for outbox in outboxes:
            outbox.close()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                for outbox in outboxes:
                    await outbox.closed()
                await self._streams.close_all()
        except TimeoutError:
            logger.warning("some participants did not get everything before the end")
        await self._tasks.close()

    # --- To participants -------------------------------------------------------------------------

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        key = (participant, thread_id)
        if key not in self._views:
            self._views[key] = Outbox(
                f"{participant} in {thread_id}",
                partial(self._send, participant, thread_id),
                lambda _: self._view_failed(participant, thread_id),
                self._tasks,
                Merging(self._new_id, self._pace),
            )

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        outbox = self._views.pop((participant, thread_id), None)
        if outbox is not None:
            outbox.close()

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        body = _Once(event)
        for participant in to:
            outbox = self._outbox(participant, event.thread_id)
            if outbox is not None:
                outbox.show(event, body)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
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
        if direct is None and self._messaging.participant(participant) is not None:
            direct = self._direct[participant] = Outbox(
                str(participant),
                partial(self._send, participant, None),
                lambda _: self._direct_failed(participant),
                self._tasks,
                Merging(self._new_id, self._pace),
            )
        return direct

    async def _send(
        self, participant: ParticipantId, thread_id: ThreadId | None, body: Mapping[str, Json]
    ) -> None:
        stream_of = LIST if body.get("type") in _LIST_TYPES else thread_id
        if stream_of is not None and await self._streams.send(participant, stream_of, body):
            return
        await self._messaging.send(participant, AGENT_MESSAGE, body)

    def _encode(self, reply: Reply) -> Mapping[str, Json]:
        encoded = encode_reply(
            reply,
            message_id=self._new_id(),
            created_at=self._clock(),
            sender_name=self._profile.agent_name,
        )
        return compact(encoded)

    def _view_failed(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """The participant cannot be reached or reads too slowly: it sees the thread no more, and knows it,
        because its stream ends.
        """
        self._views.pop((participant, thread_id), None)
        self._tasks.start(self._streams.close(participant, thread_id), f"close the stream of {participant}")
        sender = Participant(participant)
        self._asked(CloseThread(Envelope(MessageId(self._new_id()), NAME, sender), thread_id))

    def _direct_failed(self, participant: ParticipantId) -> None:
        self._direct.pop(participant, None)

    # --- From participants -----------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        self._ask(request)

    def _message(self, message: RoomMessage) -> None:
        if message.sender is None:
            logger.warning("dropped a message of type %s from outside the roster", message.type)
        elif message.type == AGENT_MESSAGE:
            self._receive(message.body, message.sender)
        elif message.type == "opened" and isinstance(path := message.body.get("path"), str):
            envelope = Envelope(MessageId(self._new_id()), NAME, message.sender)
            self._asked(OpenThread(envelope, ThreadId(path)))

    def _stream(self, stream: IncomingStream) -> None:
        self._tasks.start(self._streams.serve(stream), "messaging stream")

    def _left(self, participant: Participant) -> None:
        self._asked(Left(participant, NAME))
        direct = self._direct.pop(participant.id, None)
        if direct is not None:
            direct.close()

    def _receive(self, body: Mapping[str, Json], sender: Participant) -> None:
        try:
            request = self._decode(body, sender)
        except WireError as error:
            logger.warning("dropped a message of %s: %s", sender.name or sender.id, error)
            self._reject(_unwrapped(body), sender, ErrorInfo(str(error), "invalid_message"))
            return
        if request is not None:
            self._asked(request)

    def _decode(self, body: Mapping[str, Json], sender: Participant) -> Request | None:
        return decode_request(_unwrapped(body), channel=NAME, sender=sender, new_id=self._new_id)

    def _reject(self, body: Mapping[str, Json], sender: Participant, error: ErrorInfo) -> None:
        """Answer a message that cannot be read, where the protocol has an answer."""
        source, thread_id, turn_id = (_text(body, n) for n in ("message_id", "thread_id", "turn_id"))
        if not source:
            return
        rejected: TurnRejected | SteerRejected = TurnRejected(MessageId(source), error)
        match body.get("type"):
            case "meshagent.agent.thread.start":
                self.answer(sender.id, ThreadStartRejected(MessageId(source), error))
            case "meshagent.agent.turn.start":
                pass
            case "meshagent.agent.turn.steer":
                rejected = SteerRejected(MessageId(source), error)
            case _:
                return
        event = ThreadEvent(
            message_id=MessageId(self._new_id()),
            thread_id=ThreadId(thread_id),
            turn_id=TurnId(turn_id) if turn_id else None,
            created_at=self._clock(),
            body=rejected,
            sender_name=self._profile.agent_name,
        )
        self.show(event, (sender.id,))


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


def _text(body: Mapping[str, Json], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _refuse_early(request: Request) -> None:
    raise RuntimeError(f"{type(request).__name__} came before the channel was started")
