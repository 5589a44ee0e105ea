"""Gets an answer to the SMTP server, however often that takes, within a limit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from process_agent.channels.mail.compose import Outgoing
from process_agent.errors import MailError
from process_agent.io.backoff import Backoff

logger = logging.getLogger(__name__)

ATTEMPTS = 10
RETRY = Backoff(first=2.0, ceiling=300.0)
"""With `ATTEMPTS`, about a quarter of an hour: servers that test patience by refusing once want minutes."""


class Sender(Protocol):
    """What sends a mail: `io.smtp.SmtpSender`."""

    async def send(self, sender: str, recipients: Sequence[str], data: bytes) -> Mapping[str, str]:
        """Hand one mail over. Raises `MailError`."""
        ...


class Delivery:
    """Sends mails of one channel; `stopping` ends the waiting for another attempt."""

    def __init__(self, sender: Sender, stopping: asyncio.Event, retry: Backoff | None = None) -> None:
        self._sender = sender
        self._stopping = stopping
        self._retry = retry or RETRY

    @property
    def stopping(self) -> bool:
        """Whether nothing waits for another attempt any more."""
        return self._stopping.is_set()

    async def deliver(self, mail: Outgoing) -> None:
        """Send a mail, trying again what may succeed later. Raises the last `MailError`."""
        for attempt, delay in enumerate(self._retry.delays(), 1):
            try:
                refused = await self._sender.send(mail.sender, mail.recipients, mail.data)
            except MailError as error:
                if not error.temporary or attempt >= ATTEMPTS or self._stopping.is_set():
                    raise
                logger.info("an answer is sent again in %.0f s: %s", delay, error)
                await self._pause(delay)
                continue
            for address, words in refused.items():
                logger.warning("the answer %s did not go to %s: %s", mail.id, address, words)
            return

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
