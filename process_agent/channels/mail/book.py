"""Keeps mail in the room: files below `.emails`, and rows of the table `emails` (agent protocol, 6.7)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from process_agent.channels.mail.message import Mail
from process_agent.channels.mail.record import Kept, MailRole, Place, document_of, kept_of, row_of
from process_agent.core.ids import IdSource, ThreadId
from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff

logger = logging.getLogger(__name__)

TABLE = "emails"
ROOT = ".emails"

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("thread_id", pa.string(), nullable=False),
        pa.field("in_reply_to", pa.string()),
        pa.field("role", pa.string(), nullable=False),
        pa.field("json", pa.string(), nullable=False),
    ]
)
"""One row per mail, as the published mail channel has it."""

MAX_PARENTS = 10
"""Mails a mail refers to that are looked up, the nearest first."""

ATTEMPTS = 6
"""How often something is asked of the room when the connection is lost."""

_DELAYS = Backoff(first=0.5, ceiling=10.0)


class MailBook:
    """Every method raises `RoomRequestError` when the room refuses, `RoomError` when it stays away."""

    def __init__(self, datasets: Datasets, files: RoomFiles, directory: str, new_id: IdSource) -> None:
        self._datasets = datasets
        self._files = files
        self._new_id = new_id
        self._table, *self._others = tables_of(directory)

    async def start(self) -> None:
        """Create the table if it is missing."""
        await insist(lambda: self._datasets.create(self._table, SCHEMA, "create_if_not_exists"))

    async def find(self, mail_id: str) -> Kept | None:
        """The mail of an id, if any agent of this folder had it."""
        for table in (self._table, *self._others):
            for row in await insist(partial(self._rows, table, mail_id)):
                kept = kept_of(row)
                if kept is not None and kept.id == mail_id:
                    return kept
        return None

    async def parents(self, mail: Mail) -> list[Kept]:
        """The mails a mail refers to that are known, the nearest first."""
        found = [await self.find(parent) for parent in mail.parents[:MAX_PARENTS]]
        return [kept for kept in found if kept is not None]

    async def store(self, mail: Mail, raw: bytes) -> Place:
        """Write a mail and its attachments to the room's storage."""
        folder = f"{ROOT}/{self._hex()}/{self._hex()}"
        names = [f"{folder}/attachments/{attachment.name}" for attachment in mail.attachments]
        place = Place(folder, tuple(names))
        await self._write(place.raw, raw, "message/rfc822")
        for path, attachment in zip(names, mail.attachments, strict=True):
            await self._write(path, attachment.data, attachment.mime_type)
        return place

    async def record(self, mail: Mail, role: MailRole, thread_id: ThreadId, place: Place) -> None:
        """Note which thread a stored mail belongs to."""
        document = document_of(mail, role, thread_id, place)
        await self._write(place.document, json.dumps(document, indent=4).encode(), "application/json")
        rows = pa.Table.from_pylist([row_of(document)], schema=SCHEMA)
        await insist(lambda: self._datasets.insert(self._table, rows))

    async def _rows(self, table: TableRef, mail_id: str) -> list[dict[str, Any]]:
        where = f"id = {quoted(mail_id)}"
        rows: list[dict[str, Any]] = []
        try:
            async for batch in self._datasets.search(table, where=where, limit=1):
                rows += pa.table(batch).to_pylist()
        except RoomRequestError as error:
            if table == self._table:
                raise
            logger.debug("the table %s cannot be read: %s", table, error)
        return rows

    async def _write(self, path: str, data: bytes, mime_type: str) -> None:
        await insist(lambda: self._files.write(path, data, mime_type=mime_type))

    def _hex(self) -> str:
        return self._new_id().replace("-", "")[:8]


def tables_of(directory: str) -> Sequence[TableRef]:
    """Where the table is written, and where else it may be read, for a thread folder like
    `dataset://agents/bot/threads`.

    The published channel splits the folder at its slashes, and so `dataset:` is the first part of the
    namespace when the folder is the default one, and not when it was given without a scheme.
    """
    literal = tuple(part for part in directory.split("/") if part)
    plain = literal[1:] if literal[:1] == ("dataset:",) else literal
    return tuple(dict.fromkeys((TableRef(TABLE, literal), TableRef(TABLE, plain))))


def quoted(text: str) -> str:
    """A text in a condition of the table."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


async def insist[T](work: Callable[[], Awaitable[T]]) -> T:
    """Ask the room, again after a lost connection. What is asked here may happen twice."""
    for attempt, delay in enumerate(_DELAYS.delays(), 1):
        try:
            return await work()
        except (RoomRequestError, RoomClosedError):
            raise
        except RoomError as error:
            if attempt >= ATTEMPTS:
                raise
            logger.info("asking the room again: %s", error)
            await asyncio.sleep(delay)
    raise AssertionError("waiting times never run out")
