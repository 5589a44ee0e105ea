"""Answers a mail when its turn has ended: writes, keeps and sends one mail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from process_agent.channels.errands import Outcome
from process_agent.channels.mail.book import MailBook
from process_agent.channels.mail.compose import Mailbox, Outgoing, Written, compose_answer
from process_agent.channels.mail.delivery import Delivery
from process_agent.channels.mail.files import attached
from process_agent.channels.mail.items import Items
from process_agent.channels.mail.message import Mail
from process_agent.channels.mail.notices import text_of
from process_agent.channels.mail.parse import parse_mail
from process_agent.channels.mail.record import Place
from process_agent.channels.mail.unanswered import Unanswered
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import EndReason
from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.core.room_ports import Queues, RoomFiles, RoomImages
from process_agent.errors import MailError, RoomError, WireError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailRoom:
    """What a mailbox needs of the room; `book` and `unanswered` are made of the same."""

    queues: Queues
    files: RoomFiles
    book: MailBook
    unanswered: Unanswered
    images: RoomImages | None = None


class Answers:
    """The answers of one mailbox."""

    def __init__(
        self,
        mailbox: Mailbox,
        room: MailRoom,
        items: Items,
        delivery: Delivery,
        *,
        new_id: IdSource,
        clock: Clock,
    ) -> None:
        self._mailbox = mailbox
        self._book, self._files, self._images = room.book, room.files, room.images
        self._unanswered = room.unanswered
        self._items = items
        self._delivery = delivery
        self._new_id = new_id
        self._clock = clock

    async def answer(self, mail: Mail, outcome: Outcome) -> None:
        """Send one mail about how the turn of `mail` ended. One that no server takes is kept and reported."""
        if outcome.ended is not EndReason.COMPLETED:
            logger.warning("the mail %s was not done: %s", mail.id, outcome.error or outcome.ended)
        files, left_out = await attached(outcome.files, self._files, self._images)
        lines = [
            text_of(outcome),
            *([""] if left_out else []),
            *(f"Not attached: {line}" for line in left_out),
        ]
        written = Written("\n".join(lines), files)
        outgoing = await asyncio.to_thread(
            compose_answer, mail, self._mailbox, written, self._new_id(), self._clock()
        )
        kept = await self._keep(outgoing, outcome.thread_id)
        if kept is not None:
            with _logged(f"the answer {outgoing.id} is not noted"):
                await self._unanswered.written(mail.id, kept)
        await self.send(mail.id, outgoing, kept)

    async def send(self, mail_id: str, outgoing: Outgoing, kept: Place | None) -> None:
        """Send the answer to a mail. What could not be sent before the agent stops stays open."""
        try:
            await self._delivery.deliver(outgoing)
        except MailError as error:
            if error.temporary and self._delivery.stopping and kept is not None:
                logger.warning("the answer %s is sent at the next start: %s", outgoing.id, error)
                return
            await self._not_sent(outgoing, kept, error)
        with _logged(f"the mail {mail_id} stays open"):
            await self._unanswered.remove(mail_id)

    async def _keep(self, outgoing: Outgoing, thread_id: ThreadId | None) -> Place | None:
        """Keep an answer before it is sent: somebody may answer it at once."""
        try:
            sent = await asyncio.to_thread(parse_mail, outgoing.data, self._mailbox.domain)
            place = await self._book.store(sent, outgoing.data)
            if thread_id is not None:
                await self._book.record(sent, "agent", thread_id, place)
        except (RoomError, WireError) as error:
            logger.error("the answer %s is not kept: %s", outgoing.id, error)
            return None
        return place

    async def _not_sent(self, outgoing: Outgoing, kept: Place | None, error: MailError) -> None:
        where = "nowhere" if kept is None else kept.raw
        logger.error("the answer %s was not sent; it is kept in %s: %s", outgoing.id, where, error)
        recipients: list[Json] = list(outgoing.recipients)
        unsent: dict[str, Json] = {"unsent": None if kept is None else kept.raw, "recipients": recipients}
        await self._items.fail(unsent, ErrorInfo(str(error), "mail_not_sent"))


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """The room's bookkeeping must not keep an answer from going out."""
    try:
        yield
    except RoomError as error:
        logger.error("%s: %s", what, error)
