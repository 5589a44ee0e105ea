"""One open thread: what happens in it, in order, across lost connections and agents that restart.

The view opens the thread through a messaging stream when the agent offers them, else by unary messages.
When the way to the agent breaks, it waits for the agent, forgets what it knows of unfinished turns, and
opens the thread again from the last turn it saw end; inputs the agent never acknowledged are sent again
under the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Literal

from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.decisions import Decision
from process_agent.core.events import (
    Steered,
    SteerRejected,
    ThreadEvent,
    TurnAccepted,
    TurnRejected,
    TurnRequested,
    TurnStarted,
)
from process_agent.core.ids import AskId, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.participants import Participant
from process_agent.core.replies import RequestRejected, ThreadLoaded
from process_agent.core.requests import (
    AnswerSecret,
    CloseThread,
    Decide,
    InterruptTurn,
    ModelWish,
    OpenThread,
    Request,
    Secret,
    StartTurn,
    SteerTurn,
    TurnOptions,
)
from process_agent.core.room import AGENT_MESSAGE, OutgoingStream
from process_agent.errors import RoomError, TurnRefusedError
from process_agent.io.tasks import Tasks
from process_agent.viewer.link import AgentLink
from process_agent.viewer.older import OlderPage
from process_agent.viewer.received import Received
from process_agent.viewer.transcript import Transcript
from process_agent.viewer.updates import Failed, Happened, Loaded, Offline, Older, Online, Update
from process_agent.wire.agent_messages import encode_request

logger = logging.getLogger(__name__)

THREAD_STREAM = "meshagent.chat.thread.subscribe"

QUEUE_LIMIT = 10_000
"""Updates that may wait for their reader. A stream waits when it is full; unary messages cannot, so the
thread is opened again instead."""

UNACKNOWLEDGED_LIMIT = 100
"""Inputs that may wait for the agent's acknowledgement."""

TOO_LATE = frozenset({"turn_ended", "turn_not_in_progress"})
"""Refusals of a steer after which the same text can be a turn of its own."""

REOPEN_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before opening again, growing while nothing arrives in between."""


AS_IT_IS = ModelWish()
"""Keep the model the thread has."""

type History = Literal["new", "load", "skip"]
"""What a view shows of the past: the thread is new, all that is stored, or only what happens from now on."""

_NOT_COME = ErrorInfo("The connection broke before the earlier turns came.", "connection_lost")

_NOWHERE = "none"
"""A `since_turn` that matches nothing: nothing is replayed, and the end of the replay is still announced."""


class ThreadView:
    """An open thread. One reader iterates `updates()`; close it when done."""

    def __init__(
        self,
        link: AgentLink,
        thread_id: ThreadId,
        *,
        history: History,
        forget: Callable[[ThreadView], None],
        recent: int | None = None,
    ) -> None:
        self.thread_id = thread_id
        self.transcript = Transcript()
        self._link = link
        self._history = history
        self._recent = recent
        self._older: str | None = None
        self._page: OlderPage | None = None
        self._forget = forget
        self._inbox: asyncio.Queue[Received | Offline | Online] = asyncio.Queue(QUEUE_LIMIT)
        self._stream: OutgoingStream | None = None
        self._unacknowledged: dict[MessageId, StartTurn] = {}
        self._steers: dict[MessageId, tuple[ContentPart, ...]] = {}
        self._reopen = asyncio.Event()
        self._attempt = 0
        self._resuming = False
        self._live = False
        self._open_id: MessageId | None = None
        self._closed = asyncio.Event()
        self._tasks = Tasks(f"view of {thread_id}")

    def start(self) -> None:
        """Open the thread and keep it open."""
        self._tasks.start(self._keep_open(), "keep open")

    async def close(self) -> None:
        """Stop viewing. Idempotent."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._forget(self)
        with suppress(asyncio.QueueFull):  # a full one wakes the reader anyway
            self._inbox.put_nowait(Offline("The view was closed."))
        streamed = self._stream is not None
        await self._tasks.close()
        if self._link.agent is not None and not streamed:
            await self._link.send(CloseThread(self._link.envelope(), self.thread_id))

    async def updates(self) -> AsyncIterator[Update]:
        """What happens, in order, until the view is closed or cannot go on. For one reader."""
        while (update := await self._next()) is not None:
            if not isinstance(update, Received):
                if isinstance(update, Online):
                    self.transcript.rewind()
                yield update
                if isinstance(update, Offline) and self._page is not None:
                    self._page = None
                    yield Older((), self._older is not None, _NOT_COME)
                continue
            if (page := self._page_over(update)) is not None:
                yield page
                continue
            yield self._happened(update)
            await self._say_again(update.event)
            if isinstance(update.reply, ThreadLoaded):
                if not self._live:
                    await self._go_live()
                self._older = self._older or update.reply.older
                yield Loaded()
            elif isinstance(update.reply, RequestRejected) and update.reply.source == self._open_id:
                error = update.reply.error
                yield Failed(TurnRefusedError(f"{self.thread_id}: {error.message}", code=error.code))
                return

    async def _next(self) -> Received | Offline | Online | None:
        if self._closed.is_set():
            return None
        update = await self._inbox.get()
        return None if self._closed.is_set() else update

    # --- Asking ---------------------------------------------------------------------------------

    async def start_turn(
        self,
        content: tuple[ContentPart, ...],
        wish: ModelWish = AS_IT_IS,
        options: TurnOptions = TurnOptions(),  # noqa: B008 - it cannot change
    ) -> MessageId:
        """Queue a turn; its acceptance or refusal comes with the updates. Returns the id it answers to.

        While the thread is not open, the request waits for that.
        """
        if len(self._unacknowledged) >= UNACKNOWLEDGED_LIMIT:
            raise RoomError(
                f"{UNACKNOWLEDGED_LIMIT} messages wait for {self._link.name} to acknowledge them."
            )
        request = StartTurn(self._link.envelope(), self.thread_id, content, wish=wish, options=options)
        message_id = request.envelope.message_id
        self._unacknowledged[message_id] = request
        if self._live:
            await self._send(request)
        return message_id

    async def steer(self, turn_id: TurnId, content: tuple[ContentPart, ...]) -> MessageId:
        """Give the running turn more input."""
        request = SteerTurn(self._link.envelope(), self.thread_id, turn_id, content)
        if len(self._steers) >= UNACKNOWLEDGED_LIMIT:
            del self._steers[next(iter(self._steers))]
        self._steers[request.envelope.message_id] = content
        await self._send(request)
        return request.envelope.message_id

    async def _say_again(self, event: ThreadEvent | None) -> None:
        """What came too late for its turn is said as the next one."""
        match None if event is None else event.body:
            case SteerRejected(source, error):
                content = self._steers.pop(source, None)
                if content is not None and error.code in TOO_LATE:
                    await self.start_turn(content)
            case Steered(source):
                self._steers.pop(source, None)

    @property
    def has_older(self) -> bool:
        """Whether there are turns before those known, which the agent would send."""
        return self._older is not None

    async def older(self, limit: int) -> bool:
        """Ask for the last `limit` turns before those known; they come with the updates, as `Older`. False
        when there are none, or some are on their way.
        """
        if self._older is None or self._page is not None:
            return False
        request = OpenThread(self._link.envelope(), self.thread_id, before=self._older, limit=limit)
        self._page = OlderPage(request.envelope.message_id, self.transcript)
        await self._send(request)
        return True

    def _page_over(self, received: Received) -> Older | None:
        """The page asked for, when this is its end."""
        page, reply = self._page, received.reply
        if page is None:
            return None
        if isinstance(reply, RequestRejected) and reply.source == page.source:
            page.error = reply.error
        if not isinstance(reply, ThreadLoaded) or reply.source != page.source:
            return None
        self._page, self._older = None, reply.older
        return page.complete(reply)

    async def interrupt(self, turn_id: TurnId) -> None:
        """Ask to stop the turn."""
        await self._send(InterruptTurn(self._link.envelope(), self.thread_id, turn_id))

    async def decide(self, turn_id: TurnId, item_id: ItemId, decision: Decision) -> MessageId:
        """Answer a request for approval. Returns the id that a refusal will name."""
        request = Decide(self._link.envelope(), self.thread_id, turn_id, item_id, decision)
        await self._send(request)
        return request.envelope.message_id

    async def answer_secret(self, turn_id: TurnId, ask_id: AskId, secret: Secret) -> None:
        """Give a turn the secret it waits for, or say why not."""
        await self._send(AnswerSecret(self._link.envelope(), self.thread_id, turn_id, ask_id, secret))

    @property
    def unacknowledged(self) -> tuple[tuple[ContentPart, ...], ...]:
        """What was said and the agent has not acknowledged yet, oldest first."""
        return tuple(request.content for request in self._unacknowledged.values())

    @property
    def steerable(self) -> TurnId | None:
        """The running turn when it takes more input."""
        turn = self.transcript.running
        return turn.id if turn is not None and self.transcript.status.mode == "steerable" else None

    @property
    def model(self) -> ModelChoice | None:
        """The model the thread uses, when the agent said."""
        changed = self.transcript.model
        return None if changed is None else ModelChoice(changed.backend, changed.provider, changed.model)

    async def _send(self, request: Request) -> None:
        if self._stream is not None:
            try:
                await self._stream.send(AGENT_MESSAGE, encode_request(request))
                return
            except RoomError:
                self._stream = None  # it is over; its reader opens the thread again
        await self._link.send(request)

    # --- Receiving ------------------------------------------------------------------------------

    def receive(self, received: Received) -> None:
        """Take a unary message about this thread. Never waits."""
        try:
            self._inbox.put_nowait(received)
        except asyncio.QueueFull:
            self._reopen.set()

    def _happened(self, received: Received) -> Happened:
        if received.event is None:
            return Happened(received)
        if self._page is not None and self._page.take(received.event):
            return Happened(received)
        self._acknowledge(received.event)
        change = self.transcript.apply(received.event)
        return Happened(received, change, repeated=change is None)

    async def _go_live(self) -> None:
        """The thread is open, and after a replay it is clear what the agent does not know of: send that."""
        self._live = True
        for request in list(self._unacknowledged.values()):
            await self._send(request)

    def _acknowledge(self, event: ThreadEvent) -> None:
        match event.body:
            case TurnAccepted(source=source) | TurnStarted(source=source) | TurnRejected(source=source):
                self._unacknowledged.pop(source, None)
            case TurnRequested():
                self._unacknowledged.pop(event.message_id, None)

    # --- Staying open ---------------------------------------------------------------------------

    async def _keep_open(self) -> None:
        while True:
            agent = await self._link.present()
            if self._resuming:
                await asyncio.sleep(REOPEN_SECONDS[min(self._attempt, len(REOPEN_SECONDS) - 1)])
                self._attempt += 1
                await self._inbox.put(Online())
            try:
                await self._open_once(agent)
            except RoomError as error:
                reason = error.message
            else:
                reason = self._reason(agent)
            await self._inbox.put(Offline(reason))
            self._resuming = True

    async def _open_once(self, agent: Participant) -> None:
        """Open the thread and return when it has to be opened again."""
        self._reopen.clear()
        request = self._open_request()
        self._open_id = request.envelope.message_id
        self._stream = await self._link.open_stream(THREAD_STREAM, request)
        try:
            if self._stream is None:
                await self._link.send(request)
            if not self._resuming:
                await self._go_live()
            async with asyncio.TaskGroup() as group:
                ends = [
                    group.create_task(self._link.absent(agent.id)),
                    group.create_task(self._reopen.wait()),
                ]
                if self._stream is not None:
                    ends.append(group.create_task(self._read(self._stream)))
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for task in ends:
                    task.cancel()
        finally:
            self._live = False
            await self._end_stream()

    async def _read(self, stream: OutgoingStream) -> None:
        try:
            async for message_type, body in stream.messages():
                self._attempt = 0
                if message_type == AGENT_MESSAGE:
                    await self._inbox.put(self._link.take(body))
        except RoomError as error:
            logger.info("the stream of %s ended: %s", self.thread_id, error)

    async def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    def _open_request(self) -> OpenThread:
        envelope = self._link.envelope()
        if not self._resuming:
            load = self._history == "load"
            return OpenThread(envelope, self.thread_id, load, limit=self._recent if load else None)
        since: str | None = self.transcript.resume_point
        if since is None and self._history == "skip":
            since = _NOWHERE
        return OpenThread(envelope, self.thread_id, load=True, since_turn=since)

    def _reason(self, agent: Participant) -> str:
        if not self._link.online:
            return "The room connection was lost."
        if self._reopen.is_set():
            return "Messages came faster than they could be shown; opening the thread again."
        now = self._link.agent
        if now is None or now.id != agent.id:
            return f"{self._link.name} left the room."
        return f"{self._link.name} closed the thread's stream."
