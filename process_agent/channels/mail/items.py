"""Items of a mailbox's queue: reading them, putting them back, and where failed ones go."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from datetime import UTC

from process_agent.channels.mail.parse import MAX_BYTES
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.ids import Clock
from process_agent.core.room_ports import Queues
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError, WireError
from process_agent.io.backoff import Backoff

logger = logging.getLogger(__name__)

FAILED = ".failed"
"""Added to the mailbox's name: where mail goes that cannot become a turn, or be answered."""

AGAIN = "again"
"""Key of an item that we put back: its mail is known and still to be done."""

_RETRY = Backoff()


def raw_of(item: Json) -> tuple[bytes, bool]:
    """The mail of an item, and whether we put it back. Raises `WireError`."""
    encoded = item.get("base64") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(encoded, str) or not encoded.strip():
        raise WireError('An item of a mailbox is {"base64": the mail}.', refusal="invalid_item")
    if len(encoded) > MAX_BYTES * 3 // 2:
        raise WireError(f"The mail has more than {MAX_BYTES >> 20} MiB.", refusal="too_large")
    try:
        return base64.b64decode("".join(encoded.split()), validate=True), item.get(AGAIN) is True
    except (binascii.Error, ValueError) as error:
        raise WireError(f"The mail is not base64: {error}.", refusal="invalid_item") from error


class Items:
    """Sends items back, and reports of those that failed."""

    def __init__(self, queues: Queues, queue: str, clock: Clock) -> None:
        self._queues = queues
        self._queue = queue
        self._clock = clock

    async def put_back(self, item: Json, *, known: bool = False) -> None:
        """The mail is for a later agent of this mailbox; a `known` one counts as no duplicate then."""
        if known and isinstance(item, dict):
            item = {**item, AGAIN: True}
        await self._send(self._queue, item)

    async def fail(self, item: Json, error: ErrorInfo) -> None:
        """Report what failed, with the reason, in the queue for that."""
        logger.warning("mail of %s failed: %s", self._queue, error.message)
        report: dict[str, Json] = {
            "queue": self._queue,
            "item": item,
            "error": {"message": error.message, "code": error.code},
            "failed_at": self._clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        await self._send(self._queue + FAILED, report)

    async def _send(self, queue: str, message: Json) -> None:
        """Send, again after a lost connection: then an item may be there twice."""
        for delay in _RETRY.delays():
            try:
                await self._queues.send(queue, message)
            except (RoomRequestError, RoomClosedError) as error:
                logger.error("an item is lost: %s: %.500s", error, message)
            except RoomError as error:
                logger.info("sending to %s again: %s", queue, error)
                await asyncio.sleep(delay)
                continue
            return
