"""Items of a mailbox's queue: reading them, putting them back, and where failed ones go."""

from __future__ import annotations

import base64
import binascii

from process_agent.channels.mail.parse import MAX_BYTES
from process_agent.channels.own_queue import OwnQueue
from process_agent.core.content import Json
from process_agent.errors import WireError

AGAIN = "again"
"""Key of an item that we put back: its mail is known and still to be done."""


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


class Items(OwnQueue):
    """A mailbox's queue."""

    async def put_back(self, item: Json, *, known: bool = False) -> None:
        """The mail is for a later agent of this mailbox; a `known` one counts as no duplicate then."""
        if known and isinstance(item, dict):
            item = {**item, AGAIN: True}
        await super().put_back(item)
