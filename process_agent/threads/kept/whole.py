"""A thread as a document has it: all its events, and the images in them."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence

from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId
from process_agent.core.images import embedded, id_of, image_type
from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomImages
from process_agent.errors import RoomRequestError
from process_agent.threads.kept.follow import rows_since
from process_agent.threads.kept.lines import FileLine
from process_agent.threads.reading import Reading
from process_agent.threads.room_files import addresses_in
from process_agent.threads.rows import Row

logger = logging.getLogger(__name__)

MAX_ROWS = 100_000
"""Rows at the end of a thread that become a document."""

MAX_PICTURE = 16 << 20
"""Bytes of an image that is put into a document."""

MAX_PICTURES = 128 << 20
"""Bytes of all of them; others stay as their addresses."""


async def events_of(datasets: Datasets, ref: TableRef, thread_id: ThreadId) -> tuple[list[ThreadEvent], bool]:
    """The events of a thread in order, and whether there are others before them. Raises `RoomError`."""
    start = max(0, await datasets.count(ref) - MAX_ROWS)
    rows = [row async for row in rows_since(datasets, ref, start)]
    rows.sort(key=lambda row: row.sequence)
    return list(_events(thread_id, rows)), start > 0


def _events(thread_id: ThreadId, rows: Sequence[Row]) -> Iterator[ThreadEvent]:
    reading, last = Reading(thread_id), -1
    for row in rows:
        if row.sequence > last:
            last = row.sequence
            yield from reading.feed(row)
    yield from reading.finish()


async def pictures_of(events: Iterable[ThreadEvent], images: RoomImages) -> dict[str, tuple[str, str]]:
    """MIME types and base64 of the images that the room, or their address itself, has, by address."""
    found: dict[str, tuple[str, str]] = {}
    left = MAX_PICTURES
    for address in dict.fromkeys(address for event in events for address in addresses_in(event.body)):
        data = await _bytes(address, images, min(MAX_PICTURE, left))
        kind = None if data is None else image_type(data[:32])
        if data is not None and kind is not None and len(data) <= left:
            left -= len(data)
            found[address] = kind, b64encode(data).decode()
    return found


def data_urls(line: FileLine, pictures: dict[str, tuple[str, str]], links: dict[str, str]) -> None:
    """Put a file of the room's storage into a page: as a picture if it is one, else as a link by its path.
    Whatever is behind a link, a browser only saves it.
    """
    data, kind = b64encode(line.data).decode(), image_type(line.data[:32])
    if kind is not None:
        pictures[line.path] = kind, data
    else:
        links[line.path] = f"data:application/octet-stream;base64,{data}"


async def _bytes(address: str, images: RoomImages, limit: int) -> bytes | None:
    if (inside := embedded(address)) is not None:
        return inside[1] if len(inside[1]) <= limit else None
    if id_of(address) is None or limit <= 0:
        return None
    try:
        return (await images.read(address, limit)).data
    except RoomRequestError as error:
        logger.warning("an image is not in the document: %s", error)
        return None
