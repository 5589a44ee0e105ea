"""The queue channel: each item of a room queue becomes one turn (agent protocol, section 9).

The room gives an item away once, so the channel takes no item that cannot start: it waits for a free place
first. What is taken and cannot become a turn is sent to the queue `NAME.failed` with the reason; what the
agent cannot start any more because it stops goes back to the end of its own queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from process_agent.channels.errands import Assignment, Errands, Outcome, RunningErrand
from process_agent.channels.own_queue import OwnQueue
from process_agent.channels.paths import thread_id_of
from process_agent.channels.queue_items import content_of, read_item
from process_agent.core.channel import Ask
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import EndReason, ThreadEvent
from process_agent.core.ids import Clock, IdSource, ParticipantId, ThreadId
from process_agent.core.replies import Reply
from process_agent.core.requests import ModelWish, Request, TurnOptions
from process_agent.core.room_ports import Queues, RoomFiles
from process_agent.errors import ProcessError, WireError
from process_agent.io.backoff import Backoff
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

MAX_TURNS = 8
"""Turns of one queue that run or wait side by side; other items stay in the queue."""

CLOSE_SECONDS = 5.0
"""How long `close` waits for items that go back to a queue."""

ROOM_TRIES = 6
"""How often an item is tried whose thread the room does not give, waits of up to 16 s between them."""

_ROOM = "room_error"
_BUSY = frozenset(("too_many_turns", "too_many_requests"))
_STOPPED = frozenset(("agent_stopping", "agent_stopped"))
_RETRY = Backoff()


@dataclass(frozen=True, slots=True)
class QueueProfile:
    """Which queue, and where its threads are: a folder like `dataset://agents/bot/threads`. Items without a
    path go to `thread`, or each to a new one.
    """

    queue: str
    directory: str
    thread: ThreadId | None = None


class QueueChannel:
    """See `core.channel.Channel`."""

    def __init__(
        self, queues: Queues, files: RoomFiles, profile: QueueProfile, *, new_id: IdSource, clock: Clock
    ) -> None:
        self._own = OwnQueue(queues, profile.queue, clock)
        self._files = files
        self._profile = profile
        self._queue = profile.queue
        self._new_id = new_id
        self._clock = clock
        self._tasks = Tasks(self.name)
        self._places = asyncio.Semaphore(MAX_TURNS)
        self._stopping = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._errands = Errands(self.name, _refuse_early, new_id)

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return f"queue:{self._queue}"

    async def start(self, ask: Ask) -> None:
        """Begin to take items."""
        self._errands = Errands(self.name, ask, self._new_id)
        self._taking = self._tasks.start(self._take_all(), "take items")

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._errands.close_view(participant)

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        self._errands.show(event, to)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        self._errands.answer(to, reply)

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`. Nothing is ever left to send."""

    async def close(self) -> None:
        """Take nothing any more; items that were taken and never started go back to the queue."""
        self._stop_taking()
        self._errands.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while len(self._tasks):
                    await self._tasks.wait()
        except TimeoutError:
            logger.error("the queue %s did not get everything back", self._queue)
        await self._tasks.close()

    # --- Taking items ----------------------------------------------------------------------------

    async def _take_all(self) -> None:
        async with aclosing(self._own.items(self._places)) as items:
            async for item in items:
                await self._begin(item)
                if self._stopping.is_set():
                    return

    async def _begin(self, item: Json) -> None:
        """Start the turn of an item; items start in the order in which they came."""
        try:
            assignment = await self._assignment(item)
        except asyncio.CancelledError:
            self._tasks.start(self._own.put_back(item), "return an item")
            raise
        except ProcessError as error:
            self._places.release()
            code = error.refusal if isinstance(error, WireError) else "invalid_item"
            self._tasks.start(self._own.fail(item, ErrorInfo(str(error), code)), "report an item")
            return
        running = self._errands.start(assignment)
        if _unstarted(running.errand.outcome):
            self._stopping.set()
        self._tasks.start(self._follow(item, assignment, running), "follow a turn")

    async def _assignment(self, item: Json) -> Assignment:
        wanted = read_item(item)
        thread_id = self._profile.thread
        if wanted.path is not None:
            thread_id = thread_id_of(wanted.path, self._profile.directory, self._clock())
        return Assignment(
            await content_of(wanted, self._files),
            thread_id,
            wanted.sender_name,
            ModelWish(model=wanted.model),
            TurnOptions(instructions=wanted.instructions),
        )

    def _stop_taking(self) -> None:
        self._stopping.set()
        if self._taking is not None:
            self._taking.cancel()

    # --- What becomes of them --------------------------------------------------------------------

    async def _follow(self, item: Json, assignment: Assignment, running: RunningErrand) -> None:
        try:
            outcome = await self._outcome(assignment, running)
        finally:
            self._places.release()
        error = outcome.error or ErrorInfo("no reason was given", "failed")
        if _unstarted(outcome):
            self._stop_taking()
            await self._own.put_back(item)
        elif outcome.ended is None:
            await self._own.fail(item, error)
        elif outcome.ended is EndReason.INTERRUPTED:
            logger.info("a turn of %s in %s was interrupted", self.name, outcome.thread_id)
        elif outcome.ended is not EndReason.COMPLETED:
            logger.warning("a turn of %s in %s failed: %s", self.name, outcome.thread_id, error.message)

    async def _outcome(self, assignment: Assignment, running: RunningErrand) -> Outcome:
        """How it ended. While too much waits in its thread, or the room is away, it is asked for again."""
        for attempt, delay in enumerate(_RETRY.delays(), 1):
            outcome = await running.outcome()
            code = None if outcome.ended is not None or outcome.error is None else outcome.error.code
            if code not in _BUSY and (code != _ROOM or attempt >= ROOM_TRIES):
                return outcome
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            running = self._errands.start(assignment)
        raise AssertionError("waiting times never run out")


def _unstarted(outcome: Outcome | None) -> bool:
    """Whether the agent stopped before the turn's time came."""
    if outcome is None or outcome.started or outcome.error is None:
        return False
    return outcome.error.code in _STOPPED


def _refuse_early(request: Request) -> None:
    raise RuntimeError(f"{type(request).__name__} before the channel was started")
