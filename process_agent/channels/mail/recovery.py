"""Answers the mail that an agent of our name had taken when it was killed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from process_agent.channels.errands import LOST, Outcome
from process_agent.channels.mail.answers import Answers, MailRoom
from process_agent.channels.mail.compose import Mailbox, Outgoing
from process_agent.channels.mail.parse import MAX_BYTES, parse_mail
from process_agent.channels.mail.unanswered import OpenMail
from process_agent.core.events import EndReason
from process_agent.errors import RoomError, WireError

logger = logging.getLogger(__name__)

ALONE_WITHIN = 180.0
"""Seconds that we wait for another agent of our name to go: it may be our former self, whose connection the
room has not given up yet. If it stays, its mail is its own.
"""

LOOK_EVERY = 1.0


class Recovery:
    """One start's look at mail that was left. `alone` says whether no other agent of our name is here."""

    def __init__(self, mailbox: Mailbox, room: MailRoom, answers: Answers, alone: Callable[[], bool]) -> None:
        self._mailbox = mailbox
        self._unanswered = room.unanswered
        self._files = room.files
        self._answers = answers
        self._alone = alone

    async def run(self, left: Sequence[OpenMail]) -> None:
        """Answer what was open before we took anything, and still is when we are alone."""
        if not left or not await self._wait():
            return
        still = {entry.id: entry for entry in await self._unanswered.all()}
        for entry in left:
            if entry.id not in still:
                continue
            try:
                await self._settle(still[entry.id])
            except (RoomError, WireError) as error:
                logger.error("the mail %s is not answered: %s", entry.id, error)

    async def _wait(self) -> bool:
        for _ in range(int(ALONE_WITHIN / LOOK_EVERY)):
            if self._alone():
                return True
            await asyncio.sleep(LOOK_EVERY)
        return False

    async def _settle(self, entry: OpenMail) -> None:
        if entry.answer is not None:
            data = await self._files.read(entry.answer.raw, 2 * MAX_BYTES)
            sent = await asyncio.to_thread(parse_mail, data, self._mailbox.domain)
            to = tuple(address.addr for address in (*sent.to, *sent.cc))
            outgoing = Outgoing(sent.id, self._mailbox.address, to, data)
            await self._answers.send(entry.id, outgoing, entry.answer)
            return
        raw = await self._files.read(entry.place.raw, MAX_BYTES)
        mail = await asyncio.to_thread(parse_mail, raw, self._mailbox.domain)
        await self._answers.answer(mail, Outcome(EndReason.LOST, LOST, entry.thread_id))
