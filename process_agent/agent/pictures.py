"""Puts the images that models make into the room, so that messages and rows carry their addresses only."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from process_agent.core.content import GeneratedImage
from process_agent.core.events import ImageCompleted
from process_agent.core.ids import ThreadId
from process_agent.core.images import embedded
from process_agent.core.room_ports import RoomImage, RoomImages
from process_agent.errors import RoomError

logger = logging.getLogger(__name__)

KEEP_SECONDS = 20.0
"""How long the room may take to store one image."""


async def kept(images: RoomImages | None, thread_id: ThreadId, event: ImageCompleted) -> ImageCompleted:
    """The event with its images in the room. Those that the room does not take stay in the event, as `data:`
    addresses that everybody can show; the program's log says so. So do all where no room keeps any.
    """
    if images is None:
        return event
    return replace(event, images=tuple([await _kept(images, thread_id, each) for each in event.images]))


async def _kept(images: RoomImages, thread_id: ThreadId, image: GeneratedImage) -> GeneratedImage:
    found = embedded(image.uri)
    if found is None:
        return image
    kind, data = found
    try:
        async with asyncio.timeout(KEEP_SECONDS):
            address = await images.keep(RoomImage(data, kind), thread_id)
    except (RoomError, TimeoutError) as error:
        why = str(error) or f"it took longer than {KEEP_SECONDS:.0f} s"
        logger.warning("an image of %s stays in its thread, the room did not take it: %s", thread_id, why)
        return image
    return replace(image, uri=address, mime_type=image.mime_type or kind)
