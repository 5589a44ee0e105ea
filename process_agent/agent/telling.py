"""What is told of threads, in order, and of what people asked not before the room has it.

Whoever reads that a message was accepted may close the lid: should the agent be killed right after, the
message has to be in the room. Where rows and messages go to the room one behind the other, they need not wait
for each other. Elsewhere what is shown of a thread waits, behind such an event, until the thread's log is
durable that far; what the backend does meanwhile waits behind it. Where that takes too long, it is
shown all the same: the end of a turn says whether it is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile

from process_agent.core import events as e
from process_agent.core.channel import Channel
from process_agent.core.commands import Answer, CloseView, Command, Emit, OpenView
from process_agent.core.ids import ThreadId
from process_agent.core.room import InOrder
from process_agent.core.store import ThreadLog
from process_agent.errors import RoomError
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

HOLD_SECONDS = 5.0
"""How long what a room takes no rows of is kept from people."""

_STORED_FIRST = (e.TurnAccepted, e.SteerAccepted, e.ThreadCleared)
"""What is a promise: nobody needs to say it again."""


class Telling:
    """Shows events and sends replies through the channels. One event loop only."""

    def __init__(self, channels: Mapping[str, Channel], tasks: Tasks) -> None:
        self._channels = channels
        self._tasks = tasks
        self._held: dict[ThreadId, deque[Callable[[], None] | None]] = {}
        """What waits to be told; None stands before what has to be stored first."""
        self._early: dict[int, Emit] = {}
        """What was remembered before its time, by its identity."""

    def emit(self, command: Emit, log: ThreadLog | None, following: Iterable[Command] = ()) -> None:
        """Remember an event in its log, if it is to be stored, and show it. `following` is what is carried
        out at once after it: rows of it go along with those that must not wait.
        """
        event, to = command.event, command.to
        if command.store and log is not None:
            self._remember(command, log)
            if log.durable and isinstance(event.body, _STORED_FIRST):
                for each in takewhile(lambda each: _goes_along(each, event.thread_id), following):
                    self._remember_early(each, log)
                if not self._in_order(command, log):
                    self._hold(event.thread_id, log)

        def show() -> None:
            for channel, participants in to.items():
                self._channels[channel].show(event, participants)

        self._tell(event.thread_id, show)

    def answer(self, command: Answer) -> None:
        """Send a reply, in its place among the events of its thread."""
        channel = self._channels[command.to.channel]
        self._tell(
            command.thread_id,
            lambda: channel.answer(command.to.participant, command.reply, command.thread_id),
        )

    def view(self, command: OpenView | CloseView) -> None:
        """Somebody begins to view a thread, or views it no more."""
        channel = self._channels[command.viewer.channel]
        change = channel.open_view if isinstance(command, OpenView) else channel.close_view
        self._tell(command.thread_id, lambda: change(command.viewer.participant, command.thread_id))

    def follows(self, thread_id: ThreadId, log: ThreadLog) -> bool:
        """Whether what is told of a thread from now on follows all its rows to the room, whoever is told."""
        return self._behind(thread_id, self._channels) and log.hand_over(open_items=True)

    def _remember(self, command: Emit, log: ThreadLog) -> None:
        if self._early.pop(id(command), None) is None:
            log.append(command.event)

    def _remember_early(self, command: Command, log: ThreadLog) -> None:
        if isinstance(command, Emit) and command.store:
            log.append(command.event)
            self._early[id(command)] = command

    def _in_order(self, command: Emit, log: ThreadLog) -> bool:
        """Whether what is told now follows its rows to the room: nobody can read it before they are there."""
        return self._behind(command.event.thread_id, command.to) and log.hand_over()

    def _behind(self, thread_id: ThreadId, channels: Iterable[str]) -> bool:
        ways = map(self._channels.__getitem__, channels)
        return thread_id not in self._held and all(isinstance(way, InOrder) and way.in_order for way in ways)

    def _tell(self, thread_id: ThreadId | None, tell: Callable[[], None]) -> None:
        held = None if thread_id is None else self._held.get(thread_id)
        if held is None:
            tell()
        else:
            held.append(tell)

    def _hold(self, thread_id: ThreadId, log: ThreadLog) -> None:
        """What is told of the thread from now on waits until the log is durable."""
        held = self._held.get(thread_id)
        if held is not None:
            held.append(None)
            return
        self._held[thread_id] = deque()
        self._tasks.start(self._release(thread_id, log), "store what was asked")

    async def _release(self, thread_id: ThreadId, log: ThreadLog) -> None:
        held, more = self._held[thread_id], True
        try:
            while more:
                await _stored(thread_id, log)
                more = _tell_until_next(held)
        finally:  # an agent that is closed meanwhile tells nothing of what is not stored
            del self._held[thread_id]


def _goes_along(command: Command, thread_id: ThreadId) -> bool:
    """Whether a command tells of the thread and makes no promise of its own."""
    return (
        isinstance(command, Emit)
        and command.event.thread_id == thread_id
        and not isinstance(command.event.body, _STORED_FIRST)
    )


async def _stored(thread_id: ThreadId, log: ThreadLog) -> None:
    try:
        async with asyncio.timeout(HOLD_SECONDS):
            await log.flush(open_items=False)
    except TimeoutError:
        logger.warning("the room does not store what was asked in %s; the turn goes on", thread_id)
    except RoomError as error:
        logger.warning("what was asked in %s is not stored: %s", thread_id, error)


def _tell_until_next(held: deque[Callable[[], None] | None]) -> bool:
    """Tell what waits, up to the next promise, which has to be stored first; whether there is one."""
    while held:
        tell = held.popleft()
        if tell is None:
            return True
        tell()
    return False
