"""The command channel: keeps a channel program running and carries its messages.

The program sees every live event of every thread, and decides what to do with it. Its senders are
participants of ours by what it says about them; they are agents to us unless the operator lets it speak for
people. Their turns may name a thread that is not there yet: it is made.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from process_agent.channels.agent_messages import DRAIN_SECONDS, AgentMessages, Origin
from process_agent.channels.command.envelopes import envelope, read_envelope
from process_agent.channels.command.program import Launch, Program
from process_agent.channels.command.thread_names import ThreadNames
from process_agent.core.channel import Ask
from process_agent.core.content import Json
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ParticipantId, ThreadId
from process_agent.core.participants import Participant, of_channel
from process_agent.core.replies import Reply, ThreadStarted
from process_agent.core.requests import CloseThread, OpenThread, Request, StartTurn
from process_agent.errors import ProcessError, RoomError
from process_agent.io.backoff import Backoff
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import PREFIX

logger = logging.getLogger(__name__)

MAX_PARTICIPANTS = 10_000
"""Senders of one program that are remembered; the one that was quiet longest leaves."""

MAX_FAILURES = 10
"""Runs in a row, each shorter than `LASTING_SECONDS`, after which the program is not started again."""

LASTING_SECONDS = 60.0
BACKOFF = Backoff(1.0, 60.0)

_DISCONNECT = f"{PREFIX}participant.disconnect"


class CommandChannel:
    """See `core.channel.Channel` and `core.channel.Observing`."""

    def __init__(
        self,
        launch: Launch,
        origin: Origin,
        directory: str,
        *,
        users: bool = False,
        backoff: Backoff = BACKOFF,
    ) -> None:
        """`directory` is the agent's thread folder; `users` lets the program's senders be people, who may
        approve.
        """
        self._launch = launch
        self._name = origin.channel
        self._users = users
        self._backoff = backoff
        self._tasks = Tasks(f"{origin.channel} channel")
        self._messages = AgentMessages(origin, self, self._tasks)
        self._ask: Ask = self._messages.ask
        self._observer = Participant(
            ParticipantId(origin.channel), "agent", {"name": launch.program}, of_channel(origin.channel)
        )
        self._participants: dict[ParticipantId, Participant] = {}
        self._opened: dict[ParticipantId, set[ThreadId]] = {}
        self._program: Program | None = None
        self._threads = ThreadNames(directory, origin.clock)

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return self._name

    @property
    def observer(self) -> ParticipantId:
        """See `Observing`: stands for the program itself."""
        return self._observer.id

    async def start(self, ask: Ask) -> None:
        """Start the program. Raises what `Program.start` raises."""
        self._ask = ask
        self._messages.start(self._asked)
        program = await self._run()
        self._tasks.start(self._keep_running(program), "keep the program running")

    async def close(self) -> None:
        """Send what is left for at most `DRAIN_SECONDS`, then end the program."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._messages.drain()
        except TimeoutError:
            logger.warning("%s did not get everything before the end", self._launch.program)
        program, self._program = self._program, None
        await self._tasks.close()
        if program is not None:
            await program.stop()

    async def _run(self) -> Program:
        program = self._program = Program(self._launch.found(), self._receive)
        await program.start()
        return program

    async def _keep_running(self, program: Program) -> None:
        """Start the program again when it ends; its participants leave, turns go on."""
        loop, failures, delays = asyncio.get_running_loop(), 0, self._backoff.delays()
        while True:
            began = loop.time()
            await program.ended()
            self._everybody_left()
            await program.stop()
            if loop.time() - began >= LASTING_SECONDS:
                failures, delays = 0, self._backoff.delays()
            logger.warning("the channel program %s is gone: %s", self._launch.program, program.epitaph())
            started, failures = await self._start_again(failures + 1, delays)
            if started is None:
                return
            program = started

    async def _start_again(self, failures: int, delays: Iterator[float]) -> tuple[Program | None, int]:
        while failures <= MAX_FAILURES:
            await asyncio.sleep(next(delays))
            try:
                return await self._run(), failures
            except ProcessError as error:
                logger.warning("%s", error)
                failures += 1
        logger.error("%s failed %d times in a row and is not started again", self._launch.program, failures)
        return None, failures

    # --- To participants -------------------------------------------------------------------------

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._messages.open_view(participant, thread_id)

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._messages.close_view(participant, thread_id)

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`. What everybody sees is sent once."""
        self._messages.show(event, (self.observer,) if self.observer in to else to)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        self._messages.answer(to, reply, thread_id)
        if isinstance(reply, ThreadStarted):
            self._close_unasked(to, reply.thread_id)

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        await self._messages.ready(participant, thread_id)

    # --- The transport ---------------------------------------------------------------------------

    def who(self, participant: ParticipantId) -> Participant | None:
        """See `Transport`."""
        if self._program is None or not self._program.connected:
            return None
        return self._observer if participant == self.observer else self._participants.get(participant)

    async def send(
        self, participant: ParticipantId, _thread_id: ThreadId | None, body: Mapping[str, Json]
    ) -> None:
        """See `Transport`."""
        if self._program is None:
            raise RoomError(f"{self._launch.program} does not run.")
        await self._program.send(envelope(self._threads.theirs(body), self._participants.get(participant)))

    def lost(self, participant: ParticipantId, _thread_id: ThreadId | None) -> bool:
        """See `Transport`. A program that missed an event has to begin anew."""
        if participant == self.observer and self._program is not None:
            self._program.give_up("it reads too slowly")
        return True

    # --- From the program ------------------------------------------------------------------------

    def _receive(self, value: dict[Any, Any]) -> None:
        """One value. Raises `WireError`."""
        inbound = read_envelope(value, channel=self.name, users=self._users)
        if inbound.to is not None:
            logger.warning("%s may not write to %s", self._launch.program, inbound.to)
            return
        sender = self._observer if inbound.sender is None else self._known(inbound.sender)
        if inbound.message.get("type") == _DISCONNECT:
            self._left(ParticipantId(str(inbound.message.get("participant_id") or sender.id)))
        else:
            self._messages.receive(self._threads.ours(inbound.message), sender)

    def _asked(self, request: Request) -> None:
        """A request of the program's: its turns make the thread they name, and view nothing unasked."""
        match request:
            case StartTurn(asked, thread_id):
                self._ask(replace(request, create=True))
                self._close_unasked(asked.sender.id, thread_id)
                return
            case OpenThread(asked, thread_id):
                self._opened.setdefault(asked.sender.id, set()).add(thread_id)
            case CloseThread(asked, thread_id):
                self._opened.get(asked.sender.id, set()).discard(thread_id)
            case _:
                pass
        self._ask(request)

    def _close_unasked(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """Who starts a turn becomes a viewer. The program sees everything anyway, so the thread need not stay
        open for it.
        """
        if thread_id not in self._opened.get(participant, set()):
            sender = self._participants.get(participant, self._observer)
            self._ask(CloseThread(self._messages.envelope(sender), thread_id))

    def _known(self, sender: Participant) -> Participant:
        self._participants.pop(sender.id, None)
        self._participants[sender.id] = sender
        if len(self._participants) > MAX_PARTICIPANTS:
            self._left(next(iter(self._participants)))
        return sender

    def _left(self, participant_id: ParticipantId) -> None:
        participant = self._participants.pop(participant_id, None)
        self._opened.pop(participant_id, None)
        if participant is not None:
            self._messages.left(participant)

    def _everybody_left(self) -> None:
        self._program = None
        for participant_id in tuple(self._participants):
            self._left(participant_id)
        self._opened.clear()
        self._messages.left(self._observer)


def channel_name(argv: Sequence[str]) -> str:
    """A name for a program's channel: short, and without its arguments, which may be secrets."""
    name = argv[0].rpartition("/")[2]
    if [name] == list(argv):
        return f"command:{name}"
    digest = hashlib.sha256("\0".join(argv).encode("utf-8", "replace")).hexdigest()
    return f"command:{name}~{digest[:6]}"
