"""Messages on their way to one participant, in order and without making anybody else wait."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from process_agent.channels.flows import flow_of
from process_agent.channels.merging import Merging
from process_agent.core.content import Json
from process_agent.core.events import ThreadEvent
from process_agent.errors import RoomError
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import compact, encode_event

logger = logging.getLogger(__name__)

MAX_MESSAGES = 2_000
"""Messages that wait for one participant and thread; above that the participant is too slow. What one event
is cut into counts as one.
"""

MAX_CHARACTERS = 8_000_000
"""Text that waits to be merged."""

_READY = 200
"""A replay goes on when no more messages than this wait."""

_FEW = 16
"""An event that is cut into more pieces came before, in as many."""

type Body = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Behind:
    """Too much waits for one who is there; `since` is the turn of what it lacks first, if known."""

    since: str | None


type Send = Callable[[Body], Awaitable[None]]


class Outbox:
    """One ordered way to one participant. `send` raises `RoomError` when it cannot be reached any more;
    `failed` is called, once, then and, with how far it is behind, when too much waits.
    """

    def __init__(
        self, name: str, send: Send, failed: Callable[[Behind | None], None], tasks: Tasks, merging: Merging
    ) -> None:
        self._name = name
        self._send = send
        self._failed = failed
        self._merging = merging
        self._queue: deque[Body | deque[ThreadEvent]] = deque()
        self._pumping = False
        """Whether it is sending, or will before the event loop's next turn is over."""
        self._sending: Body | None = None
        self._ended = False
        self._closing = False
        self._room = asyncio.Event()
        self._room.set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        """Sends what could not go at once."""

    def put(self, body: Body) -> None:
        """Send a message after everything shown before."""
        if self._ended or self._closing:
            return
        self._enqueue_all(self._merging.take_all(self._loop.time()))
        self._enqueue(body)

    def show(self, event: ThreadEvent, body: Callable[[], Body]) -> None:
        """Send an event; `body` gives its message, unless it is merged with others."""
        if self._ended or self._closing:
            return
        self._enqueue_all(self._merging.add(event, self._loop.time()), event, body)
        if flow_of(event) is not None:
            self._mind_the_rest()

    async def ready(self) -> None:
        """Wait until little is left to send, or nothing can be sent any more."""
        await self._room.wait()

    def close(self) -> None:
        """Send what is there and stop."""
        self._closing = True
        self._merging.leave(self._loop.time())
        self._go()

    async def closed(self) -> None:
        """Wait until everything was sent, after `close`."""
        while not self._ended:
            await (asyncio.wait([self._task]) if self._task is not None else asyncio.sleep(0))

    # --- Inside ----------------------------------------------------------------------------------

    def _enqueue_all(
        self,
        events: list[ThreadEvent],
        shown: ThreadEvent | None = None,
        body: Callable[[], Body] | None = None,
    ) -> None:
        """Queue what the merging gave. Many pieces are encoded one by one, when they are sent."""
        if len(events) > _FEW:
            pieces = deque(events)
            whole = pieces.pop() if pieces[-1] is shown else None
            self._enqueue(pieces)
            events = [] if whole is None else [whole]
        for event in events:
            self._enqueue(body() if event is shown and body is not None else _encode(event))

    def _enqueue(self, body: Body | deque[ThreadEvent]) -> None:
        self._queue.append(body)
        if len(self._queue) > _READY:
            self._room.clear()
        if len(self._queue) > MAX_MESSAGES:
            self._fail(f"{MAX_MESSAGES} messages wait for it", self._behind())
        self._go()

    def _mind_the_rest(self) -> None:
        """See to it that what waits goes out when its time has come."""
        due = self._merging.due
        if due is None:
            return
        if self._merging.size > MAX_CHARACTERS:
            self._fail(f"{MAX_CHARACTERS} characters wait for it", self._behind())
        elif due <= self._loop.time():
            self._go()
        elif self._timer is None and not self._pumping:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._go()

    def _go(self) -> None:
        """Send what waits, together with what else the event loop brings in this turn."""
        if not self._pumping and not self._ended:
            self._pumping = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Send as far as the way is free, and the rest in a task."""
        self._task = self._tasks.begin(self._pump(), self._name)

    async def _pump(self) -> None:
        failure: RoomError | None = None
        try:
            await self._send_all()
        except RoomError as error:
            failure = error
        except BaseException:
            self._end()
            raise
        self._task, self._pumping = None, False
        if failure is not None:
            self._fail(str(failure))  # it left; the room tells us so in a moment
        elif self._closing:
            self._end()
        else:
            self._mind_the_rest()

    async def _send_all(self) -> None:
        while not self._ended:
            if not self._queue:
                self._enqueue_all(self._merging.take_due(self._loop.time()))
                if not self._queue:
                    return
            body = self._next()
            if len(self._queue) <= _READY:
                self._room.set()
            self._sending = body
            try:
                await self._send(body)
            finally:
                self._sending = None

    def _next(self) -> Body:
        first = self._queue[0]
        if not isinstance(first, deque):
            self._queue.popleft()
            return first
        piece = first.popleft()
        if not first:
            self._queue.popleft()
        return _encode(piece)

    def _behind(self) -> Behind:
        """What is on its way may not have got there either."""
        waiting = (each for each in (self._sending, *self._queue) if each is not None)
        return Behind(next((turn for each in waiting if (turn := _turn_of(each)) is not None), None))

    def _fail(self, reason: str, behind: Behind | None = None) -> None:
        if not self._ended:
            self._end()
            if self._task is not None:
                self._task.cancel()  # it may wait for a participant that takes nothing
            level = logging.INFO if behind is None else logging.WARNING
            logger.log(level, "%s gets nothing more: %s", self._name, reason)
            self._failed(behind)

    def _end(self) -> None:
        self._ended = True
        self._merging.leave(self._loop.time())
        self._queue.clear()
        self._room.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _turn_of(waiting: Body | deque[ThreadEvent]) -> str | None:
    if isinstance(waiting, deque):
        return waiting[0].turn_id if waiting else None
    turn = waiting.get("turn_id")
    return turn if isinstance(turn, str) else None


def _encode(event: ThreadEvent) -> Body:
    return compact(encode_event(event))
