"""The mail channel: each mail of a mailbox's queue becomes a turn, and its end an answer over SMTP.

Like the queue channel it takes no mail before there is a place for it; mail that cannot become a turn goes to
the queue `ADDRESS.failed`, mail whose turn cannot start any more because the agent stops goes back. An answer
that no server takes is kept in the room's storage, and `ADDRESS.failed` says where.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from process_agent.channels.errands import Assignment, Errands, Outcome, RunningErrand
from process_agent.channels.mail.answers import Answers, MailRoom
from process_agent.channels.mail.compose import Mailbox, recipients_of
from process_agent.channels.mail.delivery import Delivery, Sender
from process_agent.channels.mail.items import Items, raw_of
from process_agent.channels.mail.loops import Pace, reason_to_ignore
from process_agent.channels.mail.message import Mail
from process_agent.channels.mail.notices import STOPPED
from process_agent.channels.mail.parse import parse_mail
from process_agent.channels.mail.prompt import content_of, title_of_mail
from process_agent.channels.mail.record import Place, may_join
from process_agent.channels.mail.recovery import Recovery
from process_agent.core.channel import Ask
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import Clock, IdSource, ParticipantId, ThreadId
from process_agent.core.replies import Reply
from process_agent.core.requests import Request, TurnOptions
from process_agent.errors import (
    ProcessError,
    RoomError,
    WireError,
)
from process_agent.io.backoff import Backoff
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

MAX_MAILS = 16
"""Mails of one mailbox that are worked on or answered side by side; others stay in the queue."""

MAX_RECENT = 1_000
"""Ids of mails that were taken lately and may not be in the table yet."""

CLOSE_SECONDS = 10.0
"""How long `close` waits for answers that are on their way, and for mail that goes back."""

_BUSY = frozenset(("too_many_turns", "too_many_requests"))
_RETRY = Backoff()


@dataclass(frozen=True, slots=True)
class MailProfile:
    """Whose mail this is. Mail goes to `thread`, or each conversation to its own. `alone` says whether no
    other agent of our name is in the room.
    """

    mailbox: Mailbox
    thread: ThreadId | None = None
    alone: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class _Letter:
    """A mail that became a request: the item it came as, and where it is kept."""

    item: Json
    mail: Mail
    place: Place
    assignment: Assignment


class MailChannel:
    """See `core.channel.Channel`."""

    def __init__(
        self,
        room: MailRoom,
        profile: MailProfile,
        sender: Sender,
        *,
        new_id: IdSource,
        clock: Clock,
    ) -> None:
        self._room = room
        self._profile = profile
        self._mailbox = profile.mailbox
        self._queue = profile.mailbox.address
        self._new_id = new_id
        self._tasks = Tasks(self.name)
        self._places = asyncio.Semaphore(MAX_MAILS)
        self._stopping = asyncio.Event()
        self._items = Items(room.queues, self._queue, clock)
        delivery = Delivery(sender, self._stopping)
        self._answers = Answers(self._mailbox, room, self._items, delivery, new_id=new_id, clock=clock)
        self._recovery = Recovery(self._mailbox, room, self._answers, profile.alone)
        self._taking: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._errands = Errands(self.name, _refuse_early, new_id)
        self._settled: dict[ParticipantId, asyncio.Event] = {}
        self._pace = Pace()
        self._recent: OrderedDict[str, None] = OrderedDict()

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return f"mail:{self._queue}"

    async def start(self, ask: Ask) -> None:
        """Make the table of mails if it is missing, and begin to take mail."""
        self._errands = Errands(self.name, ask, self._new_id)
        await self._room.book.start()
        await self._room.unanswered.start()
        left = await self._room.unanswered.all()
        self._recovering = self._tasks.start(self._recovery.run(left), "answer what was left")
        self._taking = self._tasks.start(self._take_all(), "take mail")

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._errands.close_view(participant)
        self._settle(participant)

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        self._errands.show(event, to)
        for participant in to:
            self._settle(participant)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        self._errands.answer(to, reply)
        self._settle(to)

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`. Nothing is shown piece by piece."""

    async def close(self) -> None:
        """Take no more mail; answer what ended, put back what never began, for at most `CLOSE_SECONDS`."""
        self._stop_taking()
        if self._recovering is not None:
            self._recovering.cancel()
        self._errands.close()
        for settled in self._settled.values():
            settled.set()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while len(self._tasks):
                    await self._tasks.wait()
        except TimeoutError:
            logger.error("some mail to %s was not answered before the end", self._queue)
        await self._tasks.close()

    def _settle(self, participant: ParticipantId) -> None:
        settled = self._settled.get(participant)
        if settled is not None:
            settled.set()

    # --- Taking mail -----------------------------------------------------------------------------

    async def _take_all(self) -> None:
        async with aclosing(self._items.items(self._places)) as items:
            async for item in items:
                await self._begin(item)
                if self._stopping.is_set():
                    return

    async def _begin(self, item: Json) -> None:
        """Start the turn of a mail. Mails are begun one after the other, so that one that refers to the one
        before finds it.
        """
        try:
            letter = await self._letter(item)
        except asyncio.CancelledError:
            self._tasks.start(self._items.put_back(item), "put mail back")
            raise
        except ProcessError as error:
            self._places.release()
            code = error.refusal if isinstance(error, WireError) else "room_error"
            self._tasks.start(self._items.fail(item, ErrorInfo(str(error), code)), "report mail")
            return
        if letter is None:
            self._places.release()
            return
        running = self._errands.start(letter.assignment)
        begun = asyncio.Event()
        self._tasks.start(self._follow(letter, running, begun), "follow a mail")
        await begun.wait()

    async def _letter(self, item: Json) -> _Letter | None:
        """The request of an item; None when there is nothing to do. Raises `WireError`, `RoomError`."""
        raw, again = raw_of(item)
        mail = await asyncio.to_thread(parse_mail, raw, self._mailbox.domain)
        reason = reason_to_ignore(mail, self._queue)
        if reason is not None:
            logger.info("the mail %s to %s is not answered: %s", mail.id, self._queue, reason)
            return None
        if not again:
            if await self._known(mail):
                logger.info("the mail %s to %s came again", mail.id, self._queue)
                return None
            self._pass(mail)
        place = await self._room.book.store(mail, raw)
        content = content_of(mail, place.attachments)
        thread_id = self._profile.thread or await self._thread_of(mail)
        name = mail.sender.text[:200] if mail.sender is not None else None
        options = TurnOptions(attended=False)
        assignment = Assignment(content, thread_id, name, options=options, title=title_of_mail(mail))
        self._remember(mail.id)
        return _Letter(item, mail, place, assignment)

    async def _known(self, mail: Mail) -> bool:
        return mail.id in self._recent or await self._room.book.find(mail.id) is not None

    def _remember(self, mail_id: str) -> None:
        self._recent[mail_id] = None
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    def _pass(self, mail: Mail) -> None:
        for address in {a.key for a in (mail.sender, mail.answer_to) if a is not None}:
            if not self._pace.allows(address, time.monotonic()):
                text = f"{address} wrote too often; two programs may be answering each other."
                raise WireError(text, refusal="too_many_mails")

    async def _thread_of(self, mail: Mail) -> ThreadId | None:
        """The thread a mail goes on in."""
        to, cc = recipients_of(mail, self._mailbox)
        everybody = cc if to is None else (to, *cc)
        for kept in await self._room.book.parents(mail):
            if may_join(kept, everybody):
                return kept.thread_id
            logger.info("%s names the mail %s of other people: it gets its own thread", mail.id, kept.id)
        return None

    def _stop_taking(self) -> None:
        self._stopping.set()
        if self._taking is not None:
            self._taking.cancel()

    # --- What becomes of them --------------------------------------------------------------------

    async def _follow(self, letter: _Letter, running: RunningErrand, begun: asyncio.Event) -> None:
        try:
            recorded = await self._record_begun(letter, running)
            begun.set()
            outcome = await self._outcome(letter, running)
            if _unstarted(outcome):
                self._stop_taking()
                await self._put_back(letter)
                return
            if outcome.thread_id is not None and not recorded:
                await self._record(letter, outcome.thread_id)
            if outcome.ended is None:
                await self._items.fail(letter.item, outcome.error or _UNKNOWN)
            await self._answers.answer(letter.mail, outcome)
        finally:
            begun.set()
            self._places.release()

    async def _put_back(self, letter: _Letter) -> None:
        await self._items.put_back(letter.item, known=True)
        try:
            await self._room.unanswered.remove(letter.mail.id)
        except RoomError as error:
            logger.error("the mail %s counts as open: %s", letter.mail.id, error)

    async def _record_begun(self, letter: _Letter, running: RunningErrand) -> bool:
        """Note the mail's thread as soon as its turn is accepted; False when it was refused or is not known
        yet.
        """
        participant, errand = running.envelope.sender.id, running.errand
        settled = self._settled[participant] = asyncio.Event()
        try:
            while errand.turn_id is None and errand.outcome is None and not self._stopping.is_set():
                settled.clear()
                await settled.wait()
        finally:
            del self._settled[participant]
        if errand.turn_id is None or errand.thread_id is None:
            return False
        await self._record(letter, errand.thread_id)
        return True

    async def _record(self, letter: _Letter, thread_id: ThreadId) -> None:
        try:
            await self._room.unanswered.add(letter.mail.id, thread_id, letter.place)
            await self._room.book.record(letter.mail, "user", thread_id, letter.place)
        except RoomError as error:
            logger.error("answers to the mail %s will not find its thread: %s", letter.mail.id, error)

    async def _outcome(self, letter: _Letter, running: RunningErrand) -> Outcome:
        """How it ended. While too much waits in its thread it is asked for again; a thread that cannot be
        used is replaced by a new one.
        """
        assignment = letter.assignment
        for delay in _RETRY.delays():
            outcome = await running.outcome()
            if outcome.ended is not None or _unstarted(outcome):
                return outcome
            if outcome.error is not None and outcome.error.code in _BUSY:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
            elif assignment.thread_id is not None and self._profile.thread is None:
                logger.warning("%s gets a new thread: %s", letter.mail.id, outcome.error)
                assignment = replace(assignment, thread_id=None)
            else:
                return outcome
            running = self._errands.start(assignment)
        raise AssertionError("waiting times never run out")


_UNKNOWN = ErrorInfo("no reason was given", "failed")


def _unstarted(outcome: Outcome) -> bool:
    """Whether the agent stopped before the turn's time came."""
    return not outcome.started and outcome.error is not None and outcome.error.code in STOPPED


def _refuse_early(request: Request) -> None:
    raise RuntimeError(f"{type(request).__name__} before the channel was started")
