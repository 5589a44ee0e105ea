"""Puts images that models make, and that tools give back, into the room, so that messages and rows carry
their addresses only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from process_agent.core.content import GeneratedImage, LinkResult
from process_agent.core.events import BackendEvent, ImageCompleted, ToolEnded
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.images import GIVEN_BACK, embedded
from process_agent.core.room_ports import RoomImage, RoomImages
from process_agent.errors import RoomError

logger = logging.getLogger(__name__)

KEEP_SECONDS = 20.0
"""How long the room may take to store one image."""


async def in_room(
    images: RoomImages | None, thread_id: ThreadId, event: BackendEvent
) -> Sequence[BackendEvent]:
    """What the room is told of an event, with images where the room keeps them."""
    match event:
        case ImageCompleted():
            return (await kept(images, thread_id, event),)
        case ToolEnded(_, LinkResult(_, url)) if url.startswith("data:image/"):
            return await _given_back(images, thread_id, event)
        case _:
            return (event,)


async def kept(images: RoomImages | None, thread_id: ThreadId, event: ImageCompleted) -> ImageCompleted:
    """The event with its images in the room. Those that the room does not take stay in the event, as `data:`
    addresses that everybody can show; the program's log says so. So do all where no room keeps any.
    """
    if images is None:
        return event
    return replace(event, images=tuple([await _kept(images, thread_id, each) for each in event.images]))


async def _given_back(
    images: RoomImages | None, thread_id: ThreadId, event: ToolEnded
) -> Sequence[BackendEvent]:
    """A tool's result that is an image. It is an item of its own beside the result, which names its address
    only: so people see it, the next model looks at it after a restart, and it goes with its thread as those
    that models make do. That address alone would mean nothing: tools can name any.
    """
    result = event.result
    if images is None or not isinstance(result, LinkResult):
        return (event,)
    image = await _kept(images, thread_id, GeneratedImage(result.url))
    if image.uri == result.url:
        return (event,)
    about = ": ".join(word for word in (f"given back by {event.ref.tool}", result.name) if word)
    item = ItemId(event.ref.item_id + GIVEN_BACK)
    named = replace(event, result=LinkResult(result.name, image.uri))
    return (named, ImageCompleted(item, (image,), about))


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
