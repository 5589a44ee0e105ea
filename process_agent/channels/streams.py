"""Messaging streams that chat clients open to us (agent protocol section 1.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from process_agent.core.content import Json
from process_agent.core.ids import IdSource, MessageId, ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.requests import (
    CloseThread,
    Envelope,
    OpenThread,
    Request,
    UnwatchThreads,
    WatchThreads,
)
from process_agent.core.room import AGENT_MESSAGE, IncomingStream
from process_agent.errors import RoomError, WireError

logger = logging.getLogger(__name__)

SUBSCRIBE_THREAD = "meshagent.chat.thread.subscribe"
SUBSCRIBE_LIST = "meshagent.chat.thread_list.subscribe"
ACCEPTED_TYPES = frozenset({SUBSCRIBE_THREAD, SUBSCRIBE_LIST, AGENT_MESSAGE})

LIST = ThreadId("")
"""Stands for the thread list where a stream is for it."""

MAX_STREAMS = 1_000
"""Streams of one participant."""

type Receive = Callable[[Mapping[str, Json], Participant], None]
type Decode = Callable[[Mapping[str, Json], Participant], Request | None]


class Streams:
    """The live streams: one per participant and thread. Closing one means leaving the thread."""

    def __init__(
        self,
        channel: str,
        decode: Decode,
        receive: Receive,
        ask: Callable[[Request], None],
        new_id: IdSource,
    ) -> None:
        self._channel = channel
        self._decode = decode
        self._receive = receive
        self._ask = ask
        self._new_id = new_id
        self._live: dict[tuple[ParticipantId, ThreadId], IncomingStream] = {}

    async def serve(self, stream: IncomingStream) -> None:
        """Accept or refuse a stream, then take in what comes down it until it ends."""
        request = self._first(stream)
        if isinstance(request, str):
            logger.warning("refused a messaging stream: %s", request)
            await stream.reject(request)
            return
        try:
            await stream.accept()
        except RoomError as error:
            logger.info("a messaging stream was over before it was accepted: %s", error)
            return
        sender = request.envelope.sender
        thread_id = request.thread_id if isinstance(request, OpenThread) else LIST
        await self._take_over(stream, request, sender, (sender.id, thread_id))

    async def send(self, participant: ParticipantId, thread_id: ThreadId, body: Mapping[str, Json]) -> bool:
        """Send down the stream of this participant and thread. False when there is none (any more)."""
        stream = self._live.get((participant, thread_id))
        if stream is None:
            return False
        try:
            await stream.send(AGENT_MESSAGE, body)
        except RoomError:
            self._live.pop((participant, thread_id), None)
            return False
        return True

    def has(self, participant: ParticipantId, thread_id: ThreadId) -> bool:
        """Whether there is a stream of this participant and thread."""
        return (participant, thread_id) in self._live

    async def close(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """End a stream from our side."""
        stream = self._live.pop((participant, thread_id), None)
        if stream is not None:
            await stream.close()

    async def close_all(self) -> None:
        """End all streams."""
        for participant, thread_id in tuple(self._live):
            await self.close(participant, thread_id)

    def _first(self, stream: IncomingStream) -> OpenThread | WatchThreads | str:
        """What the stream is for, or why it is refused."""
        sender = stream.sender
        if sender is None:
            return "you are not in this room's list of participants; enable messaging first"
        if stream.type not in ACCEPTED_TYPES:
            return f"no streams of type {stream.type!r} here; use {SUBSCRIBE_THREAD} or {SUBSCRIBE_LIST}"
        try:
            request = self._decode(stream.body, sender)
        except WireError as error:
            return f"the first message cannot be read: {error}"
        if not isinstance(request, OpenThread | WatchThreads):
            return "a stream begins with a thread.open or a thread.watch"
        if sum(participant == sender.id for participant, _ in self._live) >= MAX_STREAMS:
            return f"you have {MAX_STREAMS} streams open; close some"
        return request

    async def _take_over(
        self,
        stream: IncomingStream,
        request: OpenThread | WatchThreads,
        sender: Participant,
        key: tuple[ParticipantId, ThreadId],
    ) -> None:
        replaced = self._live.pop(key, None)
        self._live[key] = stream
        if replaced is not None:
            await replaced.close()
        self._ask(request)
        try:
            async for message_type, body in stream.messages():
                if message_type == AGENT_MESSAGE:
                    self._receive(body, sender)
        except RoomError as error:
            logger.info("a messaging stream broke: %s", error)
        finally:
            if self._live.get(key) in (stream, None):
                self._live.pop(key, None)
                envelope = Envelope(MessageId(self._new_id()), self._channel, sender)
                over = isinstance(request, OpenThread)
                self._ask(CloseThread(envelope, key[1]) if over else UnwatchThreads(envelope))
            await stream.close()
