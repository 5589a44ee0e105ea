"""Images that models make, in the room's table `images`, which all agents of a room share.

The table is as the published agent makes it (agent protocol, section 6.7; `meshagent-agents` 0.55.1): `id`,
`data` with the metadata `content-type: image/*`, `mime_type`, `created_at`, `created_by`, `annotations`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from process_agent.core.ids import Clock, IdSource, ThreadId
from process_agent.core.images import address_of, id_of
from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomImage
from process_agent.errors import RoomRequestError
from process_agent.io.tables import up_to_date
from process_agent.threads.paths import NOT_FOUND
from process_agent.threads.table import quoted

TABLE = TableRef("images")

_ANNOTATION: Any = pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.string())])
_COLUMNS: list[Any] = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("data", pa.large_binary(), nullable=False, metadata={"content-type": "image/*"}),
    pa.field("mime_type", pa.string(), nullable=False),
    pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("created_by", pa.string(), nullable=False),
    pa.field("annotations", pa.list_(_ANNOTATION)),
]
IMAGES: pa.Schema = pa.schema(_COLUMNS)


class ImageTable:
    """See `core.room_ports.RoomImages`."""

    def __init__(self, datasets: Datasets, created_by: str, *, clock: Clock, new_id: IdSource) -> None:
        self._datasets = datasets
        self._created_by = created_by
        self._clock = clock
        self._new_id = new_id
        self._ready = False
        self.wrote: Callable[[TableRef], None] = lambda _table: None
        """Hears of each write, for upkeep."""

    async def keep(self, image: RoomImage, thread_id: ThreadId) -> str:
        """Store an image; see the port."""
        return await self._insert(self._new_id(), image, thread_id)

    async def put_back(self, image_id: str, image: RoomImage, thread_id: ThreadId) -> str:
        """Store an image under the id it had, or under a new one where that is taken; returns its address."""
        taken = False
        try:
            await self.read(address_of(image_id), limit=len(image.data))
            taken = True
        except RoomRequestError as error:
            taken = error.code != NOT_FOUND  # a larger one has the id
        return await self._insert(self._new_id() if taken else image_id, image, thread_id)

    async def _insert(self, image_id: str, image: RoomImage, thread_id: ThreadId) -> str:
        if not self._ready:
            await up_to_date(self._datasets, TABLE, IMAGES)
            self._ready = True
        row = {
            "id": image_id,
            "data": image.data,
            "mime_type": image.mime_type,
            "created_at": self._clock(),
            "created_by": self._created_by,
            "annotations": [{"key": "thread", "value": thread_id}],
        }
        await self._datasets.insert(TABLE, pa.Table.from_pylist([row], schema=IMAGES))
        self.wrote(TABLE)
        return address_of(image_id)

    async def read(self, address: str, limit: int) -> RoomImage:
        """The image at an address; see the port."""
        image_id = id_of(address)
        if image_id is None:
            raise RoomRequestError(f"{address[:200]!r} is no image of the room.")
        search = self._datasets.search(
            TABLE, where=f"id = {quoted(image_id)}", columns=["data", "mime_type"], limit=1
        )
        rows = [row async for batch in search for row in pa.table(batch).to_pylist()]
        if not rows:
            raise RoomRequestError(f"There is no image {address[:200]!r}.", code=NOT_FOUND)
        image = RoomImage(rows[0]["data"], rows[0]["mime_type"])
        if len(image.data) > limit:
            raise RoomRequestError(f"The image {address[:200]!r} has more than {limit} bytes.")
        return image

    async def remove(self, addresses: Sequence[str]) -> None:
        """Remove images of ours; see the port."""
        ids = [found for address in addresses if (found := id_of(address)) is not None]
        ours = f"created_by = {quoted(self._created_by)}"
        for start in range(0, len(ids), 100):
            listed = ", ".join(map(quoted, ids[start : start + 100]))
            await self._datasets.delete(TABLE, f"{ours} AND id IN ({listed})")
            self.wrote(TABLE)
