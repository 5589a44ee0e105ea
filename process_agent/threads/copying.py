"""A copy of a thread: its last turns in a table of their own, as they are."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

from process_agent.core.events import ImageCompleted, ThreadEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.images import id_of
from process_agent.core.room_ports import RoomImages
from process_agent.errors import RoomRequestError
from process_agent.threads.rows import STATE, BackendState, Row, to_row, to_stored
from process_agent.threads.table import IMAGES, ThreadTable

logger = logging.getLogger(__name__)

MAX_ROWS = 1_024
"""Rows in one insert."""

MAX_SIZE = 4 << 20
"""Characters of rows in one insert."""

MAX_IMAGE = 64 << 20
"""Bytes of an image that is copied."""


def name_of_copy(name: str) -> str:
    """What a copy is called when nobody says."""
    return f"{name} (fork)"


def moved(row: Row, thread_id: ThreadId) -> Row:
    """The same row in another thread. One that is no JSON object is nobody's, and stays as it is."""
    try:
        data = json.loads(row.data)
    except ValueError:
        return row
    if not isinstance(data, dict):
        return row
    return replace(row, data=json.dumps({**data, "thread_id": thread_id}, separators=(",", ":")))


def in_copy(row: Row, without: Collection[TurnId]) -> bool:
    """Whether a row is copied: what backends kept follows at the end."""
    return row.turn_id not in without and row.item_id != STATE


async def with_own_images(row: Row, images: RoomImages, thread_id: ThreadId) -> Row:
    """The same row, whose images are copies in the room: those of the source go with it. An image that cannot
    be copied is named as it was. Raises `RoomError` when the connection is lost.
    """
    stored = to_stored(row) if row.type == IMAGES else None
    if not isinstance(stored, ThreadEvent) or not isinstance(stored.body, ImageCompleted):
        return row
    data = json.loads(row.data)
    for image in data["images"]:
        if isinstance(image, dict) and id_of(str(image.get("uri"))) is not None:
            try:
                image["uri"] = await images.keep(await images.read(image["uri"], MAX_IMAGE), thread_id)
            except RoomRequestError as error:
                logger.warning("an image of a copied thread is not copied: %s", error)
    return replace(row, data=json.dumps(data, separators=(",", ":")))


async def copy_rows(
    source: ThreadTable,
    target: ThreadTable,
    thread_id: ThreadId,
    without: Collection[TurnId],
    images: RoomImages,
) -> None:
    """Copy the rows of the last turns, with their images, and what backends keep. Raises `RoomError`."""
    kept = (await source.known()).kept or {}
    batch: list[Row] = []
    size, last, moment = 0, -1, datetime.fromtimestamp(0, UTC)
    async for row in source.rows(await source.window(None), lambda _number: False):
        last, moment = max(last, row.sequence), max(moment, row.timestamp)
        if in_copy(row, without):
            batch.append(moved(await with_own_images(row, images, thread_id), thread_id))
            size += len(row.data)
        if len(batch) >= MAX_ROWS or size >= MAX_SIZE:
            await target.insert(batch)
            batch, size = [], 0
    states = [BackendState(thread_id, backend, state, moment) for backend, state in kept.items()]
    batch += [to_row(state, last + number, moment) for number, state in enumerate(states, start=1)]
    if batch:
        await target.insert(batch)
