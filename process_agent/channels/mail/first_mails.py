"""Mails that begin a conversation: kept like answers, so that replies to them find a thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from process_agent.channels.mail.book import MailBook
from process_agent.channels.mail.compose import FirstMail, Mailbox, Outgoing, compose_first
from process_agent.channels.mail.delivery import Sender
from process_agent.channels.mail.loops import Pace
from process_agent.channels.mail.message import Address, is_address, one_line, same_mailbox
from process_agent.channels.mail.parse import parse_mail
from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.errors import MailError, WireError

logger = logging.getLogger(__name__)

MAX_TO = 10
"""People that one such mail goes to."""


class FirstMails:
    """The mails that one mailbox begins. Nothing is written to any of `own`, the agent's addresses."""

    def __init__(
        self,
        mailbox: Mailbox,
        book: MailBook,
        sender: Sender,
        *,
        own: Sequence[str],
        new_id: IdSource,
        clock: Clock,
    ) -> None:
        self._mailbox = mailbox
        self._book = book
        self._sender = sender
        self._own = (mailbox.address, *own)
        self._new_id = new_id
        self._clock = clock
        self._pace = Pace()

    @property
    def address(self) -> str:
        """Who the mails are from."""
        return self._mailbox.address

    def recipients(self, named: Sequence[str]) -> tuple[Address, ...]:
        """The addresses, each once. Raises `MailError` for what cannot be written to."""
        found: dict[str, Address] = {}
        for text in named:
            addr = text.strip()
            if not is_address(addr):
                raise _refused(f"{one_line(text, 100)!r} is no plain address like ana@example.com.")
            if any(same_mailbox(addr, own) for own in self._own):
                raise _refused(f"{addr} is an address of this agent itself.")
            found.setdefault(addr.lower(), Address("", addr))
        if not 1 <= len(found) <= MAX_TO:
            raise _refused(f"A mail goes to 1 to {MAX_TO} addresses, not to {len(found)}.")
        return tuple(found.values())

    async def send(self, first: FirstMail, thread_id: ThreadId) -> Mapping[str, str]:
        """Keep a mail and hand it over; a reply to it goes on in `thread_id`. Returns the recipients that the
        server refused, with its words, where it took the mail for others.

        Raises `MailError` when it is not sent, `RoomError` when the room does not keep it: a reply would find
        no thread, and so it is not sent.
        """
        now = time.monotonic()
        for address in first.to:
            if not self._pace.allows(address.key, now):
                raise _refused(f"{address.addr} got too many mails within an hour.")
        outgoing = await asyncio.to_thread(compose_first, first, self._mailbox, self._new_id(), self._clock())
        await self._keep(outgoing, thread_id)
        refused = await self._sender.send(outgoing.sender, outgoing.recipients, outgoing.data)
        logger.info("the mail %s was sent", outgoing.id)
        return refused

    async def _keep(self, outgoing: Outgoing, thread_id: ThreadId) -> None:
        try:
            sent = await asyncio.to_thread(parse_mail, outgoing.data, self._mailbox.domain)
        except WireError as error:
            raise _refused(f"The mail cannot be sent: {error}") from error
        place = await self._book.store(sent, outgoing.data)
        await self._book.record(sent, "agent", thread_id, place)


def _refused(text: str) -> MailError:
    return MailError(text, temporary=False)
