"""One image of the room's table `images`, for a page: browsers show addresses, and read no Arrow."""

from __future__ import annotations

from typing import Final

from process_agent.core.images import image_type
from process_agent.room_server.datasets import reading, requests
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.reading import Selection
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import NOT_FOUND, Caller, ToolError

MAX_ID: Final = 200
_TABLE: Final = TableKey(Place(), "images")


async def picture(tables: Tables, caller: Caller, image_id: str) -> tuple[bytes, str]:
    """The bytes and the MIME type of an image. Raises `ToolError` 1001 for who may not read the table, and
    1003 when there is no such image, or it is none that browsers show.
    """
    requests.require(caller, _TABLE, "read")
    if len(image_id) > MAX_ID:
        raise ToolError("there is no such image", code=NOT_FOUND)
    quoted = image_id.replace("'", "''")
    chosen = Selection(where=f"id = '{quoted}'", select=("data",), limit=1)
    with tables.reading(_TABLE):
        dataset = await tables.open(_TABLE, None)
        _, batches = await tables.run(reading.scan, dataset, chosen)
        rows = await tables.run(lambda: [row for batch in batches for row in batch.to_pylist()])
    data = rows[0]["data"] if rows else None
    kind = image_type(data[:16]) if isinstance(data, bytes) else None
    if not isinstance(data, bytes) or kind is None:
        raise ToolError("there is no such image", code=NOT_FOUND)
    return data, kind
