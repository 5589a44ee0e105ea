"""The chat channel: agent messages over room messaging and messaging streams (agent protocol section 1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from process_agent.channels.agent_messages import DRAIN_SECONDS, AgentMessages, Origin
from process_agent.channels.streams import LIST, Streams
from process_agent.core.channel import Ask
from process_agent.core.content import Json
from process_agent.core.discovery import ChatProfile
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import Clock, IdSource, ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.replies import Reply
from process_agent.core.requests import OpenThread
from process_agent.core.room import AGENT_MESSAGE, IncomingStream, InOrder, Messaging, RoomMessage
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import PREFIX

logger = logging.getLogger(__name__)

NAME = "chat"

_LIST_TYPES = frozenset(PREFIX + kind for kind in ("thread.created", "thread.updated", "thread.deleted"))


class ChatChannel:
    """See `core.channel.Channel`."""

    def __init__(
        self,
        messaging: Messaging,
        profile: ChatProfile,
        name: str = NAME,
        *,
        new_id: IdSource,
        clock: Clock,
    ) -> None:
        self._name = name
        self._messaging = messaging
        self._profile = profile
        self._tasks = Tasks(f"{name} channel")
        origin = Origin(name, profile.agent_name, new_id, clock)
        self._messages = AgentMessages(origin, self, self._tasks)
        self._streams = Streams(
            name, self._messages.decode, self._messages.receive, self._messages.ask, new_id
        )
        self._unsubscribes: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return self._name

    @property
    def in_order(self) -> bool:
        """See `core.room.InOrder`."""
        return isinstance(self._messaging, InOrder) and self._messaging.in_order

    async def start(self, ask: Ask) -> None:
        """Listen, then tell the room that we do."""
        self._messages.start(ask)
        self._unsubscribes = [
            self._messaging.on_message(self._message),
            self._messaging.on_stream(self._stream),
            self._messaging.on_left(self._messages.left),
        ]
        await self._messaging.set_attributes(self._profile.attributes())

    async def close(self) -> None:
        """Stop listening, send what is left for at most `DRAIN_SECONDS`, close the streams."""
        for unsubscribe in self._unsubscribes:
            unsubscribe()
        self._unsubscribes = []
        withdrawn: dict[str, Json] = dict.fromkeys(self._profile.attributes())
        await self._messaging.set_attributes(withdrawn)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._messages.drain()
                await self._streams.close_all()
        except TimeoutError:
            logger.warning("some participants did not get everything before the end")
        await self._tasks.close()

    # --- To participants -------------------------------------------------------------------------

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._messages.open_view(participant, thread_id)

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._messages.close_view(participant, thread_id)

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        self._messages.show(event, to)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        self._messages.answer(to, reply, thread_id)

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        await self._messages.ready(participant, thread_id)

    # --- The transport ---------------------------------------------------------------------------

    def who(self, participant: ParticipantId) -> Participant | None:
        """See `Transport`."""
        return self._messaging.participant(participant)

    async def send(
        self, participant: ParticipantId, thread_id: ThreadId | None, body: Mapping[str, Json]
    ) -> None:
        """See `Transport`."""
        stream_of = LIST if body.get("type") in _LIST_TYPES else thread_id
        if stream_of is not None and await self._streams.send(participant, stream_of, body):
            return
        await self._messaging.send(participant, AGENT_MESSAGE, body)

    def lost(self, participant: ParticipantId, thread_id: ThreadId | None) -> bool:
        """See `Transport`. The participant knows, because its stream ends, if it has one."""
        if thread_id is None or not self._streams.has(participant, thread_id):
            return False
        self._tasks.start(self._streams.close(participant, thread_id), f"close the stream of {participant}")
        return True

    # --- From participants -----------------------------------------------------------------------

    def _message(self, message: RoomMessage) -> None:
        if message.sender is None:
            logger.warning("dropped a message of type %s from outside the roster", message.type)
        elif message.type == AGENT_MESSAGE:
            self._messages.receive(message.body, message.sender)
        elif message.type == "opened" and isinstance(path := message.body.get("path"), str):
            self._messages.ask(OpenThread(self._messages.envelope(message.sender), ThreadId(path)))

    def _stream(self, stream: IncomingStream) -> None:
        self._tasks.start(self._streams.serve(stream), "messaging stream")
