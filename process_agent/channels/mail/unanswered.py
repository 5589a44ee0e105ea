"""Mail that was taken and not answered yet, so that a killed agent's mail is answered by the next one.

One row for each such mail in the table `emails_open`, beside `emails`: made when its turn is accepted, gone
when its answer is sent or given up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from process_agent.channels.mail.book import insist, quoted, tables_of
from process_agent.channels.mail.record import Place
from process_agent.core.ids import ThreadId
from process_agent.core.room import Datasets, TableRef

TABLE = "emails_open"

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("thread_id", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
    ]
)
"""`folder` is where the mail is kept, `answer` where the mail is that answers it, once that is written."""

MAX_ROWS = 1_000
"""Mails that one start takes up."""


@dataclass(frozen=True, slots=True)
class OpenMail:
    """A mail without an answer, or with one that may not have been sent."""

    id: str
    thread_id: ThreadId
    place: Place
    answer: Place | None


class Unanswered:
    """Every method raises `RoomRequestError` when the room refuses, `RoomError` when it stays away."""

    def __init__(self, datasets: Datasets, directory: str) -> None:
        self._datasets = datasets
        self._table = TableRef(TABLE, tables_of(directory)[0].namespace)

    async def start(self) -> None:
        """Create the table if it is missing."""
        await insist(lambda: self._datasets.create(self._table, SCHEMA, "create_if_not_exists"))

    async def add(self, mail_id: str, thread_id: ThreadId, place: Place) -> None:
        """A mail's turn is accepted."""
        row = {"id": mail_id, "thread_id": thread_id, "folder": place.folder, "answer": None}
        rows = pa.Table.from_pylist([row], schema=SCHEMA)
        await insist(lambda: self._datasets.insert(self._table, rows))

    async def written(self, mail_id: str, answer: Place) -> None:
        """Its answer is kept and goes out next."""
        where = f"id = {quoted(mail_id)}"
        await insist(lambda: self._datasets.update(self._table, where, {"answer": answer.folder}))

    async def remove(self, mail_id: str) -> None:
        """It is answered, or never will be."""
        await insist(lambda: self._datasets.delete(self._table, f"id = {quoted(mail_id)}"))

    async def all(self) -> list[OpenMail]:
        """What is open, each mail once."""
        rows = await insist(partial(self._rows))
        found = {row["id"]: row for row in rows}
        return [_open_mail(row) for row in found.values()]

    async def _rows(self) -> list[dict[str, Any]]:
        batches: AsyncIterator[Any] = self._datasets.search(self._table, limit=MAX_ROWS)
        return [row async for batch in batches for row in pa.table(batch).to_pylist()]


def _open_mail(row: dict[str, Any]) -> OpenMail:
    answer = row.get("answer")
    return OpenMail(
        str(row["id"]),
        ThreadId(str(row["thread_id"])),
        Place(str(row["folder"])),
        Place(answer) if isinstance(answer, str) and answer else None,
    )
